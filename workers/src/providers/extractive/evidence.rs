//! Whether a sentence holds what a kind of question asks for.

use crate::knowledge::analyser::token::tokens;
use crate::query::kind::QuestionKind;

/// Words by the kind of question that they answer.
#[derive(Debug, Default)]
pub struct Evidence {
    signs: Vec<(QuestionKind, f32, Sign)>,
}

#[derive(Debug, PartialEq)]
enum Sign {
    Digits,
    Enumeration,
    /// With a space on both sides.
    Phrase(String),
}

/// Words that announce an enumeration; commas alone also part clauses.
const LISTING: &[&str] = &[
    " adalah ",
    " yaitu ",
    " yakni ",
    " antara lain ",
    " terdiri ",
    " meliputi ",
    " seperti ",
    " mencakup ",
    " berupa ",
    " memuat ",
    " memiliki ",
    " misalnya ",
];

/// A kind without signs of its own finds some everywhere.
const NEUTRAL: f32 = 0.5;

impl Evidence {
    /// The lists in the binary.
    pub fn bundled() -> Self {
        let text = include_str!("../../../data/lexicon/evidence.tsv");
        let lines = text.lines().filter(|line| !line.starts_with("# "));
        Self {
            signs: lines.filter_map(signs).flatten().collect(),
        }
    }

    /// 0 for none, 1 for what the question asks for.
    pub fn of(&self, kind: QuestionKind, text: &str, folded: &str) -> f32 {
        let mut signs = self.signs.iter().filter(|(of, ..)| *of == kind).peekable();
        if signs.peek().is_none() {
            return NEUTRAL;
        }
        let found = signs.filter(|(_, _, sign)| sign.is_in(text, folded));
        found.map(|(_, strength, _)| *strength).fold(0.0, f32::max)
    }
}

fn signs(line: &str) -> Option<Vec<(QuestionKind, f32, Sign)>> {
    let (name, rest) = line.split_once('\t')?;
    let (strength, signs) = rest.split_once('\t')?;
    let (kind, strength) = (QuestionKind::named(name)?, strength.parse().ok()?);
    Some(
        signs
            .split('|')
            .map(|sign| (kind, strength, Sign::read(sign)))
            .collect(),
    )
}

impl Sign {
    fn read(sign: &str) -> Self {
        match sign {
            "#" => Self::Digits,
            "," => Self::Enumeration,
            phrase => Self::Phrase(format!(" {phrase} ")),
        }
    }

    fn is_in(&self, text: &str, folded: &str) -> bool {
        match self {
            // `S1` and `IF2110` are names, not numbers.
            Self::Digits => folded
                .split(' ')
                .any(|word| word.starts_with(|first: char| first.is_ascii_digit())),
            Self::Enumeration => {
                text.matches(", ").count() >= 2 && LISTING.iter().any(|word| folded.contains(word))
            }
            Self::Phrase(phrase) => folded.contains(phrase.as_str()),
        }
    }
}

/// Words with a space on both sides of each, so that whole words can be found.
pub fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len() + 2);
    folded.push(' ');
    for token in tokens(text) {
        folded.push_str(&token.text);
        folded.push(' ');
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_follows_the_kind() {
        let evidence = Evidence::bundled();
        for (kind, text, found) in [
            (QuestionKind::Quantity, "Paling sedikit 144 SKS.", true),
            (QuestionKind::Quantity, "Ada dua belas fakultas.", true),
            (
                QuestionKind::Quantity,
                "Fakultas S1 itu ada di Bandung.",
                false,
            ),
            (QuestionKind::Time, "Dibuka setiap Agustus.", true),
            (QuestionKind::Time, "Dibuka di loket.", false),
            (QuestionKind::Person, "Warna gedung itu biru.", false),
            (
                QuestionKind::List,
                "Warnanya adalah merah, kuning, dan hijau",
                true,
            ),
            (QuestionKind::Open, "Apa saja.", true),
        ] {
            assert_eq!(
                evidence.of(kind, text, &folded(text)) > 0.0,
                found,
                "{kind:?} {text}"
            );
        }
    }
}
