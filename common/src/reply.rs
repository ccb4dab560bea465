//! PORT: the log of a job, which is the job as its caller sees it.
//!
//! Stages append events under the correlation id (Enterprise Integration
//! Patterns: *Return Address*, *Correlation Identifier*); the API waits, polls
//! or streams by reading them. Nobody keeps a second account of a job.
//!
//! Guarantees, held by every adapter (`testing::reply_contract`):
//! - Events are numbered 1, 2, 3 … in the order in which they were appended.
//! - Nothing follows a terminal event: a late append answers
//!   [`Appended::Closed`]. One thing alone takes a job up again that has ended,
//!   an operator's [`resume`](ReplyLog::resume) of one that
//!   [`can_be_resumed`]: then [`Event::Resumed`] follows, and another terminal
//!   event after it. The last terminal event is the one that holds.
//! - A job that was resumed has another deadline, and messages with an earlier
//!   one are void: what is left of its life before neither begins a stage nor
//!   ends it.
//! - A stage whose completion was recorded is known to be complete, with the
//!   turn it produced, so that a duplicate of its message repeats no work.
//! - Of several runs of a stage the newest alone writes: an older one that is
//!   still alive hears [`Appended::Superseded`] (a *fencing token*).
//! - The sentences of an answer are announced in order, whatever order they are
//!   spoken in; who completes the last one missing hears of all of them
//!   (Enterprise Integration Patterns: *Aggregator*, *Resequencer*), and so does
//!   who asks again after.
//! - A try that ends the process of each worker that begins it is begun
//!   [`MOST_RUNS`] times and then answered with [`Begun::CrashesWorkers`].
//! - A follower gets every event after its cursor once and in order, whichever
//!   process appended it, also when the store goes away for a while; its stream
//!   ends after the terminal event that holds. Who begins behind that one hears
//!   of a resumption, if there is one.
//! - A log vanishes [`Retention`] after its last event.
//! - A log that was [erased](ReplyLog::erase) holds one event, which tells that;
//!   it is begun again by nothing for as long.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::{
    envelope::Job,
    ids::{CorrelationId, MessageId},
    pipeline::Stage,
    time::UnixMillis,
    turn::{Citation, EmotionLabel, Sentence, Speech, Turn},
};

pub use resumption::{Ending, FailedBy, Resumed, Resumption, can_be_resumed};

pub mod memory;
pub mod redis;
mod resumption;

/// How often one try is begun by processes that then vanish. Enough for a
/// message that was in the same process as a harmful one, or in a worker that
/// was killed for another reason.
pub const MOST_RUNS: u32 = 5;

#[async_trait]
pub trait ReplyLog: Send + Sync + 'static {
    /// Begins the log of `job` with its [`Event::Accepted`].
    async fn open(&self, job: &Job) -> Result<(), ReplyError>;

    /// Records that a stage begins, unless the job is over or the stage has
    /// been completed before.
    ///
    /// Should the log be gone (the store lost its data), it is begun again with
    /// `job`, so that the caller can still be answered.
    async fn begin_stage(&self, job: &Job, started: StageStarted) -> Result<Begun, ReplyError>;

    /// Appends `events` at once; a terminal one, if any, comes last. Never begins
    /// a log: one without its [`Event::Accepted`] could be read by nobody.
    async fn append(&self, id: CorrelationId, events: &[Event]) -> Result<Appended, ReplyError>;

    /// Says that another process submits the job as well, one that may have been
    /// left half submitted: whoever began with it does not withdraw it any more.
    /// `false` when the job is over, so that there is nothing to submit.
    async fn resubmit(&self, id: CorrelationId) -> Result<bool, ReplyError>;

    /// Ends a job with `end`, unless a stage has begun on it: then it is under
    /// way, or was.
    async fn withdraw(&self, id: CorrelationId, end: &Event) -> Result<Withdrawn, ReplyError>;

    /// Like [`append`](Self::append), for what `run` tells while it works.
    /// `step` counts up from 1 with each call; to repeat one whose answer was
    /// lost tells nothing twice.
    async fn narrate(
        &self,
        id: CorrelationId,
        run: &Run,
        step: u32,
        events: &[Event],
    ) -> Result<Appended, ReplyError>;

    /// Like [`append`](Self::append), and records with the same stroke that
    /// `completed` is done. May be repeated, as [`narrate`](Self::narrate).
    async fn complete_stage(
        &self,
        id: CorrelationId,
        events: &[Event],
        completed: &CompletedStage<'_>,
    ) -> Result<Appended, ReplyError>;

    /// What is to be done about `sentence`. Records the begin of its stage with
    /// the first one; begins a log that is gone as
    /// [`begin_stage`](Self::begin_stage) does.
    async fn begin_sentence(
        &self,
        job: &Job,
        started: StageStarted,
        sentence: &Sentence,
    ) -> Result<Speaking, ReplyError>;

    /// Records how `sentence` was spoken, if it was not yet, and announces the
    /// sentences whose turn has come.
    async fn complete_sentence(
        &self,
        id: CorrelationId,
        sentence: &Sentence,
        spoken: &SpokenSentence,
    ) -> Result<Speaking, ReplyError>;

    /// Ends the job as failed by `message`, which is about to be put aside, and
    /// keeps in mind which it was, unless nobody can resume what ends so. Of a
    /// `run` that was superseded, and of a sentence of an answer that was begun
    /// anew, nobody hears. Begins a log that is gone as
    /// [`begin_stage`](Self::begin_stage) does.
    async fn fail(
        &self,
        job: &Job,
        message: &MessageId,
        run: Option<&Run>,
        failure: &Failure,
    ) -> Result<Appended, ReplyError>;

    /// How the job ended; `None` while it is not over.
    async fn ending(&self, id: CorrelationId) -> Result<Option<Ending>, ReplyError>;

    /// Ends the job as expired, by the deadline that `job` has. Begins a log that
    /// is gone as [`begin_stage`](Self::begin_stage) does.
    async fn expire(&self, job: &Job) -> Result<Appended, ReplyError>;

    /// Takes a job up again that failed, until `resumption.deadline`. May be
    /// repeated: a job that goes on is told with the deadline that it has, unless
    /// that has passed and nothing came of it. Nor did anything come of it where
    /// the job expired without having begun.
    async fn resume(
        &self,
        id: CorrelationId,
        resumption: &Resumption,
    ) -> Result<Resumed, ReplyError>;

    /// The worker lets go of a try that it has begun: that it did not end is
    /// nothing to hold against it.
    async fn let_go(&self, id: CorrelationId, message: &MessageId) -> Result<(), ReplyError>;

    /// Returns when the job is over, however it ended; waits for the log of one
    /// that is not known. Costs nothing while the log grows.
    async fn ended(&self, id: CorrelationId);

    /// Leaves [`Event::Erased`] alone of the log of `job`, with all that was
    /// decided by; ends the job with that, if nothing has. May be repeated. Does
    /// nothing where there is no log.
    async fn erase(&self, job: &Job) -> Result<(), ReplyError>;

    /// Every job that has a log and is not erased, in no order; one whose log is
    /// begun or vanishes meanwhile may be missing. Looks through the whole store:
    /// for operators.
    fn jobs(&self) -> BoxStream<'static, Result<Job, ReplyError>>;

    /// The events after `cursor` (0 for all) that exist now; empty also when
    /// there is no such log.
    async fn read(&self, id: CorrelationId, cursor: u64) -> Result<Vec<Record>, ReplyError>;

    /// The events after `cursor`, those to come included. The stream of a log
    /// that does not exist waits for its first event.
    fn follow(
        &self,
        id: CorrelationId,
        cursor: u64,
    ) -> BoxStream<'static, Result<Record, ReplyError>>;

    /// Whether the store answers.
    async fn ping(&self) -> Result<(), ReplyError>;
}

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
    format!("reply:{id}")
}

