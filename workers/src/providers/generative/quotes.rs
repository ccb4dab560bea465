//! Citations: which part of a passage an answer's statement rests on.
//!
//! The model only says which passage; the words that are quoted are chosen here, and stand in the passage as they are
//! quoted because they are cut out of it.

mod claim;

use std::{
    collections::{BTreeSet, HashSet},
    ops::Range,
    rc::Rc,
};

use common::turn::Citation;

use super::{marks::Lean, prompt::Shown, units::units};
use crate::knowledge::{analyser::stems, lexicon::Lexicon};
use claim::{Claim, claims};

/// Neighbouring sentences or items that one quote may hold.
const MAX_UNITS: usize = 6;

/// A longer quote is not read; one sentence that is longer is cut.
const MAX_QUOTE_CHARS: usize = 600;

/// The share of a statement's weight that one more sentence must add to be quoted too.
const WORTH_OF_UNIT: f32 = 0.1;

/// Without marks a statement is held to rest on a passage when its best quote holds this share of its stems. Below, half
/// of what is said is not in the quote, and naming it as the source would say more than is known. Set by hand; no
/// sweep over other values has been made.
const ATTRIBUTED_SHARE: f32 = 0.6;

/// A statement of fewer stems fits too many passages to be attributed.
const ATTRIBUTED_STEMS: usize = 3;

/// Citations of an answer whose model said where it leans on which passage, in the order in which it first does.
///
/// Where an answer leans on a passage more than once, the statement that the passage supports best gives the quote.
pub fn cited(text: &str, leans: &[Lean], shown: &[Shown<'_>], lexicon: &Lexicon) -> Vec<Citation> {
    let mut best: Vec<(usize, Quote)> = Vec::new();
    let mut sources: Vec<Option<Source>> = shown.iter().map(|_| None).collect();
    let claims = claims(text, leans, lexicon);
    let mut seen = HashSet::new();
    for (lean, claim) in leans.iter().zip(&claims) {
        for &passage in &lean.passages {
            if !seen.insert((Rc::as_ptr(claim), passage)) {
                continue;
            }
            let source =
                sources[passage].get_or_insert_with(|| Source::of(shown[passage].text, lexicon));
            let Some(quote) = source.quote_for(claim) else {
                continue;
            };
            match best.iter_mut().find(|(known, _)| *known == passage) {
                Some((_, known)) if quote.share > known.share => *known = quote,
                Some(_) => {}
                None => best.push((passage, quote)),
            }
        }
    }
    citations(&best, shown)
}

/// Citations of an answer without marks: each statement's that one passage clearly supports.
pub fn attributed(text: &str, shown: &[Shown<'_>], lexicon: &Lexicon) -> Vec<Citation> {
    let sources: Vec<Source> = shown
        .iter()
        .map(|shown| Source::of(shown.text, lexicon))
        .collect();
    let mut best: Vec<(usize, Quote)> = Vec::new();
    for sentence in units(text) {
        let claim = Claim::of(&text[sentence], lexicon);
        if claim.size() < ATTRIBUTED_STEMS {
            continue;
        }
        let quotes = sources.iter().enumerate();
        let quotes =
            quotes.filter_map(|(passage, source)| Some((passage, source.quote_for(&claim)?)));
        // Of equals the first, which the search found better.
        let Some((passage, quote)) = quotes.reduce(|best, next| {
            if next.1.share > best.1.share {
                next
            } else {
                best
            }
        }) else {
            continue;
        };
        let known = best.iter().any(|(known, _)| *known == passage);
        if quote.share >= ATTRIBUTED_SHARE && !known {
            best.push((passage, quote));
        }
    }
    citations(&best, shown)
}

fn citations(best: &[(usize, Quote)], shown: &[Shown<'_>]) -> Vec<Citation> {
    let mut citations: Vec<Citation> = Vec::new();
    for (passage, quote) in best {
        let passage = shown[*passage].passage;
        let Some(text) = shown_text(passage.text.get(quote.span.clone())) else {
            continue;
        };
        citations.push(Citation {
            n: u32::try_from(citations.len() + 1).unwrap_or(u32::MAX),
            title: passage.document.title.clone(),
            url: passage.document.url.clone().unwrap_or_default(),
            quote: text.to_owned(),
            score: Some(quote.share),
        });
    }
    citations
}

/// What is quoted must be there: a span that the passage does not have, or that holds nothing, cites nothing.
fn shown_text(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.trim().is_empty())
}

/// A part of a passage, and the share of a claim's stems that it holds.
#[derive(Debug, Clone, PartialEq)]
struct Quote {
    /// In bytes of the passage's text; what is shown of it is its start.
    span: Range<usize>,
    share: f32,
}

/// A passage's text, ready to be quoted from.
struct Source {
    units: Vec<Unit>,
}

struct Unit {
    span: Range<usize>,
    chars: usize,
    stems: BTreeSet<String>,
}

impl Source {
    fn of(text: &str, lexicon: &Lexicon) -> Self {
        let unit = |span: Range<usize>| {
            let span = span.start..span.start + bounded(&text[span]).len();
            let words = &text[span.clone()];
            Unit {
                chars: words.chars().count(),
                stems: stems(words, lexicon).into_iter().collect(),
                span,
            }
        };
        Self {
            units: units(text).into_iter().map(unit).collect(),
        }
    }

    /// The neighbouring units that hold most of a claim, as few as do; the first unit when none holds any.
    fn quote_for(&self, claim: &Claim) -> Option<Quote> {
        let first = self.units.first()?;
        let mut best = Quote {
            span: first.span.clone(),
            share: claim.share_in(|stem| first.stems.contains(stem)),
        };
        let mut best_worth = claim.weight_in(|stem| first.stems.contains(stem));
        for start in 0..self.units.len() {
            for (more, unit) in self.window(start).enumerate() {
                let seen = &self.units[start..=start + more];
                let holds = |stem: &str| seen.iter().any(|unit| unit.stems.contains(stem));
                let worth = claim.weight_in(holds) - WORTH_OF_UNIT * more as f32;
                if worth > best_worth + f32::EPSILON {
                    best_worth = worth;
                    best = Quote {
                        span: self.units[start].span.start..unit.span.end,
                        share: claim.share_in(holds),
                    };
                }
            }
        }
        Some(best)
    }

    /// The units from `start` on that fit into one quote.
    fn window(&self, start: usize) -> impl Iterator<Item = &Unit> {
        let mut chars = 0;
        self.units[start..]
            .iter()
            .take(MAX_UNITS)
            .enumerate()
            .take_while(move |(more, unit)| {
                chars += unit.chars + 1;
                *more == 0 || chars <= MAX_QUOTE_CHARS
            })
            .map(|(_, unit)| unit)
    }
}

/// The start of a sentence that is too long to be quoted whole.
fn bounded(sentence: &str) -> &str {
    match sentence.char_indices().nth(MAX_QUOTE_CHARS) {
        None => sentence,
        Some((limit, _)) => {
            let window = &sentence[..limit];
            let end = window.rfind(char::is_whitespace).unwrap_or(limit);
            window[..end].trim_end()
        }
    }
}

#[cfg(test)]
mod tests;
