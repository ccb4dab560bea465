//! What follows from one command.

use super::{End, JobState, LAST_STEP, NewestRun, Outcome};
use crate::{
    envelope::Job,
    ids::MessageId,
    job::store::{Epoch, FIRST_EPOCH, first_number},
    pipeline::Stage,
    reply::{
        Appended, Begun, CompletedStage, Event, FailedBy, Failure, Record, Resumed, Resumption,
        Run, StageStarted, Withdrawn,
    },
    time::UnixMillis,
};

/// What follows from one command.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// Which beginning of the log it is about.
    pub epoch: Epoch,
    /// `None` while there is no log.
    pub state: Option<JobState>,
    /// To be appended.
    pub events: Vec<Event>,
    /// The events before these are to go.
    pub erases: bool,
}

impl Draft {
    pub fn of(epoch: Epoch, state: Option<JobState>) -> Self {
        Self {
            epoch,
            state,
            events: Vec::new(),
            erases: false,
        }
    }

    fn push(&mut self, event: Event) {
        self.state().apply(&event);
        self.events.push(event);
    }

    fn state(&mut self) -> &mut JobState {
        let epoch = self.epoch;
        self.state.get_or_insert_with(|| JobState::of(epoch))
    }

    fn is_terminal(&self) -> bool {
        self.state.as_ref().is_some_and(JobState::is_terminal)
    }

    pub fn open(&mut self, job: &Job) {
        if self.state.is_some() {
            return;
        }
        self.push(Event::Accepted { job: job.clone() });
        if self.epoch != FIRST_EPOCH {
            // For whoever has heard of an answer before the log was lost.
            self.push(Event::AnswerRestarted);
        }
    }

    pub fn start_stage(&mut self, job: &Job, started: StageStarted, process: &str) -> Begun {
        self.open(job);
        let stage = started.stage;
        let epoch = self.epoch;
        let state = self.state();
        if state.is_terminal() || state.is_stale(job) {
            return Begun::Closed;
        }
        if let Some(turn) = state.outcome(stage) {
            return Begun::AlreadyCompleted {
                turn: Box::new(turn.clone()),
                begun: state.begun(),
            };
        }
        let Some(crashes) = state.count_start(stage, started.attempt, process) else {
            return Begun::CrashesWorkers;
        };
        let run = state.runs.entry(stage).or_default();
        *run = NewestRun {
            number: run.number + 1,
            ..NewestRun::default()
        };
        let number = run.number;
        self.push(Event::StageStarted(started));
        Begun::Started(Run {
            crashes,
            ..Run::new(epoch, stage, number)
        })
    }

    /// Whether `by` may write: it is the newest run of its stage, on this beginning of the log.
    fn admit(&mut self, by: Option<&Run>) -> Appended {
        let epoch = self.epoch;
        let Some(state) = &mut self.state else {
            return Appended::Lost;
        };
        if state.is_terminal() {
            return Appended::Closed;
        }
        let Some(run) = by else {
            return Appended::Recorded;
        };
        let newest = state.runs.get(&run.stage).map_or(0, |it| it.number);
        if run.epoch != epoch || newest < run.number {
            Appended::Lost
        } else if newest > run.number {
            // Who still has something to tell has lived after all.
            state.release_attempt(run.stage, None);
            Appended::Superseded
        } else {
            Appended::Recorded
        }
    }

    fn append_by(&mut self, by: Option<&Run>, events: &[Event]) -> Appended {
        let admitted = self.admit(by);
        if admitted == Appended::Recorded {
            for event in events {
                if !self.is_of_another_answer(event) {
                    self.push(event.clone());
                }
            }
        }
        admitted
    }

    /// Speech of an answer that was begun anew meanwhile.
    fn is_of_another_answer(&mut self, event: &Event) -> bool {
        let current = self.state().answer_revision;
        matches!(event, Event::AudioDelta { revision, .. } if *revision != current)
    }

    pub fn append(&mut self, events: &[Event]) -> Appended {
        self.append_by(None, events)
    }

    pub fn append_progress(&mut self, run: &Run, step: u32, events: &[Event]) -> Appended {
        let admitted = self.admit(Some(run));
        if admitted != Appended::Recorded {
            return admitted;
        }
        let newest = self.state().runs.entry(run.stage).or_default();
        if newest.step >= step {
            return Appended::Recorded;
        }
        if newest.step + 1 < step && step != LAST_STEP {
            // A step in between is lost.
            return Appended::Lost;
        }
        newest.step = step;
        self.append_by(Some(run), events)
    }

    pub fn complete_stage(&mut self, events: &[Event], completed: &CompletedStage<'_>) -> Appended {
        let by = Some(completed.run);
        let admitted = self.admit(by);
        if admitted != Appended::Recorded {
            return admitted;
        }
        let done = &mut self.state().completed;
        if done.contains_key(&completed.stage) {
            return Appended::Recorded;
        }
        let outcome = Outcome {
            turn: completed.turn.clone(),
            withheld: completed.withheld.clone().map(Box::new),
        };
        done.insert(completed.stage, outcome);
        self.append_by(by, events)
    }

