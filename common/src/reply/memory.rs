//! The reply log inside one process.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use futures::stream::BoxStream;
use tokio::{sync::watch, time::Instant};

use super::{
    Appended, Begun, CompletedStage, Ending, Event, FailedBy, Failure, Record, ReplyError,
    ReplyLog, Resumed, Resumption, Retention, Run, Speaking, SpokenAnswer, SpokenSentence,
    StageStarted, Told, Withdrawn, can_be_resumed,
};
use crate::{
    envelope::Job,
    ids::{CorrelationId, MessageId},
    pipeline::Stage,
    time::UnixMillis,
    turn::{Sentence, Turn},
};
use speech::Spoken;

mod speech;

#[derive(Default)]
pub struct MemoryReplyLog {
    retention: Retention,
    logs: Arc<Mutex<HashMap<CorrelationId, Log>>>,
}

struct Log {
    records: Vec<Record>,
    completed: HashMap<Stage, Turn>,
    /// The newest run of each stage, and the last step that it told.
    runs: HashMap<Stage, (u32, u32)>,
    spoken: Spoken,
    /// By which message the job failed, when it is one that was put aside.
    failed: Option<FailedBy>,
    resumption: Option<Resumption>,
    is_resubmitted: bool,
    /// The number of the last event that was erased, or 0.
    erased: u64,
    length: watch::Sender<u64>,
    last_touched: Instant,
}

impl Log {
    fn new() -> Self {
        Self {
            records: Vec::new(),
            completed: HashMap::new(),
            runs: HashMap::new(),
            spoken: Spoken::default(),
            failed: None,
            resumption: None,
            is_resubmitted: false,
            erased: 0,
            length: watch::Sender::new(0),
            last_touched: Instant::now(),
        }
    }

    fn is_closed(&self) -> bool {
        self.records
            .last()
            .is_some_and(|record| record.event.is_terminal())
    }

    /// Only what begins with its acceptance can be read.
    fn is_lost(&self) -> bool {
        self.records.is_empty()
    }

    fn open(&mut self, job: &Job) {
        if self.is_lost() {
            self.append(&[Event::Accepted { job: job.clone() }]);
        }
    }

    /// Appends what `by` tells, unless it may not.
    fn append_by(&mut self, by: Option<&Run>, events: &[Event]) -> Appended {
        let newest = by.and_then(|run| self.runs.get(&run.stage));
        if self.is_closed() {
            Appended::Closed
        } else if self.is_lost() || (by.is_some() && newest.is_none()) {
            Appended::Lost
        } else if newest.is_some_and(|(newest, _)| by.is_some_and(|run| run.number != *newest)) {
            Appended::Superseded
        } else {
            self.append(events);
            Appended::Recorded
        }
    }

    /// Whether a message of `job` is left over from its life before.
    fn is_void(&self, job: &Job) -> bool {
        let standing = self.resumption.as_ref();
        standing.is_some_and(|standing| job.deadline < standing.deadline)
    }

    fn resume(&mut self, resumption: &Resumption) -> Resumed {
        if self.is_lost() {
            return Resumed::Gone;
        }
        if self.is_closed() && !can_be_resumed(&self.records) {
            return Resumed::Over;
        }
        let has_lapsed = |standing: &Resumption| standing.deadline <= UnixMillis::now();
        if !self.is_closed() && !self.resumption.as_ref().is_some_and(has_lapsed) {
            return Resumed::UnderWay(self.resumption.clone());
        }
        self.failed = None;
        // Its sentences begin anew, as far as they are missing.
        self.runs.remove(&Stage::Tts);
        self.resumption = Some(resumption.clone());
        self.append(&[Event::Resumed(resumption.clone())]);
        Resumed::UnderWay(self.resumption.clone())
    }

    fn told(&self) -> Told {
        Told::by(self.records.iter().map(|record| &record.event))
    }

    fn is_over(&self, sentence: &Sentence) -> bool {
        self.is_closed() || sentence.take < self.spoken.take
    }

    /// What is to be done about a sentence that is spoken.
    fn speaking(&self) -> Speaking {
        let written = self.completed.get(&Stage::Rag);
        match (self.spoken.all(), written) {
            (Some(sentences), Some(turn)) => Speaking::AllSpoken(Box::new(SpokenAnswer {
                turn: turn.clone(),
                sentences,
            })),
            _ => Speaking::Spoken,
        }
    }

    fn append(&mut self, events: &[Event]) {
        self.last_touched = Instant::now();
        for event in events {
            if *event == Event::AnswerRestarted {
                self.spoken = self.spoken.begun_anew();
            }
            self.records.push(Record {
                sequence_number: self.last_number() + 1,
                at: UnixMillis::now(),
                event: event.clone(),
            });
        }
        self.length.send_replace(self.last_number());
    }

    fn last_number(&self) -> u64 {
        let last = self.records.last();
        last.map_or(self.erased, |record| record.sequence_number)
    }

