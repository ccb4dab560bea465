//! How a model says that the passages do not answer.

use super::mark::More;
use crate::knowledge::analyser::fold::fold;

/// The agreed reply. A word of no language, so that no answer begins with it
/// by chance, and an answer's first words are hardly ever kept back for it.
pub const MARKER: &str = "NIRJAWAB";

/// Quotes, stars and brackets that may stand before the marker.
const MAX_WRAPPING_CHARS: usize = 8;

/// Whether a word that is looked for stands at the start of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    Yes,
    No,
    /// The next characters decide.
    Open,
}

/// Whether a reply begins with the marker, however it is wrapped and written.
pub fn opens(reply: &str, more: More) -> Found {
    let wrapping: usize = reply
        .chars()
        .take_while(|c| !c.is_alphanumeric())
        .take(MAX_WRAPPING_CHARS)
        .map(char::len_utf8)
        .sum();
    begins(&reply[wrapping..], MARKER, more)
}

/// Whether `text` begins with `word`, in whatever case.
pub fn begins(text: &str, word: &str, more: More) -> Found {
    let seen = text.len().min(word.len());
    match () {
        () if !text.as_bytes()[..seen].eq_ignore_ascii_case(&word.as_bytes()[..seen]) => Found::No,
        () if seen == word.len() => Found::Yes,
        () if more == More::MayCome => Found::Open,
        () => Found::No,
    }
}

/// What models write instead of the marker, folded.
const PHRASES: &[&str] = &[
    "tidak menemukan",
    "tidak ditemukan",
    "tidak ada informasi",
    "tidak terdapat informasi",
    "tidak memiliki informasi",
    "tidak mempunyai informasi",
    "belum memiliki informasi",
    "informasi tersebut tidak",
    "informasi itu tidak",
    "tidak dapat menjawab",
    "tidak bisa menjawab",
    "could not find",
    "couldn't find",
    "no information",
    "not have information",
    "don't have",
    "cannot answer",
    "can't answer",
];

/// Whether an answer that leans on no passage says in its own words that there is none.
pub fn in_own_words(answer: &str) -> bool {
    let folded = fold(answer).replace('’', "'");
    PHRASES.iter().any(|phrase| folded.contains(phrase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marker_is_known_however_it_is_written() {
        for (reply, found) in [
            ("NIRJAWAB", Found::Yes),
            ("nirjawab. Maaf ya", Found::Yes),
            ("**\"NirJawab\"**", Found::Yes),
            ("[NIRJAWAB]", Found::Yes),
            ("NIR", Found::Open),
            ("\"", Found::Open),
            ("", Found::Open),
            ("Nilai", Found::No),
            ("ITB", Found::No),
            ("---------NIRJAWAB", Found::No),
            ("NIRé", Found::No),
        ] {
            assert_eq!(opens(reply, More::MayCome), found, "{reply}");
        }
        assert_eq!(opens("NIR", More::IsOver), Found::No);
    }

    #[test]
    fn refusals_in_other_words_are_known() {
        for (answer, refusal) in [
            ("Maaf, saya tidak menemukan informasi itu.", true),
            ("Sorry, I don’t have that.", true),
            ("Biaya kuliah dibayar tiap semester.", false),
        ] {
            assert_eq!(in_own_words(answer), refusal, "{answer}");
        }
    }
}
