//! Chooses the sentences that answer one question.

use std::ops::Range;

use super::confidence::{Weighed, share};
use super::evidence::Evidence;
use super::fit::{Candidate, Words, candidates};
use super::reading::{Reading, Shape};
use crate::query::kind::QuestionKind;
use crate::query::{Query, Role};

/// Characters of an answer to one question; a list may be longer.
const MAX_CHARS: usize = 420;

/// Sentences of one passage in an answer.
const MAX_SENTENCES: usize = 3;

/// A sentence beside the best one joins it when it scores nearly as well; in questions that want the whole picture
/// sooner than in those for a single fact.
const JOINS_WHOLE: f32 = 0.8;
const JOINS_FACT: f32 = 0.9;

/// A second passage joins when it covers this much of the question that the first leaves open, and fits nearly as well.
const ADDED_COVERAGE: f32 = 0.12;
const SECOND_SCORE: f32 = 0.8;

/// Lists of one document that a question puts in one word: "fakultas apa saja" wants the schools too.
const MAX_LISTS: usize = 3;

/// What answers one question: units of one passage.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Which passage.
    pub passage: usize,
    /// Which part of its text, in bytes.
    pub span: Range<usize>,
    /// How much of the question is covered, 0 to 1.
    pub confidence: f32,
}

/// The best part of the passages, and a second one where it adds something; empty when there is nothing to choose from.
/// At most `room` sentences, lists aside.
pub fn choose(
    query: &Query,
    terms: &[Weighed],
    readings: &[Reading],
    evidence: &Evidence,
    words: Words,
    room: usize,
) -> Vec<Choice> {
    let kind = query.kind;
    let found = candidates(query, terms, readings, evidence, words);
    let Some(best) = best(found.iter().filter(|found| found.to_the_point)) else {
        return Vec::new();
    };
    let others = found.iter().filter(|other| {
        other.to_the_point
            && other.passage != best.passage
            && other.score >= SECOND_SCORE * best.score
            && (added(other, best, terms) >= ADDED_COVERAGE || completes(other, best, readings))
    });
    let others: Vec<&Candidate> = others.collect();
    let mut chosen = vec![best];
    chosen.extend(self::best(others.iter().copied()));
    while chosen.len() < MAX_LISTS {
        let apart = others.iter().copied().filter(|other| {
            let taken = chosen.iter().any(|chosen| chosen.passage == other.passage);
            !taken && completes(other, best, readings)
        });
        match self::best(apart) {
            Some(next) => chosen.push(next),
            None => break,
        }
    }
    let mut left = room;
    let mut choices: Vec<Choice> = Vec::new();
    for part in chosen {
        let whole = if best.lists {
            MAX_SENTENCES
        } else {
            left.min(MAX_SENTENCES)
        };
        if whole > 0 {
            let (units, choice) = choice(kind, part, &found, readings, whole);
            left = left.saturating_sub(units);
            choices.push(choice);
        }
    }
    // An introduction reads better before the details, however well these fit.
    choices.sort_by_key(|choice| !readings[choice.passage].is_introduction());
    choices
}

fn best<'a>(candidates: impl Iterator<Item = &'a Candidate>) -> Option<&'a Candidate> {
    candidates.max_by(|left, right| {
        let earlier = right
            .passage
            .cmp(&left.passage)
            .then(right.unit.cmp(&left.unit));
        left.score.total_cmp(&right.score).then(earlier)
    })
}

/// A document may list in two sections what the question puts in one word.
fn completes(other: &Candidate, best: &Candidate, readings: &[Reading]) -> bool {
    best.lists && other.lists && readings[other.passage].document == readings[best.passage].document
}

/// How much of the question's topics `other` covers beyond `best`.
fn added(other: &Candidate, best: &Candidate, terms: &[Weighed]) -> f32 {
    let direct = other.direct.iter().zip(&best.direct).zip(terms);
    let gains: Vec<f32> = direct
        .map(|((other, best), term)| match term.term.role {
            Role::Aspect => 0.0,
            Role::Topic | Role::Name => (other - best).max(0.0),
        })
        .collect();
    share(terms, &gains)
}

fn choice(
    kind: QuestionKind,
    best: &Candidate,
    found: &[Candidate],
    readings: &[Reading],
    room: usize,
) -> (usize, Choice) {
    let reading = &readings[best.passage];
    let of_passage: Vec<&Candidate> = found
        .iter()
        .filter(|other| other.passage == best.passage)
        .collect();
    let units = extend(kind, best, &of_passage, reading, room);
    let choice = Choice {
        passage: best.passage,
        span: reading.units[units.start].span.start..reading.units[units.end - 1].span.end,
        confidence: best.coverage,
    };
    (units.len(), choice)
}

/// The units to take with the best one: its whole list, or neighbours that belong to the answer.
fn extend(
    kind: QuestionKind,
    best: &Candidate,
    of_passage: &[&Candidate],
    reading: &Reading,
    room: usize,
) -> Range<usize> {
    if let Some(list) = reading.list_around(best.unit) {
        return list;
    }
    let bar = best.score
        * if wants_whole(kind) {
            JOINS_WHOLE
        } else {
            JOINS_FACT
        };
    let mut units = best.unit..best.unit + 1;
    if reading.units[best.unit].continues && best.unit > 0 && room > 1 {
        units.start -= 1;
    }
    let points = |unit: usize| leads_on(kind, best, unit, reading);
    while let Some(grown) = grown(&units, reading, room, |unit| {
        of_passage[unit].score >= bar || points(unit)
    }) {
        units = grown;
    }
    units
}

/// "Jam buka dapat berbeda." alone leaves the question open; the next sentence says where the answer stands.
fn leads_on(kind: QuestionKind, best: &Candidate, unit: usize, reading: &Reading) -> bool {
    let fact = matches!(
        kind,
        QuestionKind::Time | QuestionKind::Quantity | QuestionKind::Duration
    );
    let told = reading.units[best.unit]
        .folded
        .split(' ')
        .any(|word| word.starts_with(|first: char| first.is_ascii_digit()));
    let pointer = |folded: &str| POINTERS.iter().any(|phrase| folded.contains(phrase));
    let next = &reading.units[unit].folded;
    fact && !told
        && unit == best.unit + 1
        && pointer(next)
        && !pointer(&reading.units[best.unit].folded)
}

/// What stands before the place where a figure is kept up to date.
const POINTERS: &[&str] = &[
    " diumumkan di ",
    " diumumkan dalam ",
    " tercantum di ",
    " tercantum dalam ",
    " terdapat di ",
    " ada di laman ",
    " di laman ",
];

/// One more sentence after or before, while the answer stays short.
fn grown(
    units: &Range<usize>,
    reading: &Reading,
    room: usize,
    joins: impl Fn(usize) -> bool,
) -> Option<Range<usize>> {
    let after = (units.end, units.start..units.end + 1);
    let before = (
        units.start.wrapping_sub(1),
        units.start.saturating_sub(1)..units.end,
    );
    [after, before].into_iter().find_map(|(new, grown)| {
        let unit = reading.units.get(new)?;
        let length = reading.units[grown.end - 1].span.end - reading.units[grown.start].span.start;
        let fits = grown.len() <= room && length <= MAX_CHARS;
        (unit.shape == Shape::Sentence && fits && joins(new)).then_some(grown)
    })
}

fn wants_whole(kind: QuestionKind) -> bool {
    matches!(
        kind,
        QuestionKind::Manner
            | QuestionKind::List
            | QuestionKind::Open
            | QuestionKind::Definition
            | QuestionKind::Thing
    )
}
