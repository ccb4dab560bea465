//! Dates in figures: "03/07/1920", "3-7-1920", "1920-07-03".

use super::cardinal;
use super::reader::{Kind, Reading};

const MONTHS: [&str; 12] = [
    "Januari",
    "Februari",
    "Maret",
    "April",
    "Mei",
    "Juni",
    "Juli",
    "Agustus",
    "September",
    "Oktober",
    "November",
    "Desember",
];

/// Reads a date at the start of `rest`, day before month as in Indonesia.
pub(super) fn read(rest: &str) -> Option<Reading> {
    let window = &rest[..rest.floor_char_boundary(11)];
    let end = window
        .find(|c: char| !c.is_ascii_digit() && !matches!(c, '/' | '-' | '.'))
        .unwrap_or(window.len());
    let text = window[..end].trim_end_matches(['/', '-', '.']);
    let separator = text.chars().find(|c| !c.is_ascii_digit())?;
    let parts: Vec<&str> = text.split(separator).collect();
    let [first, middle, last] = parts[..] else {
        return None;
    };
    let (day, year) = match (first.len(), last.len()) {
        (1 | 2, 4) => (first, last),
        (4, 2) => (last, first),
        _ => return None,
    };
    let day: u64 = day.parse().ok().filter(|day| (1..=31).contains(day))?;
    let month: usize = middle.parse().ok().filter(|_| middle.len() <= 2)?;
    let year: u64 = year
        .parse()
        .ok()
        .filter(|year| (1000..=2999).contains(year))?;
    let month = MONTHS.get(month.checked_sub(1)?)?;
    let words = format!("{} {month} {}", cardinal::say(day), cardinal::say(year));
    Some(Reading::new(text.len(), words, Kind::Number))
}
