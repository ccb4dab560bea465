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
    reply::{Ending, Event, FailedBy, MOST_RUNS, Resumption},
    turn::Turn,
};

pub use draft::Draft;

mod draft;
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
    /// The number of the event with which the answer was last begun anew, 0 for an answer that never was.
    #[serde(default, skip_serializing_if = "is_zero")]
    answer_revision: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    attempts: BTreeMap<Stage, Attempt>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    runs: BTreeMap<Stage, NewestRun>,
    /// What each stage made that is complete.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    completed: BTreeMap<Stage, Outcome>,
}

/// What a stage made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Outcome {
    turn: Turn,
    /// Is to be told once what follows from it outside of the job is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    withheld: Option<Box<Event>>,
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

/// The processes that began one attempt of a stage.
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
    /// The job was resumed since, or its log begun anew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_past: bool,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
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
            answer_revision: 0,
            attempts: BTreeMap::new(),
            runs: BTreeMap::new(),
            completed: BTreeMap::new(),
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

    /// What `stage` made, once it is complete.
    pub fn outcome(&self, stage: Stage) -> Option<&Turn> {
        self.completed.get(&stage).map(|outcome| &outcome.turn)
    }

    /// The stages that have begun on the job since it was last resumed, and since its log was last begun anew.
    pub fn begun(&self) -> Vec<Stage> {
        let present = self.runs.iter().filter(|(_, run)| !run.is_past);
        present.map(|(stage, _)| *stage).collect()
    }

    fn leave_runs_behind(&mut self) {
        for run in self.runs.values_mut() {
            run.is_past = true;
        }
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

    /// What every event changes, whoever wrote it.
    fn apply(&mut self, event: &Event) {
        self.last += 1;
        let was_just_resumed = std::mem::replace(&mut self.is_just_resumed, false);
        match event {
            Event::StageStarted(_) => self.is_started = true,
            Event::AnswerRestarted => self.answer_revision = self.last,
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
                self.leave_runs_behind();
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
        }
    }

    fn can_be_resumed(&self) -> bool {
        matches!(self.end, Some(End::FailedResumably | End::ExpiredUnresumed))
    }

    /// Counts the processes that begin an attempt of a stage: one that begins it twice has lived to do so. How many have
    /// before this one, or `None` when they are too many.
    fn count_start(&mut self, stage: Stage, attempt: u32, process: &str) -> Option<u32> {
        let known = self.attempts.get(&stage);
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
        self.attempts.insert(stage, attempt);
        Some(starts.saturating_sub(1))
    }

    /// `process` did not end by `stage`: it counts again when it begins it again. Without its name, that of an earlier
    /// start.
    fn release_attempt(&mut self, stage: Stage, process: Option<&str>) {
        if let Some(attempt) = self.attempts.get_mut(&stage) {
            attempt.starts = attempt.starts.saturating_sub(1);
            if process == Some(&attempt.process) {
                attempt.process.clear();
            }
        }
    }
}
