//! Waiting for the turns of a conversation that were accepted earlier.
//!
//! Whoever stands in the line listens to the job directly before it, so that
//! each turn wakes one job. Waiting here keeps a place in which another job
//! could run, and the job it waits for may need that place: so it ends soon
//! where nothing moves, and the job is put back.

use std::{sync::Arc, time::Duration};

use common::{
    backends::Backends,
    conversation::{Ahead, ConversationError, ConversationKey, Conversations},
    envelope::Job,
    ids::CorrelationId,
    job::log::JobLog,
    pipeline::Stage,
    reply::{Event, Record, ReplyError},
    time::UnixMillis,
};
use futures::StreamExt as _;
use tokio::time::{Instant, timeout};
use tracing::warn;

use crate::handler::Admission;

/// The longest wait of one visit.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// The wait of a job that is not the next, unless the line moves: a
/// conversation can have one job that is the next, but any number of others.
const WAIT_FURTHER_BACK: Duration = Duration::from_millis(250);

pub struct Line {
    conversations: Arc<dyn Conversations>,
    replies: JobLog,
}

/// What a job is about, as far as the one behind it is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    /// It may add its turn any moment.
    Work,
    /// A try has failed; the next one is a second off at least.
    Retry,
    /// Its turn is added, or never will be.
    Done,
}

/// The store is away.
#[derive(Debug, thiserror::Error)]
enum Away {
    #[error(transparent)]
    Conversations(#[from] ConversationError),
    #[error(transparent)]
    Replies(#[from] ReplyError),
}

impl Line {
    pub fn new(backends: &Backends) -> Self {
        Self {
            conversations: Arc::clone(&backends.conversations),
            replies: backends.replies.clone(),
        }
    }

    /// Whether the turn of `job` has come; waits for it where that is likely to
    /// help.
    pub async fn admit(&self, job: &Job) -> Admission {
        let Some(key) = ConversationKey::of(job) else {
            return Admission::Now;
        };
        match self.wait(&key, job).await {
            Ok(admission) => admission,
            Err(error) => {
                warn!(%error, "the order of a conversation is not known");
                Admission::Later
            }
        }
    }

    async fn wait(&self, key: &ConversationKey, job: &Job) -> Result<Admission, Away> {
        let begun = Instant::now();
        let mut fewest = u64::MAX;
        loop {
            let ahead = self.conversations.ahead_of(key, job.correlation_id).await?;
            let Some(ahead) = ahead else {
                return Ok(Admission::Now);
            };
            let line_moves = ahead.jobs < fewest;
            let left = LONGEST_WAIT.saturating_sub(begun.elapsed());
            if !line_moves || left.is_zero() {
                return Ok(Admission::Later);
            }
            fewest = ahead.jobs;
            let patience = patience(&ahead, left, UnixMillis::now());
            match self.watch(ahead.nearest, patience).await? {
                Doing::Work => {}
                Doing::Retry => return Ok(Admission::Later),
                Doing::Done => self.conversations.pass_over(key, ahead.nearest).await?,
            }
        }
    }

    /// What `job` is about now, or within `patience` if that changes.
    async fn watch(&self, job: CorrelationId, patience: Duration) -> Result<Doing, Away> {
        let records = self.replies.read(job, 0).await?;
        let now = doing(&records);
        if now != Doing::Work {
            return Ok(now);
        }
        let cursor = records.last().map_or(0, |record| record.sequence_number);
        let news = self.replies.follow(job, cursor);
        let changes = news.filter_map(|news| async {
            let now = news.map_or(Doing::Work, |record| after(&record.event));
            (now != Doing::Work).then_some(now)
        });
        let mut changes = std::pin::pin!(changes);
        let change = timeout(patience, changes.next()).await;
        Ok(change.ok().flatten().unwrap_or(Doing::Work))
    }
}

fn patience(ahead: &Ahead, left: Duration, now: UnixMillis) -> Duration {
    let patience = match ahead.jobs {
        1 => left,
        _ => left.min(WAIT_FURTHER_BACK),
    };
    patience.min(ahead.until.since(now))
}

/// An answer that is recorded stays so; what ended a job is void once it is
/// resumed.
fn doing(log: &[Record]) -> Doing {
    let events = || log.iter().map(|record| &record.event);
    let resumed = events().rposition(|event| matches!(event, Event::Resumed(_)));
    let steps = || events().skip(resumed.unwrap_or(0)).map(after);
    if events().any(has_answered) || steps().any(|step| step == Doing::Done) {
        return Doing::Done;
    }
    steps().next_back().unwrap_or(Doing::Work)
}

/// That is told once the turn is added.
fn has_answered(event: &Event) -> bool {
    let rag = Stage::Rag;
    matches!(event, Event::StageCompleted { stage, .. } if *stage == rag)
}

/// What a job is about after `event`.
fn after(event: &Event) -> Doing {
    match event {
        Event::StageRetrying { .. } => Doing::Retry,
        event if has_answered(event) || event.is_terminal() => Doing::Done,
        _ => Doing::Work,
    }
}

#[cfg(test)]
mod tests;
