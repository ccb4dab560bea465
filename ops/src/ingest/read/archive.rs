//! Zip files, as office documents are, opened with care.

use std::io::{self, Cursor, Read as _};

use zip::{ZipArchive, result::ZipError};

use super::{MAX_UNPACKED, ReadError};

/// Parts of one file; office documents have some hundreds at most.
const MAX_PARTS: usize = 20_000;

/// What office programs write around a document that has a password (\[MS-OFFCRYPTO\], compound file).
const COMPOUND_FILE: &[u8] = &[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1];

pub struct Archive<'a>(ZipArchive<Cursor<&'a [u8]>>);

impl<'a> Archive<'a> {
    /// Unpacks everything once and keeps nothing, as the sizes that a zip file states can be lies.
    pub fn open(bytes: &'a [u8], kind: &'static str) -> Result<Self, ReadError> {
        if bytes.starts_with(COMPOUND_FILE) {
            return Err(ReadError::Encrypted);
        }
        if !bytes.starts_with(b"PK") {
            return Err(ReadError::NotA(kind));
        }
        let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(ReadError::broken)?;
        if archive.len() > MAX_PARTS {
            return Err(ReadError::TooMuch {
                what: "parts",
                limit: MAX_PARTS as u64,
            });
        }
        let mut left = MAX_UNPACKED;
        for at in 0..archive.len() {
            let part = archive.by_index(at).map_err(ReadError::broken)?;
            let read = io::copy(&mut part.take(left + 1), &mut io::sink());
            let read = read.map_err(ReadError::broken)?;
            left = left.checked_sub(read).ok_or(ReadError::TooMuch {
                what: "bytes when unpacked",
                limit: MAX_UNPACKED,
            })?;
        }
        Ok(Self(archive))
    }

    /// The text of a part, if there is one of this name.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, ReadError> {
        let mut part = match self.0.by_name(name) {
            Ok(part) => part,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(error) => return Err(ReadError::broken(error)),
        };
        let mut text = Vec::new();
        part.read_to_end(&mut text).map_err(ReadError::broken)?;
        super::encoding::text(&text).map(Some)
    }
}
