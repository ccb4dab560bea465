//! The logs inside one process, bounded in bytes: of the jobs that are over the oldest go first.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures::stream::BoxStream;
use tokio::time::Instant;

use super::{Append, JobStore, Reading, Snapshot, Stored, Version};
use crate::{
    envelope::Job,
    ids::CorrelationId,
    job::watch::{News, Topic, Topics, Watch},
    reply::{Event, Record, ReplyError, Retention},
    turn::{Citation, Turn},
};

/// Bytes of all logs, as far as they can be told.
const MOST_BYTES: usize = 256 * 1024 * 1024;

pub struct MemoryJobStore {
    logs: Mutex<Logs>,
    topics: Arc<Topics>,
}

struct Logs {
    by_id: HashMap<CorrelationId, Log>,
    /// Those under way and those that are over, by when they were last changed.
    live: BTreeMap<u64, CorrelationId>,
    over: BTreeMap<u64, CorrelationId>,
    changes: u64,
    bytes: usize,
    most_bytes: usize,
    retention: Duration,
}

struct Log {
    snapshot: Snapshot,
    records: Vec<Record>,
    bytes: usize,
    /// Its place in [`Logs::live`] or [`Logs::over`].
    change: u64,
    changed_at: Instant,
}

impl MemoryJobStore {
    pub fn new(retention: Retention) -> Self {
        Self::bounded(retention, MOST_BYTES)
    }

    fn bounded(Retention(retention): Retention, most_bytes: usize) -> Self {
        Self {
            logs: Mutex::new(Logs {
                by_id: HashMap::new(),
                live: BTreeMap::new(),
                over: BTreeMap::new(),
                changes: 0,
                bytes: 0,
                most_bytes,
                retention,
            }),
            topics: Arc::new(Topics::new(None)),
        }
    }

    /// No code panics while holding the lock, so a poisoned one is still whole.
    fn logs(&self) -> MutexGuard<'_, Logs> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Logs {
    fn append(&mut self, id: CorrelationId, append: &Append) {
        let mut records = match self.take(id) {
            Some(log) if !append.erases => log.records,
            _ => Vec::new(),
        };
        records.extend_from_slice(&append.records);
        self.changes += 1;
        let is_over = append.snapshot.state.is_terminal();
        if is_over {
            // Nothing more comes, as a rule.
            records.shrink_to_fit();
        }
        let log = Log {
            bytes: records.iter().map(bytes_of).sum::<usize>() + STATE,
            snapshot: append.snapshot.clone(),
            records,
            change: self.changes,
            changed_at: Instant::now(),
        };
        self.bytes += log.bytes;
        let order = if is_over {
            &mut self.over
        } else {
            &mut self.live
        };
        order.insert(log.change, id);
        self.by_id.insert(id, log);
        self.forget_old();
    }

    fn take(&mut self, id: CorrelationId) -> Option<Log> {
        let log = self.by_id.remove(&id)?;
        self.live.remove(&log.change);
        self.over.remove(&log.change);
        self.bytes -= log.bytes;
        Some(log)
    }

    fn forget_old(&mut self) {
        while let Some((_, &oldest)) = self.over.first_key_value() {
            if self.bytes <= self.most_bytes && !self.is_old(oldest) {
                break;
            }
            self.take(oldest);
        }
        while let Some((_, &oldest)) = self.live.first_key_value() {
            if !self.is_old(oldest) {
                break;
            }
            self.take(oldest);
        }
    }

    fn is_old(&self, id: CorrelationId) -> bool {
        let log = self.by_id.get(&id);
        log.is_none_or(|log| log.changed_at.elapsed() >= self.retention)
    }
}

/// Bytes of a snapshot, and of what a log needs to be found.
const STATE: usize = 512;

fn bytes_of(record: &Record) -> usize {
    let text = match &record.event {
        Event::Transcript { text } | Event::AnswerDelta { text } => text.len(),
        Event::AudioDelta { text, .. } => text.len() + 128,
        Event::Retrieved { citations } => citations.iter().map(citation).sum(),
        Event::Completed { turn } => turn_bytes(turn),
        Event::Accepted { .. } | Event::Erased { .. } => 512,
        Event::Emotion { .. } => 512,
        _ => 128,
    };
    size_of::<Record>() + text
}

