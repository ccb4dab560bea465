//! What the log of a job tells, and what it answers. The log itself is [`crate::job::log`].

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    envelope::Job,
    ids::CorrelationId,
    job::{
        log::Known,
        store::{Epoch, Version},
    },
    pipeline::Stage,
    time::UnixMillis,
    turn::{Citation, EmotionLabel, Speech, Turn},
};

pub use resumption::{Ending, FailedBy, Resumed, Resumption, can_be_resumed};

mod resumption;

/// How often one try is begun by processes that then vanish. Enough for a
/// message that was in the same process as a harmful one, or in a worker that
/// was killed for another reason.
pub const MOST_RUNS: u32 = 5;

/// The store did not do what it was asked, or may have; ask again later.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    #[error("the reply log is not available: {0}")]
    Away(String),
    /// It is there, and was written by another version.
    #[error("the reply log cannot be read: {0}")]
    Unreadable(String),
}

/// How long a log is kept after its last event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention(pub Duration);

impl Default for Retention {
    fn default() -> Self {
        Self(Duration::from_secs(24 * 60 * 60))
    }
}

/// The name of the log of job `id` in the shared store, and of the channel on
/// which its growth is announced. Also the AMQP `reply-to`.
pub fn address(id: CorrelationId) -> String {
    format!("job:{id}")
}

/// An event with its place in the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// From 1, without gaps; from a higher one after the store has lost some
    /// ([`Epoch`]). Those before [`Event::Erased`] are gone. A cursor is
    /// the last number one has seen.
    pub sequence_number: u64,
    pub at: UnixMillis,
    pub event: Event,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Event {
    #[serde(rename = "job.accepted")]
    Accepted { job: Job },
    #[serde(rename = "stage.started")]
    StageStarted(StageStarted),
    #[serde(rename = "stage.retrying")]
    StageRetrying {
        stage: Stage,
        /// The try that failed.
        attempt: u32,
        in_ms: u64,
        /// A stable machine word.
        reason: String,
    },
    #[serde(rename = "transcript")]
    Transcript { text: String },
    #[serde(rename = "emotion")]
    Emotion {
        label: EmotionLabel,
        scores: BTreeMap<EmotionLabel, f32>,
    },
    #[serde(rename = "retrieved")]
    Retrieved { citations: Vec<Citation> },
    /// A piece of the answer. The pieces since the last `answer.restarted` make
    /// up the answer.
    #[serde(rename = "answer.delta")]
    AnswerDelta { text: String },
    /// The pieces so far, and their speech, are void: the answer begins anew.
    #[serde(rename = "answer.restarted")]
    AnswerRestarted,
    /// A sentence of the answer as speech; in order.
    #[serde(rename = "audio.delta")]
    AudioDelta {
        /// Which answer it is of: the number of the `answer.restarted` with which that began, 0 for one that began without.
        #[serde(default)]
        revision: u64,
        /// From 1, and again from 1 after `answer.restarted`.
        n: u32,
        /// What is said.
        text: String,
        /// A whole WAV.
        speech: Speech,
    },
    #[serde(rename = "stage.completed")]
    StageCompleted {
        stage: Stage,
        duration_ms: f64,
        queued_ms: f64,
    },
    #[serde(rename = "job.completed")]
    Completed { turn: Box<Turn> },
    /// The last word, unless the job is resumed.
    #[serde(rename = "job.failed")]
    Failed { error: Failure },
    /// An operator has taken the job up again after it had failed.
    #[serde(rename = "job.resumed")]
    Resumed(Resumption),
    #[serde(rename = "job.cancelled")]
    Cancelled,
    #[serde(rename = "job.expired")]
    Expired,
    /// All data of the job were erased, the events before this one too.
    #[serde(rename = "job.erased")]
    Erased {
        /// See [`Job::erased`].
        job: Box<Job>,
    },
    /// Of a type that this version does not know, written by a newer one (a rolling upgrade). It is passed over.
    #[serde(other)]
    Unknown,
}

