//! What an answer states, as far as it can be compared with a passage.

use std::{collections::BTreeMap, ops::Range, rc::Rc};

use crate::{
    knowledge::{
        analyser::{stems, token::tokens},
        lexicon::Lexicon,
        sentence::sentences,
    },
    providers::generative::marks::Lean,
};

/// A number or a name tells more of what a statement rests on than other words: they are what answers get wrong, and
/// what stays the same in another language.
const TELLING_WEIGHT: f32 = 2.0;

/// The stems of a statement that have content, each with its weight.
#[derive(Debug)]
pub struct Claim {
    stems: BTreeMap<String, f32>,
}

impl Claim {
    pub fn of(statement: &str, lexicon: &Lexicon) -> Self {
        let mut weighed = BTreeMap::new();
        for (at, token) in tokens(statement).into_iter().enumerate() {
            if lexicon.is_english_filler(&token.text) {
                continue;
            }
            let number = token.text.starts_with(|c: char| c.is_ascii_digit());
            // Every sentence begins with a capital.
            let name = token.capital && at > 0;
            let weight = if number || name { TELLING_WEIGHT } else { 1.0 };
            for stem in stems(&statement[token.span], lexicon) {
                let known: &mut f32 = weighed.entry(stem).or_insert(weight);
                *known = known.max(weight);
            }
        }
        Self { stems: weighed }
    }

    /// Distinct stems.
    pub fn size(&self) -> usize {
        self.stems.len()
    }

    /// The share of its stems that a text holds, 0 to 1.
    pub fn share_in(&self, holds: impl Fn(&str) -> bool) -> f32 {
        let found = self.stems.keys().filter(|stem| holds(stem));
        found.count() as f32 / self.stems.len().max(1) as f32
    }

    /// The same by weight.
    pub fn weight_in(&self, holds: impl Fn(&str) -> bool) -> f32 {
        let all: f32 = self.stems.values().sum();
        let found = self.stems.iter().filter(|(stem, _)| holds(stem));
        found.map(|(_, weight)| weight).sum::<f32>() / all.max(1.0)
    }
}

/// What is stated before each lean: the words since the last lean before it, and the whole sentence when there are none.
///
/// A lean at the start of the text is about the sentence that follows. Leans that share a statement share its claim, so
/// that a model that sets a mark behind each letter makes no more work than one that writes prose.
pub fn claims(text: &str, leans: &[Lean], lexicon: &Lexicon) -> Vec<Rc<Claim>> {
    let mut whole = Sentences::of(text);
    let mut claims: Vec<Rc<Claim>> = Vec::with_capacity(leans.len());
    let mut from = 0;
    let mut last = 0;
    for lean in leans {
        let same = claims.last().filter(|_| lean.at == last).cloned();
        if lean.at > last {
            from = last;
            last = lean.at;
        }
        claims.push(same.unwrap_or_else(|| {
            let since = Claim::of(&text[from..lean.at], lexicon);
            match since.size() {
                0 => whole.claim_at(lean.at, lexicon),
                _ => Rc::new(since),
            }
        }));
    }
    claims
}

/// The sentences of a text, and the claim of the one that was asked for last.
struct Sentences<'a> {
    text: &'a str,
    ranges: Vec<Range<usize>>,
    last: Option<(Range<usize>, Rc<Claim>)>,
}

impl<'a> Sentences<'a> {
    fn of(text: &'a str) -> Self {
        Self {
            text,
            ranges: sentences(text),
            last: None,
        }
    }

    /// Of the sentence that ends at or goes on over `at`.
    fn claim_at(&mut self, at: usize, lexicon: &Lexicon) -> Rc<Claim> {
        let place = self.ranges.partition_point(|range| range.end < at);
        let range = self
            .ranges
            .get(place)
            .cloned()
            .unwrap_or(0..self.text.len());
        match &self.last {
            Some((known, claim)) if *known == range => Rc::clone(claim),
            _ => {
                let claim = Rc::new(Claim::of(&self.text[range.clone()], lexicon));
                self.last = Some((range, Rc::clone(&claim)));
                claim
            }
        }
    }
}
