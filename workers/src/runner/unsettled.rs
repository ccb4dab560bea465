//! Messages that are done with, but for a server that does not take what follows: the queue of the next stage is full,
//! RabbitMQ is short of memory, or the store is away. They wait without a slot, so that others get on whose work needs
//! nothing of that server.

use std::{
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, Semaphore},
    time::timeout,
};

use super::room::Slot;

/// Who is done within this time waits for nobody.
const AT_ONCE: Duration = Duration::from_millis(250);

/// Messages without a slot: they take memory all the same. Those beyond keep theirs.
const MOST: usize = 1_024;

pub struct Unsettled {
    room: Semaphore,
    /// As many of those that the broker has handed out are many.
    many: usize,
    count: Mutex<Count>,
    are_many: Notify,
}

/// Of those that the broker counts as handed out.
#[derive(Default)]
struct Count {
    waiting: usize,
    /// Goes up when it counts anew.
    round: u64,
}

impl Unsettled {
    /// For a stage of so many slots: half of them without work are too many.
    pub fn beyond(slots: u16) -> Self {
        Self {
            room: Semaphore::new(MOST),
            many: usize::from(slots).div_ceil(2),
            count: Mutex::default(),
            are_many: Notify::new(),
        }
    }

    /// Settles a message; gives its `slot` back when that takes long.
    pub async fn during<T>(&self, settling: impl Future<Output = T>, slot: Slot) -> T {
        let mut settling = pin!(settling);
        if let Ok(settled) = timeout(AT_ONCE, &mut settling).await {
            return settled;
        }
        let Ok(_room) = self.room.try_acquire() else {
            return settling.await;
        };
        drop(slot);
        let _waiting = self.wait();
        settling.await
    }

    /// Waits until too many of those that were handed out are waiting, and counts anew.
    pub async fn are_many(&self) {
        loop {
            self.are_many.notified().await;
            let mut count = self.lock();
            if count.waiting >= self.many {
                count.waiting = 0;
                count.round += 1;
                return;
            }
        }
    }

    fn wait(&self) -> Waiting<'_> {
        let mut count = self.lock();
        count.waiting += 1;
        if count.waiting >= self.many {
            self.are_many.notify_one();
        }
        Waiting {
            all: self,
            round: count.round,
        }
    }

    /// No code panics while holding the lock, so a poisoned one is still whole.
    fn lock(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Waiting<'a> {
    all: &'a Unsettled,
    round: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut count = self.all.lock();
        if count.round == self.round {
            count.waiting -= 1;
        }
    }
}
