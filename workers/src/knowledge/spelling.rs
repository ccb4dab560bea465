//! Known words that sound or look like a mistyped or misheard one.
//!
//! The distance is that of Damerau and Levenshtein with weights: what Indonesian speakers and recognisers confuse (`b`
//! and `p`, a dropped `h`, an `e` between consonants, doubled letters) costs less than another letter.

/// Shorter words are too often other words when one letter changes.
pub const MIN_CHARS: usize = 4;

/// Longer ones are compounds and addresses.
const MAX_CHARS: usize = 24;

/// Up to this length the first letter has to be right.
const STRICT_CHARS: usize = 7;

/// Letters more or fewer.
const MAX_LENGTH_DIFFERENCE: usize = 2;

/// Words with a number each, kept by length.
#[derive(Debug, Default)]
pub struct Spelling {
    by_length: Vec<Vec<(Box<str>, u32)>>,
}

impl Spelling {
    /// Keeps a word; others than plain letters are never corrected to.
    pub fn insert(&mut self, word: &str, number: u32) {
        if word.len() < MIN_CHARS || !word.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return;
        }
        if self.by_length.len() <= word.len() {
            self.by_length.resize_with(word.len() + 1, Vec::new);
        }
        self.by_length[word.len()].push((word.into(), number));
    }

    /// The numbers of the words near enough, each with its distance.
    pub fn near<'a>(&'a self, word: &'a str) -> impl Iterator<Item = (u32, f32)> + 'a {
        let length = word.len();
        let plain = (MIN_CHARS..=MAX_CHARS).contains(&length)
            && word.bytes().all(|byte| byte.is_ascii_lowercase());
        let lengths = if plain {
            length - MAX_LENGTH_DIFFERENCE..length + MAX_LENGTH_DIFFERENCE + 1
        } else {
            0..0
        };
        let limit = limit(length);
        let known = lengths
            .filter_map(|length| self.by_length.get(length))
            .flatten();
        known
            .filter(move |(known, _)| begins_alike(word.as_bytes(), known.as_bytes()))
            .map(move |(known, number)| (*number, distance(word, known)))
            .filter(move |(_, distance)| *distance <= limit)
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

/// How far a word of so many letters may be from the one it is taken for.
pub fn limit(length: usize) -> f32 {
    match length {
        0..=4 => 0.5,
        5..=6 => 1.0,
        7..=8 => 1.2,
        _ => 1.8,
    }
}

fn begins_alike(word: &[u8], known: &[u8]) -> bool {
    let glide = matches!(word[0], b'h' | b'w' | b'y') && word[1] == known[0];
    word.len() > STRICT_CHARS || word[0] == known[0] || glide
}

/// What turning one word into the other costs; 1 for an unrelated letter.
pub fn distance(left: &str, right: &str) -> f32 {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let width = right.len() + 1;
    let mut table = vec![0.0_f32; (left.len() + 1) * width];
    for column in 1..width {
        table[column] = table[column - 1] + extra(right, column - 1);
    }
    for row in 1..=left.len() {
        table[row * width] = table[(row - 1) * width] + extra(left, row - 1);
        for column in 1..width {
            let (here, there) = (left[row - 1], right[column - 1]);
            let mut best = table[(row - 1) * width + column - 1] + replaced(here, there);
            best = best.min(table[(row - 1) * width + column] + extra(left, row - 1));
            best = best.min(table[row * width + column - 1] + extra(right, column - 1));
            if row > 1 && column > 1 && here == right[column - 2] && left[row - 2] == there {
                best = best.min(table[(row - 2) * width + column - 2] + SWAPPED);
            }
            table[row * width + column] = best;
        }
    }
    table[table.len() - 1]
}

/// Two neighbours in the wrong order.
const SWAPPED: f32 = 0.8;

/// A letter that only one of the words has.
fn extra(word: &[u8], at: usize) -> f32 {
    let doubled = at > 0 && word[at - 1] == word[at];
    match word[at] {
        _ if doubled => 0.2,
        b'e' | b'h' => 0.4,
        b'w' | b'y' => 0.5,
        b'i' | b'u' if at > 0 && word[at - 1] == b'a' => 0.5,
        b'k' | b't' | b'd' | b'g' if at + 1 == word.len() => 0.6,
        _ => 1.0,
    }
}

/// Letters in each other's place.
fn replaced(left: u8, right: u8) -> f32 {
    if left == right {
        return 0.0;
    }
    match (left.min(right), left.max(right)) {
        (b'b', b'p') | (b'd', b't') | (b'g', b'k') | (b'f', b'v') | (b'f', b'p') => 0.4,
        (b'e', b'i') | (b'o', b'u') | (b's', b'z') | (b'k', b'q') | (b'i', b'y') => 0.4,
        (b'p', b'v') | (b'a', b'e') | (b'm', b'n') | (b'c', b's') | (b'c', b'k') => 0.6,
        (b'b', b'm') | (b'l', b'r') | (b'g', b'j') | (b'u', b'w') | (b'v', b'w') => 0.6,
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_sound_or_look_alike_are_near() {
        let mut spelling = Spelling::default();
        let known = ["beasiswa", "asrama", "wisuda", "baris", "praktik", "daftar"];
        for (number, word) in known.into_iter().enumerate() {
            spelling.insert(word, number as u32);
        }
        for (word, expected) in [
            ("beasisw", vec![0]),
            ("beasiswwa", vec![0]),
            ("beasizwa", vec![0]),
            ("besaiswa", vec![0]),
            ("biasiswa", vec![0]),
            ("asarma", vec![1]),
            ("wisud", vec![2]),
            ("wisudah", vec![2]),
            ("peraktek", vec![4]),
            ("dapttar", vec![5]),
            ("paris", vec![]),
            ("asr", vec![]),
            ("beasi", vec![]),
            ("café", vec![]),
            ("", vec![]),
        ] {
            let found: Vec<u32> = spelling.near(word).map(|(number, _)| number).collect();
            assert_eq!(found, expected, "{word}");
        }
    }

    #[test]
    fn sounds_that_are_confused_cost_less_than_other_letters() {
        for (near, far, word) in [
            ("daptar", "dastar", "daftar"),
            ("libor", "libar", "libur"),
            ("tahun", "tabun", "taun"),
            ("kulliah", "kursiah", "kuliah"),
        ] {
            assert!(distance(near, word) < distance(far, word), "{near} {far}");
        }
        assert_eq!(distance("sama", "sama"), 0.0);
    }
}
