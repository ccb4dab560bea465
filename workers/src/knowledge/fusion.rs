//! Several rankings made into one.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use super::Passage;

/// Reciprocal rank fusion (Cormack, Clarke and Büttcher 2009, who found 60).
const RANK_CONSTANT: f32 = 60.0;

/// What one search found, best first.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking<K> {
    /// How much it counts beside the others.
    pub weight: f32,
    pub found: Vec<K>,
}

/// All that was found with its score, best first.
///
/// Ranks are fused, not scores: a cosine and a BM25 score are not comparable. What scores the same is ordered by its
/// key, so that a search gives the same answer twice.
pub fn fuse<K: Eq + Hash + Ord>(rankings: impl IntoIterator<Item = Ranking<K>>) -> Vec<(K, f32)> {
    let mut scores: HashMap<K, f32> = HashMap::new();
    for ranking in rankings {
        for (rank, found) in ranking.found.into_iter().enumerate() {
            *scores.entry(found).or_default() +=
                ranking.weight / (RANK_CONSTANT + rank as f32 + 1.0);
        }
    }
    let mut fused: Vec<(K, f32)> = scores.into_iter().collect();
    fused.sort_unstable_by(|left, right| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0)));
    fused
}

/// The first `top` passages whose text has not come before: a document that was loaded twice under two names must not
/// take the places of others.
pub fn distinct(passages: impl IntoIterator<Item = Passage>, top: usize) -> Vec<Passage> {
    let mut seen = HashSet::new();
    let is_new = |passage: &Passage| {
        let words: Vec<&str> = passage.text.split_whitespace().collect();
        seen.insert(words.join(" "))
    };
    passages.into_iter().filter(is_new).take(top).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::knowledge::DocumentRef;

    fn ranking(weight: f32, found: &[&'static str]) -> Ranking<&'static str> {
        Ranking {
            weight,
            found: found.to_vec(),
        }
    }

    fn order(rankings: Vec<Ranking<&'static str>>) -> Vec<&'static str> {
        fuse(rankings).into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn what_several_rankings_hold_comes_before_what_one_holds() {
        let fused = order(vec![
            ranking(1.0, &["a", "b", "c"]),
            ranking(1.0, &["d", "b"]),
        ]);
        assert_eq!(fused, ["b", "a", "d", "c"]);
    }

    #[test]
    fn a_heavier_ranking_counts_more_and_equals_are_ordered_by_key() {
        assert_eq!(
            order(vec![ranking(1.0, &["a"]), ranking(2.0, &["b"])]),
            ["b", "a"]
        );
        assert_eq!(
            order(vec![ranking(1.0, &["b"]), ranking(1.0, &["a"])]),
            ["a", "b"]
        );
        assert!(order(vec![ranking(1.0, &[])]).is_empty());
    }

    #[test]
    fn of_passages_with_the_same_words_the_first_stays() {
        let passage = |id: &str, text: &str| Passage {
            id: id.into(),
            document: DocumentRef {
                id: id.into(),
                title: id.into(),
                url: None,
            },
            heading: None,
            page: None,
            text: text.into(),
            score: 1.0,
        };
        let found = distinct(
            [
                passage("a", "satu dua"),
                passage("b", "satu\n dua "),
                passage("c", "tiga"),
                passage("d", "empat"),
            ],
            2,
        );
        let ids: Vec<&str> = found.iter().map(|passage| passage.id.as_str()).collect();
        assert_eq!(ids, ["a", "c"]);
    }
}
