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
            Event::Accepted { .. }
            | Event::Transcript { .. }
            | Event::Emotion { .. }
            | Event::Retrieved { .. }
            | Event::AnswerDelta { .. } => {}
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
            Some(Outcome::Cancelled) => Status::Cancelled,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        pipeline::Route,
        reply::StageStarted,
        testing::fixtures::{job, text_turn},
    };

    fn log(events: Vec<Event>) -> Vec<Record> {
        let numbered = (1..).zip(events);
        numbered
            .map(|(sequence_number, event)| Record {
                sequence_number,
                at: UnixMillis(0),
                event,
            })
            .collect()
    }

    fn kept_nowhere() -> crate::turn::Speech {
        let ticket = serde_json::json!({ "name": "a", "bytes": 1 });
        crate::turn::Speech {
            ticket: serde_json::from_value(ticket).unwrap(),
            duration_ms: 1,
            provider: "test".into(),
        }
    }

    fn started(attempt: u32) -> Event {
        Event::StageStarted(StageStarted {
            stage: Stage::Rag,
            attempt,
        })
    }

    #[test]
    fn the_status_follows_from_the_last_thing_that_happened() {
        let accepted = Event::Accepted {
            job: job(Route::Text),
        };
        let completed = Event::Completed {
            turn: Box::new(text_turn("apa?")),
        };
        for (then, expected) in [
            (vec![], Status::Queued),
            (vec![started(1)], Status::Running),
            (vec![started(1), completed], Status::Succeeded),
            (vec![Event::Cancelled], Status::Cancelled),
            (vec![started(1), Event::Expired], Status::Expired),
        ] {
            let mut events = vec![accepted.clone()];
            events.extend(then);
            assert_eq!(JobView::of(&log(events)).unwrap().status(), expected);
        }
        assert_eq!(JobView::of(&log(vec![])), None);
    }

    #[test]
    fn a_stage_keeps_its_tries_and_times() {
        let events = vec![
            Event::Accepted {
                job: job(Route::Text),
            },
            started(1),
            started(2),
            Event::StageCompleted {
                stage: Stage::Rag,
                duration_ms: 1500.0,
                queued_ms: 2.5,
            },
        ];
        let view = JobView::of(&log(events)).unwrap();
        assert_eq!(view.stages.len(), 1);
        assert_eq!(view.stages[0].attempts, 2);
        let times = view.times_of(Stage::Rag).unwrap();
        assert_eq!(times.work, Duration::from_millis(1500));
        assert_eq!(times.queued, Duration::from_micros(2500));
    }

    fn retrying(attempt: u32) -> Event {
        Event::StageRetrying {
            stage: Stage::Rag,
            attempt,
            in_ms: 5_000,
            reason: "vendor_away".into(),
        }
    }

    fn failed() -> Event {
        let error = Failure {
            code: "vendor_gone".into(),
            message: "…".into(),
            kind: crate::reply::FailureKind::Unavailable,
            stage: Some(Stage::Rag),
        };
        Event::Failed { error }
    }

    /// The view of a job with these events, one a second from second 1.
    fn view_of(events: Vec<Event>) -> JobView {
        let accepted = Event::Accepted {
            job: job(Route::Text),
        };
        let mut records = log(std::iter::once(accepted).chain(events).collect());
        for record in &mut records {
            record.at = UnixMillis(1_000 * (record.sequence_number - 1));
        }
        JobView::of(&records).unwrap()
    }

    #[test]
    fn a_stage_tells_why_its_tries_failed_and_when_the_next_is_due() {
        let stage = |events| view_of(events).stages.remove(0);
        let waiting = stage(vec![started(1), retrying(1)]);
        assert!(waiting.waits);
        assert_eq!(waiting.failures[0].reason, "vendor_away");
        assert_eq!(waiting.failures[0].next_at(), Some(UnixMillis(7_000)));
        let at_work = stage(vec![started(1), retrying(1), started(2)]);
        assert!(!at_work.waits);
        assert_eq!((at_work.attempts, at_work.failures.len()), (2, 1));
        let last = stage(vec![started(1), retrying(1), started(2), failed()]);
        let reasons: Vec<_> = last.failures.iter().map(|it| &*it.reason).collect();
        assert_eq!(reasons, ["vendor_away", "vendor_gone"]);
        assert_eq!(
            (last.failures[1].attempt, last.failures[1].next_at()),
            (2, None)
        );
    }

    #[test]
    fn a_stage_has_the_status_that_its_job_leaves_it() {
        let completed = Event::StageCompleted {
            stage: Stage::Rag,
            duration_ms: 1.0,
            queued_ms: 1.0,
        };
        for (events, expected) in [
            (vec![started(1)], StageStatus::Running),
            (vec![started(1), retrying(1)], StageStatus::Retrying),
            (
                vec![started(1), completed, failed()],
                StageStatus::Completed,
            ),
            (vec![started(1), failed()], StageStatus::Failed),
            (vec![started(1), Event::Cancelled], StageStatus::Stopped),
        ] {
            let view = view_of(events);
            assert_eq!(view.status_of(&view.stages[0]), expected);
        }
    }

    #[test]
    fn a_job_that_is_resumed_begins_its_tries_anew_and_remembers_why_they_failed() {
        let next = CorrelationId::new();
        let resumed = Event::Resumed(Resumption {
            deadline: UnixMillis(99_000),
            callback: Some(next),
        });
        let spoken = Event::StageStarted(StageStarted {
            stage: Stage::Tts,
            attempt: 3,
        });
        let done = Event::StageCompleted {
            stage: Stage::Tts,
            duration_ms: 1.0,
            queued_ms: 1.0,
        };
        let mut events = vec![started(1), started(2), failed(), resumed];
        let view = view_of([vec![spoken, done], events.clone()].concat());
        assert_eq!(view.stages[0].attempts, 3, "that of a complete stage");
        assert_eq!(view.stages[1].attempts, 0);
        let view = view_of(events.clone());
        assert_eq!(
            (view.status(), view.outcome.is_none()),
            (Status::Running, true)
        );
        assert_eq!(view.resumed_at, Some(UnixMillis(4_000)));
        assert_eq!(view.job.deadline, UnixMillis(99_000));
        assert_eq!(view.job.callback, Some(next));
        assert_eq!(view.stages[0].attempts, 0);
        assert_eq!(view.stages[0].failures[0].attempt, 2);
        events.extend([started(1), Event::Expired]);
        let view = view_of(events);
        assert_eq!(
            (view.status(), view.stages[0].attempts),
            (Status::Expired, 1)
        );
    }

    #[test]
    fn each_end_of_a_job_is_told_by_its_own_callback() {
        let [first, second] = [CorrelationId::new(), CorrelationId::new()];
        let mut accepted = job(Route::Text);
        accepted.callback = Some(first);
        let resumed = Event::Resumed(Resumption {
            deadline: accepted.deadline.after(Duration::from_secs(60)),
            callback: Some(second),
        });
        let job = Event::Accepted { job: accepted };
        let records = log(vec![job, started(1), failed(), resumed, Event::Expired]);
        let status = |seen: usize, by| {
            JobView::at_end_told_by(&records[..seen], by).map(|view| view.status())
        };
        assert_eq!((status(2, first), status(4, second)), (None, None));
        for seen in 3..=5 {
            assert_eq!(status(seen, first), Some(Status::Failed), "{seen}");
        }
        assert_eq!(status(5, second), Some(Status::Expired));
    }

    #[test]
    fn the_first_token_and_the_first_audio_are_those_of_the_answer_that_stands() {
        let job = job(Route::Voice);
        let delta = |text: &str| Event::AnswerDelta { text: text.into() };
        let speech = |n| Event::AudioDelta {
            n,
            text: "a".into(),
            speech: kept_nowhere(),
        };
        // Ten milliseconds between one event and the next.
        let first = |events: Vec<Event>| {
            let accepted = Event::Accepted { job: job.clone() };
            let mut records = log(std::iter::once(accepted).chain(events).collect());
            for record in &mut records {
                record.at = UnixMillis(job.accepted_at.0 + 10 * record.sequence_number);
            }
            let view = JobView::of(&records).unwrap();
            let since = |at: Option<UnixMillis>| at.map(|at| view.since_accepted(at).as_millis());
            (since(view.first_token), since(view.first_audio))
        };
        for (events, expected) in [
            (vec![], (None, None)),
            (vec![delta("")], (None, None)),
            (vec![delta(""), delta("a"), delta("b")], (Some(30), None)),
            (vec![delta("a"), speech(1), speech(2)], (Some(20), Some(30))),
            (
                vec![delta("a"), speech(1), Event::AnswerRestarted],
                (None, None),
            ),
            (
                vec![
                    delta("a"),
                    speech(1),
                    Event::AnswerRestarted,
                    delta("b"),
                    speech(1),
                ],
                (Some(50), Some(60)),
            ),
        ] {
            assert_eq!(first(events.clone()), expected, "{events:?}");
        }
    }
}
