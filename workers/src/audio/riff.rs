//! The chunks of a RIFF/WAVE file, found where they are and not where its sizes say they should be.
//!
//! Programs that write a WAV to a pipe do not know its length: they leave 0, 2^31 or 2^32 - 1 in both size fields.
//! Layout: <https://www.mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html>; RF64: EBU Tech 3306.

use std::borrow::Cow;
use std::ops::Range;

/// Sizes from here on are placeholders of a writer that could not go back; no upload is that large.
pub(super) const PLACEHOLDER: u64 = 0x7fff_0000;

/// A longer format chunk than any format has.
const LONGEST_FORMAT: usize = 4_096;

/// Where the two chunks that matter are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) format: Range<usize>,
    pub(super) data: Range<usize>,
    /// The data chunk is shorter than it claims to be.
    pub(super) cut: bool,
}

/// What stops the search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum LayoutError {
    #[error("it is not a WAV file")]
    NotWave,
    #[error("its header is cut short")]
    Cut,
    #[error("it has no usable format chunk")]
    NoFormat,
}

pub(super) fn is_wave(bytes: &[u8]) -> bool {
    (bytes.starts_with(b"RIFF") || bytes.starts_with(b"RF64"))
        && bytes.get(8..12) == Some(b"WAVE".as_slice())
}

impl Layout {
    pub(super) fn find(bytes: &[u8]) -> Result<Self, LayoutError> {
        if !is_wave(bytes) {
            return Err(LayoutError::NotWave);
        }
        let mut format = None;
        let mut long_size = None;
        let mut at = 12;
        loop {
            let header = bytes.get(at..at + 8).ok_or(LayoutError::Cut)?;
            let size = little_endian(&header[4..8]);
            let body = at + 8;
            match &header[..4] {
                b"data" => {
                    let format = format.ok_or(LayoutError::NoFormat)?;
                    let claimed = long_size.filter(|_| size >= PLACEHOLDER).unwrap_or(size);
                    return Ok(Self::with_data(bytes, format, body, claimed));
                }
                b"fmt " => format = Some(format_chunk(bytes, body, size)?),
                b"ds64" => long_size = bytes.get(body + 8..body + 16).map(little_endian),
                _ => {}
            }
            // Chunks start at even places.
            let next = (body as u64)
                .checked_add(size + size % 2)
                .ok_or(LayoutError::Cut)?;
            at = usize::try_from(next)
                .ok()
                .filter(|&next| next <= bytes.len())
                .ok_or(LayoutError::Cut)?;
        }
    }

    fn with_data(bytes: &[u8], format: Range<usize>, start: usize, claimed: u64) -> Self {
        let there = (bytes.len() - start) as u64;
        let riff_size = little_endian(&bytes[4..8]);
        let unknown = claimed >= PLACEHOLDER
            || (claimed == 0 && (riff_size == 0 || riff_size >= PLACEHOLDER));
        let length = if unknown { there } else { claimed.min(there) };
        Self {
            format,
            data: start..start + length as usize,
            cut: !unknown && claimed > there,
        }
    }

    /// The same audio in a file with nothing but the two chunks, and sizes that are true.
    pub(super) fn rewritten(&self, bytes: &[u8]) -> Vec<u8> {
        assemble(&bytes[self.format.clone()], &bytes[self.data.clone()])
    }
}

/// A WAV file of a format chunk and a data chunk. Data beyond the 4 GiB that the format can say is a bug of the caller.
pub(super) fn assemble(format: &[u8], data: &[u8]) -> Vec<u8> {
    let padded = |chunk: &[u8]| (chunk.len() + chunk.len() % 2) as u32;
    let mut file = Vec::with_capacity(28 + format.len() + data.len() + 2);
    file.extend(b"RIFF");
    file.extend((4 + 8 + padded(format) + 8 + padded(data)).to_le_bytes());
    file.extend(b"WAVE");
    for (name, chunk) in [(b"fmt ", format), (b"data", data)] {
        file.extend(name);
        file.extend((chunk.len() as u32).to_le_bytes());
        file.extend(chunk);
        file.resize(file.len() + chunk.len() % 2, 0);
    }
    file
}

