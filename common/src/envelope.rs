//! The message that travels between processes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    ids::{ConversationId, CorrelationId, MessageId, RequestId, Tenant},
    pipeline::{Route, RoutingSlip, Stage},
    priority::Priority,
    time::UnixMillis,
    turn::{Sentence, Turn},
};

/// A turn with all that is needed to carry it through the pipeline (Enterprise
/// Integration Patterns: *Envelope Wrapper*, *Correlation Identifier*, *Message
/// Expiration*, *Routing Slip*).
///
/// The return address is not a field: it is the reply log of the correlation
/// id, which every process derives alike ([`crate::reply`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    pub job: Job,
    pub slip: RoutingSlip,
    /// Which try of the current stage this is, from 1.
    pub attempt: u32,
    /// When it was published to the current stage for the first time; the time
    /// in the queue counts from here.
    pub published_at: UnixMillis,
    pub turn: Turn,
}

/// What stays the same about a job from acceptance to its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub correlation_id: CorrelationId,
    pub request_id: RequestId,
    pub tenant: Tenant,
    pub route: Route,
    #[serde(default, skip_serializing_if = "Priority::is_interactive")]
    pub priority: Priority,
    pub accepted_at: UnixMillis,
    /// After this the job ends as expired, wherever it is.
    pub deadline: UnixMillis,
    /// W3C Trace Context of the request, as it came or as we made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<ConversationId>,
    /// How the front door is to render the audio of the result; the stages do
    /// not look at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_format: Option<String>,
    /// The job that tells of this one's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<CorrelationId>,
    /// The job of whose end this one tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback_of: Option<CorrelationId>,
}

impl Job {
    pub fn time_left(&self, now: UnixMillis) -> Duration {
        self.deadline.since(now)
    }

    pub fn is_expired(&self, now: UnixMillis) -> bool {
        now >= self.deadline
    }
}

impl Envelope {
    /// The first message of a job.
    pub fn first(job: Job, turn: Turn, now: UnixMillis) -> Self {
        Self {
            slip: RoutingSlip::of(job.route),
            job,
            attempt: 1,
            published_at: now,
            turn,
        }
    }

    /// The message for the next stage with the enriched `turn`, or `None` when
    /// the current stage is the last.
    pub fn forwarded(&self, turn: Turn, now: UnixMillis) -> Option<Self> {
        Some(Self {
            job: self.job.clone(),
            slip: self.slip.advanced()?,
            attempt: 1,
            published_at: now,
            turn,
        })
    }

    /// The message for the next stage about one sentence of the answer, which is
    /// still being written; `None` when the current stage is the last.
    pub fn about(&self, sentence: Sentence, now: UnixMillis) -> Option<Self> {
        let turn = Turn {
            voice: self.turn.voice.clone(),
            sentence: Some(sentence),
            ..Turn::new(self.turn.input.clone())
        };
        self.forwarded(turn, now)
    }

    /// The message for another try of the same stage.
    pub fn retried(&self, now: UnixMillis) -> Self {
        Self {
            attempt: self.attempt.saturating_add(1),
            published_at: now,
            ..self.clone()
        }
    }

    pub fn correlation_id(&self) -> CorrelationId {
        self.job.correlation_id
    }

    pub fn stage(&self) -> Stage {
        self.slip.current()
    }

    pub fn message_id(&self) -> MessageId {
        let (id, stage) = (self.job.correlation_id, self.stage());
        match &self.turn.sentence {
            Some(sentence) => MessageId::of_sentence(id, stage, sentence),
            None => MessageId::of(id, stage),
        }
    }
}
