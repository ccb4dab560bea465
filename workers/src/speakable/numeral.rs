//! Written numbers: "2.500.000", "3,51", "1.2.3".

use super::cardinal;

/// Longer runs of digits are read in pieces.
const MAX_BYTES: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Numeral<'a> {
    Whole(u64),
    /// The part before the comma and the digits after it.
    Decimal(u64, &'a str),
    /// Too long for a number, or with leading zeros.
    Digits(&'a str),
    /// Versions, network addresses, lists: groups with their separators.
    Groups(&'a str),
}

impl Numeral<'_> {
    pub(super) fn say(&self) -> String {
        match self {
            Self::Whole(number) => cardinal::say(*number),
            Self::Decimal(whole, fraction) => {
                format!(
                    "{} koma {}",
                    cardinal::say(*whole),
                    cardinal::say_digits(fraction)
                )
            }
            Self::Digits(digits) => cardinal::say_digits(digits),
            Self::Groups(text) => say_groups(text),
        }
    }
}

/// The number at the start of `rest` and its length in bytes. Indonesian style
/// comes first (dot for thousands, comma for decimals); "3.51" and "12,500.00"
/// are understood where the Indonesian reading is impossible.
pub(super) fn parse(rest: &str) -> Option<(Numeral<'_>, usize)> {
    let text = written(rest)?;
    Some((classify(text), text.len()))
}

/// Digits with single dots or commas between them.
fn written(rest: &str) -> Option<&str> {
    let bytes = &rest.as_bytes()[..rest.len().min(MAX_BYTES)];
    let is_digit = |index: usize| bytes.get(index).is_some_and(u8::is_ascii_digit);
    let mut end = 0;
    while is_digit(end)
        || (end > 0 && matches!(bytes.get(end), Some(b'.' | b',')) && is_digit(end + 1))
    {
        end += 1;
    }
    (end > 0).then(|| &rest[..end])
}

fn classify(text: &str) -> Numeral<'_> {
    let Some(last) = text.rfind(['.', ',']) else {
        return plain(text);
    };
    if let Some(number) = thousands(text, '.').or_else(|| thousands_by_commas(text)) {
        return Numeral::Whole(number);
    }
    let (whole, fraction) = (&text[..last], &text[last + 1..]);
    let separator = if text[last..].starts_with(',') {
        '.'
    } else {
        ','
    };
    let whole = plain_number(whole).or_else(|| thousands(whole, separator));
    match whole {
        Some(whole) => Numeral::Decimal(whole, fraction),
        None => Numeral::Groups(text),
    }
}

fn plain(text: &str) -> Numeral<'_> {
    plain_number(text).map_or(Numeral::Digits(text), Numeral::Whole)
}

fn plain_number(text: &str) -> Option<u64> {
    let is_number = text == "0" || !text.starts_with('0') && !text.contains(['.', ',']);
    text.parse()
        .ok()
        .filter(|number| is_number && *number < cardinal::LIMIT)
}

/// "1.000" and "12.500.000", but not "0.500" or "3.51".
fn thousands(text: &str, separator: char) -> Option<u64> {
    let mut groups = text.split(separator);
    let first = groups.next()?;
    let fits = (1..=3).contains(&first.len())
        && !first.starts_with('0')
        && text.contains(separator)
        && groups.all(|group| group.len() == 3);
    let digits: String = text.chars().filter(|c| *c != separator).collect();
    digits
        .parse()
        .ok()
        .filter(|number| fits && *number < cardinal::LIMIT)
}

/// "1,000,000": a single comma would be a decimal one.
fn thousands_by_commas(text: &str) -> Option<u64> {
    (text.matches(',').count() >= 2)
        .then(|| thousands(text, ','))
        .flatten()
}

fn say_groups(text: &str) -> String {
    let mut words = Vec::new();
    for group in text.split_inclusive(['.', ',']) {
        let digits = group.trim_end_matches(['.', ',']);
        words.push(plain(digits).say());
        if group.ends_with('.') {
            words.push("titik".to_owned());
        } else if let (true, Some(last)) = (group.ends_with(','), words.last_mut()) {
            last.push(',');
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_recognised_in_both_styles() {
        let table = [
            ("2.500.000", "dua juta lima ratus ribu"),
            ("3,51", "tiga koma lima satu"),
            ("3.51", "tiga koma lima satu"),
            ("0.500", "nol koma lima nol nol"),
            ("0,05", "nol koma nol lima"),
            ("1.000", "seribu"),
            ("2.500.000,50", "dua juta lima ratus ribu koma lima nol"),
            ("12,500.00", "dua belas ribu lima ratus koma nol nol"),
            ("1,000,000", "satu juta"),
            ("007", "nol nol tujuh"),
            ("1.2.3", "satu titik dua titik tiga"),
            ("1,2,3", "satu, dua, tiga"),
            ("1000000000000000", "satu kuadriliun"),
        ];
        for (text, words) in table {
            let (numeral, length) = parse(text).unwrap();
            assert_eq!(
                (numeral.say().as_str(), length),
                (words, text.len()),
                "{text}"
            );
        }
    }

    #[test]
    fn a_mark_after_the_number_is_not_part_of_it() {
        assert_eq!(parse("3, 4").unwrap(), (Numeral::Whole(3), 1));
        assert_eq!(parse("1920. Lalu").unwrap(), (Numeral::Whole(1920), 4));
        assert_eq!(parse("x"), None);
    }
}