impl Event {
    pub fn is_terminal(&self) -> bool {
        matches!(
            self,
            Self::Completed { .. }
                | Self::Failed { .. }
                | Self::Cancelled
                | Self::Expired
                | Self::Erased { .. }
        )
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageStarted {
    pub stage: Stage,
    pub attempt: u32,
}

/// Why a job failed, for its caller: never an upstream's words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// A stable machine word.
    pub code: String,
    pub message: String,
    pub kind: FailureKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
}

impl Failure {
    /// Whether an operator may take the job up again: a stage failed, and not
    /// by what the caller sent.
    pub fn can_be_resumed(&self) -> bool {
        self.stage.is_some() && self.kind != FailureKind::UnprocessableInput
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The caller's input cannot be worked with; sending it again is no use.
    UnprocessableInput,
    /// A service that is needed is away; trying again later may help.
    Unavailable,
    /// A defect of ours.
    Internal,
}

/// What a stage made, recorded with its completion.
pub struct CompletedStage<'a> {
    pub stage: Stage,
    /// That which made it.
    pub run: &'a Run,
    pub turn: &'a Turn,
    /// Is told by [`release_stage`](crate::job::log::JobLog::release_stage), and not before.
    pub withheld: Option<Event>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Begun {
    /// Recorded; go on.
    Started(Run),
    /// This stage has been done before, with this outcome: do not repeat it,
    /// but see that its message gets on.
    AlreadyCompleted {
        turn: Box<Turn>,
        /// The stages that have begun on the job, since it was last resumed.
        begun: Vec<Stage>,
    },
    /// The job is over, or the message is void.
    Closed,
    /// Worker after worker has begun this try, and none of them has lived to end
    /// it.
    CrashesWorkers,
}

/// One run of a stage on a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Of the log that it began on: another one after the log was lost.
    pub epoch: Epoch,
    pub stage: Stage,
    /// From 1, a new one with each [`JobLog::begin_stage`](crate::job::log::JobLog::begin_stage).
    pub number: u32,
    /// Processes that began this try before and vanished.
    pub crashes: u32,
    /// What earlier runs have told.
    pub told: Told,
    /// What it knows of the log.
    pub(crate) known: Known,
}

/// The answer as far as the log tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// It has been begun, and with a piece of text.
    pub has_begun: bool,
    pub text: String,
}

impl Told {
    pub fn by<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut told = Self::default();
        for event in events {
            match event {
                Event::AnswerDelta { text } => {
                    told.has_begun = true;
                    told.text.push_str(text);
                }
                Event::AnswerRestarted => told.text.clear(),
                _ => {}
            }
        }
        told
    }
}

impl Run {
    pub(crate) fn new(epoch: Epoch, stage: Stage, number: u32) -> Self {
        Self {
            epoch,
            stage,
            number,
            crashes: 0,
            told: Told::default(),
            known: Known::default(),
        }
    }

    /// The log as it was after what this run told last.
    pub fn log_seen(&self) -> Option<Version> {
        self.known.version()
    }

    /// Whether `stage` has begun on the job, since it was last resumed, as far as this run knows.
    pub fn has_begun(&self, stage: Stage) -> bool {
        self.known
            .get()
            .is_some_and(|it| it.state.begun().contains(&stage))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    Recorded,
    /// The job was over before; nothing was recorded.
    Closed,
    /// A newer run of the same stage has taken over; nothing was recorded.
    Superseded,
    /// The message is left over: its job was resumed since. Nothing was recorded.
    Void,
    /// The store has lost the log, or the run with it: nothing was recorded, and
    /// the stage must begin again.
    Lost,
}

/// What became of a job that was to be withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withdrawn {
    /// It is over, and no stage has begun on it or will.
    Ended,
    /// It is under way, or was.
    Begun,
    /// Another process submits it.
    Resubmitted,
}
