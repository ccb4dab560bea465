//! PORT: the code of a stage, which knows nothing of messaging.
//!
//! A handler takes a turn and gives back a richer one, or a typed failure. It
//! may run more than once for the same job (the message came twice, or the
//! worker died): every effect it has must be idempotent by the job's
//! correlation id.

use std::time::Duration;

use async_trait::async_trait;
use common::{
    envelope::Job,
    reply::{Event, FailureKind},
    turn::Turn,
};
use tokio::task::JoinError;

#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Enriches `turn`, and tells of what cannot wait until it is done through
    /// `progress`. Dropped when the time is up; what it leaves to do then is
    /// [finished](Self::finish).
    async fn handle(
        &self,
        turn: Turn,
        job: &Job,
        progress: &dyn Progress,
    ) -> Result<Turn, StageError>;

    /// What the client hears of the enriched turn when the stage is done.
    fn events(&self, turn: &Turn) -> Vec<Event>;

    /// Whether [`commit`](Self::commit) has something to do for `job`.
    fn commits(&self, _job: &Job) -> bool {
        false
    }

    /// Stores outside of the job what follows from `turn`, once that is recorded as what this stage has made: of several
    /// runs one counts, and no other one leaves anything behind. Done before anybody is told that the stage is complete, and
    /// again after a crash. An error is tried again.
    async fn commit(&self, _turn: &Turn, _job: &Job) -> Result<(), StageError> {
        Ok(())
    }

    /// Does what is left to do for work that was broken off, when no more comes.
    async fn finish(&self) {}
}

/// PORT: what the client hears of a stage that is still at work.
///
/// Events come out in the order in which they were told, before those of
/// [`Handler::events`]. Telling never waits and never fails: what the reply log
/// cannot take yet is kept until it can.
pub trait Progress: Send + Sync {
    fn tell(&self, event: Event);
}

/// Why a stage failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StageError {
    /// Trying again may help.
    #[error("{code}: {detail}")]
    Transient {
        /// A stable machine word.
        code: &'static str,
        /// For operators; never shown to a client, never user text.
        detail: String,
        /// How long the other side asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// Trying again with the same input gives the same.
    #[error("{code}: {detail}")]
    Permanent {
        code: &'static str,
        kind: FailureKind,
        /// For the client.
        message: String,
        /// For operators; never shown to a client, never user text.
        detail: String,
    },
}

/// For a client, of a defect of ours.
pub const OUR_DEFECT: &str = "Something went wrong on our side.";

impl StageError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Transient { code, .. } | Self::Permanent { code, .. } => code,
        }
    }

    pub fn transient(code: &'static str, detail: impl ToString) -> Self {
        Self::Transient {
            code,
            detail: detail.to_string(),
            retry_after: None,
        }
    }

    /// The client's input cannot be worked with, for the reason in `message`.
    pub fn unprocessable(code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::Permanent {
            code,
            kind: FailureKind::UnprocessableInput,
            detail: message.clone(),
            message,
        }
    }

    /// Blocking work that did not come to its end. What was said in a panic can
    /// quote what a caller sent, so it goes nowhere.
    pub fn broken_off(code: &'static str, error: &JoinError) -> Self {
        let detail = if error.is_panic() {
            "its thread panicked"
        } else {
            "its thread was stopped"
        };
        Self::internal(code, detail)
    }

    /// A defect of ours.
    pub fn internal(code: &'static str, detail: impl ToString) -> Self {
        Self::Permanent {
            code,
            kind: FailureKind::Internal,
            message: OUR_DEFECT.into(),
            detail: detail.to_string(),
        }
    }
}
