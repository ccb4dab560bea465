//! What follows from one command.

use super::{End, JobState, LAST_STEP, NewestRun};
use crate::{
    envelope::Job,
    ids::{CorrelationId, MessageId},
    job::store::{Epoch, FIRST_EPOCH, first_number},
    reply::{
        Appended, Begun, CompletedStage, Event, FailedBy, Failure, Record, Resumed, Resumption,
        Run, Speaking, SpokenSentence, StageStarted, Withdrawn,
    },
    time::UnixMillis,
    turn::Sentence,
};

/// More than the beginnings of an answer that a store may have lost: the sentences of a lost one are never taken for those of
/// the one that counts.
const LOST_REVISIONS: u32 = 1_000;

/// The name of a message within its job.
fn part_of(id: CorrelationId, message: &MessageId) -> &str {
    let name = message.as_str();
    let within = name.strip_prefix(&id.to_string());
    within.map_or(name, |part| part.trim_start_matches('/'))
}

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
            let seconds = u32::try_from(self.epoch / 1_000).unwrap_or(u32::MAX / 2);
            self.state().answer_revision = LOST_REVISIONS.saturating_add(seconds);
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
        if let Some(turn) = state.completed.get(&stage) {
            return Begun::AlreadyCompleted {
                turn: Box::new(turn.clone()),
                take: state.answer_revision,
            };
        }
        let message = stage.as_str();
        let Some(crashes) = state.count_start(message, started.attempt, process) else {
            return Begun::CrashesWorkers;
        };
        let run = state.runs.entry(stage).or_default();
        *run = NewestRun {
            number: run.number + 1,
            step: 0,
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
            state.release_attempt(run.stage.as_str(), None);
            Appended::Superseded
        } else {
            Appended::Recorded
        }
    }

    fn append_by(&mut self, by: Option<&Run>, events: &[Event]) -> Appended {
        let admitted = self.admit(by);
        if admitted == Appended::Recorded {
            for event in events {
                self.push(event.clone());
            }
        }
        admitted
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
        let admitted = self.admit(completed.run);
        if admitted != Appended::Recorded {
            return admitted;
        }
        let done = &mut self.state().completed;
        if done.contains_key(&completed.stage) {
            return Appended::Recorded;
        }
        done.insert(completed.stage, completed.turn.clone());
        self.append_by(completed.run, events)
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

    pub fn start_sentence(
        &mut self,
        job: &Job,
        started: StageStarted,
        sentence: &Sentence,
        process: &str,
    ) -> Speaking {
        self.open(job);
        let state = self.state();
        if state.is_over_for(sentence) || state.is_stale(job) {
            return Speaking::Over;
        }
        state.sentences.note_count(sentence);
        if state.sentences.is_spoken(sentence.n) {
            return state.speaking();
        }
        let id = job.correlation_id;
        let message = MessageId::of_sentence(id, started.stage, sentence);
        let part = part_of(id, &message);
        let Some(crashes) = state.count_start(part, started.attempt, process) else {
            return Speaking::CrashesWorkers;
        };
        let is_first = !std::mem::replace(&mut state.sentences.is_started, true);
        if is_first || started.attempt > 1 {
            self.push(Event::StageStarted(started));
        }
        Speaking::Missing { crashes }
    }

    pub fn complete_sentence(&mut self, sentence: &Sentence, spoken: &SpokenSentence) -> Speaking {
        let Some(state) = &mut self.state else {
            return Speaking::Lost;
        };
        if state.is_over_for(sentence) {
            return Speaking::Over;
        }
        state.sentences.complete(sentence, spoken);
        for announcement in state.sentences.announce() {
            self.push(announcement);
        }
        self.state().speaking()
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
        let is_of_before = message.take().is_some_and(|it| it < state.answer_revision);
        if state.is_stale(job) || is_of_before {
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

    pub fn release_attempt(&mut self, id: CorrelationId, message: &MessageId, process: &str) {
        if let Some(state) = &mut self.state {
            state.release_attempt(part_of(id, message), Some(process));
        }
    }

    /// The store came back with `records`, which are less than was known. What holds of them is told once more, in another
    /// epoch; the answer is begun anew, unless it was complete. Of a log that is over nothing is missing that counts.
    pub fn begin_anew(&mut self, epoch: Epoch, records: &[Record]) {
        let Some(state) = self.state.as_mut().filter(|state| !state.is_terminal()) else {
            return;
        };
        let is_of_answer =
            |event: &Event| matches!(event, Event::AnswerDelta { .. } | Event::AudioDelta { .. });
        let events = records.iter().map(|record| record.event.clone());
        self.events = events.filter(|event| !is_of_answer(event)).collect();
        state.first = first_number(epoch);
        state.last = state.first + self.events.len() as u64 - 1;
        let before = state.clone();
        (self.epoch, self.erases) = (epoch, true);
        self.push(Event::AnswerRestarted);
        self.state().answer_revision += LOST_REVISIONS;
        let answer = before.completed.values().find_map(|it| it.answer.as_ref());
        if let Some(answer) = answer {
            let text = answer.text.clone();
            self.push(Event::AnswerDelta { text });
            let is_restart = |record: &Record| record.event == Event::AnswerRestarted;
            let counting = records.iter().rposition(is_restart).unwrap_or_default();
            for record in &records[counting..] {
                if matches!(record.event, Event::AudioDelta { .. }) {
                    self.push(record.event.clone());
                }
            }
            // Its sentences are on their way, and are those of the answer that counts.
            let state = self.state();
            state.answer_revision = before.answer_revision;
            state.sentences = before.sentences;
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
