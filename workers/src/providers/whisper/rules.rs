//! Which tokens may come next, and when a transcript has gone astray. Pure functions over scores and tokens.

use super::tokens::{Token, Vocabulary};

/// The longest phrase that is looked at for going in circles.
const LONGEST_PHRASE: usize = 32;
/// A phrase goes in circles when it comes this often in a row …
const CIRCLES: usize = 3;
/// … and all of them together are this long: "ya, ya, ya" is speech.
const SHORTEST_CIRCLE: usize = 15;

/// What the decoder may never say, whatever the scores are.
#[derive(Debug)]
pub(super) struct Suppression {
    always: Vec<Token>,
    at_first: [Token; 2],
    /// From here on tokens have no text; of them only this one may come.
    end: Token,
}

impl Suppression {
    pub(super) fn new(vocabulary: &Vocabulary) -> Self {
        let end = vocabulary.specials.end;
        let space = vocabulary.encode(" ").first().copied().unwrap_or(end);
        Self {
            always: vocabulary.not_speech.clone(),
            at_first: [space, end],
            end,
        }
    }

    /// `said` is how many tokens came before.
    pub(super) fn apply(&self, scores: &mut [f32], said: usize) {
        let end_score = scores.get(self.end as usize).copied();
        let specials = scores.len().min(self.end as usize);
        scores[specials..].fill(f32::NEG_INFINITY);
        if let (Some(slot), Some(score)) = (scores.get_mut(self.end as usize), end_score) {
            *slot = score;
        }
        let at_first = if said == 0 { &self.at_first[..] } else { &[] };
        for &token in self.always.iter().chain(at_first) {
            if let Some(score) = scores.get_mut(token as usize) {
                *score = f32::NEG_INFINITY;
            }
        }
    }
}

/// Natural logarithms of the probabilities that scores stand for, in place.
pub(super) fn log_softmax(scores: &mut [f32]) {
    let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if !highest.is_finite() {
        return;
    }
    let sum: f32 = scores.iter().map(|score| (score - highest).exp()).sum();
    let log_sum = sum.ln();
    for score in scores {
        // In this order, or large scores lose the digits that matter.
        *score = (*score - highest) - log_sum;
    }
}

/// Where the repetitions of a phrase at the end of `tokens` begin: what stands before holds it once.
pub(super) fn circle(tokens: &[Token]) -> Option<usize> {
    (1..=LONGEST_PHRASE.min(tokens.len() / CIRCLES)).find_map(|phrase| {
        let period_holds = |index: &usize| tokens[*index] == tokens[*index - phrase];
        let repeated = (phrase..tokens.len())
            .rev()
            .take_while(period_holds)
            .count();
        let whole = repeated + phrase;
        let circles = whole >= CIRCLES * phrase && whole >= SHORTEST_CIRCLE;
        circles.then(|| tokens.len() - repeated)
    })
}

/// Whether some `length` neighbouring tokens stand in both lists.
pub(super) fn share_run(said: &[Token], prompt: &[Token], length: usize) -> bool {
    said.windows(length)
        .any(|run| prompt.windows(length).any(|other| run == other))
}

/// How many times smaller zlib makes the text: about 1 for a sentence, above 2.4 for one that goes in circles.
#[allow(
    clippy::cast_precision_loss,
    reason = "a transcript has some hundred bytes"
)]
pub(super) fn compression_ratio(text: &str) -> f32 {
    /// zlib's own default.
    const LEVEL: u8 = 6;
    if text.is_empty() {
        return 0.0;
    }
    let compressed = miniz_oxide::deflate::compress_to_vec_zlib(text.as_bytes(), LEVEL);
    text.len() as f32 / compressed.len() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circles_are_found_and_speech_is_not() {
        let phrase = [5, 6, 7, 8, 9];
        let cases: [(&str, Vec<Token>, Option<usize>); 7] = [
            ("nothing", vec![], None),
            ("speech", (0..60).collect(), None),
            ("one word three times", vec![1, 2, 3, 3, 3], None),
            (
                "one word without end",
                [vec![1, 2], vec![3; 15]].concat(),
                Some(3),
            ),
            ("a phrase twice", [vec![1], phrase.repeat(2)].concat(), None),
            (
                "a phrase three times",
                [vec![1], phrase.repeat(3)].concat(),
                Some(6),
            ),
            (
                "a phrase, cut short the last time",
                [vec![1], phrase.repeat(3), vec![5, 6]].concat(),
                Some(6),
            ),
        ];
        for (name, tokens, expected) in cases {
            assert_eq!(circle(&tokens), expected, "{name}");
        }
    }

    #[test]
    fn text_in_circles_compresses_too_well() {
        let speech = "Bagaimana cara mengajukan cuti akademik di fakultas teknik?";
        assert!(compression_ratio(speech) < 1.5);
        assert!(compression_ratio(&"terima kasih ".repeat(12)) > 2.4);
        assert!(compression_ratio("").abs() < f32::EPSILON);
    }

    #[test]
    fn logarithms_sum_to_one() {
        let mut scores = vec![1.0, 2.0, f32::NEG_INFINITY, 1_000.0, 999.0];
        log_softmax(&mut scores);
        let sum: f32 = scores.iter().map(|score| score.exp()).sum();
        assert!((sum - 1.0).abs() < 1e-5);
        assert_eq!(scores[2], f32::NEG_INFINITY);
        let mut none = vec![f32::NEG_INFINITY; 3];
        log_softmax(&mut none);
        assert!(none.iter().all(|score| *score == f32::NEG_INFINITY));
    }

    #[test]
    fn only_the_end_is_left_of_the_special_tokens_and_not_at_first() {
        let suppression = Suppression {
            always: vec![1, 99],
            at_first: [0, 4],
            end: 4,
        };
        let left = |said| {
            let mut scores = vec![0.0; 8];
            suppression.apply(&mut scores, said);
            let finite = |index: &usize| scores[*index].is_finite();
            (0..8).filter(finite).collect::<Vec<_>>()
        };
        assert_eq!(left(0), [2, 3]);
        assert_eq!(left(1), [0, 2, 3, 4]);
    }

    #[test]
    fn a_run_is_shared_when_all_its_tokens_follow_each_other_in_both() {
        for (said, expected) in [
            (vec![9, 1, 2, 3, 9], true),
            (vec![1, 2, 9, 3], false),
            (vec![1, 2], false),
            (vec![], false),
        ] {
            assert_eq!(share_run(&said, &[0, 1, 2, 3, 4], 3), expected, "{said:?}");
        }
    }
}
