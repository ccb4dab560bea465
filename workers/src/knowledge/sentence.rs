//! Where sentences end.

use std::ops::Range;

/// Abbreviations whose full stop does not end a sentence.
const ABBREVIATIONS: &[&str] = &[
    "jl", "jln", "no", "prof", "dr", "drs", "dra", "ir", "hj", "kav", "hlm", "hal", "gd", "lt",
    "rp", "tel", "telp", "st", "dll", "dsb", "dst", "tgl", "ps", "vol", "ed", "mr", "mrs", "ms",
    "ph", "bpk", "sdr", "yth", "kep", "psl",
];

/// The sentences of one paragraph as byte ranges, without the white space between them.
pub fn sentences(paragraph: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut characters = paragraph.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        if !matches!(character, '.' | '!' | '?') {
            continue;
        }
        let mut end = at + 1;
        while let Some(&(next_at, next)) = characters.peek() {
            if !matches!(next, '.' | '!' | '?' | '"' | '”' | ')' | ']' | '’') {
                break;
            }
            end = next_at + next.len_utf8();
            characters.next();
        }
        if ends_sentence(&paragraph[start..at], character, &paragraph[end..]) {
            push_trimmed(paragraph, start..end, &mut found);
            start = end;
        }
    }
    push_trimmed(paragraph, start..paragraph.len(), &mut found);
    found
}

fn ends_sentence(before: &str, mark: char, after: &str) -> bool {
    let mut following = after.chars();
    if following.next().is_none_or(|next| !next.is_whitespace()) {
        return after.is_empty();
    }
    let next = after.trim_start().chars().next();
    if next.is_some_and(char::is_lowercase) {
        return false;
    }
    mark != '.' || !is_abbreviation(before)
}

fn is_abbreviation(before: &str) -> bool {
    let word = before
        .rsplit(|character: char| character.is_whitespace() || "(/".contains(character))
        .next();
    let word = word.unwrap_or_default();
    let last = word.rsplit('.').next().unwrap_or_default();
    // `B. J. Habibie`, `S.T.`, `M.Sc.`: an initial, or a degree written with inner stops.
    let initial = last.chars().count() == 1 && last.chars().all(char::is_uppercase);
    let degree = word.contains('.')
        && last.chars().next().is_some_and(char::is_uppercase)
        && last.len() <= 3;
    let range = matches!(word, "s.d" | "a.n" | "d.a" | "u.p" | "e.g" | "i.e");
    initial || degree || range || ABBREVIATIONS.contains(&last.to_lowercase().as_str())
}

fn push_trimmed(text: &str, range: Range<usize>, found: &mut Vec<Range<usize>>) {
    let piece = &text[range.clone()];
    let start = range.start + (piece.len() - piece.trim_start().len());
    let end = start + piece.trim().len();
    if start < end {
        found.push(start..end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<&str> {
        sentences(text)
            .into_iter()
            .map(|range| &text[range])
            .collect()
    }

    #[test]
    fn sentences_end_at_stops_and_not_at_abbreviations_or_numbers() {
        for (text, expected) in [
            ("Satu. Dua! Tiga?", vec!["Satu.", "Dua!", "Tiga?"]),
            (
                "Kampus di Jl. Ganesa No. 10 Bandung. Buka.",
                vec!["Kampus di Jl. Ganesa No. 10 Bandung.", "Buka."],
            ),
            (
                "IPK minimal 3.51 ya. Oke",
                vec!["IPK minimal 3.51 ya.", "Oke"],
            ),
            (
                "Oleh Prof. Dr. B. J. Habibie, S.T. Lalu",
                vec!["Oleh Prof. Dr. B. J. Habibie, S.T. Lalu"],
            ),
            (
                "Lihat six.itb.ac.id. Isi formulir.",
                vec!["Lihat six.itb.ac.id.", "Isi formulir."],
            ),
            (
                "Ia berkata \"ya.\" Lalu pergi.",
                vec!["Ia berkata \"ya.\"", "Lalu pergi."],
            ),
            (
                "Pukul 08.00 s.d. 16.00 setiap hari. Libur.",
                vec!["Pukul 08.00 s.d. 16.00 setiap hari.", "Libur."],
            ),
            ("", vec![]),
            ("  ", vec![]),
        ] {
            assert_eq!(split(text), expected, "{text}");
        }
    }
}
