//! Bytes as text.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

use super::ReadError;

/// How far a file is looked at to tell text from other bytes.
const SAMPLE: usize = 64 * 1024;

/// UTF-8, or what a byte order mark says, or else Windows-1252, which old office programs wrote.
pub fn text(bytes: &[u8]) -> Result<String, ReadError> {
    text_in(bytes, None)
}

/// As [`text`], with what the file itself says of its encoding before Windows-1252.
pub fn text_in(bytes: &[u8], declared: Option<&'static Encoding>) -> Result<String, ReadError> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return Ok(encoding
            .decode_without_bom_handling(&bytes[mark..])
            .0
            .into_owned());
    }
    refuse_binary(bytes)?;
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Ok(text.to_owned());
    }
    let encoding = declared
        .filter(|encoding| *encoding != UTF_8)
        .unwrap_or(WINDOWS_1252);
    Ok(encoding.decode_without_bom_handling(bytes).0.into_owned())
}

/// Control characters are rare in text of any encoding that is read here, and a zero byte is in none.
fn refuse_binary(bytes: &[u8]) -> Result<(), ReadError> {
    let sample = &bytes[..bytes.len().min(SAMPLE)];
    let control =
        |byte: &&u8| **byte < 0x20 && !matches!(**byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b);
    let controls = sample.iter().filter(control).count();
    if sample.contains(&0) || controls * 20 > sample.len() {
        return Err(ReadError::NotA("text"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_in_the_encodings_of_office_programs() {
        let utf16 = |order: fn(u16) -> [u8; 2]| {
            let units: Vec<u16> = "\u{feff}Café".encode_utf16().collect();
            units.into_iter().flat_map(order).collect::<Vec<u8>>()
        };
        for (name, bytes) in [
            ("UTF-8", "Café".as_bytes().to_vec()),
            ("UTF-8 with a mark", "\u{feff}Café".as_bytes().to_vec()),
            ("UTF-16, little end first", utf16(u16::to_le_bytes)),
            ("UTF-16, big end first", utf16(u16::to_be_bytes)),
            ("Windows-1252", b"Caf\xe9".to_vec()),
        ] {
            assert_eq!(text(&bytes).expect(name), "Café", "{name}");
        }
        assert!(matches!(text(b"\x7fELF\0\0"), Err(ReadError::NotA(_))));
        assert!(matches!(text(b"a\x01\x02\x03"), Err(ReadError::NotA(_))));
    }
}
