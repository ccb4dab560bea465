//! The broker inside one process: bounded queues, lost with the process.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until},
};

use super::{
    Broker, Consumer, DeadLetterReason, Deliveries, Delivery, Incoming, Link, PublishError,
    Receipt, SettleError, StageQueues,
    dead_letters::{Content, DeadLetter, HeldLetter, Hold, Meant, Swept},
};
use crate::{
    envelope::Envelope,
    pipeline::Stage,
    priority::{Precedence, Priority},
    time::UnixMillis,
};

/// Messages of either priority that a stage's queue holds before it refuses
/// more.
pub const DEFAULT_CAPACITY: usize = 10_000;

pub struct MemoryBroker {
    queues: HashMap<Stage, Arc<Queue>>,
}

impl MemoryBroker {
    pub fn new(capacity: usize) -> Self {
        Self {
            queues: Stage::ALL
                .iter()
                .map(|stage| (*stage, Arc::new(Queue::new(capacity))))
                .collect(),
        }
    }

    fn queue(&self, stage: Stage) -> &Arc<Queue> {
        self.queues
            .get(&stage)
            .expect("a queue is made for every stage")
    }
}

impl Default for MemoryBroker {
    fn default() -> Self {
        Self::new(DEFAULT_CAPACITY)
    }
}

#[async_trait]
impl Broker for MemoryBroker {
    async fn publish(&self, envelope: &Envelope) -> Result<(), PublishError> {
        self.queue(envelope.stage()).push_new(envelope.clone())
    }

    async fn consume(&self, stage: Stage, _prefetch: u16) -> Consumer {
        // The receiver takes one message at a time, so it never holds more
        // than it has asked for.
        let queue = Arc::clone(self.queue(stage));
        queue.lock().consumers += 1;
        Consumer::new(MemoryDeliveries {
            queue,
            consuming: watch::Sender::new(true),
        })
    }

    fn link(&self) -> Link {
        Link::Up
    }

    async fn inspect(&self, stage: Stage) -> Result<StageQueues, PublishError> {
        let state = self.queue(stage).lock();
        Ok(StageQueues {
            ready: state.lanes.iter().map(|lane| lane.ready.len() as u64).sum(),
            consumers: state.consumers,
            dead_letters: state.dead.len() as u64,
        })
    }

    async fn dead_letters(
        &self,
        stage: Stage,
        limit: usize,
    ) -> Result<Vec<HeldLetter>, PublishError> {
        let queue = self.queue(stage);
        let mut state = queue.lock();
        let count = limit.min(state.dead.len());
        let held = state.dead.drain(..count);
        let held = held.map(|dead| HeldLetter::new(dead.letter(stage), dead.held(queue)));
        Ok(held.collect())
    }

    async fn sweep(&self, stage: Stage, meant: &Meant<'_>) -> Result<Swept, PublishError> {
        let mut swept = Swept::default();
        let dead = &mut self.queue(stage).lock().dead;
        dead.retain(|dead| !swept.takes(&dead.letter(stage), meant));
        Ok(swept)
    }
}

/// Dead letters kept per stage, the newest; nobody can inspect them once the
/// process has ended, so they only serve the log and the count.
const DEAD_LETTERS_KEPT: usize = 1_000;

struct Queue {
    capacity: usize,
    state: Mutex<QueueState>,
    changed: Notify,
}

#[derive(Default)]
struct QueueState {
    /// One for each priority.
    lanes: [Lane; 2],
    precedence: Precedence,
    delayed_count: u64,
    /// By their numbers.
    dead: VecDeque<Dead>,
    dead_count: u64,
    consumers: u64,
}

#[derive(Default)]
struct Lane {
    ready: VecDeque<Waiting>,
    /// Keyed by when it is due; the number keeps equal instants apart.
    delayed: BTreeMap<(Instant, u64), Envelope>,
}

impl Lane {
    fn len(&self) -> usize {
        self.ready.len() + self.delayed.len()
    }

    /// Makes ready what is due.
    fn wake(&mut self, now: Instant) {
        while let Some(entry) = self.delayed.first_entry() {
            if entry.key().0 > now {
                return;
            }
            let envelope = entry.remove();
            self.ready.push_back(Waiting {
                envelope,
                redelivered: false,
            });
        }
    }

    fn next_due(&self) -> Option<Instant> {
        self.delayed.first_key_value().map(|((at, _), _)| *at)
    }
}

impl QueueState {
    fn lane(&mut self, priority: Priority) -> &mut Lane {
        &mut self.lanes[priority as usize]
    }

    /// The lane of `envelope`.
    fn lane_of(&mut self, envelope: &Envelope) -> &mut Lane {
        self.lane(envelope.job.priority)
    }

    fn take(&mut self, allowed: &[Priority]) -> Option<Waiting> {
        let first = self.precedence.first();
        for priority in [first, first.other()] {
            if allowed.contains(&priority)
                && let Some(waiting) = self.lane(priority).ready.pop_front()
            {
                self.precedence.took(priority);
                return Some(waiting);
            }
        }
        None
    }
}

#[derive(Clone)]
struct Dead {
    number: u64,
    envelope: Envelope,
    reason: DeadLetterReason,
    at: UnixMillis,
}

impl Dead {
    fn letter(&self, stage: Stage) -> DeadLetter {
        DeadLetter {
            id: self.envelope.message_id().to_string(),
            stage,
            reason: self.reason.clone(),
            put_aside_at: Some(self.at),
            content: Content::Message(Box::new(self.envelope.clone())),
        }
    }

    fn held(self, queue: &Arc<Queue>) -> MemoryHold {
        MemoryHold {
            queue: Arc::clone(queue),
            dead: self,
        }
    }
}

