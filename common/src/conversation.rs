//! PORT: what was said before in a conversation.
//!
//! Guarantees, held by every adapter (`testing::conversation_contract`):
//! - The turn of a job is added once, however often its job runs.
//! - A conversation of one tenant is invisible to every other.
//! - It is forgotten when no turn was added for the time to live, and keeps at
//!   most [`KEPT_TURNS`] turns, the newest.
//!
//! A store that is away is an error; history never moves silently elsewhere.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    ids::{ConversationId, CorrelationId, Tenant},
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

    /// Adds a turn, unless the job has added one before.
    async fn append(&self, key: &ConversationKey, turn: PastTurn) -> Result<(), ConversationError>;
}

/// A conversation is named by its tenant and the tenant's name for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConversationKey {
    pub tenant: Tenant,
    pub id: ConversationId,
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
