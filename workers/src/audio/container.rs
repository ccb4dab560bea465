//! Which container a file is, by its first bytes, and the reader for it.
//!
//! The readers are chosen here and not by symphonia's probe, which looks for a marker anywhere in the first megabyte and
//! would find audio in a picture.

use std::borrow::Cow;
use std::io::{Cursor, Read, Seek, SeekFrom};

use symphonia::core::errors::{Error as ReadError, Result as ReadResult};
use symphonia::core::formats::{FormatOptions, FormatReader};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::default::formats::{
    FlacReader, IsoMp4Reader, MkvReader, MpaReader, OggReader, WavReader,
};

use super::{DecodeError, fragments, riff};

/// Zero bytes that encoders leave between a tag and the first frame.
const LONGEST_PADDING: usize = 64 * 1024;

/// An opened file.
pub(super) struct Container<'a> {
    pub(super) reader: Box<dyn FormatReader + 'a>,
    /// Known from the outside to end before its audio does.
    pub(super) cut: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Wav,
    Flac,
    Ogg,
    Mp4,
    Matroska,
    Mpeg,
}

/// # Errors
///
/// `Unrecognised` for what is none of the containers, `Damaged` and `Unsupported` for one whose headers cannot be read.
pub(super) fn open(bytes: &[u8]) -> Result<Container<'_>, DecodeError> {
    let audio = after_tags(bytes);
    let kind = kind_of(audio).ok_or(DecodeError::Unrecognised)?;
    if kind == Kind::Mpeg && !is_layer_three(audio) {
        return Err(DecodeError::unsupported("MPEG audio of layer I or II"));
    }
    let (audio, cut) = match kind {
        Kind::Wav => riff::tidy(audio).map_err(|error| DecodeError::damaged(error.to_string()))?,
        Kind::Mp4 => fragments::tidy(audio),
        _ => (Cow::Borrowed(audio), false),
    };
    // A seekable Matroska file is followed along its index and measured against its length, both of which a recording
    // that was never finished does not have. Read from front to back it needs neither.
    let source = Memory {
        bytes: Cursor::new(audio),
        seekable: kind != Kind::Matroska,
    };
    let reader = reader_of(kind, source).map_err(unopened)?;
    Ok(Container { reader, cut })
}

fn reader_of(kind: Kind, source: Memory<'_>) -> ReadResult<Box<dyn FormatReader + '_>> {
    let stream = MediaSourceStream::new(Box::new(source), Default::default());
    let options = FormatOptions::default();
    Ok(match kind {
        Kind::Wav => Box::new(WavReader::try_new(stream, options)?),
        Kind::Flac => Box::new(FlacReader::try_new(stream, options)?),
        Kind::Ogg => Box::new(OggReader::try_new(stream, options)?),
        Kind::Mp4 => Box::new(IsoMp4Reader::try_new(stream, options)?),
        Kind::Matroska => Box::new(MkvReader::try_new(stream, options)?),
        Kind::Mpeg => Box::new(MpaReader::try_new(stream, options)?),
    })
}

fn unopened(error: ReadError) -> DecodeError {
    match error {
        // The readers also call it unsupported when a part that must be there is not.
        ReadError::Unsupported(what) if what.contains("missing") => DecodeError::damaged(what),
        ReadError::Unsupported(what) => DecodeError::unsupported(what),
        ReadError::IoError(_) => DecodeError::damaged("its headers are cut short"),
        other => DecodeError::damaged(other.to_string()),
    }
}

fn kind_of(bytes: &[u8]) -> Option<Kind> {
    if riff::is_wave(bytes) {
        return Some(Kind::Wav);
    }
    match bytes {
        [b'f', b'L', b'a', b'C', ..] => Some(Kind::Flac),
        [b'O', b'g', b'g', b'S', ..] => Some(Kind::Ogg),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Some(Kind::Mp4),
        [0x1a, 0x45, 0xdf, 0xa3, ..] => Some(Kind::Matroska),
        // Eleven bits of synchronisation; layer 0 is reserved (it is what AAC in ADTS has there).
        [0xff, second, ..] if second & 0xe0 == 0xe0 && second & 0x06 != 0 => Some(Kind::Mpeg),
        _ => None,
    }
}

fn is_layer_three(mpeg: &[u8]) -> bool {
    mpeg.get(1).is_some_and(|second| second & 0x06 == 0x02)
}

/// Without the ID3v2 tags in front, and the padding after them. Layout: <https://id3.org/id3v2.4.0-structure>.
fn after_tags(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while let [b'I', b'D', b'3', _, _, flags, size @ ..] = rest
        && let Some(&[a, b, c, d]) = size.first_chunk()
    {
        let body = [a, b, c, d]
            .iter()
            .fold(0usize, |size, &byte| size << 7 | usize::from(byte & 0x7f));
        let footer = if flags & 0x10 == 0 { 0 } else { 10 };
        rest = rest.get(10 + body + footer..).unwrap_or_default();
    }
    if rest.len() == bytes.len() {
        return bytes;
    }
    let padding = rest
        .iter()
        .take(LONGEST_PADDING)
        .take_while(|&&byte| byte == 0)
        .count();
    // An MP4 file starts with the zeros of its first size.
    if kind_of(rest).is_some() {
        rest
    } else {
        &rest[padding..]
    }
}

/// A file in memory.
struct Memory<'a> {
    bytes: Cursor<Cow<'a, [u8]>>,
    seekable: bool,
}

