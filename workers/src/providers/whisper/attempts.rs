//! Whether an attempt is good enough, and which to keep when none is.

use super::decode::{Attempt, Task};
use super::errors::TranscribeError;
use super::hypotheses::Strategy;
use super::options::Options;
use super::rules;
use super::tokens::{Token, Vocabulary};

/// This many tokens of the prompt in a row were not heard but copied: "cum laude, cuti akademik" may be
/// said, a whole list hardly.
const ECHO: usize = 6;

pub(super) struct Judge<'a> {
    pub(super) vocabulary: &'a Vocabulary,
    pub(super) options: &'a Options,
    pub(super) prompt: &'a [Token],
}

impl Judge<'_> {
    /// The first attempt that passes, from the lowest temperature up; else the best of all. One that is
    /// no speech comes back without tokens.
    pub(super) fn best(&self, task: &Task<'_>) -> Result<Attempt, TranscribeError> {
        let mut best: Option<Attempt> = None;
        for (number, &temperature) in (0..).zip(&self.options.temperatures) {
            let attempt = task.attempt(self.strategy(temperature, number))?;
            if self.passes(&attempt) || self.is_no_speech(&attempt) {
                best = Some(attempt);
                break;
            }
            tracing::debug!(
                temperature,
                avg_logprob = attempt.avg_logprob,
                circled = attempt.circled,
                "a doubtful transcript is tried again"
            );
            if best.as_ref().is_none_or(|best| is_better(&attempt, best)) {
                best = Some(attempt);
            }
        }
        let mut best = best.unwrap_or_default();
        let hopeless = best.avg_logprob < self.options.hopeless_avg_logprob;
        if hopeless || self.is_no_speech(&best) {
            best.tokens.clear();
        }
        Ok(best)
    }

    /// One attempt with the prompt; `None` when it is doubtful or repeats the prompt.
    pub(super) fn unless_echo(&self, task: &Task<'_>) -> Result<Option<Attempt>, TranscribeError> {
        let temperature = self.options.temperatures.first().copied().unwrap_or(0.0);
        let attempt = task.attempt(self.strategy(temperature, 0))?;
        let good = self.passes(&attempt) && !rules::share_run(&attempt.tokens, self.prompt, ECHO);
        Ok(good.then_some(attempt))
    }

    fn strategy(&self, temperature: f32, number: u64) -> Strategy {
        if temperature > 0.0 {
            Strategy::Sample {
                temperature,
                seed: self.options.seed.wrapping_add(number),
            }
        } else {
            Strategy::Best {
                beams: self.options.beams,
            }
        }
    }

    fn passes(&self, attempt: &Attempt) -> bool {
        let text = self.vocabulary.decode(&attempt.tokens);
        !attempt.circled
            && attempt.avg_logprob >= self.options.least_avg_logprob
            && rules::compression_ratio(&text) <= self.options.most_compression
    }

    fn is_no_speech(&self, attempt: &Attempt) -> bool {
        let doubtful = attempt.avg_logprob < self.options.least_avg_logprob;
        doubtful && attempt.no_speech_prob > self.options.no_speech
    }
}

fn is_better(a: &Attempt, b: &Attempt) -> bool {
    match (a.circled, b.circled) {
        (false, true) => true,
        (true, false) => false,
        _ => a.avg_logprob > b.avg_logprob,
    }
}
