//! Whether a message is in English.

use serde::{Deserialize, Serialize};

use crate::knowledge::analyser::token::tokens;
use crate::knowledge::lexicon::Lexicon;

/// The language that a message is written in, as far as replies care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    #[default]
    Indonesian,
    English,
}

/// English when most of the words that tell are English; Indonesian messages often hold some ("deadline UKT").
pub fn detect(message: &str, lexicon: &Lexicon) -> Language {
    let mut english = 0;
    let mut indonesian = 0;
    for token in tokens(message) {
        let word = token.text.as_str();
        // A letter is a mark or a name, as in "Nilai D", though English has words of one letter.
        if word.len() == 1 && word != "i" {
            continue;
        }
        let is_english = lexicon.is_english_filler(word) || is_english_function_word(word);
        let is_indonesian = lexicon.is_function_word(word) && !is_english_function_word(word);
        if is_english && is_indonesian {
            continue;
        } else if is_english {
            english += 2;
        } else if lexicon.is_filler(word)
            || lexicon
                .colloquial
                .longest_at(std::slice::from_ref(&token.text))
                .is_some()
            || lexicon.kinds.begins(word)
        {
            indonesian += 2;
        } else if lexicon.english.contains(word) {
            english += 1;
        }
    }
    if english >= 2 && english > indonesian {
        Language::English
    } else {
        Language::Indonesian
    }
}

fn is_english_function_word(word: &str) -> bool {
    matches!(
        word,
        "the"
            | "of"
            | "to"
            | "in"
            | "on"
            | "at"
            | "for"
            | "and"
            | "or"
            | "is"
            | "are"
            | "was"
            | "with"
            | "from"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn english_needs_most_of_the_telling_words() {
        let lexicon = Lexicon::bundled();
        for (message, language) in [
            ("How many credits to graduate?", Language::English),
            ("Where is the library?", Language::English),
            ("tuition fee", Language::English),
            ("hello", Language::English),
            ("deadline bayar UKT kapan?", Language::Indonesian),
            ("Apa itu drop out?", Language::Indonesian),
            (
                "Berapa uang kuliah program magister per semester?",
                Language::Indonesian,
            ),
            ("Nilai D bobotnya?", Language::Indonesian),
            ("kalo do gimana", Language::Indonesian),
            ("", Language::Indonesian),
        ] {
            assert_eq!(detect(message, &lexicon), language, "{message}");
        }
    }
}