impl Read for Memory<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.bytes.read(buffer)
    }
}

impl Seek for Memory<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.bytes.seek(to)
    }
}

impl MediaSource for Memory<'_> {
    fn is_seekable(&self) -> bool {
        self.seekable
    }

    fn byte_len(&self) -> Option<u64> {
        self.seekable.then(|| self.bytes.get_ref().len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_known_by_its_first_bytes() {
        let cases: [(&[u8], Option<Kind>); 11] = [
            (b"RIFF\0\0\0\0WAVE", Some(Kind::Wav)),
            (b"RIFF\0\0\0\0AVI ", None),
            (b"fLaC", Some(Kind::Flac)),
            (b"OggS", Some(Kind::Ogg)),
            (b"\0\0\0\x20ftypM4A ", Some(Kind::Mp4)),
            (b"\x1a\x45\xdf\xa3", Some(Kind::Matroska)),
            (b"\xff\xfb\x90\x64", Some(Kind::Mpeg)),
            (b"\xff\xf1\x50\x80", None),
            (b"\x89PNG\r\n\x1a\n", None),
            (b"Halo", None),
            (b"", None),
        ];
        for (bytes, kind) in cases {
            assert_eq!(kind_of(bytes), kind, "{bytes:?}");
        }
    }

    #[test]
    fn tags_in_front_are_passed_over() {
        let tag = b"ID3\x04\0\0\0\0\0\x03abc";
        let with_footer = b"ID3\x04\0\x10\0\0\0\x01a3DI\x04\0\x10\0\0\0\x01";
        let cases: [(&str, Vec<u8>, &[u8]); 6] = [
            ("none", b"fLaC".to_vec(), b"fLaC"),
            ("one", [tag.as_slice(), b"\xff\xfb"].concat(), b"\xff\xfb"),
            (
                "two",
                [tag.as_slice(), with_footer, b"\xff\xfb"].concat(),
                b"\xff\xfb",
            ),
            (
                "padding",
                [tag.as_slice(), &[0; 500], b"\xff\xfb"].concat(),
                b"\xff\xfb",
            ),
            (
                "an MP4 after it",
                [tag.as_slice(), b"\0\0\0\x20ftyp"].concat(),
                b"\0\0\0\x20ftyp",
            ),
            (
                "longer than the file",
                b"ID3\x04\0\0\x7f\x7f\x7f\x7fabc".to_vec(),
                b"",
            ),
        ];
        for (name, bytes, rest) in cases {
            assert_eq!(after_tags(&bytes), rest, "{name}");
        }
    }
}
