//! Roman numerals up to 39, where they surely are numerals.

use std::collections::HashSet;
use std::sync::LazyLock;

static CONTEXTS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let lines = include_str!("data/roman_contexts.txt").lines();
    lines
        .filter(|line| !line.starts_with('#'))
        .flat_map(str::split_whitespace)
        .collect()
});

/// The value of `text` after `previous` (in lower case). Two letters or more
/// of I, V and X are a numeral anywhere, one letter only after "bab" and such.
pub(super) fn value_after(text: &str, previous: &str) -> Option<u64> {
    let enough = text.len() >= 2 || CONTEXTS.contains(previous);
    enough.then(|| value(text)).flatten()
}

/// The value of a numeral in its usual form, so not of "IIX" or "VV".
pub(super) fn value(text: &str) -> Option<u64> {
    const UNITS: [&str; 10] = ["", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"];
    let units = text.trim_start_matches('X');
    let tens = text.len() - units.len();
    // "IX" begins with no ten but "XIX" does: the trim is right for both.
    let ones = UNITS.iter().position(|form| *form == units)?;
    (!text.is_empty() && tens <= 3).then_some((tens * 10 + ones) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sure_numerals_have_a_value() {
        let table = [
            ("II", "", Some(2)),
            ("IX", "", Some(9)),
            ("XIX", "", Some(19)),
            ("XXXVIII", "", Some(38)),
            ("V", "bab", Some(5)),
            ("V", "huruf", None),
            ("IIX", "", None),
            ("VV", "", None),
            ("XXXX", "", None),
            ("", "bab", None),
            ("MIX", "bab", None),
        ];
        for (text, previous, value) in table {
            assert_eq!(value_after(text, previous), value, "{text}");
        }
    }
}
