//! What an answer states, as far as it can be compared with a passage.

use std::collections::BTreeMap;

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
/// A lean at the start of the text is about the sentence that follows.
pub fn claims(text: &str, leans: &[Lean], lexicon: &Lexicon) -> Vec<Claim> {
    let mut claims = Vec::with_capacity(leans.len());
    let mut from = 0;
    let mut last = 0;
    for lean in leans {
        if lean.at > last {
            from = last;
            last = lean.at;
        }
        let since = Claim::of(&text[from..lean.at], lexicon);
        claims.push(match since.size() {
            0 => Claim::of(sentence_at(text, lean.at), lexicon),
            _ => since,
        });
    }
    claims
}

/// The sentence that ends at or goes on over `at`.
fn sentence_at(text: &str, at: usize) -> &str {
    let mut ranges = sentences(text).into_iter();
    let found = ranges.find(|range| range.end >= at);
    found.map_or(text, |range| &text[range])
}
