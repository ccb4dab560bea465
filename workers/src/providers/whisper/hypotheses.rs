//! How the next token is chosen: the best of several hypotheses, or by chance.

use super::rules;
use super::tokens::Token;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Strategy {
    /// Beam search; one beam is greedy.
    Best {
        beams: usize,
    },
    Sample {
        temperature: f32,
        seed: u64,
    },
}

/// What the decoder is to compute next: one token for each hypothesis that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) tokens: Vec<Token>,
    /// Which of the hypotheses before each one continues.
    pub(super) origins: Vec<u32>,
    /// How many hypotheses there were before.
    pub(super) was: usize,
}

impl Step {
    /// Whether each hypothesis continues the one that stood in its place.
    pub(super) fn keeps_order(&self) -> bool {
        self.origins.len() == self.was
            && (0..)
                .zip(&self.origins)
                .all(|(index, &origin)| index == origin)
    }
}

pub(super) trait Choice {
    /// Takes one list of scores for each hypothesis; `None` when all is said.
    fn choose(&mut self, scores: Vec<Vec<f32>>) -> Option<Step>;
    /// Tokens of the hypothesis that is ahead.
    fn leader(&self) -> &[Token];
    /// The tokens, without the end, and the mean of their log-probabilities, the end's included.
    fn finish(self: Box<Self>) -> (Vec<Token>, f32);
}

#[derive(Debug, Clone, Default)]
struct Hypothesis {
    tokens: Vec<Token>,
    logprob: f32,
}

impl Hypothesis {
    fn with(&self, token: Token, logprob: f32) -> Self {
        let mut tokens = Vec::with_capacity(self.tokens.len() + 1);
        tokens.extend_from_slice(&self.tokens);
        tokens.push(token);
        Self {
            tokens,
            logprob: self.logprob + logprob,
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "some hundred tokens")]
    fn mean(&self) -> f32 {
        self.logprob / self.tokens.len().max(1) as f32
    }

    fn into_parts(mut self, end: Token) -> (Vec<Token>, f32) {
        let mean = self.mean();
        if self.tokens.last() == Some(&end) {
            self.tokens.pop();
        }
        (self.tokens, mean)
    }
}

pub(super) struct Beams {
    width: usize,
    end: Token,
    going: Vec<Hypothesis>,
    ended: Vec<Hypothesis>,
}

impl Beams {
    pub(super) fn new(width: usize, end: Token) -> Self {
        Self {
            width: width.max(1),
            end,
            going: vec![Hypothesis::default()],
            ended: Vec::new(),
        }
    }

    /// The best continuations of all hypotheses, best first. Each can end once only, so that this many
    /// leave enough that go on.
    fn continuations(&self, scores: Vec<Vec<f32>>) -> Vec<(usize, Token, f32)> {
        let mut found = Vec::new();
        for (origin, mut scores) in scores.into_iter().enumerate().take(self.going.len()) {
            rules::log_softmax(&mut scores);
            let so_far = self.going[origin].logprob;
            for (token, logprob) in highest(&scores, self.width + 1) {
                found.push((origin, token, so_far + logprob));
            }
        }
        found.sort_by(|a, b| b.2.total_cmp(&a.2));
        found
    }
}

impl Choice for Beams {
    fn choose(&mut self, scores: Vec<Vec<f32>>) -> Option<Step> {
        let was = self.going.len();
        let mut going = Vec::new();
        let mut origins = Vec::new();
        for (origin, token, logprob) in self.continuations(scores) {
            let before = &self.going[origin];
            let next = before.with(token, logprob - before.logprob);
            if token == self.end {
                self.ended.push(next);
            } else {
                going.push(next);
                origins.push(u32::try_from(origin).unwrap_or(0));
            }
            if going.len() == self.width || self.ended.len() >= self.width {
                break;
            }
        }
        if !going.is_empty() {
            self.going = going;
        }
        if self.ended.len() >= self.width || origins.is_empty() {
            return None;
        }
        let tokens = self
            .going
            .iter()
            .filter_map(|hypothesis| hypothesis.tokens.last().copied());
        Some(Step {
            tokens: tokens.collect(),
            origins,
            was,
        })
    }

    fn leader(&self) -> &[Token] {
        self.going
            .first()
            .map_or(&[], |hypothesis| &hypothesis.tokens)
    }

    fn finish(self: Box<Self>) -> (Vec<Token>, f32) {
        let candidates = if self.ended.is_empty() {
            self.going
        } else {
            self.ended
        };
        candidates
            .into_iter()
            .max_by(|a, b| a.mean().total_cmp(&b.mean()))
            .unwrap_or_default()
            .into_parts(self.end)
    }
}

/// The `count` highest finite scores, highest first.
fn highest(scores: &[f32], count: usize) -> Vec<(Token, f32)> {
    let mut top: Vec<(Token, f32)> = Vec::with_capacity(count + 1);
    for (token, &score) in (0..).zip(scores) {
        let beats_last = top.len() < count || top.last().is_some_and(|&(_, last)| score > last);
        if beats_last && score.is_finite() {
            let at = top.partition_point(|&(_, other)| other >= score);
            top.insert(at, (token, score));
            top.truncate(count);
        }
    }
    top
}

