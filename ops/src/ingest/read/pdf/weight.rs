//! How much a PDF unpacks to, before anything is made of it.

use std::io::{self, Read as _};

use flate2::read::ZlibDecoder;

use super::super::{MAX_UNPACKED, ReadError};

const STREAM: &[u8] = b"stream";

/// Unpacks every stream once and keeps nothing. What is not packed, or in another way, ends at once.
pub fn check(bytes: &[u8]) -> Result<(), ReadError> {
    let mut left = MAX_UNPACKED;
    let mut rest = bytes;
    while let Some(at) = find(rest, STREAM) {
        rest = &rest[at + STREAM.len()..];
        let packed = rest.strip_prefix(b"\r").unwrap_or(rest);
        let packed = packed.strip_prefix(b"\n").unwrap_or(packed);
        let mut decoder = ZlibDecoder::new(packed).take(left + 1);
        let unpacked = drain(&mut decoder);
        left = left.checked_sub(unpacked).ok_or(ReadError::TooMuch {
            what: "bytes when unpacked",
            limit: MAX_UNPACKED,
        })?;
    }
    Ok(())
}

/// What came before an error counts.
fn drain(decoder: &mut impl io::Read) -> u64 {
    let mut buffer = [0; 64 * 1024];
    let mut total = 0;
    loop {
        match decoder.read(&mut buffer) {
            Ok(0) => return total,
            Ok(count) => total += count as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return total,
        }
    }
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes
        .windows(pattern.len())
        .position(|window| window == pattern)
}
