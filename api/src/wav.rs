//! As much of WAV (RIFF WAVE, Microsoft *Multimedia Programming Interface and
//! Data Specifications 1.0*) as is needed to play several files as one.

use bytes::Bytes;

/// Stands for a length that is not known yet; players then read to the end.
const UNKNOWN: u32 = u32::MAX;

/// Bytes of the shortest `fmt ` chunk.
const SHORTEST_FORMAT: usize = 16;

/// A file's format and what is played; without anything else that it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wav {
    /// The content of the chunk `fmt `: codec, channels, rate and depth.
    pub format: Bytes,
    pub samples: Bytes,
}

impl Wav {
    /// `None` when `file` is no WAV with sound in it. A file that ends before
    /// its samples do, as streamed ones do, has those that are there.
    pub fn parse(file: &Bytes) -> Option<Self> {
        if !(file.starts_with(b"RIFF") && file.get(8..12)? == b"WAVE") {
            return None;
        }
        let mut format = None;
        let mut at = 12;
        loop {
            let head = file.get(at..at + 8)?;
            let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
            let start = at + 8;
            let content = file.slice(start..file.len().min(start.saturating_add(length)));
            match &head[..4] {
                b"fmt " if content.len() < SHORTEST_FORMAT => return None,
                b"fmt " => format = Some(content),
                b"data" => {
                    return format.map(|format| Self {
                        format,
                        samples: content,
                    });
                }
                _ => {}
            }
            // Chunks begin at even places.
            at = start.checked_add(length)?.checked_next_multiple_of(2)?;
            if at > file.len() {
                return None;
            }
        }
    }

    /// The beginning of a file of unknown length: its header, and these samples.
    pub fn begin_endless(&self) -> Bytes {
        let mut file = Vec::with_capacity(64 + self.samples.len());
        file.extend_from_slice(b"RIFF");
        file.extend_from_slice(&UNKNOWN.to_le_bytes());
        file.extend_from_slice(b"WAVEfmt ");
        let length = u32::try_from(self.format.len()).unwrap_or(UNKNOWN);
        file.extend_from_slice(&length.to_le_bytes());
        file.extend_from_slice(&self.format);
        if length % 2 == 1 {
            file.push(0);
        }
        file.extend_from_slice(b"data");
        file.extend_from_slice(&UNKNOWN.to_le_bytes());
        file.extend_from_slice(&self.samples);
        file.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).unwrap();
        let mut chunk = [name.as_slice(), &length.to_le_bytes(), content].concat();
        if content.len() % 2 == 1 {
            chunk.push(0);
        }
        chunk
    }

    fn file(chunks: &[Vec<u8>]) -> Bytes {
        let body = chunks.concat();
        let length = u32::try_from(body.len() + 4).unwrap();
        let head = [b"RIFF".as_slice(), &length.to_le_bytes(), b"WAVE"].concat();
        [head, body].concat().into()
    }

    #[test]
    fn a_file_gives_its_format_and_samples_whatever_is_beside_them() {
        let format = chunk(b"fmt ", &[1; 16]);
        let odd = chunk(b"LIST", b"abc");
        let data = chunk(b"data", &[7; 6]);
        for chunks in [
            vec![format.clone(), data.clone()],
            vec![odd.clone(), format.clone(), odd.clone(), data.clone()],
            vec![format.clone(), data.clone(), odd.clone()],
        ] {
            let wav = Wav::parse(&file(&chunks)).unwrap();
            assert_eq!(
                (wav.format.as_ref(), wav.samples.as_ref()),
                ([1; 16].as_slice(), [7; 6].as_slice())
            );
        }
    }

    #[test]
    fn an_endless_file_is_read_to_its_end() {
        let whole = file(&[chunk(b"fmt ", &[1; 18]), chunk(b"data", &[7; 6])]);
        let wav = Wav::parse(&whole).unwrap();
        let begun = wav.begin_endless();
        assert_eq!(&begun[4..8], [0xFF; 4]);
        let more = Bytes::from([begun.as_ref(), &[8; 4]].concat());
        let read = Wav::parse(&more).unwrap();
        assert_eq!(read.format, wav.format);
        assert_eq!(read.samples.as_ref(), [7, 7, 7, 7, 7, 7, 8, 8, 8, 8]);
    }

    #[test]
    fn what_is_no_wav_is_none() {
        let format = chunk(b"fmt ", &[1; 16]);
        let mut endless = chunk(b"LIST", b"ab");
        endless[4..8].copy_from_slice(&[0xFF; 4]);
        for (case, bytes) in [
            ("nothing", Bytes::new()),
            ("a word", Bytes::from_static(b"RIFF")),
            ("no chunks", file(&[])),
            ("no samples", file(std::slice::from_ref(&format))),
            ("samples without a format", file(&[chunk(b"data", &[0; 4])])),
            (
                "a short format",
                file(&[chunk(b"fmt ", &[1; 8]), chunk(b"data", &[0; 4])]),
            ),
            ("a chunk beyond the end", file(&[format, endless])),
            ("another form", Bytes::from_static(b"RIFF\0\0\0\0AVI fmt ")),
        ] {
            assert_eq!(Wav::parse(&bytes), None, "{case}");
        }
    }
}