struct Waiting {
    envelope: Envelope,
    redelivered: bool,
}

impl Queue {
    fn new(capacity: usize) -> Self {
        Self {
            capacity,
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// No code panics while holding the lock, so a poisoned one is still whole.
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push_new(&self, envelope: Envelope) -> Result<(), PublishError> {
        let mut state = self.lock();
        let lane = state.lane_of(&envelope);
        if lane.len() >= self.capacity {
            return Err(PublishError::Full);
        }
        lane.ready.push_back(Waiting {
            envelope,
            redelivered: false,
        });
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    fn give_back(&self, envelope: Envelope) {
        let mut state = self.lock();
        state.lane_of(&envelope).ready.push_front(Waiting {
            envelope,
            redelivered: true,
        });
        drop(state);
        self.changed.notify_one();
    }

    fn put_aside(&self, envelope: Envelope, reason: DeadLetterReason) {
        let mut state = self.lock();
        if state.dead.len() == DEAD_LETTERS_KEPT {
            state.dead.pop_front();
        }
        state.dead_count += 1;
        let number = state.dead_count;
        state.dead.push_back(Dead {
            number,
            envelope,
            reason,
            at: UnixMillis::now(),
        });
    }

    fn put_back(&self, dead: Dead) {
        let dead_letters = &mut self.lock().dead;
        let place = dead_letters.partition_point(|other| other.number < dead.number);
        dead_letters.insert(place, dead);
    }

    fn push_delayed(&self, envelope: Envelope, delay: Duration) {
        let mut state = self.lock();
        state.delayed_count += 1;
        let key = (Instant::now() + delay, state.delayed_count);
        state.lane_of(&envelope).delayed.insert(key, envelope);
        drop(state);
        self.changed.notify_one();
    }

    /// The next message that is due, or when to look again.
    fn pop(&self, allowed: &[Priority]) -> Result<Waiting, Option<Instant>> {
        let mut state = self.lock();
        let now = Instant::now();
        for lane in &mut state.lanes {
            lane.wake(now);
        }
        let next_due = state.lanes.iter().filter_map(Lane::next_due).min();
        let taken = state.take(allowed).ok_or(next_due)?;
        if state.lanes.iter().any(|lane| lane.len() > 0) {
            // One wake-up may have stood for several messages.
            self.changed.notify_one();
        }
        Ok(taken)
    }
}

struct MemoryDeliveries {
    queue: Arc<Queue>,
    consuming: watch::Sender<bool>,
}

impl MemoryDeliveries {
    async fn next_of(&self, allowed: &[Priority]) -> Incoming {
        loop {
            let changed = self.queue.changed.notified();
            match self.queue.pop(allowed) {
                Ok(waiting) => {
                    let receipt = MemoryReceipt {
                        queue: Arc::clone(&self.queue),
                        envelope: waiting.envelope.clone(),
                    };
                    let delivery = Delivery::new(waiting.envelope, waiting.redelivered, receipt);
                    return Incoming::Message(Box::new(delivery));
                }
                Err(None) => changed.await,
                Err(Some(due)) => {
                    tokio::select! {
                        () = changed => {}
                        () = sleep_until(due) => {}
                    }
                }
            }
        }
    }
}

#[async_trait]
impl Deliveries for MemoryDeliveries {
    async fn next(&mut self) -> Incoming {
        self.next_of(Priority::ALL).await
    }

    async fn next_interactive(&mut self) -> Incoming {
        self.next_of(&[Priority::Interactive]).await
    }

    async fn stop(&mut self) {
        self.consuming.send_replace(false);
    }

    fn is_consuming(&self) -> watch::Receiver<bool> {
        self.consuming.subscribe()
    }
}

impl Drop for MemoryDeliveries {
    fn drop(&mut self) {
        self.queue.lock().consumers -= 1;
        // A wake-up meant for this consumer belongs to another one now.
        self.queue.changed.notify_one();
    }
}

struct MemoryReceipt {
    queue: Arc<Queue>,
    envelope: Envelope,
}

#[async_trait]
impl Receipt for MemoryReceipt {
    async fn ack(self: Box<Self>) -> Result<(), SettleError> {
        Ok(())
    }

    async fn retry(&self, next: &Envelope, delay: Duration) -> Result<(), SettleError> {
        self.queue.push_delayed(next.clone(), delay);
        Ok(())
    }

    async fn dead_letter(
        self: Box<Self>,
        envelope: &Envelope,
        reason: &DeadLetterReason,
    ) -> Result<(), SettleError> {
        self.queue.put_aside(envelope.clone(), reason.clone());
        Ok(())
    }

    fn release(self: Box<Self>) {
        self.queue.give_back(self.envelope);
    }
}

struct MemoryHold {
    queue: Arc<Queue>,
    dead: Dead,
}

#[async_trait]
impl Hold for MemoryHold {
    async fn remove(self: Box<Self>) -> Result<(), SettleError> {
        Ok(())
    }

    async fn put_back(self: Box<Self>) {
        self.release();
    }

    fn release(self: Box<Self>) {
        self.queue.put_back(self.dead);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{pipeline::Route, testing::fixtures::envelope};

    #[tokio::test]
    async fn a_flood_of_batch_messages_takes_no_room_of_the_interactive_ones() {
        let broker = MemoryBroker::new(1);
        let mut flood = envelope(Route::Text);
        flood.job.priority = Priority::Batch;
        broker.publish(&flood).await.unwrap();
        assert_eq!(broker.publish(&flood).await, Err(PublishError::Full));
        broker.publish(&envelope(Route::Text)).await.unwrap();
    }
}
