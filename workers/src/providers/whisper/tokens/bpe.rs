//! Byte-pair encoding as GPT-2 and Whisper use it.
//!
//! In Whisper's vocabulary an entry's number is also its rank among the merges, so that no list of merges
//! is needed: of all neighbours whose concatenation is an entry, those with the lowest number merge first.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    ops::Range,
};

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
    let mut pieces = Pieces::of(word);
    let rank = |range: Range<usize>| by_piece.get(&word[range]).copied();
    // Only the neighbours of what was merged can merge anew: a heap of them, and not a look at all pieces each time,
    // keeps a word of thousands of letters from being millions of steps.
    let mut merges: BinaryHeap<_> = (0..word.len().saturating_sub(1))
        .filter_map(|start| Some(Reverse((rank(start..start + 2)?, start, start + 2))))
        .collect();
    while let Some(Reverse((_, start, end))) = merges.pop() {
        if !pieces.merge(start, end) {
            continue;
        }
        let neighbours = [
            pieces.before(start).zip(Some(end)),
            Some(start).zip(pieces.end_after(end)),
        ];
        for (start, end) in neighbours.into_iter().flatten() {
            merges.extend(rank(start..end).map(|rank| Reverse((rank, start, end))));
        }
    }
    pieces.ranges().filter_map(rank).collect()
}

/// How a word is cut so far, by the places where pieces start and end.
struct Pieces {
    /// Where the piece that starts here ends; 0 where none starts.
    ends: Vec<usize>,
    /// Where the piece that ends here starts.
    starts: Vec<usize>,
}

impl Pieces {
    /// One for each byte.
    fn of(word: &[u8]) -> Self {
        Self {
            ends: (1..=word.len()).collect(),
            starts: (0..=word.len()).map(|end| end.saturating_sub(1)).collect(),
        }
    }

    /// Makes one of the two pieces from `start` to `end`, if two are still there.
    fn merge(&mut self, start: usize, end: usize) -> bool {
        let middle = self.ends[start];
        let are_two = middle > start && middle < end && self.ends[middle] == end;
        if are_two {
            self.ends[middle] = 0;
            self.ends[start] = end;
            self.starts[end] = start;
        }
        are_two
    }

    /// The start of the piece before the one at `start`.
    fn before(&self, start: usize) -> Option<usize> {
        (start > 0).then(|| self.starts[start])
    }

    /// The end of the piece that starts at `start`.
    fn end_after(&self, start: usize) -> Option<usize> {
        self.ends.get(start).copied()
    }

    fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        let ends = self.ends.iter().enumerate();
        ends.filter(|(_, end)| **end > 0)
            .map(|(start, end)| start..*end)
    }
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
    use common::testing::growth::{MARKS, assert_linear};

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

    #[test]
    fn a_word_is_cut_in_linear_time() {
        let entries = [
            "a", "aa", "aaaa", "ab", "abab", "[", "[[", " ", "  ", "1", "11",
        ];
        let by_piece: HashMap<Vec<u8>, Token> = entries
            .iter()
            .map(|entry| entry.as_bytes().to_vec())
            .zip(0..)
            .collect();
        assert_linear("tokens", MARKS, |text| {
            for word in words(text) {
                merge(word.as_bytes(), &by_piece);
            }
        });
    }
}