pub(super) struct Sampler {
    temperature: f32,
    random: SplitMix,
    end: Token,
    said: Hypothesis,
}

impl Sampler {
    pub(super) fn new(temperature: f32, seed: u64, end: Token) -> Self {
        Self {
            temperature: temperature.max(f32::MIN_POSITIVE),
            random: SplitMix(seed),
            end,
            said: Hypothesis::default(),
        }
    }

    fn draw(&mut self, logprobs: &[f32]) -> Option<Token> {
        let mut warmed: Vec<f32> = logprobs
            .iter()
            .map(|logprob| logprob / self.temperature)
            .collect();
        rules::log_softmax(&mut warmed);
        let mut left = self.random.unit();
        let mut last = None;
        for (token, logprob) in (0..).zip(&warmed) {
            let probability = logprob.exp();
            if probability > 0.0 {
                last = Some(token);
                left -= probability;
                if left < 0.0 {
                    break;
                }
            }
        }
        last
    }
}

impl Choice for Sampler {
    fn choose(&mut self, scores: Vec<Vec<f32>>) -> Option<Step> {
        let mut logprobs = scores.into_iter().next()?;
        rules::log_softmax(&mut logprobs);
        let token = self.draw(&logprobs)?;
        self.said = self.said.with(token, logprobs[token as usize]);
        (token != self.end).then(|| Step {
            tokens: vec![token],
            origins: vec![0],
            was: 1,
        })
    }

    fn leader(&self) -> &[Token] {
        &self.said.tokens
    }

    fn finish(self: Box<Self>) -> (Vec<Token>, f32) {
        self.said.into_parts(self.end)
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014): enough for drawing tokens, and the same everywhere.
struct SplitMix(u64);

impl SplitMix {
    /// From 0 up to but not 1, in steps of 2⁻²⁴.
    #[allow(clippy::cast_precision_loss, reason = "24 bits fit an f32 exactly")]
    fn unit(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        (mixed >> 40) as f32 / (1_u32 << 24) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: Token = 3;

    fn scores(probabilities: [f32; 4]) -> Vec<f32> {
        probabilities
            .iter()
            .map(|probability| probability.ln())
            .collect()
    }

    #[test]
    fn one_beam_takes_the_likeliest_token_until_the_end() {
        let mut beams = Beams::new(1, END);
        let step = beams.choose(vec![scores([0.1, 0.6, 0.2, 0.1])]).unwrap();
        assert_eq!(step.tokens, [1]);
        assert!(step.keeps_order());
        assert_eq!(beams.choose(vec![scores([0.1, 0.1, 0.1, 0.7])]), None);
        let (tokens, mean) = Box::new(beams).finish();
        assert_eq!(tokens, [1]);
        assert!((mean - (0.6_f32.ln() + 0.7_f32.ln()) / 2.0).abs() < 1e-5);
    }

    #[test]
    fn two_beams_find_what_greed_misses() {
        let mut beams = Beams::new(2, END);
        let step = beams
            .choose(vec![scores([0.55, 0.45, 1e-9, 1e-9])])
            .unwrap();
        assert_eq!(step.tokens, [0, 1]);
        assert!(!step.keeps_order(), "one hypothesis became two");
        let unsure = scores([0.3, 0.3, 0.3, 0.1]);
        let sure = scores([1e-9, 1e-9, 0.98, 0.02]);
        let step = beams.choose(vec![unsure, sure]).unwrap();
        assert_eq!((step.tokens[0], step.origins[0]), (2, 1));
        assert_eq!(beams.leader(), [1, 2]);
    }

    #[test]
    fn a_hypothesis_cut_short_is_still_given() {
        let mut beams = Beams::new(3, END);
        beams.choose(vec![scores([0.1, 0.1, 0.7, 0.1])]);
        assert_eq!(Box::new(beams).finish().0, [2]);
    }

    #[test]
    fn without_any_possible_token_nothing_is_said() {
        let mut beams = Beams::new(2, END);
        assert_eq!(beams.choose(vec![vec![f32::NEG_INFINITY; 4]]), None);
        assert_eq!(beams.choose(Vec::new()), None);
        assert!(Box::new(beams).finish().0.is_empty());
    }

    #[test]
    fn the_same_seed_draws_the_same_tokens() {
        let draw = |seed| {
            let mut sampler = Sampler::new(1.0, seed, END);
            for _ in 0..30 {
                sampler.choose(vec![scores([0.3, 0.3, 0.4, 1e-9])]);
            }
            Box::new(sampler).finish().0
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn a_low_temperature_draws_the_likeliest() {
        let mut sampler = Sampler::new(0.01, 7, END);
        for _ in 0..20 {
            sampler.choose(vec![scores([0.2, 0.5, 0.3, 1e-9])]);
        }
        assert_eq!(sampler.leader(), [1; 20]);
    }

    #[test]
    fn drawing_the_end_ends() {
        let mut sampler = Sampler::new(0.5, 7, END);
        assert_eq!(sampler.choose(vec![scores([1e-9, 1e-9, 1e-9, 1.0])]), None);
        assert!(Box::new(sampler).finish().0.is_empty());
    }
}
