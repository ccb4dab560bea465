//! Whether a sentence ends at a mark.

use super::More;
use crate::speakable::abbreviations::{self, Place};

/// Quotes, brackets and citations after a stop: more is not looked at.
const MAX_CLOSERS: usize = 24;
/// White space beyond this ends a sentence whatever follows.
const MAX_SPACE: usize = 8;
/// "[12, 13]" fits; a longer bracket is no citation.
const MAX_CITATION: usize = 16;
/// The longest word before a dot that is looked up.
const MAX_WORD: usize = 40;
/// A word of this many letters before a dot ends a sentence even if the next
/// one has no capital: no unknown abbreviation is that long.
const WHOLE_WORD: usize = 5;
/// One letter after these is a grade or a name, not an initial.
const LETTERED: [&str; 14] = [
    "nilai", "kelas", "vitamin", "huruf", "gedung", "golongan", "grade", "tipe", "opsi", "pilihan",
    "blok", "indeks", "mutu", "labtek",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Boundary {
    /// The sentence ends before this byte.
    At(usize),
    /// The sentence goes on.
    None,
    /// The next characters decide.
    Unknown,
}

/// Decides whether a sentence ends with the mark `c` at `index`.
pub(super) fn after(text: &str, index: usize, c: char, more: More) -> Boundary {
    let end = index + c.len_utf8();
    match c {
        '\n' => line_end(text, end, more),
        '.' | '!' | '?' | '…' => stop(text, index, c, more),
        _ => Boundary::None,
    }
}

/// A line that goes on in lower case is only wrapped.
fn line_end(text: &str, end: usize, more: More) -> Boundary {
    let next = text[end..]
        .chars()
        .take(MAX_SPACE)
        .find(|c| *c == '\n' || !c.is_whitespace());
    match next {
        Some(c) if c.is_lowercase() => Boundary::None,
        Some(_) => Boundary::At(end),
        None if is_open(&text[end..], MAX_SPACE, more) => Boundary::Unknown,
        None => Boundary::At(end),
    }
}

fn is_open(seen: &str, limit: usize, more: More) -> bool {
    more == More::MayCome && seen.chars().take(limit).count() < limit
}

fn stop(text: &str, index: usize, c: char, more: More) -> Boundary {
    let Some(end) = closers(text, index + c.len_utf8(), more) else {
        return Boundary::Unknown;
    };
    let Some(next) = text[end..].chars().next() else {
        return if more == More::MayCome {
            Boundary::Unknown
        } else {
            Boundary::At(end)
        };
    };
    if !next.is_whitespace() {
        return Boundary::None;
    }
    let Some((end, next)) = beyond_space(text, end, more) else {
        return Boundary::Unknown;
    };
    match c {
        '!' | '?' => Boundary::At(end),
        _ if dot_ends(&text[..index], c, next) => Boundary::At(end),
        _ => Boundary::None,
    }
}

/// The end of the quotes, brackets, emphasis and citations that follow a stop.
fn closers(text: &str, start: usize, more: More) -> Option<usize> {
    let mut end = start;
    for _ in 0..MAX_CLOSERS {
        match text[end..].chars().next() {
            Some('[' | '【') => match citation(&text[end..], more) {
                Citation::Of(length) => end += length,
                Citation::Unknown => return None,
                Citation::No => break,
            },
            Some(c) if is_closer(c) => end += c.len_utf8(),
            _ => break,
        }
    }
    Some(end)
}

fn is_closer(c: char) -> bool {
    matches!(
        c,
        '"' | '\'' | '”' | '’' | '»' | ')' | ']' | '}' | '*' | '_' | '`' | '】'
    )
}

/// The end of the sentence, citations after a space included, and what comes
/// next (nothing at the end of the text); `None` if that is not known yet.
fn beyond_space(text: &str, start: usize, more: More) -> Option<(usize, Option<char>)> {
    let mut end = start;
    for _ in 0..MAX_CLOSERS {
        let after = &text[end..];
        let space: usize = after
            .chars()
            .take(MAX_SPACE)
            .take_while(|c| c.is_whitespace() && *c != '\n')
            .map(char::len_utf8)
            .sum();
        let next = after[space..].chars().next();
        match next {
            Some('[' | '【') => match citation(&after[space..], more) {
                Citation::Of(length) => end += space + length,
                Citation::Unknown => return None,
                Citation::No => return Some((end, next)),
            },
            None if more == More::MayCome => return None,
            _ => return Some((end, next)),
        }
    }
    Some((end, None))
}

enum Citation {
    Of(usize),
    No,
    Unknown,
}

fn citation(text: &str, more: More) -> Citation {
    let mut digits = false;
    for (index, c) in text.char_indices().skip(1).take(MAX_CITATION) {
        match c {
            ']' | '】' if digits => return Citation::Of(index + c.len_utf8()),
            '0'..='9' => digits = true,
            ' ' | ',' | '-' | '–' | '^' | ';' => {}
            _ => return Citation::No,
        }
    }
    if is_open(text, MAX_CITATION + 1, more) {
        Citation::Unknown
    } else {
        Citation::No
    }
}

/// Whether a dot after `before` ends a sentence, given what comes next.
fn dot_ends(before: &str, dot: char, next: Option<char>) -> bool {
    let word = last_word(before);
    let goes_on = next.is_some_and(char::is_lowercase);
    if dot == '…' || word.ends_with('.') {
        return !goes_on;
    }
    match known(word) {
        Some(Place::MayEndSentence) => {
            return next.is_none_or(|c| c.is_uppercase() || !c.is_alphanumeric());
        }
        Some(Place::Anywhere) => return false,
        Some(Place::BeforeDigit) if next.is_some_and(|c| c.is_ascii_digit()) => return false,
        _ => {}
    }
    if is_initial(word) {
        return is_lettered(before, word);
    }
    if is_list_mark(before, word) {
        return false;
    }
    !goes_on || is_whole_word(word)
}

fn known(word: &str) -> Option<Place> {
    if word.len() >= abbreviations::LONGEST {
        return None;
    }
    // "Prof.Dr." and "Dr.-Ing." are known by their last part.
    let parts = word
        .char_indices()
        .filter(|(_, c)| *c == '.')
        .map(|(index, _)| word[index + 1..].trim_start_matches('-'));
    std::iter::once(word)
        .chain(parts)
        .find_map(|part| abbreviations::lookup(&format!("{part}.")))
        .map(|abbreviation| abbreviation.place)
}

/// What stands before the dot, from the last space or opening mark on.
fn last_word(before: &str) -> &str {
    let starts = before.char_indices().rev().take(MAX_WORD);
    let start = starts
        .take_while(|(_, c)| {
            !c.is_whitespace() && !matches!(c, '(' | '[' | '"' | '“' | '*' | '_' | '/')
        })
        .last()
        .map_or(before.len(), |(index, _)| index);
    &before[start..]
}

/// "B" and "B.J" of "B.J. Habibie".
fn is_initial(word: &str) -> bool {
    !word.is_empty()
        && word.split('.').all(|part| {
            let mut chars = part.chars();
            chars.next().is_some_and(char::is_uppercase) && chars.next().is_none()
        })
}

/// "nilai A", and the "E" of "A, B, dan E".
fn is_lettered(before: &str, letter: &str) -> bool {
    let (rest, previous) = without_last_word(before, letter);
    let previous = previous.to_lowercase();
    if matches!(previous.as_str(), "dan" | "atau" | "sampai" | "hingga") {
        let one_more = last_word(rest).trim_end_matches(',');
        return is_initial(one_more);
    }
    LETTERED.contains(&previous.as_str())
}

/// What stands before `word`, the last one, and the last word of that.
fn without_last_word<'a>(before: &'a str, word: &str) -> (&'a str, &'a str) {
    let rest = before[..before.len() - word.len()].trim_end();
    let previous = last_word(rest);
    (rest[..rest.len() - previous.len()].trim_end(), previous)
}

/// "1." and "a." at the start of a line.
fn is_list_mark(before: &str, word: &str) -> bool {
    let line = &before[..before.len() - word.len()];
    let starts_line = line.trim_end_matches([' ', '\t', '*', '#', '>']);
    let is_number = (1..=3).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit());
    let is_letter = word.len() == 1 && word.bytes().all(|byte| byte.is_ascii_lowercase());
    (is_number || is_letter) && (starts_line.is_empty() || starts_line.ends_with('\n'))
}

fn is_whole_word(word: &str) -> bool {
    word.chars().count() >= WHOLE_WORD && word.chars().all(char::is_alphabetic)
}
