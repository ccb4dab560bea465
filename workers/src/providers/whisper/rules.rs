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
    /// From here on tokens have no text; of them only the end may come.
    specials_from: Token,
    end: Token,
}

impl Suppression {
    pub(super) fn new(vocabulary: &Vocabulary) -> Self {
        let end = vocabulary.specials.end;
        let space = vocabulary.encode(" ").first().copied().unwrap_or(end);
        Self {
            always: vocabulary.not_speech.clone(),
            at_first: [space, end],
            specials_from: end,
            end,
        }
    }

    /// `said` is how many tokens came before.
    pub(super) fn apply(&self, scores: &mut [f32], said: usize) {
        let end_score = scores.get(self.end as usize).copied();
        let specials = scores.len().min(self.specials_from as usize);
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
    let normaliser = highest + sum.ln();
    for score in scores {
        *score -= normaliser;
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
#[expect(
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
