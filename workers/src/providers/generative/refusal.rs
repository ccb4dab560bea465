//! How a model says that the passages do not answer.

use super::mark::More;
use crate::knowledge::analyser::{
    fold::fold,
    token::{Token, tokens},
};

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

/// What of a refusal is left to say after a model's own words: many models apologise before the marker, and nobody
/// wants to read "Maaf, maaf".
pub fn left_to_say<'a>(refusal: &'a str, said: &str) -> std::borrow::Cow<'a, str> {
    let spoken: Vec<Token> = tokens(said);
    let apologised = |apology: &str| spoken.iter().any(|word| word.text == fold(apology));
    let Some((_, rest)) = refusal
        .split_once(", ")
        .filter(|(apology, _)| apologised(apology))
    else {
        return refusal.into();
    };
    if said.trim_end().ends_with(['.', '!', '?']) {
        return capitalised(rest).into();
    }
    // "Maaf, saya" goes on after its last word.
    let repeated = |(word, rest): &(&str, &'a str)| {
        let last = spoken.last();
        last.is_some_and(|last| last.text == fold(word))
            .then_some(*rest)
    };
    rest.split_once(' ')
        .as_ref()
        .and_then(repeated)
        .unwrap_or(rest)
        .into()
}

fn capitalised(text: &str) -> String {
    let mut rest = text.chars();
    let first = rest.next().into_iter().flat_map(char::to_uppercase);
    first.chain(rest).collect()
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
    fn nobody_apologises_twice() {
        let refusal = "Maaf, saya tidak tahu. Tanya ITB.";
        for (said, left) in [
            ("", refusal),
            ("Hm.", refusal),
            ("Maaf,", "saya tidak tahu. Tanya ITB."),
            ("Mohon maaf ya,", "saya tidak tahu. Tanya ITB."),
            ("Maaf.", "Saya tidak tahu. Tanya ITB."),
            ("Maaf, saya", "tidak tahu. Tanya ITB."),
            ("Maaf, saya bingung!", "Saya tidak tahu. Tanya ITB."),
        ] {
            assert_eq!(left_to_say(refusal, said), left, "{said}");
        }
        assert_eq!(left_to_say("Tidak ada.", "Maaf,"), "Tidak ada.");
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