    fn after(&self, cursor: u64) -> Vec<Record> {
        let is_seen = |record: &Record| record.sequence_number <= cursor;
        let seen = self.records.partition_point(is_seen);
        self.records[seen..].to_vec()
    }

    /// Keeps nothing but its number and who follows it.
    fn erase(&mut self, job: &Job) {
        if self.is_lost() || self.erased > 0 {
            return;
        }
        let length = std::mem::replace(&mut self.length, watch::Sender::new(0));
        *self = Self {
            erased: self.last_number(),
            length,
            ..Self::new()
        };
        let job = Box::new(job.erased());
        self.append(&[Event::Erased { job }]);
    }

    fn job(&self) -> Option<Job> {
        match &self.records.first()?.event {
            Event::Accepted { job } => Some(job.clone()),
            _ => None,
        }
    }
}

impl MemoryReplyLog {
    pub fn new(retention: Retention) -> Self {
        Self {
            retention,
            logs: Arc::default(),
        }
    }

    fn logs(&self) -> MutexGuard<'_, HashMap<CorrelationId, Log>> {
        lock(&self.logs)
    }

    fn with<T>(&self, id: CorrelationId, act: impl FnOnce(&mut Log) -> T) -> T {
        act(self.logs().entry(id).or_insert_with(Log::new))
    }

    fn forget_old(&self, logs: &mut HashMap<CorrelationId, Log>) {
        let Retention(keep) = self.retention;
        logs.retain(|_, log| log.last_touched.elapsed() < keep || log.length.receiver_count() > 0);
    }
}

