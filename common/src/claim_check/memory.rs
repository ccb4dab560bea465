//! The claim check inside one process.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;

use super::{ClaimCheck, ClaimError, Item, Ticket};
use crate::ids::CorrelationId;

/// Bytes kept in all; the oldest make room for new ones.
const DEFAULT_CAPACITY: u64 = 512 * 1024 * 1024;

pub struct MemoryClaimCheck {
    capacity: u64,
    /// How long after it was erased nothing of a job is taken.
    retention: Duration,
    store: Mutex<Store>,
}

#[derive(Default)]
struct Store {
    kept: HashMap<String, Kept>,
    /// Until when nothing of these jobs is taken.
    erased: HashMap<CorrelationId, Instant>,
}

struct Kept {
    bytes: Bytes,
    since: Instant,
    until: Instant,
}

impl MemoryClaimCheck {
    pub(crate) fn new(retention: Duration) -> Self {
        Self {
            capacity: DEFAULT_CAPACITY,
            retention,
            store: Mutex::default(),
        }
    }

    /// No code panics while holding the lock, so a poisoned one is still whole.
    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets the oldest items until `wanted` bytes more are within `capacity`.
fn make_room(kept: &mut HashMap<String, Kept>, capacity: u64, wanted: u64) {
    let mut held: u64 = kept.values().map(|item| item.bytes.len() as u64).sum();
    while held + wanted > capacity {
        let oldest = kept.iter().min_by_key(|(_, item)| item.since);
        let Some(name) = oldest.map(|(name, _)| name.clone()) else {
            return;
        };
        held -= kept.remove(&name).map_or(0, |item| item.bytes.len() as u64);
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
        let mut store = self.lock();
        let Store { kept, erased } = &mut *store;
        erased.retain(|_, until| *until > now);
        if erased.contains_key(&id) {
            return Err(ClaimError::Gone);
        }
        kept.retain(|_, item| item.until > now);
        make_room(kept, self.capacity, ticket.bytes);
        let item = Kept {
            bytes,
            since: now,
            until: now + keep,
        };
        kept.insert(ticket.name.clone(), item);
        Ok(ticket)
    }

    async fn keep(&self, ticket: &Ticket, longer: Duration) -> Result<(), ClaimError> {
        if let Some(item) = self.lock().kept.get_mut(&ticket.name) {
            item.until = item.until.max(Instant::now() + longer);
        }
        Ok(())
    }

    async fn redeem(&self, ticket: &Ticket) -> Result<Bytes, ClaimError> {
        self.lock()
            .kept
            .get(&ticket.name)
            .filter(|item| item.until > Instant::now())
            .map(|item| item.bytes.clone())
            .ok_or(ClaimError::Gone)
    }

    async fn redeem_part(&self, ticket: &Ticket, part: Range<u64>) -> Result<Bytes, ClaimError> {
        let whole = self.redeem(ticket).await?;
        let place = |at| usize::try_from(at).unwrap_or(usize::MAX);
        let part = whole.get(place(part.start)..place(part.end));
        // A slice of the same memory would keep the whole from being freed for
        // as long as a slow client takes to read a part.
        part.map(Bytes::copy_from_slice).ok_or(ClaimError::Gone)
    }

    async fn discard(&self, ticket: &Ticket) -> Result<(), ClaimError> {
        self.lock().kept.remove(&ticket.name);
        Ok(())
    }

    async fn erase(&self, id: CorrelationId, _: &[Ticket]) -> Result<u64, ClaimError> {
        let mut store = self.lock();
        store.erased.insert(id, Instant::now() + self.retention);
        let before = store.kept.len();
        let of_job = format!("{{{id}}}/");
        store.kept.retain(|name, _| !name.starts_with(&of_job));
        Ok((before - store.kept.len()) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_bytes_make_room_for_new_ones() {
        let claims = MemoryClaimCheck {
            capacity: 10,
            ..MemoryClaimCheck::new(Duration::from_secs(60))
        };
        let mut tickets = Vec::new();
        for _ in 0..3 {
            let bytes = Bytes::from_static(b"12345");
            let minute = Duration::from_secs(60);
            let id = CorrelationId::new();
            let kept = claims.check_in(id, Item::Input, bytes, minute).await;
            tickets.push(kept.unwrap());
        }
        assert_eq!(claims.redeem(&tickets[0]).await, Err(ClaimError::Gone));
        assert!(claims.redeem(&tickets[1]).await.is_ok());
        assert!(claims.redeem(&tickets[2]).await.is_ok());
    }
}
