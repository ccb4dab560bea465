//! Known words that differ from a mistyped or misheard one by a single letter.

/// Shorter words are too often other words when one letter changes.
pub const MIN_CHARS: usize = 5;

/// Up to this length the first letter has to be right.
const STRICT_CHARS: usize = 7;

/// Words with a number each, kept by length.
#[derive(Debug, Default)]
pub struct Spelling {
    by_length: Vec<Vec<(Box<str>, u32)>>,
}

impl Spelling {
    /// Keeps a word; others than plain letters are never corrected to.
    pub fn insert(&mut self, word: &str, number: u32) {
        if word.len() < MIN_CHARS - 1 || !word.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return;
        }
        if self.by_length.len() <= word.len() {
            self.by_length.resize_with(word.len() + 1, Vec::new);
        }
        self.by_length[word.len()].push((word.into(), number));
    }

    /// The numbers of the words that one letter inserted, dropped, replaced or swapped with its neighbour leads to.
    pub fn near<'a>(&'a self, word: &'a str) -> impl Iterator<Item = u32> + 'a {
        let length = word.len();
        let plain = length >= MIN_CHARS && word.bytes().all(|byte| byte.is_ascii_lowercase());
        let lengths = if plain { length - 1..length + 2 } else { 0..0 };
        let known = lengths
            .filter_map(|length| self.by_length.get(length))
            .flatten();
        known
            .filter(move |(known, _)| is_near(word.as_bytes(), known.as_bytes()))
            .map(|(_, number)| *number)
    }

    /// Bytes held, roughly.
    pub fn bytes(&self) -> usize {
        self.by_length
            .iter()
            .flatten()
            .map(|(word, _)| word.len() + size_of::<(Box<str>, u32)>())
            .sum()
    }
}

fn is_near(left: &[u8], right: &[u8]) -> bool {
    if left.len() <= STRICT_CHARS && left[0] != right[0] {
        return false;
    }
    let (short, long) = if left.len() <= right.len() {
        (left, right)
    } else {
        (right, left)
    };
    let same = short.iter().zip(long).take_while(|(a, b)| a == b).count();
    let (short, long) = (&short[same..], &long[same..]);
    if short.len() < long.len() {
        return short == &long[1..];
    }
    let replaced = short.len() == long.len() && short.get(1..) == long.get(1..);
    let swapped =
        short.len() >= 2 && short[0] == long[1] && short[1] == long[0] && short[2..] == long[2..];
    replaced || swapped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_letter_apart_is_near() {
        let mut spelling = Spelling::default();
        for (number, word) in ["beasiswa", "asrama", "wisuda", "baris"]
            .into_iter()
            .enumerate()
        {
            spelling.insert(word, number as u32);
        }
        for (word, expected) in [
            ("beasisw", vec![0]),
            ("beasiswwa", vec![0]),
            ("beasizwa", vec![0]),
            ("besaiswa", vec![0]),
            ("asarma", vec![1]),
            ("wisud", vec![2]),
            ("paris", vec![]),
            ("asr", vec![]),
            ("beasi", vec![]),
            ("café", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(spelling.near(word).collect::<Vec<_>>(), expected, "{word}");
        }
    }
}
