//! Byte-pair encoding as GPT-2 and Whisper use it.
//!
//! In Whisper's vocabulary an entry's number is also its rank among the merges, so that no list of merges
//! is needed: of all neighbours whose concatenation is an entry, those with the lowest number merge first.

use std::collections::HashMap;

use super::Token;

/// The bytes an entry spells. GPT-2 writes each byte as one printable character: itself where it is
/// printable in Latin-1, else the next free one from U+0100 on.
pub(super) fn bytes_of(entry: &str) -> Option<Vec<u8>> {
    entry.chars().map(byte_of).collect()
}

fn byte_of(character: char) -> Option<u8> {
    let code = u32::from(character);
    if let Ok(byte) = u8::try_from(code) {
        return is_printable(byte).then_some(byte);
    }
    let index = usize::try_from(code.checked_sub(0x100)?).ok()?;
    (0..=u8::MAX).filter(|&byte| !is_printable(byte)).nth(index)
}

const fn is_printable(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF)
}

/// The tokens of one word. A byte that is no entry is left out; real vocabularies have all 256.
pub(super) fn merge(word: &[u8], by_piece: &HashMap<Vec<u8>, Token>) -> Vec<Token> {
    let mut ends: Vec<usize> = (1..=word.len()).collect();
    loop {
        let start_of = |index: usize| if index == 0 { 0 } else { ends[index - 1] };
        let lowest = (0..ends.len().saturating_sub(1))
            .filter_map(|index| {
                let pair = &word[start_of(index)..ends[index + 1]];
                by_piece.get(pair).map(|&rank| (rank, index))
            })
            .min();
        match lowest {
            Some((_, index)) => ends.remove(index),
            None => break,
        };
    }
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts
        .zip(&ends)
        .filter_map(|(start, &end)| by_piece.get(&word[start..end]).copied())
        .collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Letter,
    Number,
    Space,
    Other,
}

impl Class {
    fn of(character: char) -> Self {
        if character.is_alphabetic() {
            Self::Letter
        } else if character.is_numeric() {
            Self::Number
        } else if character.is_whitespace() {
            Self::Space
        } else {
            Self::Other
        }
    }
}

/// Cuts text where no merge may reach across: runs of letters, of digits, of spaces or of the rest, each
/// with one leading space. (GPT-2's pattern also parts English endings such as `'s`; a prompt can do
/// without.)
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (word, after) = rest.split_at(word_length(rest)?);
        rest = after;
        Some(word)
    })
}

fn word_length(text: &str) -> Option<usize> {
    let first = text.chars().next()?;
    let lead = match (first, text.chars().nth(1).map(Class::of)) {
        (' ', Some(Class::Letter | Class::Number | Class::Other)) => 1,
        _ => 0,
    };
    let body = &text[lead..];
    let class = Class::of(body.chars().next()?);
    let run = body
        .find(|character| Class::of(character) != class)
        .unwrap_or(body.len());
    // The last space of a run belongs to the word after it.
    let more_follows = run < body.len();
    let last = body[..run].chars().next_back().map_or(0, char::len_utf8);
    let keep = if class == Class::Space && more_follows && run > last {
        run - last
    } else {
        run
    };
    Some(lead + keep)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_spell_bytes() {
        for (entry, expected) in [
            ("abc", Some(b"abc".to_vec())),
            ("Ġapa", Some(b" apa".to_vec())),
            ("Ċ", Some(b"\n".to_vec())),
            ("Ã©", Some("é".as_bytes().to_vec())),
            ("Ń", Some(vec![0xAD])),
            ("a b", None),
            ("漢", None),
        ] {
            assert_eq!(bytes_of(entry), expected, "{entry}");
        }
    }

    #[test]
    fn every_byte_has_its_character() {
        let mut seen: Vec<u8> = (0..0x200)
            .filter_map(char::from_u32)
            .filter_map(byte_of)
            .collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..=u8::MAX).collect::<Vec<_>>());
    }

    #[test]
    fn words_keep_one_leading_space() {
        for (text, expected) in [
            ("", vec![]),
            ("apa saja?", vec!["apa", " saja", "?"]),
            (" ITB, STEI", vec![" ITB", ",", " STEI"]),
            ("a  b", vec!["a", " ", " b"]),
            ("a  ", vec!["a", "  "]),
            ("3,5", vec!["3", ",", "5"]),
            ("S1", vec!["S", "1"]),
            ("a\n b", vec!["a", "\n", " b"]),
            (" ", vec![" "]),
        ] {
            assert_eq!(words(text).collect::<Vec<_>>(), expected, "{text:?}");
        }
    }

    #[test]
    fn lowest_ranks_merge_first() {
        let pieces = ["a", "b", "c", "bc", "ab", "abc"];
        let by_piece = pieces
            .iter()
            .map(|piece| piece.as_bytes().to_vec())
            .zip(0..)
            .collect();
        for (word, expected) in [
            ("", vec![]),
            ("a", vec![0]),
            ("abc", vec![5]),
            ("abab", vec![4, 4]),
            ("cab", vec![2, 4]),
            ("azb", vec![0, 1]),
        ] {
            assert_eq!(merge(word.as_bytes(), &by_piece), expected, "{word}");
        }
    }
}
