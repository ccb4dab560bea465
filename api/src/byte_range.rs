//! Which part of a file a client asks for (RFC 9110, section 14).

use std::ops::Range;

/// What the header `Range` asks for of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of it: also when several parts are asked for, or what is asked for
    /// is not understood, as the RFC allows.
    Whole,
    Part(Range<u64>),
    /// Nothing that the file has.
    Unsatisfiable,
}

impl Wanted {
    /// Of a file of `length` bytes.
    pub fn parse(header: &str, length: u64) -> Self {
        let Some((first, last)) = single(header) else {
            return Self::Whole;
        };
        match (position(first), position(last)) {
            (Some(first), Some(last)) if first > last => Self::Whole,
            (Some(first), Some(last)) => part(first, last.saturating_add(1), length),
            (Some(first), None) if last.is_empty() => part(first, length, length),
            (None, Some(suffix)) if first.is_empty() => {
                part(length.saturating_sub(suffix), length, length)
            }
            _ => Self::Whole,
        }
    }
}

/// The two sides of the only range in bytes.
fn single(header: &str) -> Option<(&str, &str)> {
    let (unit, ranges) = header.split_once('=')?;
    let is_single = unit.trim().eq_ignore_ascii_case("bytes") && !ranges.contains(',');
    let (first, last) = ranges.trim().split_once('-').filter(|_| is_single)?;
    Some((first, last))
}

/// Digits alone; more of them than fit are as good as the greatest number.
fn position(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

fn part(start: u64, end: u64, length: u64) -> Wanted {
    let end = end.min(length);
    if start < end {
        Wanted::Part(start..end)
    } else {
        Wanted::Unsatisfiable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_range_is_served_and_what_is_not_understood_is_the_whole() {
        use Wanted::{Part, Unsatisfiable, Whole};
        for (header, expected) in [
            ("bytes=0-0", Part(0..1)),
            ("bytes=0-9", Part(0..10)),
            ("bytes=2-5", Part(2..6)),
            ("BYTES=2-5", Part(2..6)),
            ("bytes= 2-5 ", Part(2..6)),
            ("bytes=2-", Part(2..10)),
            ("bytes=2-99999999999999999999999", Part(2..10)),
            ("bytes=-3", Part(7..10)),
            ("bytes=-10", Part(0..10)),
            ("bytes=-99", Part(0..10)),
            ("bytes=10-", Unsatisfiable),
            ("bytes=10-12", Unsatisfiable),
            ("bytes=99999999999999999999999-", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=5-2", Whole),
            ("bytes=0-1,4-5", Whole),
            ("bytes=a-b", Whole),
            ("bytes=+1-2", Whole),
            ("bytes=1-x", Whole),
            ("bytes=-", Whole),
            ("bytes=--1", Whole),
            ("bytes=", Whole),
            ("bytes", Whole),
            ("items=0-1", Whole),
            ("", Whole),
        ] {
            assert_eq!(Wanted::parse(header, 10), expected, "{header}");
        }
        assert_eq!(Wanted::parse("bytes=0-", 0), Unsatisfiable);
    }
}
