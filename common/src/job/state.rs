//! The rules of a job's log: which event may follow which, and who may write it.
//!
//! Pure. A [`Draft`] starts from what the store holds of a job, takes one command and holds the events and the state that
//! follow from it. Whether they are stored is decided by [`JobStore::append_if`](super::store::JobStore::append_if). The
//! promises that these rules keep are stated in [`super::log`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    envelope::Job,
    job::store::{Epoch, FIRST_EPOCH, first_number},
    pipeline::Stage,
    reply::{Ending, Event, FailedBy, MOST_RUNS, Resumption, Speaking, SpokenAnswer},
    turn::{Sentence, Turn},
};

pub use draft::Draft;
use sentences::Sentences;

mod draft;
mod sentences;
#[cfg(test)]
mod tests;

/// What is decided by: a fold of the events, and who works on the job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobState {
    /// The number of the last event.
    pub last: u64,
    /// The number of the first event that is kept: those before it were erased.
    pub first: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<End>,
    /// By which message the job failed, when that is among the dead letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failed_by: Option<FailedBy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resumption: Option<Resumption>,
    /// Nothing has come of the last resumption yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_just_resumed: bool,
    /// A stage has begun on it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_started: bool,
    /// A second process submits it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_resubmitted: bool,
    /// Which beginning of the answer counts, from 1.
    #[serde(default = "first_revision", skip_serializing_if = "is_first_revision")]
    answer_revision: u32,
    /// By message, within the job.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    attempts: BTreeMap<String, Attempt>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    runs: BTreeMap<Stage, NewestRun>,
    /// What each stage made that is complete.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    completed: BTreeMap<Stage, Turn>,
    #[serde(default, skip_serializing_if = "Sentences::is_empty")]
    sentences: Sentences,
}

/// How a job is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum End {
    Completed,
    Failed,
    /// An operator may take it up again.
    FailedResumably,
    Cancelled,
    Expired,
    /// Before anything had come of its last resumption.
    ExpiredUnresumed,
    Erased,
}

/// The processes that began one attempt of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Attempt {
    number: u32,
    /// How many have begun it, and did not say that they live.
    starts: u32,
    /// The last of them.
    process: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct NewestRun {
    number: u32,
    /// The last step that it told.
    step: u32,
}

const fn first_revision() -> u32 {
    1
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_first_revision(revision: &u32) -> bool {
    *revision == first_revision()
}

impl Default for JobState {
    fn default() -> Self {
        Self::of(FIRST_EPOCH)
    }
}

/// After the last step of a run there are no more.
pub const LAST_STEP: u32 = u32::MAX;

impl JobState {
    /// Of a log without an event.
    fn of(epoch: Epoch) -> Self {
        Self {
            last: first_number(epoch) - 1,
            first: first_number(epoch),
            end: None,
            failed_by: None,
            resumption: None,
            is_just_resumed: false,
            is_started: false,
            is_resubmitted: false,
            answer_revision: first_revision(),
            attempts: BTreeMap::new(),
            runs: BTreeMap::new(),
            completed: BTreeMap::new(),
            sentences: Sentences::default(),
        }
    }

    /// After the first event of a log.
    pub fn accepted() -> Self {
        Self {
            last: 1,
            ..Self::default()
        }
    }

    pub fn is_terminal(&self) -> bool {
        self.end.is_some()
    }

    /// Which beginning of the answer counts, from 1.
    pub fn answer_revision(&self) -> u32 {
        self.answer_revision
    }

    /// How the job ended; `None` while it is not over.
    pub fn ending(&self) -> Option<Ending> {
        self.end.map(|end| Ending {
            failed_by: self.failed_by.clone(),
            is_erased: end == End::Erased,
            can_be_resumed: self.can_be_resumed(),
        })
    }

    /// Whether a message of `job` is left over from before it was resumed.
    fn is_stale(&self, job: &Job) -> bool {
        let resumption = self.resumption.as_ref();
        resumption.is_some_and(|it| job.deadline < it.deadline)
    }

    fn is_over_for(&self, sentence: &Sentence) -> bool {
        self.is_terminal() || sentence.take < self.answer_revision
    }

    /// What every event changes, whoever wrote it.
    fn apply(&mut self, event: &Event) {
        self.last += 1;
        let was_just_resumed = std::mem::replace(&mut self.is_just_resumed, false);
        match event {
            Event::StageStarted(_) => self.is_started = true,
            Event::AnswerRestarted => {
                self.answer_revision += 1;
                self.sentences = Sentences::default();
            }
            Event::Completed { .. } => self.end_as(End::Completed),
            Event::Failed { error } if error.can_be_resumed() => self.end_as(End::FailedResumably),
            Event::Failed { .. } => self.end_as(End::Failed),
            Event::Cancelled => self.end_as(End::Cancelled),
            Event::Expired if was_just_resumed => self.end_as(End::ExpiredUnresumed),
            Event::Expired => self.end_as(End::Expired),
            Event::Erased { .. } => self.end_as(End::Erased),
            Event::Resumed(resumption) => {
                self.end = None;
                self.failed_by = None;
                self.attempts.clear();
                // Its sentences begin anew, as far as they are missing.
                self.sentences.is_started = false;
                self.resumption = Some(resumption.clone());
                self.is_just_resumed = true;
            }
            _ => {}
        }
    }

    /// What is over for good is decided by its end alone.
    fn end_as(&mut self, end: End) {
        self.end = Some(end);
        if !self.can_be_resumed() {
            self.attempts.clear();
            self.runs.clear();
            self.completed.clear();
            self.sentences = Sentences::default();
        }
    }

    fn can_be_resumed(&self) -> bool {
        matches!(self.end, Some(End::FailedResumably | End::ExpiredUnresumed))
    }

    /// Counts the processes that begin an attempt of a message: one that begins it twice has lived to do so. How many have
    /// before this one, or `None` when they are too many.
    fn count_start(&mut self, message: &str, attempt: u32, process: &str) -> Option<u32> {
        let known = self.attempts.get(message);
        let known = known.filter(|known| known.number == attempt);
        let starts = match known {
            Some(known) if known.process == process => known.starts,
            Some(known) => known.starts + 1,
            None => 1,
        };
        if starts > MOST_RUNS {
            return None;
        }
        let attempt = Attempt {
            number: attempt,
            starts,
            process: process.to_owned(),
        };
        self.attempts.insert(message.to_owned(), attempt);
        Some(starts.saturating_sub(1))
    }

    /// `process` did not end by `message`: it counts again when it begins it again. Without its name, that of an earlier
    /// start.
    fn release_attempt(&mut self, message: &str, process: Option<&str>) {
        if let Some(attempt) = self.attempts.get_mut(message) {
            attempt.starts = attempt.starts.saturating_sub(1);
            if process == Some(&attempt.process) {
                attempt.process.clear();
            }
        }
    }

    /// What is to be done about a sentence that is spoken.
    fn speaking(&self) -> Speaking {
        let written = self.completed.values().find(|turn| turn.answer.is_some());
        match (self.sentences.all(), written) {
            (Some(sentences), Some(turn)) => Speaking::AllSpoken(Box::new(SpokenAnswer {
                turn: turn.clone(),
                sentences,
            })),
            _ => Speaking::Spoken,
        }
    }
}
