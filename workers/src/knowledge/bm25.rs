//! BM25 over fields, with synonyms counted as one word.
//!
//! Field weights and length normalisation act on the term frequency before saturation (BM25F, Robertson, Zaragoza and
//! Taylor 2004), so a word in title and text is not counted as two words. The forms of a query term pool their
//! frequencies and share one document frequency: a rare synonym must not weigh more than the word that was asked for.

use std::collections::HashMap;

/// Saturation of the term frequency; the usual value.
const K1: f32 = 1.2;

/// One field of a unit: its terms and how they count.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// How much one occurrence counts.
    pub weight: f32,
    /// 0 ignores the field's length, 1 divides by it.
    pub normalisation: f32,
}

/// The terms of one unit (a passage or a document) by field, as numbers.
pub type UnitTerms<const FIELDS: usize> = [Vec<u32>; FIELDS];

/// One form of a query term: term numbers that must all occur, and its weight.
#[derive(Debug, Clone)]
pub struct NumberedForm {
    pub terms: Vec<u32>,
    pub weight: f32,
}

#[derive(Debug, Clone, Copy)]
struct Posting {
    unit: u32,
    frequency: f32,
}

/// Where each term occurs.
#[derive(Debug, Default)]
pub struct Postings {
    lists: Vec<Vec<Posting>>,
    units: usize,
}

impl Postings {
    /// Counts the terms of all units.
    pub fn build<const FIELDS: usize>(
        units: &[UnitTerms<FIELDS>],
        fields: [Field; FIELDS],
        terms: usize,
    ) -> Self {
        let averages = average_lengths(units);
        let mut lists = vec![Vec::new(); terms];
        let mut frequencies: HashMap<u32, f32> = HashMap::new();
        for (unit, texts) in units.iter().enumerate() {
            for ((text, field), average) in texts.iter().zip(fields).zip(averages) {
                let norm =
                    1.0 - field.normalisation + field.normalisation * text.len() as f32 / average;
                for term in text {
                    *frequencies.entry(*term).or_default() += field.weight / norm;
                }
            }
            for (term, frequency) in frequencies.drain() {
                lists[term as usize].push(Posting {
                    unit: unit as u32,
                    frequency,
                });
            }
        }
        lists.iter_mut().for_each(Vec::shrink_to_fit);
        Self {
            lists,
            units: units.len(),
        }
    }

    /// How many units hold a term.
    pub fn document_frequency(&self, term: u32) -> usize {
        self.lists.get(term as usize).map_or(0, Vec::len)
    }

    /// Adds the score of one query term to `scores`, which has one place per unit.
    pub fn score(&self, forms: &[NumberedForm], weight: f32, scores: &mut [f32]) {
        let mut hits: Vec<(u32, f32, f32)> = Vec::new();
        for form in forms {
            let postings = self.conjunction(&form.terms).into_iter();
            hits.extend(
                postings
                    .map(|posting| (posting.unit, posting.frequency * form.weight, form.weight)),
            );
        }
        hits.sort_unstable_by_key(|(unit, ..)| *unit);
        hits.dedup_by(
            |(unit, frequency, weight), (kept, best_frequency, best_weight)| {
                *best_frequency = best_frequency.max(if unit == kept { *frequency } else { 0.0 });
                *best_weight = best_weight.max(if unit == kept { *weight } else { 0.0 });
                unit == kept
            },
        );
        let held_by = hits.iter().map(|(_, _, weight)| weight).sum();
        let idf = inverse_document_frequency(self.units as f32, held_by);
        for (unit, frequency, _) in hits {
            scores[unit as usize] += weight * idf * saturated(frequency);
        }
    }

    /// The units that hold all terms, each with the frequency of the rarest.
    fn conjunction(&self, terms: &[u32]) -> Vec<Posting> {
        let mut lists: Vec<&Vec<Posting>> = Vec::with_capacity(terms.len());
        for term in terms {
            match self.lists.get(*term as usize) {
                Some(list) => lists.push(list),
                None => return Vec::new(),
            }
        }
        lists.sort_by_key(|list| list.len());
        let Some((rarest, others)) = lists.split_first() else {
            return Vec::new();
        };
        let in_all = |posting: &&Posting| {
            others.iter().all(|list| {
                list.binary_search_by_key(&posting.unit, |other| other.unit)
                    .is_ok()
            })
        };
        rarest.iter().filter(in_all).copied().collect()
    }

    /// Bytes held, roughly.
    pub fn bytes(&self) -> usize {
        let lists = self.lists.capacity() * size_of::<Vec<Posting>>();
        lists
            + self
                .lists
                .iter()
                .map(|list| list.capacity() * size_of::<Posting>())
                .sum::<usize>()
    }
}

fn average_lengths<const FIELDS: usize>(units: &[UnitTerms<FIELDS>]) -> [f32; FIELDS] {
    std::array::from_fn(|field| {
        let total: usize = units.iter().map(|unit| unit[field].len()).sum();
        (total as f32 / units.len().max(1) as f32).max(1.0)
    })
}

/// How much a word counts that occurs so often: ever less for each time more.
pub fn saturated(frequency: f32) -> f32 {
    frequency * (K1 + 1.0) / (K1 + frequency)
}

/// Never negative: a word in every unit tells nothing, it does not count against one.
fn inverse_document_frequency(units: f32, held_by: f32) -> f32 {
    let held_by = held_by.min(units);
    (1.0 + (units - held_by + 0.5) / (held_by + 0.5)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: [Field; 2] = [
        Field {
            weight: 2.0,
            normalisation: 0.3,
        },
        Field {
            weight: 1.0,
            normalisation: 0.7,
        },
    ];

    fn scores(units: &[UnitTerms<2>], forms: &[(&[u32], f32)]) -> Vec<f32> {
        let postings = Postings::build(units, FIELDS, 10);
        let forms: Vec<NumberedForm> = forms
            .iter()
            .map(|(terms, weight)| NumberedForm {
                terms: terms.to_vec(),
                weight: *weight,
            })
            .collect();
        let mut scores = vec![0.0; units.len()];
        postings.score(&forms, 1.0, &mut scores);
        scores
    }

    #[test]
    fn a_title_counts_more_than_text_and_a_short_text_more_than_a_long_one() {
        let found = scores(
            &[
                [vec![1], vec![2]],
                [vec![2], vec![1, 3]],
                [vec![2], vec![1, 3, 4, 5, 6]],
                [vec![], vec![2]],
            ],
            &[(&[1], 1.0)],
        );
        assert!(found[0] > found[1] && found[1] > found[2] && found[2] > 0.0 && found[3] == 0.0);
    }

    #[test]
    fn forms_count_as_one_word_and_several_words_must_all_occur() {
        let units = [
            [vec![], vec![1]],
            [vec![], vec![2, 3]],
            [vec![], vec![2]],
            [vec![], vec![1, 2, 3]],
            [vec![], vec![9]],
        ];
        let found = scores(&units, &[(&[1], 1.0), (&[2, 3], 0.5)]);
        assert!(found[0] > found[1] && found[1] > 0.0);
        assert_eq!(found[2], 0.0);
        assert!(found[3] <= found[0]);
    }

    #[test]
    fn unknown_terms_and_empty_collections_score_nothing() {
        assert_eq!(
            scores(&[[vec![], vec![1]]], &[(&[77], 1.0), (&[], 1.0)]),
            [0.0]
        );
        assert!(scores(&[], &[(&[1], 1.0)]).is_empty());
    }
}
