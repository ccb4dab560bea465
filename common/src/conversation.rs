//! PORT: what was said before in a conversation, and whose turn is next.
//!
//! Guarantees, held by every adapter (`testing::contracts::conversations`):
//! - The turn of a job is added once, however often its job runs; for as long
//!   as an accepted job may run also when its turn is no longer among those
//!   kept.
//! - Accepted jobs stand in one line, in the order in which they were accepted
//!   by whichever process. A job leaves the line when its turn is added, when it
//!   is passed over, or at its deadline: none blocks the others for longer. A
//!   turn that was passed over is added late only when its job is resumed: then
//!   it stands at the end of the line.
//! - A conversation of one tenant is invisible to every other.
//! - It is forgotten when no turn was added for the time to live, and keeps at
//!   most [`KEPT_TURNS`] turns, the newest.
//! - To forget a conversation is to forget all that was accepted before: the turn
//!   of a job under way is not added; not for the time to live of turns either
//!   when it is resumed later.
//! - A conversation knows its jobs for as long as there may be data of them, so
//!   that these can be erased. A turn that was erased is not added again.
//!
//! A store that is away is an error; history never moves silently elsewhere.
//!
//! Deliberately absent: waiting. Who stands in the line asks again, or listens
//! to the reply log of the job before it.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    envelope::Job,
    ids::{ConversationId, CorrelationId, Tenant},
    pipeline::Stage,
    reply::Retention,
    time::UnixMillis,
};

pub mod memory;
pub mod redis;

/// Turns kept of a conversation.
pub const KEPT_TURNS: usize = 50;

#[async_trait]
pub trait Conversations: Send + Sync + 'static {
    /// Its turns, the oldest first; empty when there is none.
    async fn history(&self, key: &ConversationKey) -> Result<Vec<PastTurn>, ConversationError>;

    /// Puts a job at the end of the line, until `deadline`; a job that was
    /// accepted before stays where it is.
    async fn accept(
        &self,
        key: &ConversationKey,
        job: CorrelationId,
        deadline: UnixMillis,
    ) -> Result<(), ConversationError>;

    /// Puts a job that is resumed at the end of the line, until its new deadline;
    /// one that still stands there stays where it is.
    async fn accept_again(&self, key: &ConversationKey, job: &Job)
    -> Result<(), ConversationError>;

    /// Who stands in the line before `job`; `None` when its turn has come, and
    /// also when it stands in no line.
    async fn ahead_of(
        &self,
        key: &ConversationKey,
        job: CorrelationId,
    ) -> Result<Option<Ahead>, ConversationError>;

    /// Takes a job out of the line that has ended, or never began.
    async fn pass_over(
        &self,
        key: &ConversationKey,
        job: CorrelationId,
    ) -> Result<(), ConversationError>;

    /// Adds a turn and takes its job out of the line, unless the job has added
    /// one before, was passed over, or was accepted before the conversation was
    /// forgotten.
    async fn append(&self, key: &ConversationKey, turn: PastTurn) -> Result<(), ConversationError>;

    /// Forgets its turns, and those of the jobs under way. Gives the jobs that were
    /// accepted before; it knows them until each is [erased](Self::erase).
    async fn forget(&self, key: &ConversationKey) -> Result<Vec<CorrelationId>, ConversationError>;

    /// Forgets `job` and its turn, and adds none of it any more. Whether there was
    /// a turn.
    async fn erase(
        &self,
        key: &ConversationKey,
        job: CorrelationId,
    ) -> Result<bool, ConversationError>;

    /// The conversations of `tenant` of which anything is known, in no order. Looks
    /// through the whole store: for operators.
    async fn of_tenant(&self, tenant: &Tenant) -> Result<Vec<ConversationId>, ConversationError>;
}

/// The jobs that stand in the line before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ahead {
    /// How many they are; at least 1.
    pub jobs: u64,
    /// The one directly before.
    pub nearest: CorrelationId,
    /// When that one leaves the line at the latest.
    pub until: UnixMillis,
}

/// A conversation is named by its tenant and the tenant's name for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConversationKey {
    pub tenant: Tenant,
    pub id: ConversationId,
}

impl ConversationKey {
    /// The conversation to which `job` adds a turn; none for a job that is part
    /// of no conversation, or has no answer to add.
    pub fn of(job: &Job) -> Option<Self> {
        let id = job.conversation_id.clone()?;
        let answers = job.route.stages().contains(&Stage::Rag);
        answers.then(|| Self {
            tenant: job.tenant.clone(),
            id,
        })
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PastTurn {
    pub job: CorrelationId,
    pub at: UnixMillis,
    pub user: String,
    pub assistant: String,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the conversation store is not available: {0}")]
pub struct ConversationError(pub String);

/// How long data of a job may be there that has until `deadline`: each event of
/// its log, a late end or a resumption, keeps it for another while.
fn known_until(deadline: UnixMillis, retention: Retention) -> UnixMillis {
    deadline.after(retention.0 * 3)
}

/// `turns` with `turn` added, or `None` when its job is among them already.
fn with_turn(mut turns: Vec<PastTurn>, turn: PastTurn) -> Option<Vec<PastTurn>> {
    if turns.iter().any(|past| past.job == turn.job) {
        return None;
    }
    turns.push(turn);
    let surplus = turns.len().saturating_sub(KEPT_TURNS);
    turns.drain(..surplus);
    Some(turns)
}
