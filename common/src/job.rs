//! A job as its log tells it: a pure fold, shared by every rendering. Here
//! because a callback tells of a job what the front door shows.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    envelope::Job,
    ids::Tenant,
    pipeline::Stage,
    reply::{Event, Failure, Record},
    time::UnixMillis,
    turn::Turn,
};

#[derive(Clone, Debug, PartialEq)]
pub struct JobView {
    pub job: Job,
    /// In the order in which they were first begun.
    pub stages: Vec<StageView>,
    pub outcome: Option<Outcome>,
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
    /// Tries begun so far.
    pub attempts: u32,
    /// Once it is complete.
    pub times: Option<StageTimes>,
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
            stages: Vec::new(),
            outcome: None,
            first_token: None,
            first_audio: None,
        }
    }

    fn apply(&mut self, record: &Record) {
        match &record.event {
            Event::StageStarted(started) => {
                let stage = self.stage(started.stage);
                stage.attempts = stage.attempts.max(started.attempt);
            }
            Event::StageCompleted {
                stage,
                duration_ms,
                queued_ms,
            } => {
                self.stage(*stage).times = Some(StageTimes {
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
            Event::Failed { error } => self.outcome = Some(Outcome::Failed(error.clone())),
            Event::Cancelled => self.outcome = Some(Outcome::Cancelled),
            Event::Expired => self.outcome = Some(Outcome::Expired),
            Event::Accepted { .. }
            | Event::StageRetrying { .. }
            | Event::Transcript { .. }
            | Event::Emotion { .. }
            | Event::Retrieved { .. }
            | Event::AnswerDelta { .. } => {}
        }
    }

    fn stage(&mut self, stage: Stage) -> &mut StageView {
        let known = self.stages.iter().position(|view| view.stage == stage);
        let index = known.unwrap_or_else(|| {
            self.stages.push(StageView {
                stage,
                attempts: 0,
                times: None,
            });
            self.stages.len() - 1
        });
        &mut self.stages[index]
    }

    /// Its time was up a while ago, and nothing has ended it: no worker was
    /// there to notice.
    pub fn is_overdue(&self, now: UnixMillis) -> bool {
        self.outcome.is_none() && now >= overdue_from(&self.job)
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

    pub fn times_of(&self, stage: Stage) -> Option<StageTimes> {
        self.stages
            .iter()
            .find(|view| view.stage == stage)
            .and_then(|view| view.times)
    }
}

/// When a job that nothing has ended is overdue.
pub fn overdue_from(job: &Job) -> UnixMillis {
    job.deadline.after(NOTICE)
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
