//! PORTS to what hears, feels, answers and speaks; the engines and vendors
//! below implement them.

use async_trait::async_trait;
use bytes::Bytes;
use common::{
    conversation::PastTurn,
    turn::{Answer, Emotion, Transcript},
};

use crate::{handler::StageError, recording::Recording};

pub mod emotion_heuristic;
pub mod espeak;
pub mod extractive;
pub mod local;
pub mod whisper;

#[async_trait]
pub trait SpeechToText: Send + Sync + 'static {
    /// What is said; an empty text when nobody speaks.
    async fn transcribe(&self, recording: &Recording) -> Result<Transcript, StageError>;
}

#[async_trait]
pub trait EmotionClassifier: Send + Sync + 'static {
    /// How the speaker of `transcript` feels; `recording` when it can be had.
    async fn classify(
        &self,
        transcript: &str,
        recording: Option<&Recording>,
    ) -> Result<Emotion, StageError>;
}

#[async_trait]
pub trait Answerer: Send + Sync + 'static {
    /// Answers `question`, asked after `history` (the oldest first), from the
    /// knowledge base alone.
    async fn answer(&self, question: &str, history: &[PastTurn]) -> Result<Answer, StageError>;
}

#[async_trait]
pub trait SpeechSynthesizer: Send + Sync + 'static {
    /// Speaks `text` as `voice`, or as a voice of its own choice.
    async fn speak(&self, text: &str, voice: Option<&str>) -> Result<Spoken, StageError>;
}

/// A WAV, and what made it.
pub struct Spoken {
    pub wav: Bytes,
    pub duration: std::time::Duration,
    pub provider: &'static str,
}