    pub fn release_stage(&mut self, stage: Stage, by: Option<&Run>, last: &[Event]) -> Appended {
        let admitted = self.admit(by);
        if admitted != Appended::Recorded {
            return admitted;
        }
        let outcome = self.state().completed.get_mut(&stage);
        let withheld = outcome.and_then(|outcome| outcome.withheld.take());
        if let Some(event) = withheld {
            self.push(*event);
        }
        self.append_by(by, last)
    }

    pub fn mark_resubmitted(&mut self) -> bool {
        let Some(state) = &mut self.state else {
            return true;
        };
        let is_open = !state.is_terminal();
        state.is_resubmitted |= is_open;
        is_open
    }

    pub fn rollback_submit(&mut self, end: &Event) -> Withdrawn {
        let state = self.state();
        if state.is_started {
            return Withdrawn::Begun;
        }
        if !state.is_terminal() {
            if state.is_resubmitted {
                return Withdrawn::Resubmitted;
            }
            self.push(end.clone());
        }
        Withdrawn::Ended
    }

    pub fn fail(
        &mut self,
        job: &Job,
        message: &MessageId,
        run: Option<&Run>,
        failure: &Failure,
    ) -> Appended {
        self.open(job);
        let state = self.state();
        if state.is_terminal() {
            return Appended::Closed;
        }
        if state.is_stale(job) {
            return Appended::Void;
        }
        // The log may have been lost, and the run with it.
        let is_lost = run.is_some_and(|run| !self.state().runs.contains_key(&run.stage));
        let appended = match self.admit(run) {
            Appended::Lost if is_lost => Appended::Recorded,
            admitted => admitted,
        };
        if appended == Appended::Recorded {
            let error = failure.clone();
            self.push(Event::Failed { error });
            self.state().failed_by = FailedBy::of(message, failure);
        }
        appended
    }

    pub fn expire(&mut self, job: &Job) -> Appended {
        self.open(job);
        if !self.is_terminal() && self.state().is_stale(job) {
            return Appended::Void;
        }
        self.append(&[Event::Expired])
    }

    pub fn resume(&mut self, resumption: &Resumption, now: UnixMillis) -> Resumed {
        let Some(state) = &self.state else {
            return Resumed::Gone;
        };
        if state.is_terminal() {
            if !state.can_be_resumed() {
                return Resumed::Over;
            }
        } else {
            let has_lapsed = |standing: &Resumption| standing.deadline <= now;
            if !state.resumption.as_ref().is_some_and(has_lapsed) {
                return Resumed::UnderWay(state.resumption.clone());
            }
        }
        self.push(Event::Resumed(resumption.clone()));
        Resumed::UnderWay(Some(resumption.clone()))
    }

    pub fn release_attempt(&mut self, stage: Stage, process: &str) {
        if let Some(state) = &mut self.state {
            state.release_attempt(stage, Some(process));
        }
    }

    /// The store came back with `records`, which are less than was known. What holds of them is told once more, in another
    /// epoch; the answer is begun anew, unless it was complete. Of a log that is over nothing is missing that counts.
    pub fn begin_anew(&mut self, epoch: Epoch, records: &[Record]) {
        let Some(state) = self.state.as_mut().filter(|state| !state.is_terminal()) else {
            return;
        };
        let mut answers = state.completed.iter().filter_map(|(stage, outcome)| {
            let answer = outcome.turn.answer.as_ref()?;
            Some((*stage, answer.text.clone()))
        });
        let answer = answers.next();
        let writer = answer.as_ref().map(|(stage, _)| *stage);
        let events = records.iter().map(|record| record.event.clone());
        let (of_answer, events) = events.partition::<Vec<_>, _>(|event| match event {
            Event::AnswerDelta { .. } | Event::AudioDelta { .. } => true,
            Event::StageCompleted { stage, .. } => Some(*stage) == writer,
            _ => false,
        });
        self.events = events;
        state.first = first_number(epoch);
        state.last = state.first + self.events.len() as u64 - 1;
        state.leave_runs_behind();
        let spoken_of = state.answer_revision;
        (self.epoch, self.erases) = (epoch, true);
        self.push(Event::AnswerRestarted);
        let Some((_, text)) = answer else { return };
        self.push(Event::AnswerDelta { text });
        let now = self.state().answer_revision;
        for event in of_answer {
            match event {
                Event::AudioDelta {
                    revision,
                    n,
                    text,
                    speech,
                } if revision == spoken_of => self.push(Event::AudioDelta {
                    revision: now,
                    n,
                    text,
                    speech,
                }),
                completed @ Event::StageCompleted { .. } => self.push(completed),
                _ => {}
            }
        }
    }

    pub fn erase(&mut self, job: &Job) {
        let Some(JobState { last, end, .. }) = self.state else {
            return;
        };
        if end == Some(End::Erased) {
            return;
        }
        self.state = Some(JobState {
            last,
            first: last + 1,
            ..JobState::default()
        });
        self.erases = true;
        self.push(Event::Erased {
            job: Box::new(job.erased()),
        });
    }
}
