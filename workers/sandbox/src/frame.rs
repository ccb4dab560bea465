//! How requests and replies go through the pipes: two lengths (`u64`, little endian), then that many bytes of JSON, then
//! that many bytes as they are.

use std::io::{self, Read};

/// Bytes of the two lengths.
pub(crate) const LENGTHS: usize = 16;

pub(crate) fn lengths(json: usize, bytes: usize) -> [u8; LENGTHS] {
    let mut lengths = [0; LENGTHS];
    lengths[..8].copy_from_slice(&(json as u64).to_le_bytes());
    lengths[8..].copy_from_slice(&(bytes as u64).to_le_bytes());
    lengths
}

/// The lengths of the JSON and of the bytes after it.
pub(crate) fn parse(lengths: [u8; LENGTHS]) -> (u64, u64) {
    let (mut json, mut bytes) = ([0; 8], [0; 8]);
    json.copy_from_slice(&lengths[..8]);
    bytes.copy_from_slice(&lengths[8..]);
    (u64::from_le_bytes(json), u64::from_le_bytes(bytes))
}

/// Exactly `length` bytes, which the parent has: it is believed.
pub(crate) fn read(from: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    from.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length {
        Ok(bytes)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}
