//! Conversations inside one process.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::Instant;

use super::{ConversationError, ConversationKey, Conversations, PastTurn, with_turn};

pub struct MemoryConversations {
    ttl: Duration,
    kept: Mutex<HashMap<ConversationKey, Kept>>,
}

struct Kept {
    turns: Vec<PastTurn>,
    until: Instant,
}

impl MemoryConversations {
    pub fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            kept: Mutex::default(),
        }
    }

    /// No code panics while holding the lock, so a poisoned one is still whole.
    fn lock(&self) -> MutexGuard<'_, HashMap<ConversationKey, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Conversations for MemoryConversations {
    async fn history(&self, key: &ConversationKey) -> Result<Vec<PastTurn>, ConversationError> {
        Ok(self
            .lock()
            .get(key)
            .filter(|kept| kept.until > Instant::now())
            .map(|kept| kept.turns.clone())
            .unwrap_or_default())
    }

    async fn append(&self, key: &ConversationKey, turn: PastTurn) -> Result<(), ConversationError> {
        let now = Instant::now();
        let mut kept = self.lock();
        kept.retain(|_, conversation| conversation.until > now);
        let turns = kept
            .get(key)
            .map(|conversation| conversation.turns.clone())
            .unwrap_or_default();
        if let Some(turns) = with_turn(turns, turn) {
            let until = now + self.ttl;
            kept.insert(key.clone(), Kept { turns, until });
        }
        Ok(())
    }
}
