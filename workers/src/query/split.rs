//! Several questions in one message.

use super::words::Word;
use super::{Query, kind};
use crate::knowledge::analyser::stem::stem;
use crate::knowledge::lexicon::Lexicon;

const CONJUNCTIONS: &[&str] = &["dan", "atau", "serta", "terus", "lalu", "sama", "and", "or"];

const JOINING: &[&str] = &["dan", "serta", "sama", "and"];

/// A topic that is only named has so few words, the institution's name among them.
const NAMED_TOPIC: usize = 2;

/// How many words after a conjunction may stand before the question word: "dan untuk S2 berapa".
const REACH: usize = 2;

/// The words of each question. A conjunction divides only where a question stands on both sides: "UKT dan IPI" is one
/// thing, "berapa UKT dan kapan dibayar" are two.
pub fn questions(message: &str, words: Vec<Word>, lexicon: &Lexicon) -> Vec<Vec<Word>> {
    let mut parts: Vec<Vec<Word>> = vec![Vec::new()];
    for (at, word) in words.iter().enumerate() {
        let asked = parts.last().is_some_and(|part| asks(part, lexicon));
        let after_mark = at > 0
            && message[words[at - 1].span.end..word.span.start.max(words[at - 1].span.end)]
                .contains('?');
        let after_comma = at > 0
            && message[words[at - 1].span.end..word.span.start.max(words[at - 1].span.end)]
                .contains([',', '.', ';', '\n']);
        let conjunction = CONJUNCTIONS.contains(&word.text.as_str());
        let next = words
            .get(at + usize::from(conjunction)..)
            .unwrap_or_default();
        let next_asks = (0..=REACH).any(|skip| begins_question(next, skip, lexicon));
        if asked && (after_mark || ((conjunction || after_comma) && next_asks)) {
            parts.push(Vec::new());
            if conjunction {
                continue;
            }
        }
        parts.last_mut().expect("never empty").push(word.clone());
    }
    parts.retain(|part| !part.is_empty());
    parts
        .into_iter()
        .flat_map(|part| aspects(part, lexicon))
        .collect()
}

/// A question that names no topic shares that of its neighbour: "Kapan dan di mana wisuda diadakan?"
pub fn share_topic(queries: &mut Vec<Query>) {
    for at in (0..queries.len().saturating_sub(1)).rev() {
        if queries[at].terms.is_empty() {
            let terms = queries[at + 1].terms.clone();
            queries[at].text = format!("{} {}", queries[at].text, queries[at + 1].text);
            queries[at].terms = terms;
        }
    }
    queries.retain(|query| !query.terms.is_empty());
}

/// Two things that are asked about one after the other without a question word: "jadwal wisuda dan biaya asrama". Divided only
/// where each side names an aspect and a topic of its own.
fn aspects(words: Vec<Word>, lexicon: &Lexicon) -> Vec<Vec<Word>> {
    let places = words
        .iter()
        .enumerate()
        .filter(|(_, word)| JOINING.contains(&word.text.as_str()));
    let place = places
        .map(|(at, _)| at)
        .find(|at| names_aspect(&words[..*at], lexicon) && names_aspect(&words[at + 1..], lexicon));
    match place.or_else(|| between_topics(&words, lexicon)) {
        Some(at) => vec![words[..at].to_vec(), words[at + 1..].to_vec()],
        None => vec![words],
    }
}

/// Where two topics are only named, nothing being asked of them: "beasiswa dan asrama".
fn between_topics(words: &[Word], lexicon: &Lexicon) -> Option<usize> {
    let listed = |list: &[&str], word: &Word| list.contains(&word.text.as_str());
    let mut joins = words
        .iter()
        .enumerate()
        .filter(|(_, word)| listed(JOINING, word));
    let (at, _) = joins.next()?;
    let topics = |words: &[Word]| {
        let content = words.iter().filter(|word| !lexicon.is_filler(&word.text));
        let found: Vec<bool> = content
            .map(|word| lexicon.is_light(&stem(&word.text)))
            .collect();
        (1..=NAMED_TOPIC).contains(&found.len()) && !found.contains(&true)
    };
    let only = joins.next().is_none() && kind::detect(words, lexicon) == kind::QuestionKind::Open;
    (only && topics(&words[..at]) && topics(&words[at + 1..])).then_some(at)
}

/// Begins with an aspect that a topic follows.
fn names_aspect(words: &[Word], lexicon: &Lexicon) -> bool {
    let mut content = words.iter().filter(|word| !lexicon.is_filler(&word.text));
    let aspect = content
        .next()
        .is_some_and(|word| lexicon.is_light(&stem(&word.text)));
    aspect && content.any(|word| !lexicon.is_light(&stem(&word.text)))
}

fn begins_question(words: &[Word], skip: usize, lexicon: &Lexicon) -> bool {
    let texts: Vec<String> = words
        .iter()
        .skip(skip)
        .take(4)
        .map(|word| word.text.clone())
        .collect();
    kind::is_question_word(&texts, lexicon)
}

fn asks(words: &[Word], lexicon: &Lexicon) -> bool {
    (0..words.len()).any(|at| begins_question(words, at, lexicon))
        || (words.len() > 1 && kind::detect(words, lexicon) != kind::QuestionKind::Open)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::words::{text, words};

    #[test]
    fn a_message_is_divided_between_questions_only() {
        let lexicon = Lexicon::bundled();
        for (message, expected) in [
            (
                "Berapa SKS untuk lulus dan bagaimana cara cuti?",
                vec!["Berapa SKS untuk lulus", "bagaimana cara cuti?"],
            ),
            ("Apa itu UKT dan IPI?", vec!["Apa itu UKT dan IPI?"]),
            (
                "Berapa UKT? Kapan dibayar?",
                vec!["Berapa UKT?", "Kapan dibayar?"],
            ),
            ("syarat dan cara cuti", vec!["syarat dan cara cuti"]),
            (
                "Saya mahasiswa S2. Berapa SKS-nya?",
                vec!["Saya mahasiswa S2. Berapa SKS-nya?"],
            ),
            (
                "Apakah boleh cuti atau pindah jurusan?",
                vec!["Apakah boleh cuti atau pindah jurusan?"],
            ),
            (
                "siapa rektornya, kapan dilantik",
                vec!["siapa rektornya", "kapan dilantik"],
            ),
            (
                "jadwal wisuda sama jam buka perpustakaan",
                vec!["jadwal wisuda", "jam buka perpustakaan"],
            ),
            ("beasiswa dan asrama itb", vec!["beasiswa", "asrama itb"]),
            ("", vec![]),
        ] {
            let parts = questions(message, words(message, &lexicon), &lexicon);
            let found: Vec<String> = parts.iter().map(|part| text(message, part)).collect();
            assert_eq!(found, expected, "{message}");
        }
    }
}
