//! One WAV out of the pieces in which a synthesiser sends it.
//!
//! A piece may be a whole file, the beginning of one, or more samples of the one before; a header may be cut in two, and
//! may say a size that is unknown (see [`super::riff`]) or simply wrong. The samples are kept in the order in which they
//! came, and the file that is made of them says true sizes.

use std::time::Duration;

use super::riff::{self, Layout, LayoutError};
use super::wav::{self, Format, Wav, WavError};

/// No header of a plain WAV is longer; what has come by then without one is something else.
const LONGEST_HEADER: usize = 64 * 1_024;

/// Why the pieces make no WAV.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PieceError {
    /// See [`WavError`].
    #[error(transparent)]
    Wav(#[from] WavError),
    /// More bytes of samples than were allowed.
    #[error("the audio is larger than {limit} bytes")]
    TooLarge {
        /// The limit that it passed.
        limit: usize,
    },
}

/// Takes the pieces in their order.
#[derive(Debug)]
pub struct Pieces {
    state: State,
    format: Option<Format>,
    samples: Vec<u8>,
    /// Audio came after a file that was complete.
    went_on: bool,
    limit: usize,
}

#[derive(Debug)]
enum State {
    /// In a header, of which this much has come.
    Header(Vec<u8>),
    /// In the samples of a file.
    Samples(Left),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// As many bytes as the header promised and that have not come.
    Promised(usize),
    /// The header did not know.
    Unknown,
}

impl Pieces {
    /// For at most `limit` bytes of samples.
    #[must_use]
    pub fn up_to(limit: usize) -> Self {
        Self {
            state: State::Header(Vec::new()),
            format: None,
            samples: Vec::new(),
            went_on: false,
            limit,
        }
    }

    /// Adds a piece.
    ///
    /// # Errors
    ///
    /// `TooLarge`; [`WavError::Unreadable`] when the first piece does not begin a WAV, `NotPcm`, and `Mixed` when files
    /// of different formats come one after another.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), PieceError> {
        if matches!(self.state, State::Samples(_)) && riff::is_wave(piece) {
            self.went_on |= self.is_whole();
            self.state = State::Header(Vec::new());
        }
        match &mut self.state {
            State::Samples(left) => {
                let left = *left;
                self.take_samples(piece, left)
            }
            State::Header(begun) => {
                begun.extend_from_slice(piece);
                let begun = std::mem::take(begun);
                self.take_header(begun)
            }
        }
    }

    /// Whether the last header promised samples that have not come.
    pub fn is_cut(&self) -> bool {
        match &self.state {
            State::Header(begun) => !begun.is_empty(),
            State::Samples(left) => !matches!(left, Left::Promised(0) | Left::Unknown),
        }
    }

    /// Whether there is one file, as long as its header says.
    pub fn is_whole(&self) -> bool {
        let complete = matches!(self.state, State::Samples(Left::Promised(0)));
        complete && !self.is_empty() && !self.went_on
    }

    /// Whether more came after a file that was complete by its header.
    pub fn went_on(&self) -> bool {
        self.went_on
    }

    /// How long the samples so far are.
    pub fn duration(&self) -> Duration {
        self.format.map_or(Duration::ZERO, |format| {
            format.duration_of(self.samples.len())
        })
    }

    /// Whether no sample has come.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// The WAV of all samples.
    ///
    /// # Errors
    ///
    /// [`WavError::Nothing`] without a single sample.
    pub fn finish(mut self) -> Result<Vec<u8>, PieceError> {
        self.keep_whole_frames();
        match self.format {
            Some(format) if !self.is_empty() => Ok(wav::write(format, &self.samples)),
            _ => Err(WavError::Nothing.into()),
        }
    }

    fn take_header(&mut self, begun: Vec<u8>) -> Result<(), PieceError> {
        let could_be_wave = begun.len() < 12 || riff::is_wave(&begun);
        let layout = match Layout::find(&begun) {
            Ok(layout) => layout,
            Err(LayoutError::Cut | LayoutError::NotWave)
                if could_be_wave && begun.len() <= LONGEST_HEADER =>
            {
                self.state = State::Header(begun);
                return Ok(());
            }
            Err(_) => return Err(WavError::Unreadable.into()),
        };
        self.take_format(Wav::read(&begun)?.format)?;
        let (header, samples) = begun.split_at(layout.data.start);
        self.take_samples(samples, promised(header))
    }

    fn take_format(&mut self, format: Format) -> Result<(), WavError> {
        self.keep_whole_frames();
        match self.format.replace(format) {
            Some(before) if before != format => Err(WavError::Mixed),
            _ => Ok(()),
        }
    }

    fn take_samples(&mut self, bytes: &[u8], left: Left) -> Result<(), PieceError> {
        let Left::Promised(promised) = left else {
            self.state = State::Samples(Left::Unknown);
            return self.keep(bytes);
        };
        let (samples, more) = bytes.split_at(promised.min(bytes.len()));
        self.state = State::Samples(Left::Promised(promised - samples.len()));
        self.keep(samples)?;
        self.take_more(more)
    }

    /// What follows the samples that were promised: other chunks, another file, or samples after all.
    fn take_more(&mut self, more: &[u8]) -> Result<(), PieceError> {
        let more = after_chunks(more);
        if more.is_empty() {
            return Ok(());
        }
        self.went_on |= !self.is_empty();
        if riff::is_wave(more) {
            self.take_header(more.to_vec())
        } else {
            self.take_samples(more, Left::Unknown)
        }
    }

    fn keep(&mut self, samples: &[u8]) -> Result<(), PieceError> {
        if self.samples.len() + samples.len() > self.limit {
            return Err(PieceError::TooLarge { limit: self.limit });
        }
        self.samples.extend_from_slice(samples);
        Ok(())
    }

    /// Half a frame at the end of one file would shift the channels, or the bytes, of the next.
    fn keep_whole_frames(&mut self) {
        if let Some(format) = self.format {
            let frame = usize::from(format.channels) * usize::from(format.bits.div_ceil(8));
            let whole = self.samples.len() - self.samples.len() % frame.max(1);
            self.samples.truncate(whole);
        }
    }
}

