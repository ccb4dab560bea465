//! Erasing what is stored of a job: what was asked and answered, in writing and
//! in speech, and the messages that carry it. For the front doors and the
//! operator alike.
//!
//! The log of the job is last to go, so that an erasure which was broken off can
//! be repeated: until then it tells all that there is to erase. What is left of
//! it then, [`Event::Erased`], refuses whatever stages and messages of the job
//! come later, for as long as a job is kept after its end.
//!
//! Messages of the job that wait in a work queue cannot be taken from there. The
//! worker that is handed one finds the job over, and drops it.
//!
//! Dead letters are looked at one after the other, and whoever has hold of one
//! hides it from the others. So whoever puts some [back](sweep_erased), or makes
//! a new one, looks afterwards whether a job of theirs was erased meanwhile.

use std::collections::HashSet;

use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    backends::Backends,
    broker::{
        PublishError,
        dead_letters::{DeadLetter, Meant},
    },
    claim_check::{ClaimError, Ticket},
    conversation::{ConversationError, ConversationKey},
    follow_up::FollowUpError,
    ids::CorrelationId,
    job::JobView,
    pipeline::Stage,
    quota::QuotaError,
    reply::{Event, Record, ReplyError},
};

/// How much was erased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Their logs; those of callbacks are not counted.
    pub jobs: u64,
    /// Recordings and speech.
    pub audio: u64,
    /// Of conversations.
    pub turns: u64,
}

impl std::ops::AddAssign for Erased {
    fn add_assign(&mut self, more: Self) {
        self.jobs += more.jobs;
        self.audio += more.audio;
        self.turns += more.turns;
    }
}

/// A store is away, or holds what another version wrote. Some may be erased;
/// repeat it to erase the rest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ErasureError(pub String);

macro_rules! from {
    ($($error:ident),+) => {
        $(
            impl From<$error> for ErasureError {
                fn from(error: $error) -> Self {
                    Self(error.to_string())
                }
            }
        )+
    };
}
from!(
    ReplyError,
    ClaimError,
    ConversationError,
    PublishError,
    QuotaError,
    FollowUpError
);

/// Questions that are under way to the stores at the same time.
const AT_ONCE: usize = 32;

/// Ends the job of `view` if it is not over, and erases all but its dead letters,
/// which are to be [swept](sweep_erased) after. `records` are its whole log.
pub async fn erase(
    backends: &Backends,
    view: &JobView,
    records: &[Record],
) -> Result<Erased, ErasureError> {
    let (job, id) = (&view.job, view.job.correlation_id);
    // Before the end of the job: nobody is told of it.
    for callback in callbacks(view, records) {
        erase_callback(backends, callback).await?;
    }
    if view.outcome.is_none() {
        backends.replies.append(id, &[Event::Cancelled]).await?;
        backends.quotas.leave(&job.tenant, id).await?;
    }
    let audio = backends.claims.erase(id, &tickets(records)).await?;
    backends.leave_conversation(job).await?;
    let turns = match ConversationKey::of(job) {
        Some(key) => backends.conversations.erase(&key, id).await?.into(),
        None => 0,
    };
    backends.replies.erase(job).await?;
    Ok(Erased {
        jobs: 1,
        audio,
        turns,
    })
}

/// The job that tells of another's end: nothing is told any more.
async fn erase_callback(backends: &Backends, id: CorrelationId) -> Result<(), ErasureError> {
    let records = backends.replies.read(id, 0).await?;
    if let Some(view) = JobView::of(&records) {
        backends.replies.erase(&view.job).await?;
    }
    Ok(())
}

/// Those of each of its lives.
fn callbacks(view: &JobView, records: &[Record]) -> HashSet<CorrelationId> {
    let told = records.iter().filter_map(|record| match &record.event {
        Event::Accepted { job } => job.callback,
        Event::Resumed(resumption) => resumption.callback,
        _ => None,
    });
    told.chain(view.job.callback).collect()
}

/// What the log names of what is kept in the claim check.
fn tickets(records: &[Record]) -> Vec<Ticket> {
    let speech = records.iter().filter_map(|record| match &record.event {
        Event::AudioDelta { speech, .. } => Some(speech),
        Event::Completed { turn } => turn.speech.as_ref(),
        _ => None,
    });
    speech.map(|speech| speech.ticket.clone()).collect()
}

/// Removes the dead letters that are `meant`, and those of jobs that are erased.
/// How many they were.
pub async fn sweep(backends: &Backends, meant: &Meant<'_>) -> Result<u64, ErasureError> {
    let mut removed = 0;
    for stage in Stage::ALL {
        let swept = backends.broker.sweep(*stage, meant).await?;
        removed += swept.removed;
        removed += sweep_erased(backends, *stage, swept.left).await?;
    }
    Ok(removed)
}

/// For whoever has put letters of these jobs among the dead ones of `stage`, or
/// back: removes those whose jobs are erased. How many they were.
pub async fn sweep_erased(
    backends: &Backends,
    stage: Stage,
    mut jobs: Vec<CorrelationId>,
) -> Result<u64, ErasureError> {
    let mut removed = 0;
    loop {
        let erased = erased_of(backends, &jobs).await?;
        if erased.is_empty() {
            return Ok(removed);
        }
        let meant = |letter: &DeadLetter| letter.job().is_some_and(|job| erased.contains(&job));
        let swept = backends.broker.sweep(stage, &meant).await?;
        removed += swept.removed;
        jobs = swept.left;
    }
}

async fn erased_of(
    backends: &Backends,
    jobs: &[CorrelationId],
) -> Result<HashSet<CorrelationId>, ReplyError> {
    let jobs: HashSet<CorrelationId> = jobs.iter().copied().collect();
    let endings = stream::iter(jobs).map(|job| async move {
        let ending = backends.replies.ending(job).await?;
        let is_erased = ending.is_some_and(|ending| ending.is_erased);
        Ok(is_erased.then_some(job))
    });
    let erased = endings.buffer_unordered(AT_ONCE);
    erased
        .try_filter_map(async |job| Ok(job))
        .try_collect()
        .await
}
