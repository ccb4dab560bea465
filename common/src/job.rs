//! A job as its log tells it: a pure fold, shared by every rendering. Here
//! because a callback tells of a job what the front door shows.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    envelope::Job,
    ids::{CorrelationId, Tenant},
    pipeline::Stage,
    reply::{Event, Failure, Record, Resumption},
    time::UnixMillis,
    turn::Turn,
};

pub mod log;
pub mod state;
pub mod store;
#[cfg(test)]
mod tests;
pub mod watch;

#[derive(Clone, Debug, PartialEq)]
pub struct JobView {
    /// With the deadline and the callback that it has since it was last resumed.
    pub job: Job,
    /// From its acceptance to its first deadline.
    pub time: Duration,
    /// In the order in which they were first begun.
    pub stages: Vec<StageView>,
    pub outcome: Option<Outcome>,
    /// When an operator last took it up again after it had failed.
    pub resumed_at: Option<UnixMillis>,
    /// When the answer that stands began to be there as text. What came before
    /// an `answer.restarted` is void, and so is the time at which it came.
    pub first_token: Option<UnixMillis>,
    /// When that answer began to be there as speech.
    pub first_audio: Option<UnixMillis>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Succeeded(Box<Turn>),
    Failed(Failure),
    Cancelled,
    Expired,
    /// Its data were erased, so that there is nothing to show of it.
    Erased,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::Display, ToSchema)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Status {
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
    Expired,
}

