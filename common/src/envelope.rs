//! The message that travels between processes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    callback::CallbackUrl,
    ids::{ConversationId, CorrelationId, MessageId, RequestId, Tenant},
    job::store::Version,
    pipeline::{Route, RoutingSlip, Stage},
    priority::Priority,
    time::UnixMillis,
    turn::Turn,
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
    /// The log of the job as it was when the message was sent on, after the stage before or with the first piece of what the
    /// stage follows: a store that has less of it by now has lost some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_seen: Option<Version>,
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
    /// The address that it tells. Kept with the job, so that another end than
    /// the first can be told too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback_url: Option<CallbackUrl>,
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

    /// What is kept of a job whose data are erased: whose it was, and when.
    pub fn erased(&self) -> Self {
        Self {
            traceparent: None,
            response_format: None,
            callback_url: None,
            ..self.clone()
        }
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
            log_seen: None,
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
            log_seen: None,
        })
    }

    /// The message for the stage that the current one follows.
    pub fn for_followed(&self, now: UnixMillis) -> Option<Self> {
        let followed = self.stage().follows()?;
        Some(Self {
            slip: self.slip.clone().from(followed),
            attempt: 1,
            published_at: now,
            ..self.clone()
        })
    }

    /// The message for another try of the same stage.
    pub fn retried(&self, now: UnixMillis) -> Self {
        Self {
            attempt: self.attempt.saturating_add(1),
            published_at: now,
            ..self.clone()
        }
    }

    /// The message that takes up again the job that failed by this one, as `job`
    /// is from now on. It begins with the tries of its stage from 1.
    pub fn resumed(&self, job: Job, now: UnixMillis) -> Self {
        Self {
            job,
            attempt: 1,
            published_at: now,
            log_seen: None,
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
        MessageId::of(self.correlation_id(), self.stage())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures;

    #[test]
    fn a_job_is_resumed_at_the_stage_at_which_it_failed() {
        let mut failed = fixtures::envelope(Route::Voice);
        failed.slip = vec![Stage::Rag, Stage::Tts].try_into().unwrap();
        failed.attempt = 4;
        let job = Job {
            deadline: failed.job.deadline.after(Duration::from_secs(9)),
            ..failed.job.clone()
        };
        let resumed = failed.resumed(job.clone(), UnixMillis(5));
        assert_eq!((resumed.stage(), resumed.attempt), (Stage::Rag, 1));
        assert_eq!((&resumed.job, &resumed.turn), (&job, &failed.turn));
    }

    #[test]
    fn a_stage_that_follows_another_can_have_it_begin_again() {
        let mut at_tts = fixtures::envelope(Route::Voice);
        assert_eq!(at_tts.for_followed(UnixMillis(5)), None);
        at_tts.slip = vec![Stage::Tts].try_into().unwrap();
        let followed = at_tts.for_followed(UnixMillis(5)).unwrap();
        let stages: Vec<Stage> = followed.slip.clone().into();
        assert_eq!(stages, [Stage::Rag, Stage::Tts]);
        assert_eq!(followed.turn, at_tts.turn);
    }
}
