//! Joins what was chosen into one readable text with its citations.

use super::replies::Institution;
use super::select::Choice;
use super::{Answer, Citation};
use crate::knowledge::Passage;
use crate::knowledge::chunk::item_text;
use crate::query::Query;
use crate::query::language::Language;

/// The answer to all questions of a turn; at least one of them has a choice.
pub fn answer(
    choices: &[Vec<Choice>],
    queries: &[Query],
    passages: &[Passage],
    institution: &Institution,
    language: Language,
) -> Answer {
    let mut citations: Vec<Citation> = Vec::new();
    let mut parts: Vec<String> = Vec::new();
    for (choices, query) in choices.iter().zip(queries) {
        if choices.is_empty() {
            parts.push(institution.part_not_found(&query.text, language));
        }
        for choice in choices {
            let citation = citation(citations.len() + 1, choice, &passages[choice.passage]);
            if !citations.iter().any(|known| known.repeats(&citation)) {
                parts.push(format!("{} [{}]", speakable(&citation.quote), citation.n));
                citations.push(citation);
            }
        }
    }
    let quoted = citations.iter().map(|citation| citation.quote.as_str());
    if let Some(opening) = institution.quoting(quoted, language) {
        parts.insert(0, opening);
    }
    Answer {
        text: parts.join(" "),
        citations,
        declined: false,
    }
}

fn citation(n: usize, choice: &Choice, passage: &Passage) -> Citation {
    Citation {
        n,
        document_id: passage.document.id.clone(),
        title: passage.document.title.clone(),
        url: passage.document.url.clone(),
        quote: passage.text[choice.span.clone()].to_owned(),
        score: choice.confidence,
    }
}

impl Citation {
    fn repeats(&self, other: &Self) -> bool {
        self.document_id == other.document_id && self.quote.contains(&other.quote)
    }
}

/// One paragraph: list items become parts of a sentence, or sentences when they are long.
fn speakable(quote: &str) -> String {
    let mut text = String::with_capacity(quote.len());
    let mut items: Vec<&str> = Vec::new();
    for line in quote.lines() {
        match item_text(line) {
            Some((_, item)) => items.push(item),
            None => {
                close_list(&mut text, &mut items);
                push_sentence(&mut text, line);
            }
        }
    }
    close_list(&mut text, &mut items);
    text
}

fn push_sentence(text: &mut String, sentence: &str) {
    if !text.is_empty() {
        text.push(' ');
    }
    text.push_str(sentence);
}

/// Items up to this length are joined into one sentence.
const SHORT_ITEM_CHARS: usize = 60;

fn close_list(text: &mut String, items: &mut Vec<&str>) {
    let trimmed: Vec<&str> = items
        .drain(..)
        .map(|item| item.trim_end_matches([';', '.', ',']))
        .collect();
    let short = trimmed
        .iter()
        .all(|item| item.chars().count() <= SHORT_ITEM_CHARS);
    match trimmed.as_slice() {
        [] => {}
        [one] => push_sentence(text, &format!("{one}.")),
        [first, last] if short => push_sentence(text, &format!("{first} dan {last}.")),
        [others @ .., last] if short => {
            push_sentence(text, &format!("{}, dan {last}.", others.join(", ")))
        }
        all => all
            .iter()
            .for_each(|item| push_sentence(text, &format!("{item}."))),
    }
}

/// Drops marks such as ` [1]`.
pub fn without_marks(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('[') {
        let inner = &rest[at + 1..];
        let digits = inner.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 && inner[digits..].starts_with(']') {
            plain.push_str(rest[..at].trim_end_matches(' '));
            rest = &inner[digits + 1..];
        } else {
            plain.push_str(&rest[..=at]);
            rest = inner;
        }
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_joined_into_sentences() {
        for (quote, text) in [
            (
                "Kampusnya:\n- Ganesha\n- Jatinangor;\n- Cirebon.",
                "Kampusnya: Ganesha, Jatinangor, dan Cirebon.",
            ),
            ("1. Isi formulir\n2. Kirim", "Isi formulir dan Kirim."),
            ("Satu.\nDua.", "Satu. Dua."),
        ] {
            assert_eq!(speakable(quote), text, "{quote}");
        }
    }

    #[test]
    fn marks_are_dropped_and_other_brackets_stay() {
        assert_eq!(
            without_marks("Ya. [1] Dan [a] juga. [12]"),
            "Ya. Dan [a] juga."
        );
        assert_eq!(without_marks("terbuka ["), "terbuka [");
    }
}
