//! The claim check inside one process.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;

use super::{ClaimCheck, ClaimError, Item, Ticket};
use crate::ids::CorrelationId;

/// Bytes kept in all before more are refused.
const DEFAULT_CAPACITY: u64 = 512 * 1024 * 1024;

pub struct MemoryClaimCheck {
    capacity: u64,
    kept: Mutex<HashMap<String, Kept>>,
}

struct Kept {
    bytes: Bytes,
    until: Instant,
}

impl Default for MemoryClaimCheck {
    fn default() -> Self {
        Self {
            capacity: DEFAULT_CAPACITY,
            kept: Mutex::default(),
        }
    }
}

impl MemoryClaimCheck {
    /// No code panics while holding the lock, so a poisoned one is still whole.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ClaimCheck for MemoryClaimCheck {
    async fn check_in(
        &self,
        id: CorrelationId,
        item: Item,
        bytes: Bytes,
        keep: Duration,
    ) -> Result<Ticket, ClaimError> {
        let ticket = Ticket::new(id, item, &bytes);
        let now = Instant::now();
        let mut kept = self.lock();
        kept.retain(|_, item| item.until > now);
        let held: u64 = kept.values().map(|item| item.bytes.len() as u64).sum();
        if held + ticket.bytes > self.capacity {
            return Err(ClaimError::Unavailable("no room for more audio".into()));
        }
        let until = now + keep;
        kept.insert(ticket.name.clone(), Kept { bytes, until });
        Ok(ticket)
    }

    async fn redeem(&self, ticket: &Ticket) -> Result<Bytes, ClaimError> {
        self.lock()
            .get(&ticket.name)
            .filter(|item| item.until > Instant::now())
            .map(|item| item.bytes.clone())
            .ok_or(ClaimError::Gone)
    }
}