/// What the size in front of the samples says.
fn promised(header: &[u8]) -> Left {
    let size = header
        .last_chunk::<4>()
        .map_or(0, |size| u32::from_le_bytes(*size));
    match usize::try_from(size) {
        Ok(bytes) if u64::from(size) < riff::PLACEHOLDER => Left::Promised(bytes),
        _ => Left::Unknown,
    }
}

/// `bytes` without the whole chunks that they begin with. Samples that look like one are all but impossible: four
/// letters or digits, and a size that fits.
fn after_chunks(mut bytes: &[u8]) -> &[u8] {
    while let Some((name, rest)) = bytes.split_first_chunk::<4>() {
        let named = name.iter().all(|c| c.is_ascii_alphanumeric() || *c == b' ');
        let Some((size, body)) = rest.split_first_chunk::<4>() else {
            break;
        };
        let size = u32::from_le_bytes(*size) as usize;
        if !named || size > body.len() || riff::is_wave(bytes) {
            break;
        }
        bytes = &body[(size + size % 2).min(body.len())..];
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: Format = Format::mono16(8_000);

    fn with_size(size: u32, samples: &[u8]) -> Vec<u8> {
        let mut file = wav::write(FORMAT, samples);
        file[40..44].copy_from_slice(&size.to_le_bytes());
        // No padding: a file that is not finished has none.
        file.truncate(44 + samples.len());
        file
    }

    fn join(pieces: &[&[u8]]) -> Result<Vec<u8>, PieceError> {
        let mut joined = Pieces::up_to(1_000);
        for piece in pieces {
            joined.push(piece)?;
        }
        joined.finish()
    }

    #[test]
    fn pieces_of_every_shape_make_one_wav_of_true_sizes() {
        let ab = wav::write(FORMAT, b"\x01\x02");
        let cd = wav::write(FORMAT, b"\x03\x04");
        let both = wav::write(FORMAT, b"\x01\x02\x03\x04");
        let chunk = b"LIST\x02\0\0\0hi";
        let back_to_back = [ab.as_slice(), cd.as_slice()].concat();
        let tagged = [ab.as_slice(), chunk].concat();
        let cases: &[(&str, &[&[u8]])] = &[
            ("one file", &[&both]),
            ("a file each", &[&ab, &cd]),
            ("two files in one piece", &[&back_to_back]),
            ("one file in two pieces", &[&both[..46], &both[46..]]),
            ("cut within a sample", &[&both[..45], &both[45..]]),
            (
                "cut within the header",
                &[&both[..7], &both[7..30], &both[30..]],
            ),
            ("header alone", &[&both[..44], &both[44..]]),
            (
                "size unknown",
                &[&with_size(u32::MAX, b"\x01\x02"), b"\x03\x04"],
            ),
            (
                "size of a pipe",
                &[&with_size(0x7fff_f000, b"\x01\x02\x03"), b"\x04"],
            ),
            ("size zero", &[&with_size(0, b"\x01\x02"), b"\x03\x04"]),
            ("size too small", &[&with_size(2, b"\x01\x02\x03\x04")]),
            ("size of the first piece", &[&ab, b"\x03\x04"]),
            (
                "size too large",
                &[&with_size(900, b"\x01\x02"), b"\x03\x04"],
            ),
            (
                "size too large, then a file",
                &[&with_size(900, b"\x01\x02"), &cd],
            ),
            (
                "size unknown, then a file",
                &[&with_size(u32::MAX, b"\x01\x02"), &cd],
            ),
            ("a chunk behind", &[&tagged, &cd]),
            (
                "half a frame behind",
                &[&with_size(u32::MAX, b"\x01\x02\x09"), &cd],
            ),
            ("an empty piece", &[b"", &ab, b"", &cd]),
        ];
        for (name, pieces) in cases {
            assert_eq!(join(pieces).as_ref(), Ok(&both), "{name}");
        }
    }

    #[test]
    fn what_is_no_wav_or_too_large_is_an_error() {
        let stereo = Format {
            channels: 2,
            ..FORMAT
        };
        let file = wav::write(FORMAT, &[0; 4]);
        let mut float = file.clone();
        float[20] = 3;
        let cases: &[(&str, &[&[u8]], PieceError)] = &[
            ("nothing", &[], WavError::Nothing.into()),
            ("a header alone", &[&file[..44]], WavError::Nothing.into()),
            ("half a header", &[&file[..20]], WavError::Nothing.into()),
            (
                "a page",
                &[b"<!doctype html><html>"],
                WavError::Unreadable.into(),
            ),
            ("bare samples", &[&[0; 100]], WavError::Unreadable.into()),
            ("floats", &[&float], WavError::NotPcm.into()),
            (
                "mixed",
                &[&file, &wav::write(stereo, &[0; 4])],
                WavError::Mixed.into(),
            ),
            (
                "too large",
                &[&file, &[0; 997]],
                PieceError::TooLarge { limit: 1_000 },
            ),
        ];
        for (name, pieces, error) in cases {
            assert_eq!(join(pieces).as_ref(), Err(error), "{name}");
        }
    }

    #[test]
    fn a_header_without_end_is_given_up() {
        let mut joined = Pieces::up_to(usize::MAX);
        let endless = b"RIFF\xff\xff\xff\xffWAVEJUNK\xff\xff\xff\x7f";
        let pushed: Result<Vec<()>, _> = std::iter::once(endless.to_vec())
            .chain(std::iter::repeat_n(vec![0; 16_000], 10))
            .map(|piece| joined.push(&piece))
            .collect();
        assert_eq!(pushed, Err(WavError::Unreadable.into()));
    }

    #[test]
    fn a_promise_that_was_not_kept_is_known() {
        let cases: [(&str, Vec<u8>, bool); 5] = [
            ("whole", wav::write(FORMAT, &[0; 4]), false),
            ("unknown", with_size(u32::MAX, &[0; 4]), false),
            ("cut", with_size(8, &[0; 4]), true),
            (
                "in the header",
                wav::write(FORMAT, &[0; 4])[..20].to_vec(),
                true,
            ),
            ("nothing yet", Vec::new(), false),
        ];
        for (name, piece, cut) in cases {
            let mut joined = Pieces::up_to(100);
            joined.push(&piece).unwrap();
            assert_eq!(joined.is_cut(), cut, "{name}");
        }
    }
}
