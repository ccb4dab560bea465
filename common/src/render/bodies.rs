//! The bodies themselves. Each says of itself what the OpenAPI document tells of
//! it, so that neither changes without the other.
//!
//! What a job does not have is left out, unless its place is said to be `null`.

use std::{collections::BTreeMap, fmt};

use base64::{display::Base64Display, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::{
    ids::{ConversationId, CorrelationId, Tenant},
    job::{StageStatus, Status},
    pipeline::Stage,
    turn::{Citation, EmotionLabel, TokenUsage},
};

/// A job for somebody who polls.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Job)]
pub struct JobDocument {
    #[schema(value_type = String, format = "uuid")]
    pub job_id: CorrelationId,
    /// What the job is for: `chat`, `audio`, or `callback` for one that tells of
    /// another's end.
    #[schema(example = "chat")]
    pub kind: &'static str,
    pub status: Status,
    #[schema(value_type = Option<String>, required, example = "coba")]
    pub conversation_id: Option<ConversationId>,
    #[schema(format = DateTime)]
    pub accepted_at: String,
    /// When the job expires, unless it is over before.
    #[schema(format = DateTime)]
    pub deadline: String,
    /// In the order in which they were first begun.
    pub stages: Vec<StageProgress>,
    /// When an operator took the job up again after it had failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    pub resumed_at: Option<String>,
    /// The job that tells `callback_url` of this one's end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub callback: Option<OtherJob>,
    /// The job whose end this one tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub callback_of: Option<OtherJob>,
    /// There once the job has succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub result: Option<Box<JobResult>>,
    /// There once the job has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<JobError>,
}

/// What the address given as `callback_url` is told: the job at its end, its
/// audio as an address.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Callback {
    /// `job.completed`, `job.failed`, `job.cancelled` or `job.expired`.
    #[schema(example = "job.completed")]
    pub r#type: &'static str,
    /// Whose job it was: the name of the API key that submitted it. The secret
    /// that signs is this tenant's own.
    #[schema(value_type = String, example = "default")]
    pub tenant: Tenant,
    #[serde(flatten)]
    pub job: JobDocument,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct OtherJob {
    #[schema(value_type = String, format = "uuid")]
    pub job_id: CorrelationId,
}

/// How far a job is with one of its stages.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct StageProgress {
    pub stage: Stage,
    /// Tries begun so far.
    pub attempts: u32,
    pub status: StageStatus,
    /// Time at work, once the stage is complete.
    #[schema(required)]
    pub duration_ms: Option<f64>,
    /// Time in its queue, once the stage is complete.
    #[schema(required)]
    pub queued_ms: Option<f64>,
    /// Why its last try failed, while it waits for the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "provider_timeout")]
    pub reason: Option<String>,
    /// When the next try is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    pub next_attempt_at: Option<String>,
    /// There when a try has failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub failures: Vec<StageFailure>,
}

/// A try that failed.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct StageFailure {
    /// From 1.
    pub attempt: u32,
    /// A stable machine word.
    #[schema(example = "provider_timeout")]
    pub reason: String,
    #[schema(format = DateTime)]
    pub at: String,
    /// Until the next try; `null` when there was none.
    #[schema(required)]
    pub next_in_ms: Option<u64>,
}

/// Why a job failed.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct JobError {
    /// A stable machine word.
    #[schema(example = "no_speech")]
    pub code: String,
    pub message: String,
    #[schema(required)]
    pub stage: Option<Stage>,
}

/// The result of a job that succeeded. The fields of speech are there when the
/// question was spoken.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct JobResult {
    #[schema(value_type = String, format = "uuid")]
    pub job_id: CorrelationId,
    #[schema(value_type = Option<String>, required, example = "coba")]
    pub conversation_id: Option<ConversationId>,
    /// For reading; without citation marks. Plain text, whatever it looks like:
    /// escape it where you show it as HTML.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub answer: Option<String>,
    /// The distinct http and https addresses of the citations, in the order cited, separated by
    /// a comma and a space; empty when the documents do not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "https://www.itb.ac.id/")]
    pub sources: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub citations: Option<Vec<Citation>>,
    /// What was understood of the spoken question. Plain text, as the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub transcript: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub emotion: Option<EmotionLabel>,
    /// Each 0 to 1; empty when the provider gives none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub emotion_scores: Option<BTreeMap<EmotionLabel, f32>>,
    /// The spoken answer, encoded as `audio_encoding` says; `null` when it is
    /// kept no longer.
    // Without speech there is not even a `null`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub audio: Option<Option<Audio>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "wav")]
    pub audio_format: Option<&'static str>,
    /// `hex`, `base64`, or `url` when `audio` is an address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "hex")]
    pub audio_encoding: Option<String>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub audio_duration: Option<f64>,
    pub providers: Providers,
    /// There when a language model wrote the answer and told.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub usage: Option<TokenUsage>,
    /// From acceptance, queues included, until the answer began to be there as
    /// text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub first_token_ms: Option<u64>,
    /// From acceptance until the answer began to be there as speech.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub first_audio_ms: Option<u64>,
    /// Time at work.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub exec_time: Option<StageSeconds>,
    /// Time in queues.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub queue_time: Option<StageSeconds>,
}

/// The audio of a result. Encoded while it is written, without a text of its
/// own: that would be twice the bytes once more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audio {
    Hex(Bytes),
    Base64(Bytes),
    Url(String),
}

impl Audio {
    /// Of `bytes` in the longest of the encodings.
    pub fn encoded_length(bytes: u64) -> u64 {
        bytes.saturating_mul(2)
    }
}

impl fmt::Display for Audio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hex(bytes) => write_hex(bytes, f),
            Self::Base64(bytes) => Base64Display::new(bytes, &STANDARD).fmt(f),
            Self::Url(url) => f.write_str(url),
        }
    }
}

impl Serialize for Audio {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut digits = [0; 1_024];
    for piece in bytes.chunks(digits.len() / 2) {
        let digits = &mut digits[..piece.len() * 2];
        hex::encode_to_slice(piece, digits).map_err(|_| fmt::Error)?;
        f.write_str(std::str::from_utf8(digits).map_err(|_| fmt::Error)?)?;
    }
    Ok(())
}

/// What did the work of a stage, by the names of [`StageSeconds`].
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Providers {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "whisper")]
    pub speech_to_text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "heuristic")]
    pub emotion_analysis: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "extractive")]
    pub process_rag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "espeak")]
    pub text_to_speech: Option<String>,
}

/// Seconds per stage, by the names that the first clients read.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct StageSeconds {
    pub speech_to_text: f64,
    pub emotion_analysis: f64,
    pub process_rag: f64,
    pub text_to_speech: f64,
    pub total: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audio_is_encoded_as_it_is_written() {
        let bytes = Bytes::from((0..=255).cycle().take(1_500).collect::<Vec<u8>>());
        let text = |audio: Audio| {
            let json = serde_json::to_value(audio).unwrap();
            json.as_str().unwrap().to_owned()
        };
        assert_eq!(text(Audio::Hex(bytes.clone())), hex::encode(&bytes));
        use base64::Engine as _;
        let expected = STANDARD.encode(&bytes);
        assert_eq!(text(Audio::Base64(bytes)), expected);
        assert_eq!(text(Audio::Hex(Bytes::new())), "");
        assert_eq!(text(Audio::Url("/a".into())), "/a");
    }
}
