//! What is told before a question is asked: "Anak saya lulus SNBP, kapan golongan UKT-nya ditetapkan?"

use super::words::Word;
use super::{Role, Term, kind};
use crate::knowledge::analyser::stem::stem;
use crate::knowledge::lexicon::Lexicon;

/// How much a word counts that was only told: the answer need not repeat the asker's circumstances.
const TOLD: f32 = 0.5;

/// A word of this weight or less is an everyday one, and no topic to ask about.
const EVERYDAY: f32 = 0.5;

/// How many words may stand between the mark and the question word: "…, untuk itu kapan …".
const REACH: usize = 2;

/// What is only the case sometimes is part of the question: "Kalau cuti, apakah tetap membayar?"
const CONDITIONS: &[&str] = &[
    "kalau",
    "jika",
    "apabila",
    "bila",
    "jikalau",
    "seandainya",
    "andai",
    "misal",
    "misalnya",
    "ketika",
    "saat",
    "selama",
    "setelah",
    "sesudah",
    "sebelum",
    "if",
    "when",
    "while",
    "after",
    "before",
];

/// Lowers the weight of what was told, where the question itself names what it is about.
pub fn lighten(terms: &mut [Term], message: &str, words: &[Word], lexicon: &Lexicon) {
    let Some(at) = question(message, words, lexicon) else {
        return;
    };
    let (told, asked) = words.split_at(at);
    if told
        .first()
        .is_some_and(|word| CONDITIONS.contains(&word.text.as_str()))
    {
        return;
    }
    let names_topic = |term: &Term| {
        let head = term.surface.split(' ').next().unwrap_or_default();
        let topic = term.role != Role::Aspect && term.weight > EVERYDAY;
        topic && !lexicon.is_field(&stem(head)) && holds(asked, term)
    };
    if !terms.iter().any(names_topic) {
        return;
    }
    for term in terms {
        if term.role != Role::Name && holds(told, term) && !holds(asked, term) {
            term.weight *= TOLD;
        }
    }
}

/// Where the question begins after a statement, which a mark ends.
fn question(message: &str, words: &[Word], lexicon: &Lexicon) -> Option<usize> {
    let asks = |words: &[Word]| {
        let texts: Vec<String> = words.iter().take(4).map(|word| word.text.clone()).collect();
        kind::is_question_word(&texts, lexicon)
    };
    let first = (0..words.len()).find(|at| asks(&words[*at..]))?;
    let marked = |at: &usize| {
        let between = words[at - 1].span.end..words[*at].span.start;
        let between = message.get(between).unwrap_or_default();
        between.contains([',', '.', ';', '\n'])
    };
    (first.saturating_sub(REACH).max(1)..=first)
        .rev()
        .filter(|at| *at < words.len())
        .find(marked)
}

fn holds(words: &[Word], term: &Term) -> bool {
    let head = term.surface.split(' ').next();
    words.iter().any(|word| Some(word.text.as_str()) == head)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::knowledge::vocabulary::UnlistedVocabulary;
    use crate::query::Interpreter;

    #[test]
    fn what_is_only_told_counts_less_than_what_is_asked() {
        let interpreter =
            Interpreter::new(Arc::new(Lexicon::bundled()), Arc::new(UnlistedVocabulary));
        for (message, lighter) in [
            (
                "Anak saya lulus SNBP, kapan golongan UKT ditetapkan?",
                &["lulus", "snbp"][..],
            ),
            (
                "Saya mahasiswa magister. Berapa SKS?",
                &["mahasiswa", "magister"],
            ),
            // The question leans on what was told.
            ("Anak saya suka iklim, jurusan apa yang cocok?", &[]),
            ("Saya ingin cuti, bagaimana caranya?", &[]),
            // What is only supposed is asked about.
            ("Apabila saya cuti, apakah UKT dibayar?", &[]),
            // What follows is no question of its own.
            ("Kapan wisuda, Oktober atau April?", &[]),
            ("Berapa SKS magister?", &[]),
        ] {
            let query = interpreter.understand(message, &[]).queries.remove(0);
            let lightened = query
                .terms
                .iter()
                .filter(|term| lighter.contains(&term.surface.as_str()) && term.weight <= TOLD);
            assert_eq!(lightened.count(), lighter.len(), "{message}: {query:?}");
            let others = query.terms.iter().filter(|term| {
                let topic = term.role == Role::Topic;
                topic && !lighter.contains(&term.surface.as_str()) && term.weight < TOLD
            });
            assert_eq!(others.count(), 0, "{message}: {query:?}");
        }
    }
}
