//! PORTS to what hears, feels, answers and speaks; the engines and vendors
//! below implement them.
//!
//! A failure that trying again, or another provider, may help with is
//! [`StageError::Transient`]; one of the user's input is
//! [`StageError::unprocessable`]; everything else is internal.

use async_trait::async_trait;
use bytes::Bytes;
use common::{
    conversation::PastTurn,
    turn::{Answer, Emotion, EmotionLabel, TokenUsage, Transcript},
};
use futures::stream::BoxStream;

use crate::{
    handler::{Progress, StageError},
    knowledge::Passage,
    meter::Account,
    query::Understanding,
    recording::Recording,
};

pub mod arriving;
pub mod circuit;
pub mod emotion_heuristic;
pub mod emotion_service;
pub mod espeak;
pub mod extractive;
pub mod failure;
pub mod fallback;
pub mod generative;
pub mod limited;
pub mod local;
pub mod openai;
pub mod prosa;
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
    /// Answers from `grounds` alone, and tells of the pieces of the answer
    /// ([`Event::AnswerDelta`](common::reply::Event)) as they come; together
    /// they are the text of the answer.
    async fn answer(
        &self,
        grounds: &Grounds<'_>,
        progress: &dyn Progress,
    ) -> Result<Answer, StageError>;
}

/// What an answer is made from.
pub struct Grounds<'a> {
    pub question: &'a str,
    pub understanding: &'a Understanding,
    /// What the knowledge base has to say, best first.
    pub passages: &'a [Passage],
    /// What was said before, the oldest first.
    pub history: &'a [PastTurn],
    /// How the user feels, when that is known.
    pub emotion: Option<EmotionLabel>,
    /// Where what the answer takes is counted; `None` where nobody does.
    pub account: Option<Account<'a>>,
}

#[async_trait]
pub trait ChatModel: Send + Sync + 'static {
    /// Begins a completion. The stream ends after the last piece, or with the
    /// first error.
    async fn complete(&self, messages: &[ChatMessage]) -> Result<Completion, StageError>;

    /// What answers, for results and logs: `openrouter`, `openai`, ….
    fn name(&self) -> &str;

    /// The most tokens that it writes, thoughts included.
    fn token_limit(&self) -> u64;
}

pub type Completion = BoxStream<'static, Result<CompletionPart, StageError>>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompletionPart {
    /// Some more text for the user; never empty, and without the model's
    /// thoughts.
    Text(String),
    /// Tokens that were written so far, as estimated: there are thoughts among
    /// them, which are no text for the user.
    Written(u64),
    /// What the call cost; at most once, after the text.
    Usage(TokenUsage),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatMessage {
    pub role: ChatRole,
    pub content: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChatRole {
    System,
    User,
    Assistant,
}

#[async_trait]
pub trait Embedder: Send + Sync + 'static {
    /// One vector of [`dimension`](Self::dimension) numbers for each text, in
    /// their order.
    async fn embed(&self, texts: &[String], purpose: Purpose) -> Result<Vec<Vec<f32>>, StageError>;

    fn dimension(&self) -> usize;

    /// The model, for logs and for telling whose vectors a collection holds.
    fn model(&self) -> &str;
}

/// What a text is embedded for; some models are asked differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Query,
    Passage,
}

#[async_trait]
pub trait SpeechSynthesizer: Send + Sync + 'static {
    /// Speaks `text` as `voice`, or as a voice of its own choice.
    async fn speak(&self, text: &str, voice: Option<&str>) -> Result<Spoken, StageError>;

    /// Another text is soon to be spoken as `voice`: gets ready for it what takes time. Never waits.
    fn prepare(&self, _voice: Option<&str>) {}
}

/// A WAV, and what made it.
pub struct Spoken {
    pub wav: Bytes,
    pub duration: std::time::Duration,
    pub provider: &'static str,
}
