//! The words of a message in standard spelling.

use std::ops::Range;

use crate::knowledge::analyser::token::{Token, tokens};
use crate::knowledge::lexicon::Lexicon;

/// A word of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Folded, in standard spelling.
    pub text: String,
    /// The words of a compound.
    pub parts: Vec<String>,
    /// Where it stands in the message, in bytes.
    pub span: Range<usize>,
    pub capital: bool,
    /// Written with an ending that points back, as in `caranya`.
    pub points_back: bool,
}

impl Word {
    /// The word that was meant by those from this to `last`.
    pub(super) fn replaced_until(&self, last: &Self, text: String) -> Self {
        Self {
            text,
            parts: Vec::new(),
            span: self.span.start..last.span.end,
            capital: self.capital,
            points_back: last.points_back,
        }
    }
}

/// The words of a message: letters spelled apart are joined and colloquial words replaced.
pub fn words(message: &str, lexicon: &Lexicon) -> Vec<Word> {
    let joined = join_letters(with_operators(message, tokens(message)));
    let texts: Vec<String> = joined.iter().map(|word| word.text.clone()).collect();
    let mut found = Vec::with_capacity(joined.len());
    let mut at = 0;
    while at < joined.len() {
        match standard(&texts[at..], lexicon) {
            Some((length, standard)) => {
                found.extend(
                    standard
                        .iter()
                        .map(|text| replaced(text, &joined[at..at + length])),
                );
                at += length;
            }
            None => {
                found.push(joined[at].clone());
                at += 1;
            }
        }
    }
    found
}

/// What stands between two numbers that are to be calculated with.
fn operator(sign: &str) -> Option<&'static str> {
    Some(match sign {
        "+" => "tambah",
        "*" | "×" => "kali",
        "÷" => "bagi",
        "^" => "pangkat",
        _ => return None,
    })
}

/// The words, and one for each sign between two numbers.
fn with_operators(message: &str, tokens: Vec<Token>) -> Vec<Word> {
    let is_number = |word: &Word| word.text.starts_with(|first: char| first.is_ascii_digit());
    let mut found: Vec<Word> = Vec::with_capacity(tokens.len());
    for token in tokens {
        let next = word(message, token);
        if let Some(last) = found
            .last()
            .filter(|last| is_number(last) && is_number(&next))
        {
            let between = last.span.end..next.span.start;
            if let Some(text) = operator(message[between.clone()].trim()) {
                found.push(Word {
                    text: text.to_owned(),
                    parts: Vec::new(),
                    span: between,
                    capital: false,
                    points_back: false,
                });
            }
        }
        found.push(next);
    }
    found
}

/// The standard words for the words at a place, also below an ending: `ngurusnya`.
fn standard<'a>(texts: &[String], lexicon: &'a Lexicon) -> Option<(usize, &'a Vec<String>)> {
    lexicon.colloquial.longest_at(texts).or_else(|| {
        let base = texts.first()?.strip_suffix("nya")?.to_owned();
        lexicon.colloquial.longest_at(&[base])
    })
}

/// The part of the message that the words stand in.
pub fn text(message: &str, words: &[Word]) -> String {
    let (Some(first), Some(last)) = (words.first(), words.last()) else {
        return String::new();
    };
    let rest = &message[last.span.end..];
    let mark = rest
        .chars()
        .next()
        .filter(|mark| matches!(mark, '?' | '!' | '.'));
    let cut = &message[first.span.start.min(last.span.start)..last.span.end];
    mark.map_or_else(|| cut.to_owned(), |mark| format!("{cut}{mark}"))
}

/// Prefixes that are written with a hyphen before a foreign word: `di-PHK`, `nge-print`.
const PREFIXES: &[&str] = &[
    "di", "ber", "ke", "ter", "me", "men", "meng", "nge", "pe", "se",
];

fn word(message: &str, token: Token) -> Word {
    let hyphened = message[token.span.clone()]
        .to_ascii_lowercase()
        .ends_with("-nya");
    let joined = token.text.len() > 5 && token.text.ends_with("nya") && token.text != "hanya";
    let points_back = hyphened || joined;
    let (text, parts) = match token.parts.as_slice() {
        [prefix, root] if PREFIXES.contains(&prefix.as_str()) => (root.clone(), Vec::new()),
        _ => (token.text, token.parts),
    };
    Word {
        text,
        parts,
        span: token.span,
        capital: token.capital,
        points_back,
    }
}

fn replaced(text: &str, originals: &[Word]) -> Word {
    let start = originals.first().map_or(0, |word| word.span.start);
    let end = originals.last().map_or(start, |word| word.span.end);
    Word {
        text: text.to_owned(),
        parts: Vec::new(),
        span: start..end,
        capital: false,
        points_back: originals.iter().any(|word| word.points_back),
    }
}

/// `i t b`, as a recogniser hears an abbreviation, becomes `itb`.
fn join_letters(words: Vec<Word>) -> Vec<Word> {
    let mut found: Vec<Word> = Vec::with_capacity(words.len());
    let mut letters = 0;
    for word in words {
        let letter =
            word.text.len() == 1 && word.text.bytes().all(|byte| byte.is_ascii_lowercase());
        let joins = letter && letters > 0;
        letters = if letter { letters + 1 } else { 0 };
        match found.last_mut().filter(|_| joins) {
            Some(open) => {
                open.text.push_str(&word.text);
                open.span.end = word.span.end;
            }
            None => found.push(word),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colloquial_and_spoken_spellings_become_standard() {
        let lexicon = Lexicon::bundled();
        for (message, expected) in [
            ("gmn cara bayar ukt?", "bagaimana cara bayar ukt"),
            ("brp sks buat lulus s satu", "berapa sks untuk lulus s1"),
            ("biaya kuliah di i t b", "biaya kuliah di itb"),
            ("kpn ngurus cuti yg bener", "kapan mengurus cuti yang benar"),
            ("wifi ITB dmn aja", "wifi itb di mana saja"),
            ("berapa 2+2?", "berapa 2 tambah 2"),
            ("tahun 2023/2024", "tahun 2023 2024"),
            ("", ""),
        ] {
            let found: Vec<String> = words(message, &lexicon)
                .into_iter()
                .map(|word| word.text)
                .collect();
            assert_eq!(found.join(" "), expected, "{message}");
        }
    }

    #[test]
    fn the_text_of_words_is_cut_from_the_message() {
        let lexicon = Lexicon::bundled();
        let message = "Halo! Berapa UKT-nya? Oke";
        let found = words(message, &lexicon);
        assert_eq!(text(message, &found[1..3]), "Berapa UKT-nya?");
        assert_eq!(text(message, &[]), "");
    }
}