fn citation(it: &Citation) -> usize {
    size_of::<Citation>() + it.title.len() + it.url.len() + it.quote.len()
}

fn turn_bytes(turn: &Turn) -> usize {
    let text = turn.user_text().map_or(0, str::len);
    let answer = turn.answer.as_ref().map_or(0, |answer| {
        answer.text.len() + answer.citations.iter().map(citation).sum::<usize>()
    });
    size_of::<Turn>() + text + answer
}

#[async_trait]
impl JobStore for MemoryJobStore {
    async fn load(&self, id: CorrelationId) -> Result<Option<Snapshot>, ReplyError> {
        let logs = self.logs();
        Ok(logs.by_id.get(&id).map(|log| log.snapshot.clone()))
    }

    async fn append_if(
        &self,
        id: CorrelationId,
        expected: Option<Version>,
        append: &Append,
    ) -> Result<Stored, ReplyError> {
        let mut logs = self.logs();
        let found = logs.by_id.get(&id).map(|log| &log.snapshot);
        if found.map(|it| it.version) != expected {
            return Ok(Stored::Conflict(found.cloned().map(Box::new)));
        }
        logs.append(id, append);
        drop(logs);
        if !append.records.is_empty() {
            self.topics.announce(Topic::Growth(id), News::Certain);
        }
        if append.snapshot.state.is_terminal() {
            self.topics.announce(Topic::End(id), News::Certain);
        }
        Ok(Stored::Appended)
    }

    async fn read(&self, id: CorrelationId, after: u64) -> Result<Reading, ReplyError> {
        let logs = self.logs();
        let reading = logs.by_id.get(&id).map(|log| {
            let is_seen = |record: &Record| record.sequence_number <= after;
            let seen = log.records.partition_point(is_seen);
            Reading {
                last: log.snapshot.state.last,
                records: log.records[seen..].to_vec(),
            }
        });
        Ok(reading.unwrap_or_default())
    }

    fn watch(&self, topic: Topic) -> Watch {
        self.topics.watch(topic)
    }

    fn jobs(&self) -> BoxStream<'static, Result<Job, ReplyError>> {
        let job = |log: &Log| match &log.records.first()?.event {
            Event::Accepted { job } => Some(Ok(job.clone())),
            _ => None,
        };
        let jobs: Vec<_> = self.logs().by_id.values().filter_map(job).collect();
        Box::pin(futures::stream::iter(jobs))
    }

    async fn ping(&self) -> Result<(), ReplyError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{job::log::JobLog, pipeline::Route, testing::fixtures};

    async fn run(log: &JobLog, ends: bool) -> CorrelationId {
        let job = fixtures::job(Route::Text);
        log.open(&job).await.unwrap();
        if ends {
            let end = [Event::Cancelled];
            log.append(job.correlation_id, &end).await.unwrap();
        }
        job.correlation_id
    }

    #[tokio::test]
    async fn of_what_is_over_the_oldest_goes_when_there_is_too_much() {
        let store = Arc::new(MemoryJobStore::bounded(Retention::default(), 100_000));
        let log = JobLog::new(store.clone());
        let under_way = run(&log, false).await;
        let first = run(&log, true).await;
        let mut last = first;
        for _ in 0..1_000 {
            last = run(&log, true).await;
        }
        assert!(store.logs().bytes <= 100_000);
        assert!(log.read(first, 0).await.unwrap().is_empty());
        for kept in [under_way, last] {
            assert!(!log.read(kept, 0).await.unwrap().is_empty());
        }
        let logs = store.logs();
        assert_eq!(logs.by_id.len(), logs.live.len() + logs.over.len());
    }

    #[tokio::test]
    async fn what_was_not_changed_for_so_long_goes() {
        let retention = Retention(Duration::from_millis(20));
        let log = JobLog::new(Arc::new(MemoryJobStore::bounded(retention, MOST_BYTES)));
        let (over, under_way) = (run(&log, true).await, run(&log, false).await);
        tokio::time::sleep(Duration::from_millis(30)).await;
        run(&log, false).await;
        for gone in [over, under_way] {
            assert!(log.read(gone, 0).await.unwrap().is_empty());
        }
    }
}
