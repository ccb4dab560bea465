//! Slots for what a process does not have any number of: CPU-bound calls of engines, and calls of a remote provider.
//!
//! A message that is held waits here without a cost to others, and the time for its attempt does not pass meanwhile
//! ([`clock`]).

use std::{sync::Arc, time::Instant};

use metrics::histogram;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub mod clock;

/// CPU-bound calls of engines in this process: one pool, whichever the engine.
#[derive(Clone, Debug)]
pub struct EnginePool {
    slots: Arc<Semaphore>,
    size: u32,
    /// One long call at a time: two would take all slots from the short ones for as long.
    long: Arc<Semaphore>,
}

impl EnginePool {
    pub fn new(size: u32) -> Self {
        let size = size.max(1);
        Self {
            slots: Arc::new(Semaphore::new(size as usize)),
            size,
            long: Arc::new(Semaphore::new(1)),
        }
    }

    /// A slot for a short call, to be held until it is done, also by a thread whose caller has gone.
    pub async fn slot(&self) -> Slot {
        taken(&self.slots, 1, "engine").await
    }

    /// Slots for a call that keeps `threads` busy for seconds, one such call at a time. It leaves a slot to short calls
    /// where there are several: these would wait for its end otherwise.
    pub async fn slots_of_long_call(&self, threads: usize) -> LongCall {
        let threads = u32::try_from(threads).unwrap_or(u32::MAX);
        let count = threads.min(self.size - 1).max(1);
        LongCall {
            _turn: taken(&self.long, 1, "long_call").await,
            _slots: taken(&self.slots, count, "engine").await,
        }
    }
}

/// The slots of a long call.
#[derive(Debug)]
pub struct LongCall {
    _slots: Slot,
    _turn: Slot,
}

/// Calls of one remote provider by this process.
#[derive(Clone, Debug, Default)]
pub struct ProviderLimit(Option<Arc<Semaphore>>);

impl ProviderLimit {
    /// As many as `most`; without it, as many as there are messages in work.
    pub fn new(most: Option<usize>) -> Self {
        Self(most.map(|most| Arc::new(Semaphore::new(most))))
    }

    /// A slot for one call.
    pub async fn slot(&self) -> Option<Slot> {
        let slots = self.0.as_ref()?;
        Some(taken(slots, 1, "provider").await)
    }
}

/// Free again when it is dropped.
#[derive(Debug)]
pub struct Slot {
    _permit: OwnedSemaphorePermit,
}

/// `itb_slot_wait_seconds{slot}`: waits for one that was not free.
async fn taken(slots: &Arc<Semaphore>, count: u32, kind: &'static str) -> Slot {
    if let Ok(permit) = Arc::clone(slots).try_acquire_many_owned(count) {
        return Slot { _permit: permit };
    }
    let begun = Instant::now();
    let permit = clock::waiting(Arc::clone(slots).acquire_many_owned(count)).await;
    histogram!("itb_slot_wait_seconds", "slot" => kind).record(begun.elapsed());
    let permit = permit.expect("the semaphores of slots are never closed");
    Slot { _permit: permit }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn short_calls_find_a_slot_beside_long_ones_that_wait() {
        let pool = EnginePool::new(2);
        let long = pool.slots_of_long_call(8).await;
        let mut another = pin!(pool.slots_of_long_call(8));
        assert!((&mut another).now_or_never().is_none());
        let short = pool.slot().await;
        assert!(pool.slot().now_or_never().is_none(), "all are taken");
        drop((short, long));
        another.await;
    }

    #[tokio::test]
    async fn a_pool_of_one_has_one_call_at_a_time() {
        let pool = EnginePool::new(1);
        let long = pool.slots_of_long_call(1).await;
        assert!(pool.slot().now_or_never().is_none());
        drop(long);
        pool.slot().await;
    }

    #[tokio::test]
    async fn a_provider_has_as_many_calls_as_are_allowed() {
        let limit = ProviderLimit::new(Some(1));
        let one = limit.slot().await;
        assert!(one.is_some() && limit.slot().now_or_never().is_none());
        drop(one);
        limit.slot().await;
        assert!(ProviderLimit::default().slot().await.is_none());
    }
}
