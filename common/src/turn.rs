//! A turn: one exchange of a conversation, enriched stage by stage.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use strum::{Display, VariantArray};
use utoipa::ToSchema;

use crate::{callback::CallbackUrl, claim_check::Ticket};

/// The input of one exchange and what the stages have made of it so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    pub input: Input,
    /// The synthesiser's voice, when the client asked for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voice: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript: Option<Transcript>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emotion: Option<Emotion>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speech: Option<Speech>,
}

impl Turn {
    pub fn new(input: Input) -> Self {
        Self {
            input,
            voice: None,
            transcript: None,
            emotion: None,
            answer: None,
            speech: None,
        }
    }

    /// What the user said or wrote, once it is known as text.
    pub fn user_text(&self) -> Option<&str> {
        match &self.input {
            Input::Text { text } => Some(text),
            Input::Speech { .. } => self.transcript.as_ref().map(|it| it.text.as_str()),
            Input::Callback { .. } => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Input {
    Text {
        text: String,
    },
    /// Recorded speech, kept under `ticket` in the format in which it came.
    Speech {
        ticket: Ticket,
    },
    /// No turn of a conversation: an address that is to be told of a job's end.
    Callback {
        url: CallbackUrl,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transcript {
    pub text: String,
    /// BCP 47 tag of the language that was heard, e.g. `id`.
    pub language: String,
    /// What recognised it.
    pub provider: String,
}

/// The emotions that are told apart.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Display,
    VariantArray,
    ToSchema,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum EmotionLabel {
    Neutral,
    Happy,
    Sad,
    Angry,
    Fearful,
    Surprised,
    Disgusted,
}

impl EmotionLabel {
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Its place in [`ALL`](Self::ALL).
    pub const fn index(self) -> usize {
        self as usize
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Emotion {
    pub label: EmotionLabel,
    /// Score per label, each 0 to 1. Empty when the provider gives none.
    pub scores: BTreeMap<EmotionLabel, f32>,
    /// What recognised it.
    pub provider: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// For reading; without citation marks.
    pub text: String,
    pub citations: Vec<Citation>,
    /// The documents do not answer, and the text says so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub declined: bool,
    /// What the language model counted, when one wrote it and told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<TokenUsage>,
    /// What wrote it.
    pub provider: String,
}

/// Tokens of a language model's call, as its provider counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenUsage {
    pub input_tokens: u64,
    pub output_tokens: u64,
}

/// A passage that the answer rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Citation {
    /// From 1, in the order in which the answer first leans on them.
    pub n: u32,
    /// Of the document. Plain text, whatever it looks like: escape it where you
    /// show it as HTML.
    pub title: String,
    /// An http or https address, or empty.
    pub url: String,
    /// Stands word for word in the passage; checked by code. Plain text, as the
    /// title.
    pub quote: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub score: Option<f32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Speech {
    /// Where the WAV is kept.
    pub ticket: Ticket,
    pub duration_ms: u64,
    /// What spoke it.
    pub provider: String,
}

impl Speech {
    pub fn duration(&self) -> Duration {
        Duration::from_millis(self.duration_ms)
    }
}
