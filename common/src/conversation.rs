//! PORT: what was said before in a conversation, and whose turn is next.
//!
//! Guarantees, held by every adapter (`testing::contracts::conversations`):
//! - The turn of a job is added once, however often its job runs; for as long
//!   as an accepted job may run also when its turn is no longer among those
//!   kept.
//! - Accepted jobs have an order, in which they were accepted by whichever
//!   process. A job leaves it when its turn is added, when it is removed, or at
//!   its deadline: none blocks the others for longer. The turn of a job that was
//!   removed is added late only when the job is resumed: then it comes last.
//! - The message of a job whose turn has not come is held. Whoever makes way for
//!   it is given it to publish, and so is who asks, until it is told that it was
//!   [published](Conversations::published).
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
//! Deliberately absent: waiting, and publishing.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    envelope::{Envelope, Job},
    ids::{ConversationId, CorrelationId, Tenant},
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

    /// Puts a job last, until `deadline`; a job that was accepted before stays
    /// where it is.
    async fn accept(
        &self,
        key: &ConversationKey,
        job: CorrelationId,
        deadline: UnixMillis,
    ) -> Result<Place, ConversationError>;

    /// Puts a job that is resumed last, until its new deadline; one that still
    /// has a place stays where it is.
    async fn accept_again(&self, key: &ConversationKey, job: &Job)
    -> Result<(), ConversationError>;

    /// Holds `message`, unless the turn of its job has come.
    async fn hold(
        &self,
        key: &ConversationKey,
        message: &Envelope,
    ) -> Result<Place, ConversationError>;

    /// Removes a job from the order that has ended, or never began. Gives the
    /// message of the next one, if that is held.
    async fn remove_from_order(
        &self,
        key: &ConversationKey,
        job: CorrelationId,
    ) -> Result<Option<Envelope>, ConversationError>;

    /// Adds a turn and removes its job from the order, unless the job has added
    /// one before, was removed, or was accepted before the conversation was
    /// forgotten. Gives the message of the next one, if that is held.
    async fn append(
        &self,
        key: &ConversationKey,
        turn: PastTurn,
    ) -> Result<Option<Envelope>, ConversationError>;

    /// The messages that are held and may go: of the next job, and of jobs that
    /// have no place any more.
    async fn ready(&self, key: &ConversationKey) -> Result<Ready, ConversationError>;

    /// The message of `job` is held no longer.
    async fn published(
        &self,
        key: &ConversationKey,
        job: CorrelationId,
    ) -> Result<(), ConversationError>;

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

/// Where a job is in the order of its conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Its turn has come. That of a job that has no place has come, too.
    Next,
    /// Others are before it.
    Behind,
}

/// What is held of a conversation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ready {
    pub messages: Vec<Envelope>,
    /// There are more, whose turn has not come.
    pub holds_more: bool,
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
        job.route.answers().then(|| Self {
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