/// No code panics while holding the lock, so a poisoned one is still whole.
fn lock(logs: &Mutex<HashMap<CorrelationId, Log>>) -> MutexGuard<'_, HashMap<CorrelationId, Log>> {
    logs.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl ReplyLog for MemoryReplyLog {
    async fn open(&self, job: &Job) -> Result<(), ReplyError> {
        let mut logs = self.logs();
        // Logs are born one at a time: a good moment to bury the old ones.
        if logs.len().is_multiple_of(64) {
            self.forget_old(&mut logs);
        }
        logs.entry(job.correlation_id)
            .or_insert_with(Log::new)
            .open(job);
        Ok(())
    }

    async fn begin_stage(&self, job: &Job, started: StageStarted) -> Result<Begun, ReplyError> {
        Ok(self.with(job.correlation_id, |log| {
            log.open(job);
            let stage = started.stage;
            if log.is_closed() || log.is_void(job) {
                return Begun::Closed;
            }
            if let Some(turn) = log.completed.get(&stage) {
                return Begun::AlreadyCompleted {
                    turn: Box::new(turn.clone()),
                    take: log.spoken.take,
                };
            }
            let newest = log.runs.entry(stage).or_default();
            *newest = (newest.0 + 1, 0);
            let (number, _) = *newest;
            let told = log.told();
            log.append(&[Event::StageStarted(started)]);
            Begun::Started(Run {
                stage,
                number,
                crashes: 0,
                told,
            })
        }))
    }

    async fn append(&self, id: CorrelationId, events: &[Event]) -> Result<Appended, ReplyError> {
        Ok(self.with(id, |log| log.append_by(None, events)))
    }

    async fn resubmit(&self, id: CorrelationId) -> Result<bool, ReplyError> {
        Ok(self.logs().get_mut(&id).is_none_or(|log| {
            let is_open = !log.is_closed();
            log.is_resubmitted |= is_open;
            is_open
        }))
    }

    async fn withdraw(&self, id: CorrelationId, end: &Event) -> Result<Withdrawn, ReplyError> {
        Ok(self.with(id, |log| {
            let is_start = |record: &Record| matches!(record.event, Event::StageStarted(_));
            if log.records.iter().any(is_start) {
                return Withdrawn::Begun;
            }
            if log.is_resubmitted && !log.is_closed() {
                return Withdrawn::Resubmitted;
            }
            if !log.is_closed() {
                log.append(std::slice::from_ref(end));
            }
            Withdrawn::Ended
        }))
    }

    async fn narrate(
        &self,
        id: CorrelationId,
        run: &Run,
        step: u32,
        events: &[Event],
    ) -> Result<Appended, ReplyError> {
        Ok(self.with(id, |log| {
            let newest = log.runs.get(&run.stage);
            let is_told = newest.is_some_and(|newest| *newest >= (run.number, step));
            let news = if is_told { &[] } else { events };
            let appended = log.append_by(Some(run), news);
            if appended == Appended::Recorded && !is_told {
                log.runs.insert(run.stage, (run.number, step));
            }
            appended
        }))
    }

    async fn complete_stage(
        &self,
        id: CorrelationId,
        events: &[Event],
        completed: &CompletedStage<'_>,
    ) -> Result<Appended, ReplyError> {
        Ok(self.with(id, |log| {
            let stage = completed.stage;
            let is_known = log.completed.contains_key(&stage);
            let news = if is_known { &[] } else { events };
            let appended = log.append_by(completed.run, news);
            if appended == Appended::Recorded && !is_known {
                log.completed.insert(stage, completed.turn.clone());
            }
            appended
        }))
    }

    async fn begin_sentence(
        &self,
        job: &Job,
        started: StageStarted,
        sentence: &Sentence,
    ) -> Result<Speaking, ReplyError> {
        Ok(self.with(job.correlation_id, |log| {
            log.open(job);
            if log.is_over(sentence) || log.is_void(job) {
                return Speaking::Over;
            }
            if log.spoken.begin(sentence) {
                return log.speaking();
            }
            let is_first = log.runs.insert(started.stage, (1, 0)).is_none();
            if is_first || started.attempt > 1 {
                log.append(&[Event::StageStarted(started)]);
            }
            Speaking::Missing { crashes: 0 }
        }))
    }

    async fn complete_sentence(
        &self,
        id: CorrelationId,
        sentence: &Sentence,
        spoken: &SpokenSentence,
    ) -> Result<Speaking, ReplyError> {
        Ok(self.with(id, |log| {
            if log.is_lost() {
                return Speaking::Lost;
            }
            if log.is_over(sentence) {
                return Speaking::Over;
            }
            let announcements = log.spoken.complete(sentence, spoken);
            log.append(&announcements);
            log.speaking()
        }))
    }

    async fn fail(
        &self,
        job: &Job,
        message: &MessageId,
        run: Option<&Run>,
        failure: &Failure,
    ) -> Result<Appended, ReplyError> {
        Ok(self.with(job.correlation_id, |log| {
            log.open(job);
            let is_void = message.take().is_some_and(|take| take < log.spoken.take);
            if (log.is_void(job) || is_void) && !log.is_closed() {
                return Appended::Void;
            }
            let run = run.filter(|run| log.runs.contains_key(&run.stage));
            let error = failure.clone();
            let appended = log.append_by(run, &[Event::Failed { error }]);
            if appended == Appended::Recorded {
                log.failed = FailedBy::of(message, failure);
            }
            appended
        }))
    }

    async fn ending(&self, id: CorrelationId) -> Result<Option<Ending>, ReplyError> {
        let logs = self.logs();
        let ended = logs.get(&id).filter(|log| log.is_closed());
        Ok(ended.map(|log| Ending {
            failed_by: log.failed.clone(),
            is_erased: log.erased > 0,
        }))
    }

    async fn expire(&self, job: &Job) -> Result<Appended, ReplyError> {
        Ok(self.with(job.correlation_id, |log| {
            log.open(job);
            if log.is_void(job) && !log.is_closed() {
                return Appended::Void;
            }
            log.append_by(None, &[Event::Expired])
        }))
    }

    async fn resume(
        &self,
        id: CorrelationId,
        resumption: &Resumption,
    ) -> Result<Resumed, ReplyError> {
        let mut logs = self.logs();
        let log = logs.get_mut(&id);
        Ok(log.map_or(Resumed::Gone, |log| log.resume(resumption)))
    }

    /// Nothing is held against anyone here: a process that crashes takes the log
    /// with it.
    async fn let_go(&self, _: CorrelationId, _: &MessageId) -> Result<(), ReplyError> {
        Ok(())
    }

    async fn ended(&self, id: CorrelationId) {
        let mut length = self.with(id, |log| log.length.subscribe());
        while !self.with(id, |log| log.is_closed()) {
            if length.changed().await.is_err() {
                return;
            }
        }
    }

    async fn erase(&self, job: &Job) -> Result<(), ReplyError> {
        if let Some(log) = self.logs().get_mut(&job.correlation_id) {
            log.erase(job);
        }
        Ok(())
    }

    fn jobs(&self) -> BoxStream<'static, Result<Job, ReplyError>> {
        let jobs: Vec<_> = self.logs().values().filter_map(Log::job).map(Ok).collect();
        Box::pin(futures::stream::iter(jobs))
    }

    async fn read(&self, id: CorrelationId, cursor: u64) -> Result<Vec<Record>, ReplyError> {
        Ok(self
            .logs()
            .get(&id)
            .map(|log| log.after(cursor))
            .unwrap_or_default())
    }

    fn follow(
        &self,
        id: CorrelationId,
        mut cursor: u64,
    ) -> BoxStream<'static, Result<Record, ReplyError>> {
        let logs = Arc::clone(&self.logs);
        Box::pin(async_stream::stream! {
            let mut length = lock(&logs)
                .entry(id)
                .or_insert_with(Log::new)
                .length
                .subscribe();
            loop {
                length.borrow_and_update();
                let news = lock(&logs)
                    .get(&id)
                    .map(|log| log.after(cursor))
                    .unwrap_or_default();
                let is_over = news.last().is_some_and(|last| last.event.is_terminal());
                for record in news {
                    cursor = record.sequence_number;
                    yield Ok(record);
                }
                if is_over {
                    return;
                }
                if length.changed().await.is_err() {
                    yield Err(ReplyError::Away("the log has been forgotten".into()));
                    return;
                }
            }
        })
    }

    async fn ping(&self) -> Result<(), ReplyError> {
        Ok(())
    }
}
