//! How much of a question a text covers, and whether that is an answer.

use crate::knowledge::vocabulary::Vocabulary;
use crate::query::{Form, Query, Role, Term};

use super::select::Choice;

/// The share of the question's weight that has to be covered. Chosen by hand on question sets over the bundled documents
/// (`ops/eval`): lower answers more, and more of what the documents do not hold.
const THRESHOLD: f32 = 0.62;

/// A word in every passage still counts a little: it may be all that the question holds ("Apa itu ITB?").
const LEAST_RARITY: f32 = 0.1;

/// A name that the collection lacks weighs more than any word that it has.
const NAME_WEIGHT: f32 = 1.5;

/// A term with its weight for the question.
#[derive(Debug)]
pub struct Weighed<'a> {
    pub term: &'a Term,
    pub weight: f32,
    /// The collection knows a way to say it. Others can only lower the coverage.
    pub known: bool,
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
            known: term.forms.iter().any(|form| is_known(form, vocabulary)),
            weight: term.weight * name * rarity(term, vocabulary).max(LEAST_RARITY),
        }
    };
    query.terms.iter().map(weigh).collect()
}

/// Below this weight a form is something near, not the same thing.
const SAME_THING: f32 = 0.8;

/// The rarity of the most common way to say a term; a rare synonym must not make a common thing weigh more. 1 when the
/// collection knows none.
fn rarity(term: &Term, vocabulary: &dyn Vocabulary) -> f32 {
    let known = |form: &&Form| is_known(form, vocabulary);
    let rarity = |form: &Form| {
        form.stems
            .iter()
            .map(|stem| vocabulary.rarity(stem))
            .fold(0.0, f32::max)
    };
    let same = term
        .forms
        .iter()
        .filter(|form| form.weight >= SAME_THING)
        .filter(known);
    let least = same.map(rarity).fold(f32::INFINITY, f32::min);
    if least.is_finite() {
        return least;
    }
    term.forms.iter().find(known).map_or(1.0, rarity)
}

fn is_known(form: &Form, vocabulary: &dyn Vocabulary) -> bool {
    form.stems.iter().all(|stem| vocabulary.contains(stem))
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
            .any(|window| stand_in_order(several, window)),
    }
}

/// "Beban studi program sarjana" does not speak of a "program studi".
fn stand_in_order(wanted: &[String], window: &[String]) -> bool {
    let mut rest = window.iter();
    wanted.iter().all(|stem| rest.any(|found| found == stem))
}

/// Whether a choice answers its question.
pub fn is_answer(choice: &Choice, query: &Query) -> bool {
    choice.confidence >= THRESHOLD && !query.personal
}
