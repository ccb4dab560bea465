//! The reply log inside one process.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use futures::stream::BoxStream;
use tokio::{sync::watch, time::Instant};

use super::{
    Appended, Begun, CompletedStage, Event, Record, ReplyError, ReplyLog, Retention, StageStarted,
};
use crate::{envelope::Job, ids::CorrelationId, pipeline::Stage, time::UnixMillis, turn::Turn};

#[derive(Default)]
pub struct MemoryReplyLog {
    retention: Retention,
    logs: Arc<Mutex<HashMap<CorrelationId, Log>>>,
}

struct Log {
    records: Vec<Record>,
    completed: HashMap<Stage, Turn>,
    length: watch::Sender<u64>,
    last_touched: Instant,
}

impl Log {
    fn new() -> Self {
        Self {
            records: Vec::new(),
            completed: HashMap::new(),
            length: watch::Sender::new(0),
            last_touched: Instant::now(),
        }
    }

    fn is_closed(&self) -> bool {
        self.records
            .last()
            .is_some_and(|record| record.event.is_terminal())
    }

    fn append(&mut self, events: &[Event]) {
        self.last_touched = Instant::now();
        for event in events {
            self.records.push(Record {
                sequence_number: self.records.len() as u64 + 1,
                at: UnixMillis::now(),
                event: event.clone(),
            });
        }
        self.length.send_replace(self.records.len() as u64);
    }

    fn after(&self, cursor: u64) -> Vec<Record> {
        let seen = usize::try_from(cursor).unwrap_or(usize::MAX);
        self.records.get(seen..).unwrap_or_default().to_vec()
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
        let log = logs.entry(job.correlation_id).or_insert_with(Log::new);
        if log.records.is_empty() {
            log.append(&[Event::Accepted { job: job.clone() }]);
        }
        Ok(())
    }

    async fn begin_stage(&self, job: &Job, started: StageStarted) -> Result<Begun, ReplyError> {
        let mut logs = self.logs();
        let log = logs.entry(job.correlation_id).or_insert_with(Log::new);
        if log.records.is_empty() {
            log.append(&[Event::Accepted { job: job.clone() }]);
        }
        if log.is_closed() {
            return Ok(Begun::Closed);
        }
        if let Some(turn) = log.completed.get(&started.stage) {
            return Ok(Begun::AlreadyCompleted(Box::new(turn.clone())));
        }
        log.append(&[Event::StageStarted(started)]);
        Ok(Begun::Started)
    }

    async fn append(&self, id: CorrelationId, events: &[Event]) -> Result<Appended, ReplyError> {
        let mut logs = self.logs();
        let log = logs.entry(id).or_insert_with(Log::new);
        if log.is_closed() {
            return Ok(Appended::Closed);
        }
        log.append(events);
        Ok(Appended::Recorded)
    }

    async fn complete_stage(
        &self,
        id: CorrelationId,
        events: &[Event],
        completed: &CompletedStage<'_>,
    ) -> Result<Appended, ReplyError> {
        let mut logs = self.logs();
        let log = logs.entry(id).or_insert_with(Log::new);
        if log.is_closed() {
            return Ok(Appended::Closed);
        }
        log.completed
            .insert(completed.stage, completed.turn.clone());
        log.append(events);
        Ok(Appended::Recorded)
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
                for record in news {
                    cursor = record.sequence_number;
                    let last = record.event.is_terminal();
                    yield Ok(record);
                    if last {
                        return;
                    }
                }
                if length.changed().await.is_err() {
                    yield Err(ReplyError("the log has been forgotten".into()));
                    return;
                }
            }
        })
    }

    async fn ping(&self) -> Result<(), ReplyError> {
        Ok(())
    }
}
