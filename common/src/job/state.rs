//! The rules of a job's log: which event may follow which, and who may write it.
//!
//! Pure. A [`Draft`] starts from what the store holds of a job, takes one command and holds the events and the state that
//! follow from it. Whether they are stored is decided by [`JobStore::append_if`](super::store::JobStore::append_if). The
//! promises that these rules keep are stated in [`super::log`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    envelope::Job,
    ids::{CorrelationId, MessageId},
    job::store::{Epoch, FIRST_EPOCH, first_number},
    pipeline::Stage,
    reply::{
        Appended, Begun, CompletedStage, Ending, Event, FailedBy, Failure, MOST_RUNS, Record,
        Resumed, Resumption, Run, Speaking, SpokenAnswer, SpokenSentence, StageStarted, Told,
        Withdrawn,
    },
    time::UnixMillis,
    turn::{Sentence, Turn},
};

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

/// The sentences of the answer that counts, on their way into the log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Sentences {
    /// The stage that speaks has begun.
    is_started: bool,
    /// By number, from 1.
    spoken: BTreeMap<u32, Spoken>,
    /// Up to which number they are announced.
    announced: u32,
    /// How many there are, once that is known.
    count: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Spoken {
    how: SpokenSentence,
    /// What is said, until it is announced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
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

impl Sentences {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn note_count(&mut self, sentence: &Sentence) {
        if sentence.last {
            self.count = Some(sentence.n);
        }
    }

    /// All of them, in order, once none is missing.
    fn all(&self) -> Option<Vec<SpokenSentence>> {
        let count = self.count.filter(|count| *count <= self.announced)?;
        let all = self.spoken.range(..=count);
        Some(all.map(|(_, spoken)| spoken.how.clone()).collect())
    }

    /// The announcements that are due, now that nothing before them is missing.
    fn announce(&mut self) -> Vec<Event> {
        let mut due = Vec::new();
        while let Some(next) = self.spoken.get_mut(&(self.announced + 1)) {
            self.announced += 1;
            if let (Some(text), Some(speech)) = (next.text.take(), &next.how.speech) {
                due.push(Event::AudioDelta {
                    n: self.announced,
                    text,
                    speech: speech.clone(),
                });
            }
        }
        due
    }
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
            // Whoever has heard of an answer before the log was lost.
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
        if state.sentences.spoken.contains_key(&sentence.n) {
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
        state.sentences.note_count(sentence);
        let new = Spoken {
            how: spoken.clone(),
            text: Some(sentence.text.clone()),
        };
        state.sentences.spoken.entry(sentence.n).or_insert(new);
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
        let appended = match self.admit(run) {
            Appended::Lost => Appended::Recorded,
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
        self.state().is_just_resumed = before.is_just_resumed;
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

impl Run {
    pub(crate) fn new(epoch: u64, stage: Stage, number: u32) -> Self {
        Self {
            epoch,
            stage,
            number,
            crashes: 0,
            told: Told::default(),
            known: Default::default(),
        }
    }
}
