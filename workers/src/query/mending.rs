//! Words as they were meant: what typing and speech recognition made of them is undone where only one reading is known.
//!
//! A word that any list or the collection knows stays as it is, so a question about something else is not bent
//! into one about the documents.

use super::words::Word;
use crate::knowledge::analyser::stem::stem;
use crate::knowledge::lexicon::Lexicon;
use crate::knowledge::spelling::{distance, limit};
use crate::knowledge::vocabulary::Vocabulary;

/// More words of one message are left as they are, so that the work stays bounded.
const MAX_MENDED: usize = 32;

/// How many spoken letters may follow each other.
const MAX_LETTERS: usize = 8;

/// An abbreviation that is spoken as one word has at least so many letters, and at most.
const SPOKEN_LETTERS: std::ops::RangeInclusive<usize> = 3..=5;

/// The words of a message with slips undone.
pub fn mend(words: Vec<Word>, lexicon: &Lexicon, vocabulary: &dyn Vocabulary) -> Vec<Word> {
    let known = Known {
        lexicon,
        vocabulary,
    };
    let mut found = Vec::with_capacity(words.len());
    let mut tried = 0;
    let mut at = 0;
    while at < words.len() {
        if let Some((length, texts)) = known.abbreviation(&words[at..]) {
            let (first, last) = (&words[at], &words[at + length - 1]);
            found.extend(
                texts
                    .into_iter()
                    .map(|text| first.replaced_until(last, text)),
            );
            at += length;
            continue;
        }
        let word = &words[at];
        at += 1;
        let mended = if tried < MAX_MENDED && !known.recognises(word) {
            tried += 1;
            known.mended(&word.text)
        } else {
            None
        };
        match mended {
            Some(texts) => {
                found.extend(
                    texts
                        .into_iter()
                        .map(|text| word.replaced_until(word, text)),
                );
            }
            None => found.push(word.clone()),
        }
    }
    found
}

struct Known<'a> {
    lexicon: &'a Lexicon,
    vocabulary: &'a dyn Vocabulary,
}

