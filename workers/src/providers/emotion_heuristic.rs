//! The emotion of a spoken question, guessed without a model.
//!
//! Two sources of evidence are added up: words of the transcript (lists in
//! `emotion_heuristic/data`, with negation and intensifiers) and the prosody of
//! the clip, measured against the speaker's own average. Words decide which
//! emotion it is; prosody only says how aroused the speaker is, so it
//! strengthens or weakens what the words suggest and never names an emotion
//! alone.
//!
//! Deliberately absent: any claim to recognise emotion from the voice only. The
//! confidence is a share of hand-set weights, not a calibrated probability, and
//! stays below [`MAX_CONFIDENCE`].

mod evidence;
mod label;
mod lexicon;
mod pitch;
mod prosody;
mod tokens;

use std::collections::BTreeMap;

use common::turn::EmotionLabel;

pub use label::{UnknownLabel, parse_label};

/// A heuristic is never surer than this.
pub const MAX_CONFIDENCE: f32 = 0.9;

/// A guess with the share of evidence for every label.
#[derive(Debug, Clone, PartialEq)]
pub struct Emotion {
    /// The label with the highest score; `neutral` when nothing stands out.
    pub label: EmotionLabel,
    /// All seven labels; the scores sum to 1.
    pub scores: BTreeMap<EmotionLabel, f32>,
    /// The score of `label`, 0 to [`MAX_CONFIDENCE`].
    pub confidence: f32,
}

/// Guesses the emotion of `transcript`, and of the clip it was heard in.
///
/// `samples_16k` is mono audio at 16,000 samples per second, −1 to 1. Clips
/// shorter than half a second, silence and noise count as no audio. Only the
/// first 4,000 bytes of the transcript and about twelve seconds of audio,
/// spread over the clip, are looked at: the cost does not grow with the length.
#[must_use]
pub fn classify(transcript: &str, samples_16k: Option<&[f32]>) -> Emotion {
    let words = lexicon::evidence(transcript);
    let arousal = samples_16k.and_then(prosody::arousal);
    evidence::weigh(&words, arousal)
}

#[cfg(test)]
mod tests;
