//! One attempt at a transcript: from audio to tokens.

use std::sync::atomic::AtomicBool;

use candle_core::{Device, Tensor};

use super::Whisper;
use super::cache::LayerCache;
use super::errors::TranscribeError;
use super::hypotheses::{Beams, Choice, Sampler, Step, Strategy};
use super::listening::Audio;
use super::rules;
use super::tokens::Token;
use super::transcribe::check_stop;

/// What stays the same over all attempts at one piece of audio.
pub(super) struct Task<'a> {
    whisper: &'a Whisper,
    audio: &'a Audio,
    /// Everything before the first token of text: the prompt, the start, language and task.
    opening: Vec<Token>,
    /// Where in `opening` the start is.
    start: usize,
    most_tokens: usize,
    stop: &'a AtomicBool,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Attempt {
    pub(super) tokens: Vec<Token>,
    pub(super) avg_logprob: f32,
    pub(super) no_speech_prob: f32,
    /// It went in circles, of which `tokens` keeps one.
    pub(super) circled: bool,
}

impl<'a> Task<'a> {
    pub(super) fn new(
        whisper: &'a Whisper,
        audio: &'a Audio,
        prompt: &[Token],
        language: Token,
        most_tokens: usize,
        stop: &'a AtomicBool,
    ) -> Self {
        let specials = &whisper.vocabulary.specials;
        let mut opening = Vec::new();
        if !prompt.is_empty() {
            opening.push(specials.previous);
            opening.extend_from_slice(prompt);
        }
        let start = opening.len();
        opening.extend([
            specials.start,
            language,
            specials.transcribe,
            specials.no_timestamps,
        ]);
        let room = whisper.model.text_positions.saturating_sub(opening.len());
        Self {
            whisper,
            audio,
            opening,
            start,
            most_tokens: most_tokens.min(room),
            stop,
        }
    }

    pub(super) fn attempt(&self, strategy: Strategy) -> Result<Attempt, TranscribeError> {
        let end = self.whisper.vocabulary.specials.end;
        let mut choice: Box<dyn Choice> = match strategy {
            Strategy::Best { beams } => Box::new(Beams::new(beams, end)),
            Strategy::Sample { temperature, seed } => {
                Box::new(Sampler::new(temperature, seed, end))
            }
        };
        let mut cache: Audio = self.audio.iter().map(LayerCache::fresh).collect();
        let (no_speech_prob, first) = self.open(&mut cache)?;
        self.go_on(choice.as_mut(), first, &mut cache)?;
        let (mut tokens, avg_logprob) = choice.finish();
        let circle = rules::circle(&tokens);
        tokens.truncate(circle.unwrap_or(tokens.len()));
        Ok(Attempt {
            tokens,
            avg_logprob,
            no_speech_prob,
            circled: circle.is_some(),
        })
    }

    /// Feeds the opening. Gives back the probability that nobody speaks and the first scores.
    fn open(&self, cache: &mut Audio) -> Result<(f32, Vec<f32>), TranscribeError> {
        let decoder = &self.whisper.model.decoder;
        let tokens = Tensor::new(self.opening.as_slice(), &Device::Cpu)?.unsqueeze(0)?;
        let hidden = decoder.forward(&tokens, cache)?;
        let scores_at = |position: usize| -> candle_core::Result<Vec<f32>> {
            let scores = decoder.scores(&hidden.narrow(1, position, 1)?)?;
            Ok(scores.into_iter().next().unwrap_or_default())
        };
        let mut at_start = scores_at(self.start)?;
        rules::log_softmax(&mut at_start);
        let no_speech = self.whisper.vocabulary.specials.no_speech as usize;
        let no_speech_prob = at_start.get(no_speech).map_or(0.0, |logprob| logprob.exp());
        Ok((no_speech_prob, scores_at(self.opening.len() - 1)?))
    }

    /// Chooses token after token until the end, the limit, or a circle.
    fn go_on(
        &self,
        choice: &mut dyn Choice,
        first: Vec<f32>,
        cache: &mut Audio,
    ) -> Result<(), TranscribeError> {
        let mut scores = vec![first];
        for said in 0..self.most_tokens {
            check_stop(self.stop)?;
            for scores in &mut scores {
                self.whisper.suppression.apply(scores, said);
            }
            let next = choice.choose(scores);
            let Some(step) = next.filter(|_| rules::circle(choice.leader()).is_none()) else {
                break;
            };
            // The scores after the last token are not needed.
            if said + 1 == self.most_tokens {
                break;
            }
            scores = self.feed(step, cache)?;
        }
        Ok(())
    }

    fn feed(&self, step: Step, cache: &mut Audio) -> Result<Vec<Vec<f32>>, TranscribeError> {
        let decoder = &self.whisper.model.decoder;
        if !step.keeps_order() {
            let origins = Tensor::new(step.origins.as_slice(), &Device::Cpu)?;
            for layer in cache.iter_mut() {
                layer.past.select(&origins)?;
            }
        }
        let count = step.tokens.len();
        let tokens = Tensor::from_vec(step.tokens, (count, 1), &Device::Cpu)?;
        Ok(decoder.scores(&decoder.forward(&tokens, cache)?)?)
    }
}