impl Known<'_> {
    fn recognises(&self, word: &Word) -> bool {
        !word.parts.is_empty()
            || !word.text.bytes().all(|byte| byte.is_ascii_lowercase())
            || self.is_word(&word.text)
            || informal_roots(&word.text, self.vocabulary).next().is_some()
    }

    fn is_word(&self, word: &str) -> bool {
        self.lexicon.lists(word) || self.vocabulary.contains(&stem(word))
    }

    fn mended(&self, word: &str) -> Option<Vec<String>> {
        self.divided(word)
            .or_else(|| question_word(word))
            .or_else(|| self.spoken(word).map(|word| vec![word]))
            .or_else(|| self.vocabulary.nearest(word).map(|word| vec![word]))
    }

    /// Two words without the space between them: `apasaja`.
    fn divided(&self, word: &str) -> Option<Vec<String>> {
        let places = (3..word.len().saturating_sub(2)).rev();
        let halves = places.map(|at| word.split_at(at));
        let (left, right) = halves
            .into_iter()
            .find(|(left, right)| self.is_half(left) && self.is_half(right))?;
        Some(vec![left.to_owned(), right.to_owned()])
    }

    /// Short pieces of words are words by chance; only those around a question are taken for what they look like.
    fn is_half(&self, half: &str) -> bool {
        self.lexicon.is_filler(half) || (half.len() >= 4 && self.is_word(half))
    }

    /// An abbreviation read as one word: `iteba` for `itb`. Its consonants stand, vowels between them are sounds.
    fn spoken(&self, word: &str) -> Option<String> {
        let vowels: Vec<usize> = word
            .bytes()
            .enumerate()
            .skip(1)
            .filter(|(_, byte)| b"aei".contains(byte))
            .map(|(at, _)| at)
            .collect();
        if vowels.len() > 4 {
            return None;
        }
        let choices = 1..1_u32 << vowels.len();
        let spelt = choices.map(|choice| -> String {
            let dropped = |at: &usize| {
                vowels
                    .iter()
                    .position(|vowel| vowel == at)
                    .is_some_and(|bit| choice >> bit & 1 == 1)
            };
            word.char_indices()
                .filter(|(at, _)| !dropped(at))
                .map(|(_, letter)| letter)
                .collect()
        });
        spelt
            .filter(|spelt| SPOKEN_LETTERS.contains(&spelt.len()))
            .find(|spelt| self.is_abbreviation(spelt))
    }

    /// Two vowels or two consonants begin it: nothing that could be read as a word.
    fn is_abbreviation(&self, text: &str) -> bool {
        let consonants = |text: &str| !text.bytes().any(|byte| b"aeiou".contains(&byte));
        let unreadable = consonants(&text[..2]) || consonants(&text[text.len() - 2..]);
        unreadable && self.vocabulary.contains(text)
    }

    /// Letters spoken one after the other, as far as they spell what the collection knows: `te pe be`, `ka em i te be`.
    fn abbreviation(&self, words: &[Word]) -> Option<(usize, Vec<String>)> {
        let letters: Vec<&str> = words
            .iter()
            .take(MAX_LETTERS)
            .map_while(|word| spoken_letters(&word.text))
            .collect();
        let spelt = |length: usize| {
            words[..length]
                .iter()
                .any(|word| word.text.len() == 1 || is_letter_name(&word.text))
        };
        (1..=letters.len()).rev().find_map(|length| {
            let joined = letters[..length].concat();
            if let Some(tail) = words.get(length) {
                let with_tail = format!("{joined}{}", tail.text);
                let apart = self.is_word(&tail.text) || !spelt(length);
                if tail.text.len() > 2 && !apart && self.vocabulary.contains(&with_tail) {
                    return Some((length + 1, vec![with_tail]));
                }
            }
            let whole_word = length == 1 && self.is_word(&joined);
            if joined.len() < 2 || whole_word || (length > 1 && !spelt(length)) {
                return None;
            }
            let whole = self
                .vocabulary
                .contains(&joined)
                .then(|| vec![joined.clone()]);
            let texts = whole.or_else(|| self.two_abbreviations(&joined))?;
            Some((length, texts))
        })
    }

    fn two_abbreviations(&self, letters: &str) -> Option<Vec<String>> {
        let places = 2..letters.len().saturating_sub(1);
        let mut halves = places.map(|at| letters.split_at(at));
        let (left, right) = halves.find(|(left, right)| {
            self.vocabulary.contains(left) && self.vocabulary.contains(right)
        })?;
        Some(vec![left.to_owned(), right.to_owned()])
    }
}

/// How a recogniser writes single letters that are spoken.
const LETTER_NAMES: &[(&str, &str)] = &[
    ("be", "b"),
    ("ce", "c"),
    ("de", "d"),
    ("ef", "f"),
    ("ge", "g"),
    ("ha", "h"),
    ("je", "j"),
    ("ka", "k"),
    ("el", "l"),
    ("em", "m"),
    ("en", "n"),
    ("pe", "p"),
    ("er", "r"),
    ("es", "s"),
    ("te", "t"),
    ("ve", "v"),
    ("we", "w"),
];

fn is_letter_name(word: &str) -> bool {
    LETTER_NAMES.iter().any(|(name, _)| *name == word)
}

/// The letter that a word names, or the letters that were already joined to it.
pub fn spoken_letters(word: &str) -> Option<&str> {
    let named = LETTER_NAMES
        .iter()
        .find(|(name, _)| *name == word)
        .map(|(_, letter)| *letter);
    let plain = word.bytes().all(|byte| byte.is_ascii_lowercase());
    let vowel = |byte: u8| b"aeiou".contains(&byte);
    let spelt = word.len() == 1
        || (word.len() <= 5 && word.len() >= 3 && word.bytes().take(2).all(vowel))
        || (word.len() <= 3 && !word.bytes().any(vowel));
    named.or_else(|| (plain && spelt).then_some(word))
}

/// Question words, and what they are when heard otherwise.
const QUESTION_WORDS: &[(&str, &[&str])] = &[
    ("berapa", &["berapa"]),
    ("bagaimana", &["bagaimana"]),
    ("gimana", &["bagaimana"]),
    ("kapan", &["kapan"]),
    ("siapa", &["siapa"]),
    ("dimana", &["di", "mana"]),
    ("mengapa", &["mengapa"]),
    ("kenapa", &["mengapa"]),
    ("apakah", &["apakah"]),
    ("apasaja", &["apa", "saja"]),
    ("apaitu", &["apa", "itu"]),
];

