//! From text to the terms that are indexed and searched: folded, stemmed Indonesian words.
//!
//! The index, the queries and the answers use the same analyser; a term made by one is comparable with a term made
//! by another.

pub mod fold;
pub mod stem;
pub mod token;

use stem::stem;
use token::{Token, tokens};

use super::lexicon::Lexicon;

/// The terms of a text in order, function words left out.
pub fn stems(text: &str, lexicon: &Lexicon) -> Vec<String> {
    let mut found = Vec::with_capacity(text.len() / 7);
    for token in tokens(text) {
        push_stems(&token, lexicon, &mut found);
    }
    found
}

fn push_stems(token: &Token, lexicon: &Lexicon, found: &mut Vec<String>) {
    if lexicon.is_function_word(&token.text) {
        return;
    }
    found.push(stem(&token.text));
    let address = token.parts.len() > 2;
    for part in &token.parts {
        let says_nothing =
            lexicon.is_function_word(part) || (address && ADDRESS_PARTS.contains(&part.as_str()));
        if !says_nothing {
            found.push(stem(part));
        }
    }
}

/// What every address holds: `asrama.itb.ac.id` does not speak of an AC.
const ADDRESS_PARTS: &[&str] = &["www", "ac", "co", "go", "or", "id", "com", "org", "net"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inflected_words_share_a_term_and_function_words_leave_none() {
        let lexicon = Lexicon::bundled();
        for (left, right) in [
            ("pembayaran", "membayar"),
            ("pendaftaran", "mendaftarkan"),
            ("kelulusan", "lulus"),
            ("perkuliahan", "kuliahnya"),
            ("mengulang", "diulang"),
            ("e-mail", "email"),
            ("fakultas-fakultas", "fakultas"),
        ] {
            assert_eq!(
                stems(left, &lexicon),
                stems(right, &lexicon),
                "{left} {right}"
            );
        }
        assert!(stems("yang dan di untuk", &lexicon).is_empty());
        assert_eq!(stems("SM-ITB", &lexicon), ["smitb", "sm", "itb"]);
        assert_eq!(
            stems("lib.itb.ac.id", &lexicon),
            ["libitbacid", "lib", "itb"]
        );
    }
}
