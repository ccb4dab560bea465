//! From a recording to a transcript: piece by piece.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::attempts::Judge;
use super::decode::{Attempt, Task};
use super::errors::TranscribeError;
use super::listening::{self, Audio};
use super::mel::SAMPLE_RATE;
use super::options::{Options, Segment, Transcript};
use super::tokens::Token;
use super::{Whisper, speech};

/// The longest recording that is taken.
const LONGEST: Duration = Duration::from_hours(1);
/// Fast speech has some 10 tokens a second; beyond this nobody speaks.
const MOST_TOKENS_PER_SECOND: usize = 16;
const SPARE_TOKENS: usize = 16;

pub(super) fn run(
    whisper: &Whisper,
    samples: &[f32],
    options: &Options,
    stop: &AtomicBool,
) -> Result<Transcript, TranscribeError> {
    check(samples)?;
    let mut call = Call::new(whisper, options, stop)?;
    let mut segments = Vec::new();
    for piece in speech::find(samples) {
        segments.extend(call.segment(samples, piece)?);
    }
    let texts: Vec<&str> = segments
        .iter()
        .map(|segment: &Segment| segment.text.as_str())
        .collect();
    Ok(Transcript {
        text: texts.join(" "),
        language: call.language.unwrap_or_default(),
        segments,
    })
}

fn check(samples: &[f32]) -> Result<(), TranscribeError> {
    let length = duration(samples.len());
    if length > LONGEST {
        return Err(TranscribeError::TooLong {
            length,
            limit: LONGEST,
        });
    }
    if !samples.iter().all(|sample| sample.is_finite()) {
        return Err(TranscribeError::NotFinite);
    }
    Ok(())
}

fn duration(samples: usize) -> Duration {
    Duration::from_micros(samples as u64 * 1_000_000 / SAMPLE_RATE as u64)
}

pub(super) fn check_stop(stop: &AtomicBool) -> Result<(), TranscribeError> {
    if stop.load(Ordering::Relaxed) {
        return Err(TranscribeError::Stopped);
    }
    Ok(())
}

/// What one call has settled for all its pieces.
struct Call<'a> {
    whisper: &'a Whisper,
    options: &'a Options,
    stop: &'a AtomicBool,
    /// The one asked for, else the one heard in the first piece.
    language: Option<String>,
    prompt: Vec<Token>,
}

impl<'a> Call<'a> {
    fn new(
        whisper: &'a Whisper,
        options: &'a Options,
        stop: &'a AtomicBool,
    ) -> Result<Self, TranscribeError> {
        let specials = &whisper.vocabulary.specials;
        if let Some(language) = &options.language
            && specials.language(language).is_none()
        {
            return Err(TranscribeError::UnknownLanguage(language.clone()));
        }
        let most = (whisper.model.text_positions / 2).saturating_sub(1);
        Ok(Self {
            whisper,
            options,
            stop,
            language: options.language.clone(),
            prompt: prompt_tokens(whisper, options.prompt.as_deref(), most),
        })
    }

    fn segment(
        &mut self,
        samples: &[f32],
        piece: Range<usize>,
    ) -> Result<Option<Segment>, TranscribeError> {
        check_stop(self.stop)?;
        let audio = listening::hear(self.whisper, &samples[piece.clone()])?;
        let attempt = self.attempt(&audio, &piece)?;
        let text = self.whisper.vocabulary.decode(&attempt.tokens);
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        Ok(Some(Segment {
            start: duration(piece.start),
            end: duration(piece.end),
            text: text.to_owned(),
            avg_logprob: attempt.avg_logprob,
            no_speech_prob: attempt.no_speech_prob,
        }))
    }

    fn attempt(&mut self, audio: &Audio, piece: &Range<usize>) -> Result<Attempt, TranscribeError> {
        let language = self.settle_language(audio)?;
        let judge = Judge {
            vocabulary: &self.whisper.vocabulary,
            options: self.options,
            prompt: &self.prompt,
        };
        let most_tokens = SPARE_TOKENS + piece.len() * MOST_TOKENS_PER_SECOND / SAMPLE_RATE;
        let plain = Task::new(self.whisper, audio, &[], language, most_tokens, self.stop);
        if self.prompt.is_empty() {
            return judge.best(&plain);
        }
        let prompted = Task::new(
            self.whisper,
            audio,
            &self.prompt,
            language,
            most_tokens,
            self.stop,
        );
        match judge.unless_echo(&prompted)? {
            Some(attempt) => Ok(attempt),
            None => judge.best(&plain),
        }
    }

    fn settle_language(&mut self, audio: &Audio) -> Result<Token, TranscribeError> {
        let specials = &self.whisper.vocabulary.specials;
        let known = self
            .language
            .as_deref()
            .and_then(|code| specials.language(code));
        if let Some(token) = known {
            return Ok(token);
        }
        let (code, token) = listening::language(self.whisper, audio)?;
        self.language = Some(code);
        Ok(token)
    }
}

/// The opening that makes the model believe it wrote `prompt` just before; its end counts most, so that the
/// end is what is kept of a prompt that is too long.
fn prompt_tokens(whisper: &Whisper, prompt: Option<&str>, most: usize) -> Vec<Token> {
    let Some(prompt) = prompt.map(str::trim).filter(|prompt| !prompt.is_empty()) else {
        return Vec::new();
    };
    let tokens = whisper.vocabulary.encode(&format!(" {prompt}"));
    tokens[tokens.len().saturating_sub(most)..].to_vec()
}
