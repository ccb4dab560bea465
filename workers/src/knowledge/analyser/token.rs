//! Words, numbers and compounds of a text.

use std::ops::Range;

use unicode_normalization::char::is_combining_mark;

use super::fold::{fold, is_invisible};

/// Longer words are cut: nobody searches for them, and a text without spaces must not become one term of a megabyte.
const MAX_CHARS: usize = 40;

/// One word as it is searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Folded and without inner marks: `SM-ITB` is `smitb`, `3,51` is `3.51`, `2.500.000` is `2500000`.
    pub text: String,
    /// The words of a compound: `sm` and `itb` of `SM-ITB`. Empty for a simple word.
    pub parts: Vec<String>,
    /// Where it stands, in bytes of the text it was read from.
    pub span: Range<usize>,
    /// Begins with a capital in the text.
    pub capital: bool,
}

/// The words of a text in order.
pub fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::with_capacity(text.len() / 6);
    let mut characters = text.char_indices().peekable();
    while let Some((start, character)) = characters.next() {
        if !character.is_alphanumeric() {
            continue;
        }
        let mut end = start + character.len_utf8();
        let mut previous = character;
        while let Some(&(at, next)) = characters.peek() {
            let after = text[at + next.len_utf8()..].chars().next();
            if !is_word(next) && !joins(previous, next, after) {
                break;
            }
            characters.next();
            end = at + next.len_utf8();
            previous = next;
        }
        found.push(token(&text[start..end], start..end));
    }
    found
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || is_combining_mark(character) || is_invisible(character)
}

/// Marks that hold one word together when letters or digits stand on both sides.
fn joins(before: char, mark: char, after: Option<char>) -> bool {
    let Some(after) = after else { return false };
    match mark {
        '-' | '‐' | '‑' => before.is_alphanumeric() && after.is_alphanumeric(),
        '\'' | '’' => before.is_alphabetic() && after.is_alphabetic(),
        '.' => {
            (before.is_ascii_digit() && after.is_ascii_digit())
                || (before.is_alphanumeric() && after.is_ascii_lowercase())
        }
        ',' | ':' => before.is_ascii_digit() && after.is_ascii_digit(),
        '@' | '_' => before.is_alphanumeric() && after.is_alphanumeric(),
        _ => false,
    }
}

fn token(word: &str, span: Range<usize>) -> Token {
    let capital = word.chars().next().is_some_and(char::is_uppercase);
    let folded: String = fold(word).chars().take(MAX_CHARS).collect();
    let (text, parts) = shape(&folded);
    Token {
        text,
        parts,
        span,
        capital,
    }
}

fn shape(folded: &str) -> (String, Vec<String>) {
    if let Some(number) = number(folded) {
        return (number, Vec::new());
    }
    let pieces: Vec<&str> = folded
        .split(|character: char| !character.is_alphanumeric())
        .filter(|piece| !piece.is_empty())
        .collect();
    match pieces.as_slice() {
        [] => (folded.to_owned(), Vec::new()),
        [word] => ((*word).to_owned(), Vec::new()),
        [first, second] if doubled(first, second) => ((*first).to_owned(), Vec::new()),
        [letter, word] if letter.len() == 1 => (format!("{letter}{word}"), Vec::new()),
        [word, "nya" | "ku" | "mu"] => ((*word).to_owned(), Vec::new()),
        _ => {
            let parts = pieces.iter().filter(|piece| piece.chars().count() > 1);
            (
                pieces.concat(),
                parts.map(|piece| (*piece).to_owned()).collect(),
            )
        }
    }
}

/// Reduplication marks the plural: `buku-buku`, `fakultas-fakultasnya`.
fn doubled(first: &str, second: &str) -> bool {
    second == first || second.strip_suffix("nya") == Some(first)
}

/// `3,51` and `3.51`, `2.500.000` and `2500000`, `08:00` and `08.00`, `rp5.000` and `5.000` are one number each.
fn number(folded: &str) -> Option<String> {
    let digits = folded.strip_prefix("rp").unwrap_or(folded);
    let plain = digits
        .chars()
        .all(|character| character.is_ascii_digit() || ".,:".contains(character));
    if digits.is_empty() || !plain || !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let groups: Vec<&str> = digits.split(['.', ',', ':']).collect();
    let thousands = groups.len() > 1
        && !digits.contains(':')
        && groups[0].len() <= 3
        && groups[0] != "0"
        && groups[1..].iter().all(|group| group.len() == 3);
    Some(if thousands {
        groups.concat()
    } else {
        groups.join(".")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        tokens(text).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn marks_inside_words_and_numbers_are_understood() {
        for (text, expected) in [
            ("IPK 3,51 atau 3.51", vec!["ipk", "3.51", "atau", "3.51"]),
            (
                "Rp2.500.000,- per semester",
                vec!["2500000", "per", "semester"],
            ),
            ("S1/S2, S-1", vec!["s1", "s2", "s1"]),
            ("pukul 08:00–16.00", vec!["pukul", "08.00", "16.00"]),
            ("e-mail mahasiswa-mahasiswa", vec!["email", "mahasiswa"]),
            ("SKS-nya berapa?", vec!["sks", "berapa"]),
            ("Selesai.Lalu", vec!["selesai", "lalu"]),
            ("STEI-K 2024/2025", vec!["steik", "2024", "2025"]),
            ("Jum'at", vec!["jumat"]),
            ("… — !", vec![]),
        ] {
            assert_eq!(texts(text), expected, "{text}");
        }
    }

    #[test]
    fn compounds_keep_their_parts() {
        let found = tokens("lewat six.itb.ac.id");
        assert_eq!(found[1].text, "sixitbacid");
        assert_eq!(found[1].parts, ["six", "itb", "ac", "id"]);
        assert_eq!(tokens("SM-ITB")[0].parts, ["sm", "itb"]);
    }

    #[test]
    fn spans_cut_the_original_text() {
        let text = "Apa “ﬁlm” itu?";
        let cut: Vec<&str> = tokens(text)
            .iter()
            .map(|token| &text[token.span.clone()])
            .collect();
        assert_eq!(cut, ["Apa", "ﬁlm", "itu"]);
    }

    #[test]
    fn endless_words_are_cut() {
        assert_eq!(tokens(&"a".repeat(100_000))[0].text.len(), MAX_CHARS);
    }
}
