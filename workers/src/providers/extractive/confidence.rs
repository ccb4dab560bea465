//! How much of a question a text covers, and whether that is an answer.

use crate::knowledge::vocabulary::Vocabulary;
use crate::query::{Query, Role, Term};

use super::select::Choice;

/// The share of the question's weight that has to be covered. Tuned on the evaluation questions: between 0.55 and 0.65
/// neither wrong answers nor wrong refusals change much.
const THRESHOLD: f32 = 0.6;

/// A word in every passage still counts a little: it may be all that the question holds ("Apa itu ITB?").
const LEAST_RARITY: f32 = 0.1;

/// A name that the collection lacks weighs more than any word that it has.
const NAME_WEIGHT: f32 = 1.5;

/// A term with its weight for the question.
#[derive(Debug)]
pub struct Weighed<'a> {
    pub term: &'a Term,
    pub weight: f32,
}

/// The terms of a query, weighed by how much they tell passages apart. A word that the collection lacks weighs most.
pub fn weigh<'a>(query: &'a Query, vocabulary: &dyn Vocabulary) -> Vec<Weighed<'a>> {
    let weigh = |term: &'a Term| {
        let name = if term.role == Role::Name {
            NAME_WEIGHT
        } else {
            1.0
        };
        Weighed {
            term,
            weight: term.weight * name * rarity(term, vocabulary).max(LEAST_RARITY),
        }
    };
    query.terms.iter().map(weigh).collect()
}

/// The rarity of the first form that the collection knows: a rare synonym must not make a common word weigh more.
fn rarity(term: &Term, vocabulary: &dyn Vocabulary) -> f32 {
    let known = term
        .forms
        .iter()
        .find(|form| form.stems.iter().all(|stem| vocabulary.contains(stem)));
    let stems = known.map(|form| form.stems.iter());
    stems.map_or(1.0, |stems| {
        stems
            .map(|stem| vocabulary.rarity(stem))
            .fold(0.0, f32::max)
    })
}

/// The weighed mean of the terms' strengths.
pub fn share(terms: &[Weighed], strengths: &[f32]) -> f32 {
    let total: f32 = terms.iter().map(|term| term.weight).sum();
    if total <= 0.0 {
        return 0.0;
    }
    let weighed = terms
        .iter()
        .zip(strengths)
        .map(|(term, strength)| term.weight * strength);
    weighed.sum::<f32>() / total
}

/// How well the words of a text match a term, 0 to 1.
pub fn strength(term: &Term, stems: &[String]) -> f32 {
    let forms = term
        .forms
        .iter()
        .filter(|form| holds(stems, &form.stems, term.role));
    forms.map(|form| form.weight).fold(0.0, f32::max)
}

/// Whether the words stand together, for a name without anything between them.
fn holds(stems: &[String], wanted: &[String], role: Role) -> bool {
    let gap = if role == Role::Name { 0 } else { 2 };
    match wanted {
        [] => false,
        [one] => stems.contains(one),
        several => stems
            .windows((several.len() + gap).min(stems.len()).max(1))
            .any(|window| several.iter().all(|stem| window.contains(stem))),
    }
}

/// Whether a choice answers its question.
pub fn is_answer(choice: &Choice) -> bool {
    choice.confidence >= THRESHOLD && choice.names_found
}
