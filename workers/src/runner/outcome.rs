//! What comes of taking a message up.

use std::time::Duration;

use common::{
    envelope::Envelope,
    pipeline::Stage,
    reply::{Appended, Event, MOST_RUNS, Run},
    time::UnixMillis,
    turn::Turn,
};

use crate::{handler::StageError, telling::Tidings};

/// What a handler made, and what is left to do of what it told.
pub(super) struct Narrated {
    pub(super) result: Result<Turn, StageError>,
    pub(super) told: Vec<Event>,
    /// The stage that follows this one has no message yet.
    pub(super) owes_follower: bool,
}

/// Why nothing more is to be done for a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// From elsewhere, as by its caller.
    Ended,
    Expired,
}

impl From<Over> for Outcome {
    fn from(over: Over) -> Self {
        match over {
            Over::Ended => Self::NotRecorded(Appended::Closed),
            Over::Expired => Self::Expired,
        }
    }
}

/// What became of taking a message up.
pub(super) enum Tried {
    Outcome(Outcome),
    /// Nothing was done: it is to be taken up alone.
    InCompany,
}

impl From<Outcome> for Tried {
    fn from(outcome: Outcome) -> Self {
        Self::Outcome(outcome)
    }
}

/// What became of one try.
pub(super) enum Outcome {
    /// Nothing was done, or nothing that counts.
    NotRecorded(Appended),
    Expired,
    /// The stage had been completed before, with this turn.
    CompletedBefore {
        turn: Box<Turn>,
        /// See [`Begun::AlreadyCompleted`](common::reply::Begun::AlreadyCompleted).
        begun: Vec<Stage>,
    },
    Ran(Box<Ran>),
}

impl Outcome {
    pub(super) fn failed(envelope: &Envelope, error: StageError) -> Self {
        if envelope.job.is_expired(UnixMillis::now()) {
            return Self::Expired;
        }
        Self::Ran(Box::new(Ran {
            result: Err(error),
            account: Account::default(),
        }))
    }
}

pub(super) struct Ran {
    pub(super) result: Result<Turn, StageError>,
    pub(super) account: Account,
}

/// What is told of a try beside its result.
#[derive(Default)]
pub(super) struct Account {
    /// `None` when it did not begin.
    pub(super) run: Option<Run>,
    /// What the log does not have yet.
    pub(super) tidings: Tidings,
    /// See [`Narrated::owes_follower`].
    pub(super) owes_follower: bool,
    pub(super) duration: Duration,
    pub(super) queued: Duration,
}

pub(super) fn crashed_worker() -> StageError {
    StageError::internal(
        "crashed_worker",
        format!("{MOST_RUNS} workers have ended while they worked on this try"),
    )
}

pub(super) fn unreadable_log() -> StageError {
    StageError::internal(
        "unknown_version",
        "the reply log was written by another version",
    )
}
