//! Telephone, student and account numbers, digit by digit.

use super::cardinal;
use super::reader::{Before, Kind, Reading};

/// The shortest and longest telephone number (E.164 allows 15 digits).
const DIGITS: std::ops::RangeInclusive<usize> = 8..=15;
/// After these words any long number is read by its digits.
const ANNOUNCERS: [&str; 20] = [
    "nim",
    "nip",
    "nik",
    "nisn",
    "telepon",
    "telp",
    "tlp",
    "tel",
    "telpon",
    "hp",
    "wa",
    "whatsapp",
    "faks",
    "faksimile",
    "rekening",
    "pos",
    "ekstensi",
    "ext",
    "pin",
    "hotline",
];
const SHORTEST_ANNOUNCED: usize = 4;

pub(super) fn read(rest: &str, before: &Before) -> Option<Reading> {
    let international = rest.starts_with('+');
    let text = written(rest)?;
    let count = text.bytes().filter(u8::is_ascii_digit).count();
    let national = text.trim_start_matches('(').starts_with('0');
    let announced = ANNOUNCERS.contains(&before.word.as_str()) && count >= SHORTEST_ANNOUNCED;
    if !(announced || (international || national) && DIGITS.contains(&count)) {
        return None;
    }
    let groups = text
        .split(|c: char| !c.is_ascii_digit())
        .filter(|group| !group.is_empty());
    let said: Vec<String> = groups.map(cardinal::say_digits).collect();
    let plus = if international { "plus " } else { "" };
    Some(Reading::new(
        text.len(),
        format!("{plus}{}", said.join(", ")),
        Kind::Other,
    ))
}

/// Groups of digits with a single space, hyphen or bracket between them.
fn written(rest: &str) -> Option<&str> {
    let bytes = rest.as_bytes();
    let mut end = usize::from(matches!(bytes.first(), Some(b'+' | b'(')));
    let mut digits = 0;
    let mut group_end = 0;
    while digits <= *DIGITS.end() {
        match bytes.get(end) {
            Some(b'0'..=b'9') => {
                digits += 1;
                end += 1;
                group_end = end;
            }
            Some(b' ' | b'-' | b')' | b'(')
                if group_end > 0
                    && continues(
                        &rest[group_end..end],
                        &bytes[end..],
                        rest.starts_with('+') && digits < 5,
                    ) =>
            {
                end += 1
            }
            _ => break,
        }
    }
    // A digit left over: the run is no telephone number.
    let whole = !bytes.get(group_end).is_some_and(u8::is_ascii_digit);
    let decimal = matches!(bytes.get(group_end..), Some([b'.' | b',', b'0'..=b'9', ..]));
    (group_end > 0 && whole && !decimal).then(|| &rest[..group_end])
}

/// At most two separators in a row, then two digits at least; three after a mere
/// space once the codes of country and area are over, or a number that follows
/// the telephone number would become part of it.
fn continues(separators: &str, after: &[u8], in_codes: bool) -> bool {
    let mut digits = after.iter().skip_while(|byte| b" -()".contains(byte));
    let spaces = after.iter().take_while(|byte| **byte == b' ').count() + separators.len();
    let hyphen = after.first() == Some(&b'-') || separators.contains('-') || spaces == 0;
    let least = if hyphen || in_codes { 2 } else { 3 };
    separators.len() < 2
        && digits
            .by_ref()
            .take(least)
            .filter(|byte| byte.is_ascii_digit())
            .count()
            == least
}