/// An event with its place in the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// From 1, without gaps; those before [`Event::Erased`] are gone. A cursor is
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
    /// A sentence of the answer as speech; in order, also when several workers
    /// speak at once.
    #[serde(rename = "audio.delta")]
    AudioDelta {
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
}

impl Event {
    /// The announcement of a sentence that was spoken, unless there was nothing
    /// to say.
    pub(crate) fn of_sentence(sentence: &Sentence, spoken: &SpokenSentence) -> Option<Self> {
        Some(Self::AudioDelta {
            n: sentence.n,
            text: sentence.text.clone(),
            speech: spoken.speech.clone()?,
        })
    }

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
    /// That which made it; `None` for the joined work of several messages.
    pub run: Option<&'a Run>,
    pub turn: &'a Turn,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Begun {
    /// Recorded; go on.
    Started(Run),
    /// This stage has been done before, with this outcome: do not repeat it,
    /// but see that its message gets on.
    AlreadyCompleted {
        turn: Box<Turn>,
        /// See [`Told::take`].
        take: u32,
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
    pub stage: Stage,
    /// From 1, a new one with each [`ReplyLog::begin_stage`].
    pub number: u32,
    /// Processes that began this try before and vanished.
    pub crashes: u32,
    /// What earlier runs have told.
    pub told: Told,
}

/// The answer as far as the log tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Which beginning of the answer it is, from 1.
    pub take: u32,
    pub text: String,
}

impl Default for Told {
    fn default() -> Self {
        Self {
            take: 1,
            text: String::new(),
        }
    }
}

impl Told {
    pub fn by<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut told = Self::default();
        for event in events {
            match event {
                Event::AnswerDelta { text } => told.text.push_str(text),
                Event::AnswerRestarted => {
                    told.take += 1;
                    told.text.clear();
                }
                _ => {}
            }
        }
        told
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    Recorded,
    /// The job was over before; nothing was recorded.
    Closed,
    /// A newer run of the same stage has taken over; nothing was recorded.
    Superseded,
    /// The message is left over: its job was resumed since, or its answer begun
    /// anew. Nothing was recorded.
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

/// How a sentence was spoken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpokenSentence {
    /// `None` when there was nothing to say.
    pub speech: Option<Speech>,
    pub duration_ms: f64,
    pub queued_ms: f64,
}

/// What is to be done about a sentence.
#[derive(Clone, Debug, PartialEq)]
pub enum Speaking {
    /// Speak it.
    Missing {
        /// See [`Run::crashes`].
        crashes: u32,
    },
    /// It is spoken; others are still missing.
    Spoken,
    /// All sentences are spoken: join them. The message that hears this is the
    /// one to complete the job.
    AllSpoken(Box<SpokenAnswer>),
    /// Nothing: the job is over, or the answer was begun anew.
    Over,
    /// See [`Begun::CrashesWorkers`].
    CrashesWorkers,
    /// See [`Appended::Lost`].
    Lost,
}

/// A whole answer whose sentences are spoken one by one.
#[derive(Clone, Debug, PartialEq)]
pub struct SpokenAnswer {
    /// As the stage left it that wrote the answer.
    pub turn: Turn,
    /// In order.
    pub sentences: Vec<SpokenSentence>,
}
