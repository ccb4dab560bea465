//! The slots of a stage. Where there are several, batch messages leave one to those for which somebody waits: a backlog
//! of long ones would hold them all, and who waits cannot be served by going first in a line that does not move.

use std::sync::Arc;

use common::broker::{Consumer, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub struct Room {
    all: Arc<Semaphore>,
    batch: Arc<Semaphore>,
}

/// Held by a message in work.
#[derive(Debug)]
pub struct Slot {
    _of_all: OwnedSemaphorePermit,
    _of_batch: Option<OwnedSemaphorePermit>,
}

impl Room {
    pub fn of(slots: u16) -> Self {
        let slots = usize::from(slots);
        Self {
            all: Arc::new(Semaphore::new(slots)),
            batch: Arc::new(Semaphore::new(slots.saturating_sub(1).max(1))),
        }
    }

    /// The next message for which there is a slot, and that slot. Safe to drop.
    pub async fn next(&self, consumer: &mut Consumer) -> (Incoming, Slot) {
        let of_all = slot_of(&self.all).await;
        let (incoming, of_batch) = tokio::select! {
            biased;
            of_batch = slot_of(&self.batch) => {
                let incoming = consumer.next().await;
                let of_batch = is_batch(&incoming).then_some(of_batch);
                (incoming, of_batch)
            }
            incoming = consumer.next_interactive() => (incoming, None),
        };
        let slot = Slot {
            _of_all: of_all,
            _of_batch: of_batch,
        };
        (incoming, slot)
    }
}

async fn slot_of(slots: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    let slot = Arc::clone(slots).acquire_owned().await;
    slot.expect("the slots are never closed")
}

fn is_batch(incoming: &Incoming) -> bool {
    match incoming {
        Incoming::Message(delivery) => !delivery.envelope.job.priority.is_interactive(),
        Incoming::Unreadable(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use common::{
        backends::{BackendConfig, Backends, connect},
        pipeline::{Route, Stage},
        priority::Priority,
        testing::fixtures,
    };
    use tokio::time::timeout;

    use super::*;

    async fn publish(backends: &Backends, priority: Priority) {
        let mut envelope = fixtures::envelope(Route::Text);
        envelope.job.priority = priority;
        backends.broker.publish(&envelope).await.unwrap();
    }

    #[tokio::test]
    async fn batch_messages_leave_a_slot_to_who_waits() {
        let config = BackendConfig::from_environment(&Default::default(), "test").unwrap();
        let backends = connect(&config).await.unwrap();
        let mut consumer = backends.broker.consume(Stage::Rag, 3).await;
        let room = Room::of(3);
        for _ in 0..3 {
            publish(&backends, Priority::Batch).await;
        }
        let first = room.next(&mut consumer).await;
        let _second = room.next(&mut consumer).await;
        let third = timeout(Duration::from_millis(50), room.next(&mut consumer));
        assert!(third.await.is_err(), "the last slot is not theirs");
        publish(&backends, Priority::Interactive).await;
        let (incoming, _interactive) = room.next(&mut consumer).await;
        assert!(!is_batch(&incoming));
        drop(first);
        let (incoming, _) = room.next(&mut consumer).await;
        assert!(is_batch(&incoming));
    }

    #[tokio::test]
    async fn one_slot_is_for_all() {
        let config = BackendConfig::from_environment(&Default::default(), "test").unwrap();
        let backends = connect(&config).await.unwrap();
        let mut consumer = backends.broker.consume(Stage::Rag, 1).await;
        publish(&backends, Priority::Batch).await;
        let (incoming, _) = Room::of(1).next(&mut consumer).await;
        assert!(is_batch(&incoming));
    }
}
