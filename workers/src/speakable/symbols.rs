//! Punctuation and signs.

use super::money;
use super::reader::{Before, Kind, Reading};

/// After a slash these are what something is counted by.
const PER: [&str; 13] = [
    "semester", "tahun", "bulan", "minggu", "hari", "jam", "menit", "detik", "orang", "sks",
    "meter", "kg", "angkatan",
];
/// In a row these are ornament.
const ORNAMENTS: &str = "=+-#~_*<>|/&%^–—";

/// What the sign at the start of `rest` (not a letter, digit or space) means.
pub(super) fn read(rest: &str, before: &Before) -> Reading {
    let c = rest.chars().next().unwrap_or(' ');
    let after = &rest[c.len_utf8()..];
    if ORNAMENTS.contains(c) && after.starts_with(c) {
        return repeated(c, rest, before);
    }
    let length = c.len_utf8();
    let kind = if before.kind == Kind::Time && matches!(c, '-' | '–') {
        Kind::Time
    } else {
        Kind::Other
    };
    match c {
        '.' | ',' | ';' | '!' | '?' => Reading::pause(length, c),
        ':' if before.is_glued_number() && starts_with_digit(after) => {
            Reading::new(length, "banding", Kind::Number)
        }
        ':' => Reading::pause(length, ':'),
        '(' => Reading {
            open: true,
            ..Reading::new(length, "", Kind::Other)
        },
        ')' => Reading {
            close: true,
            ..Reading::new(length, "", Kind::Other)
        },
        '[' | ']' | '{' | '}' | '—' | '→' | '•' => Reading::pause(length, ','),
        '-' | '–' => dash(c, after, before, kind),
        '/' => Reading::new(length, slash(after, before), Kind::Other),
        '°' => degrees(after),
        '+' if before.glued && !after.starts_with(char::is_alphanumeric) => {
            Reading::new(length, "plus", Kind::Other)
        }
        '~' if !starts_with_digit(after.trim_start()) => Reading::new(length, "", Kind::Other),
        '^' if !starts_with_digit(after) => Reading::new(length, "", Kind::Other),
        '#' => Reading::new(
            length,
            if starts_with_digit(after) {
                "nomor"
            } else {
                ""
            },
            Kind::Other,
        ),
        _ => Reading::new(length, name(c), Kind::Other),
    }
}

fn name(c: char) -> &'static str {
    match c {
        '%' => "persen",
        '&' => "dan",
        '+' => "tambah",
        '=' => "sama dengan",
        '±' | '~' | '≈' => "kurang lebih",
        '×' => "kali",
        '÷' => "bagi",
        '<' => "kurang dari",
        '>' => "lebih dari",
        '≤' => "paling banyak",
        '≥' => "paling sedikit",
        '≠' => "tidak sama dengan",
        '^' => "pangkat",
        '@' => "at",
        '²' => "kuadrat",
        '³' => "pangkat tiga",
        '§' => "pasal",
        '$' => "dolar",
        '€' => "euro",
        '£' => "pound",
        '¥' => "yen",
        _ => "",
    }
}

fn repeated(c: char, rest: &str, before: &Before) -> Reading {
    let length = rest.len() - rest.trim_start_matches(c).len();
    if c == '+' && length == 2 && before.glued {
        return Reading::new(length, "plus plus", Kind::Other);
    }
    if matches!(c, '-' | '–' | '—') {
        return Reading::pause(length, ',');
    }
    Reading::new(length, "", Kind::Other)
}

fn dash(c: char, after: &str, before: &Before, kind: Kind) -> Reading {
    let length = c.len_utf8();
    let next = after.trim_start_matches(' ');
    let number_before = matches!(before.kind, Kind::Number | Kind::Time);
    let number_next = starts_with_digit(next) || money::starts(next);
    let letter_next = after.starts_with(char::is_alphabetic);
    if number_before && number_next {
        return Reading::new(length, "sampai", kind);
    }
    if before.glued && letter_next {
        return match (c, before.kind) {
            ('–', _) => Reading::new(length, "sampai", Kind::Other),
            (_, Kind::Word) => Reading {
                hyphen: true,
                ..Reading::new(length, "", Kind::Word)
            },
            _ => Reading::new(length, "", Kind::Other),
        };
    }
    if after.starts_with(' ') && !before.glued {
        return Reading::pause(length, ',');
    }
    Reading::new(length, "", Kind::Other)
}

fn slash(after: &str, before: &Before) -> &'static str {
    let next: String = after
        .chars()
        .take(12)
        .take_while(|c| c.is_alphabetic())
        .collect();
    // Capitals belong to a file number: "1166/IT1.A/PER/2020".
    let is_word = next.chars().nth(1).is_some_and(char::is_lowercase);
    let next = next.to_lowercase();
    let per = PER.contains(&next.as_str());
    match before.kind {
        _ if before.word == "dan" || after.starts_with(' ') && !before.glued => "",
        Kind::Number if is_word => "per",
        _ if per => "per",
        Kind::Word | Kind::Spelled if before.glued && is_word => "atau",
        _ => "garis miring",
    }
}

fn degrees(after: &str) -> Reading {
    let sign = '°'.len_utf8();
    let letter = after
        .chars()
        .next()
        .filter(|_| !after.chars().nth(1).is_some_and(char::is_alphanumeric));
    match letter {
        Some('C') => Reading::new(sign + 1, "derajat selsius", Kind::Number),
        Some('F') => Reading::new(sign + 1, "derajat fahrenheit", Kind::Number),
        _ => Reading::new(sign, "derajat", Kind::Number),
    }
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}