#[derive(Clone, Debug, PartialEq)]
pub struct StageView {
    pub stage: Stage,
    /// Tries begun so far, since the job was last resumed.
    pub attempts: u32,
    /// Those that failed, also before the job was resumed.
    pub failures: Vec<FailedTry>,
    /// The last try failed, and another one follows.
    pub waits: bool,
    /// Once it is complete.
    pub times: Option<StageTimes>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedTry {
    pub attempt: u32,
    /// A stable machine word.
    pub reason: String,
    pub at: UnixMillis,
    /// From then to the next try; `None` after the last.
    pub next_in: Option<Duration>,
}

impl FailedTry {
    pub fn next_at(&self) -> Option<UnixMillis> {
        self.next_in.map(|delay| self.at.after(delay))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StageStatus {
    Running,
    /// A try failed, and the next one is not due yet, or waits for a worker.
    Retrying,
    Completed,
    Failed,
    /// Its job ended elsewhere.
    Stopped,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StageTimes {
    pub work: Duration,
    pub queued: Duration,
}

/// The code of the failure of a job that could not be queued: its caller was
/// told that nothing was accepted.
pub const NOT_QUEUED: &str = "not_queued";

/// Time for a worker to notice that a job has expired.
const NOTICE: Duration = Duration::from_secs(1);

impl JobView {
    /// `None` when there is no beginning: the log is unknown or forgotten.
    pub fn of<'a>(records: impl IntoIterator<Item = &'a Record>) -> Option<Self> {
        let mut view = None;
        for record in records {
            Self::advance(&mut view, record);
        }
        view
    }

    /// One step of the fold: `view` is `None` until the beginning has been seen.
    pub fn advance(view: &mut Option<Self>, record: &Record) {
        match (view, &record.event) {
            (Some(view), _) => view.apply(record),
            (view @ None, Event::Accepted { job }) => *view = Some(Self::begun(job)),
            (view @ None, Event::Erased { job }) => {
                let outcome = Some(Outcome::Erased);
                *view = Some(Self {
                    outcome,
                    ..Self::begun(job)
                });
            }
            (None, _) => {}
        }
    }

    fn begun(job: &Job) -> Self {
        Self {
            job: job.clone(),
            time: job.deadline.since(job.accepted_at),
            stages: Vec::new(),
            outcome: None,
            resumed_at: None,
            first_token: None,
            first_audio: None,
        }
    }

    fn apply(&mut self, record: &Record) {
        match &record.event {
            Event::StageStarted(started) => {
                let stage = self.stage(started.stage);
                stage.attempts = stage.attempts.max(started.attempt);
                stage.waits = false;
            }
            Event::StageRetrying {
                stage,
                attempt,
                in_ms,
                reason,
            } => {
                let stage = self.stage(*stage);
                stage.waits = true;
                stage.failures.push(FailedTry {
                    attempt: *attempt,
                    reason: reason.clone(),
                    at: record.at,
                    next_in: Some(Duration::from_millis(*in_ms)),
                });
            }
            Event::StageCompleted {
                stage,
                duration_ms,
                queued_ms,
            } => {
                let stage = self.stage(*stage);
                stage.waits = false;
                stage.times = Some(StageTimes {
                    work: from_millis(*duration_ms),
                    queued: from_millis(*queued_ms),
                });
            }
            Event::AnswerDelta { text } if !text.is_empty() => {
                self.first_token.get_or_insert(record.at);
            }
            Event::AudioDelta { .. } => {
                self.first_audio.get_or_insert(record.at);
            }
            Event::AnswerRestarted => {
                self.first_token = None;
                self.first_audio = None;
            }
            Event::Completed { turn } => self.outcome = Some(Outcome::Succeeded(turn.clone())),
            Event::Failed { error } => self.fail(error, record.at),
            Event::Resumed(resumption) => self.resume(resumption, record.at),
            Event::Cancelled => self.outcome = Some(Outcome::Cancelled),
            Event::Expired => self.outcome = Some(Outcome::Expired),
            Event::Erased { .. } => self.outcome = Some(Outcome::Erased),
            Event::Accepted { .. }
            | Event::Transcript { .. }
            | Event::Emotion { .. }
            | Event::Retrieved { .. }
            | Event::AnswerDelta { .. }
            | Event::Unknown => {}
        }
    }

    /// The try that failed last has no other event.
    fn fail(&mut self, error: &Failure, at: UnixMillis) {
        if let Some(stage) = error.stage {
            let stage = self.stage(stage);
            stage.failures.push(FailedTry {
                attempt: stage.attempts,
                reason: error.code.clone(),
                at,
                next_in: None,
            });
        }
        self.outcome = Some(Outcome::Failed(error.clone()));
    }

    fn resume(&mut self, resumption: &Resumption, at: UnixMillis) {
        let Resumption { deadline, callback } = resumption;
        self.outcome = None;
        self.resumed_at = Some(at);
        self.job.deadline = *deadline;
        self.job.callback = callback.or(self.job.callback);
        for stage in self.stages.iter_mut().filter(|it| it.times.is_none()) {
            stage.attempts = 0;
            stage.waits = false;
        }
    }

    fn stage(&mut self, stage: Stage) -> &mut StageView {
        let known = self.stages.iter().position(|view| view.stage == stage);
        let index = known.unwrap_or_else(|| {
            self.stages.push(StageView {
                stage,
                attempts: 0,
                failures: Vec::new(),
                waits: false,
                times: None,
            });
            self.stages.len() - 1
        });
        &mut self.stages[index]
    }

    /// Its time was up a while ago, and nothing has ended it: no worker was
    /// there to notice.
    pub fn is_overdue(&self, now: UnixMillis) -> bool {
        self.outcome.is_none() && now >= overdue_from(self.job.deadline)
    }

    /// The job at the end of which `callback` tells, once it is there: a job that
    /// is resumed has several ends, and each is told by another.
    pub fn at_end_told_by(records: &[Record], callback: CorrelationId) -> Option<Self> {
        let mut view = None;
        for record in records {
            Self::advance(&mut view, record);
            let is_told =
                |view: &&Self| view.outcome.is_some() && view.job.callback == Some(callback);
            if let Some(ended) = view.as_ref().filter(is_told) {
                return Some(ended.clone());
            }
        }
        None
    }

    /// Whether it was ended before it was accepted.
    pub fn was_not_queued(&self) -> bool {
        matches!(&self.outcome, Some(Outcome::Failed(failure)) if failure.code == NOT_QUEUED)
    }

    /// The time from acceptance until then: what a caller waited for it, the
    /// queues included.
    pub fn since_accepted(&self, then: UnixMillis) -> Duration {
        then.since(self.job.accepted_at)
    }

    pub fn belongs_to(&self, tenant: &Tenant) -> bool {
        self.job.tenant == *tenant
    }

    pub fn status(&self) -> Status {
        match &self.outcome {
            Some(Outcome::Succeeded(_)) => Status::Succeeded,
            Some(Outcome::Failed(_)) => Status::Failed,
            // Nobody is shown one that was erased.
            Some(Outcome::Cancelled | Outcome::Erased) => Status::Cancelled,
            Some(Outcome::Expired) => Status::Expired,
            None if self.stages.is_empty() => Status::Queued,
            None => Status::Running,
        }
    }

    pub fn status_of(&self, stage: &StageView) -> StageStatus {
        match &self.outcome {
            _ if stage.times.is_some() => StageStatus::Completed,
            None if stage.waits => StageStatus::Retrying,
            None => StageStatus::Running,
            Some(Outcome::Failed(failure)) if failure.stage == Some(stage.stage) => {
                StageStatus::Failed
            }
            Some(_) => StageStatus::Stopped,
        }
    }

    pub fn times_of(&self, stage: Stage) -> Option<StageTimes> {
        self.stages
            .iter()
            .find(|view| view.stage == stage)
            .and_then(|view| view.times)
    }
}

/// When a job that nothing has ended by its `deadline` is overdue.
pub fn overdue_from(deadline: UnixMillis) -> UnixMillis {
    deadline.after(NOTICE)
}

fn from_millis(millis: f64) -> Duration {
    Duration::try_from_secs_f64(millis / 1000.0).unwrap_or_default()
}