/// A misheard question word may begin otherwise too, so it has to be nearer than other words.
const NEARER: f32 = 0.85;

fn question_word(word: &str) -> Option<Vec<String>> {
    let distances = QUESTION_WORDS
        .iter()
        .map(|(known, meant)| (distance(word, known), meant));
    let (distance, meant) = distances.min_by(|(left, _), (right, _)| left.total_cmp(right))?;
    let near = word.len() > 4 && distance <= NEARER * limit(word.len());
    near.then(|| meant.iter().map(|word| (*word).to_owned()).collect())
}

/// Roots of spoken verb forms: `ngelunasin` → `lunas`, `nyetak` → `cetak`. Only roots that the collection knows.
pub fn informal_roots<'a>(
    word: &'a str,
    vocabulary: &'a dyn Vocabulary,
) -> impl Iterator<Item = String> + 'a {
    let bases = [Some(word), word.strip_suffix("in")].into_iter().flatten();
    let roots = bases.flat_map(|base| {
        let nasal = |prefix: &str, initials: &[&str]| -> Vec<String> {
            let rest = base.strip_prefix(prefix);
            rest.into_iter()
                .flat_map(|rest| {
                    initials
                        .iter()
                        .map(move |initial| format!("{initial}{rest}"))
                })
                .collect()
        };
        let mut roots = vec![base.to_owned()];
        roots.extend(nasal("nge", &[""]));
        roots.extend(nasal("ng", &["", "k"]));
        roots.extend(nasal("ny", &["s", "c"]));
        roots.extend(nasal("n", &["t", ""]));
        roots.extend(nasal("m", &["p", ""]));
        roots
    });
    roots
        .filter(|root| root.len() >= 3)
        .map(|root| stem(&root))
        .filter(|root| vocabulary.contains(root))
        .take(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::knowledge::spelling::Spelling;
    use crate::query::words::words;

    const WORDS: &[&str] = &[
        "itb", "tpb", "ia", "km", "stei", "fakultas", "wisuda", "ulang", "lunas", "cuti", "ppk",
        "fmipa",
    ];

    struct Collection(Spelling);

    impl Vocabulary for Collection {
        fn contains(&self, stem: &str) -> bool {
            WORDS.contains(&stem)
        }
        fn rarity(&self, _stem: &str) -> f32 {
            0.5
        }
        fn nearest(&self, word: &str) -> Option<String> {
            let (number, _) = self.0.near(word).next()?;
            Some(WORDS[number as usize].to_owned())
        }
    }

    #[test]
    fn slips_are_undone_and_other_words_stay() {
        let lexicon = Lexicon::bundled();
        let mut spelling = Spelling::default();
        for (number, word) in WORDS.iter().enumerate() {
            spelling.insert(word, number as u32);
        }
        let collection = Collection(spelling);
        for (message, expected) in [
            ("apasaja fakultas di i t b", "apa saja fakultas di itb"),
            ("apasanja fakultas", "apa saja fakultas"),
            ("merappa", "berapa"),
            ("gemana cara cuti", "bagaimana cara cuti"),
            ("apa itu te pe be", "apa itu tpb"),
            ("ka em i te be", "km itb"),
            ("i a i t b", "ia itb"),
            ("satgas pe pe ka", "satgas ppk"),
            ("apa itu iteba", "apa itu itb"),
            ("setei", "stei"),
            ("apa itu ef mipa", "apa itu fmipa"),
            ("pakultas", "fakultas"),
            ("wisudah", "wisuda"),
            ("wulang", "ulang"),
            ("ngelunasin", "ngelunasin"),
            ("resep rendang", "resep rendang"),
            ("tiket kapal", "tiket kapal"),
            ("", ""),
        ] {
            let mended = mend(words(message, &lexicon), &lexicon, &collection);
            let texts: Vec<String> = mended.into_iter().map(|word| word.text).collect();
            assert_eq!(texts.join(" "), expected, "{message}");
        }
    }
}