/// The file as a strict reader wants it, and whether its audio was cut short.
pub(super) fn tidy(bytes: &[u8]) -> Result<(Cow<'_, [u8]>, bool), LayoutError> {
    let layout = Layout::find(bytes)?;
    Ok((Cow::Owned(layout.rewritten(bytes)), layout.cut))
}

fn format_chunk(bytes: &[u8], start: usize, size: u64) -> Result<Range<usize>, LayoutError> {
    let size = usize::try_from(size)
        .ok()
        .filter(|size| (16..=LONGEST_FORMAT).contains(size));
    let end = start + size.ok_or(LayoutError::NoFormat)?;
    if end > bytes.len() {
        Err(LayoutError::Cut)
    } else {
        Ok(start..end)
    }
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |value, &byte| value << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: [u8; 16] = [1, 0, 1, 0, 0x80, 0x3e, 0, 0, 0, 0x7d, 0, 0, 2, 0, 16, 0];

    fn with_sizes(riff: u32, data: u32, samples: &[u8]) -> Vec<u8> {
        let mut file = assemble(&FORMAT, samples);
        file[4..8].copy_from_slice(&riff.to_le_bytes());
        file[40..44].copy_from_slice(&data.to_le_bytes());
        file
    }

    #[test]
    fn the_data_is_found_whatever_the_sizes_claim() {
        let cases: [(&str, u32, u32, usize, bool); 9] = [
            ("true", 40, 4, 4, false),
            ("true, riff size unknown", u32::MAX, 4, 4, false),
            ("piped, ffmpeg", u32::MAX, u32::MAX, 4, false),
            ("piped, sox", 0x7fff_fff8, 0x7fff_ffd4, 4, false),
            ("piped, espeak-ng", 0x7fff_f024, 0x7fff_f000, 4, false),
            ("piped, zeros", 0, 0, 4, false),
            ("really empty", 36, 0, 0, false),
            ("cut", 1_036, 1_000, 4, true),
            ("less than there is", 38, 2, 2, false),
        ];
        for (name, riff, data, length, cut) in cases {
            let layout = Layout::find(&with_sizes(riff, data, &[1, 2, 3, 4])).unwrap();
            assert_eq!((layout.data.len(), layout.cut), (length, cut), "{name}");
        }
    }

    #[test]
    fn every_cut_of_a_header_is_an_error_and_no_panic() {
        let file = with_sizes(40, 4, &[1, 2, 3, 4]);
        for length in 0..44 {
            assert!(Layout::find(&file[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn chunks_that_lie_about_their_size_are_an_error_and_no_panic() {
        for (name, at, size) in [
            ("format too long", 16, u32::MAX),
            ("format too short", 16, 2),
            ("format of nothing", 16, 0),
        ] {
            let mut file = with_sizes(40, 4, &[0; 4]);
            file[at..at + 4].copy_from_slice(&size.to_le_bytes());
            assert!(Layout::find(&file).is_err(), "{name}");
        }
    }

    #[test]
    fn other_chunks_are_passed_over_and_dropped_on_rewriting() {
        let mut file = b"RIFF\xff\xff\xff\xffWAVEodd \x03\0\0\0abc\0".to_vec();
        let plain = assemble(&FORMAT, &[9, 8]);
        file.extend(&plain[12..]);
        file.extend(b"LIST\x04\0\0\0INFO");
        let (tidied, cut) = tidy(&file).unwrap();
        assert_eq!((tidied.as_ref(), cut), (plain.as_slice(), false));
    }

    #[test]
    fn rf64_takes_its_size_from_its_own_chunk() {
        let mut file = b"RF64\xff\xff\xff\xffWAVEds64\x1c\0\0\0".to_vec();
        file.extend([0u8; 8]);
        file.extend(4u64.to_le_bytes());
        file.extend([0u8; 12]);
        file.extend(b"fmt \x10\0\0\0");
        file.extend(FORMAT);
        file.extend(b"data\xff\xff\xff\xff\x01\x02\x03\x04LIST");
        let layout = Layout::find(&file).unwrap();
        assert_eq!(&file[layout.data], &[1, 2, 3, 4]);
    }
}
