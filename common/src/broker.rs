//! PORT: takes messages to the stages and hands them to competing consumers.
//!
//! Guarantees, held by every adapter (`testing::broker_contract`):
//! - A publish that returned `Ok` survives: its message is delivered until it
//!   is settled. A publish that returned an error *may* have been stored; the
//!   same message published again is a duplicate that consumers recognise by
//!   its id.
//! - At least once: a delivery that is dropped unsettled, or whose consumer
//!   dies, is delivered again.
//! - A full queue refuses the publish; nothing is dropped to make room.
//! - Messages of either [`Priority`](crate::priority::Priority) wait in a line of
//!   their own: a consumer takes the interactive ones first, without starving
//!   the others, and neither line takes the other's room.
//! - To look at dead letters takes none of them away; nor does to
//!   [sweep](Broker::sweep) them, but for those that are meant, wherever it ends.
//!
//! Deliberately absent: order between messages, and replies (see
//! [`crate::reply`]).

use std::{fmt, time::Duration};

use async_trait::async_trait;
use tracing::warn;

use crate::{envelope::Envelope, ids::CorrelationId, pipeline::Stage};
use dead_letters::{HeldLetter, Meant, Swept};

pub mod dead_letters;
pub mod memory;
pub mod rabbitmq;
pub mod topology;
pub mod wire;

#[async_trait]
pub trait Broker: Send + Sync + 'static {
    /// Publishes to the queue of the envelope's current stage; `Ok` once the
    /// broker has taken responsibility for it.
    async fn publish(&self, envelope: &Envelope) -> Result<(), PublishError>;

    /// Competes for the messages of `stage`, with at most `prefetch` of either
    /// priority handed out and unsettled at a time. Loses its connection and comes back
    /// by itself.
    async fn consume(&self, stage: Stage, prefetch: u16) -> Consumer;

    /// How the broker can be used at this moment, as far as is known here.
    fn link(&self) -> Link;

    /// The queues of `stage` at this moment.
    async fn inspect(&self, stage: Stage) -> Result<StageQueues, PublishError>;

    /// Takes hold of dead letters of `stage`, the oldest first and not more than
    /// `limit`.
    async fn dead_letters(
        &self,
        stage: Stage,
        limit: usize,
    ) -> Result<Vec<HeldLetter>, PublishError>;

    /// Removes those dead letters of `stage` that are `meant`, for good, and tells
    /// of the others when they are back where they were. Misses those that
    /// somebody else has hold of.
    async fn sweep(&self, stage: Stage, meant: &Meant<'_>) -> Result<Swept, PublishError>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageQueues {
    /// Messages waiting to be handed out, of either priority.
    pub ready: u64,
    pub consumers: u64,
    pub dead_letters: u64,
}

/// Whether the broker can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    Up,
    /// The broker refuses publishes for now, e.g. by a memory alarm.
    Blocked,
    Down,
    /// The queues at the broker are not those that this program declares; the
    /// text names the queue and the difference. Needs an operator.
    Mismatch(String),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Not stored; there is room again later.
    #[error("the queue is full")]
    Full,
    /// Not stored: there is no such queue at the broker.
    #[error("no queue takes the message")]
    Unroutable,
    /// Not stored: the broker cannot be reached or refuses publishes for now.
    #[error("the broker is not available: {0}")]
    Unavailable(String),
    /// May have been stored; publish the same message again to be sure.
    #[error("the broker did not confirm in time")]
    Unconfirmed,
}

/// Why a message ended as a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterReason {
    /// A stable machine word.
    pub code: String,
    /// For an operator; without user text.
    pub detail: String,
}

/// The subscription of one consumer to one stage.
pub struct Consumer(Box<dyn Deliveries>);

impl Consumer {
    pub fn new(deliveries: impl Deliveries + 'static) -> Self {
        Self(Box::new(deliveries))
    }

    /// What comes next; waits for as long as it takes. Safe to drop.
    pub async fn next(&mut self) -> Incoming {
        self.0.next().await
    }

    /// Like [`next`](Self::next), of what somebody waits for alone.
    pub async fn next_interactive(&mut self) -> Incoming {
        self.0.next_interactive().await
    }

    /// The next message that can be read; others are put aside on the way.
    pub async fn receive(&mut self) -> Delivery {
        loop {
            match self.next().await {
                Incoming::Message(delivery) => return *delivery,
                Incoming::Unreadable(unreadable) => {
                    if let Err(error) = unreadable.put_aside().await {
                        warn!(%error, "a message that cannot be read was not put aside");
                    }
                }
            }
        }
    }

    /// Counts anew: what was handed out so far is no longer among the `prefetch` of
    /// [`Broker::consume`], and can be settled as before. For messages that have to
    /// be held for long while others could be worked on.
    pub async fn renew(&mut self) {
        self.0.renew().await;
    }

    /// Takes no more, and gives back what was handed out but never received.
    /// Deliveries that were received can still be settled.
    pub async fn stop(mut self) {
        self.0.stop().await;
    }

    /// Whether messages can arrive at this moment.
    pub fn is_consuming(&self) -> tokio::sync::watch::Receiver<bool> {
        self.0.is_consuming()
    }
}

/// What an adapter implements for [`Consumer`].
#[async_trait]
pub trait Deliveries: Send {
    async fn next(&mut self) -> Incoming;
    async fn next_interactive(&mut self) -> Incoming;
    /// See [`Consumer::renew`]. Nothing to do where nothing is handed out that was not asked for.
    async fn renew(&mut self) {}
    async fn stop(&mut self);
    fn is_consuming(&self) -> tokio::sync::watch::Receiver<bool>;
}

/// What a consumer is handed.
#[derive(Debug)]
pub enum Incoming {
    Message(Box<Delivery>),
    Unreadable(Unreadable),
}

/// A message that this program cannot read: garbage, or of another version. To
/// be put aside; dropping it gives it back to the queue.
pub struct Unreadable {
    /// The job that it belongs to, where its properties tell.
    pub job: Option<CorrelationId>,
    pub reason: DeadLetterReason,
    receipt: Option<Box<dyn UnreadableReceipt>>,
}

impl Unreadable {
    pub fn new(
        job: Option<CorrelationId>,
        reason: DeadLetterReason,
        receipt: impl UnreadableReceipt + 'static,
    ) -> Self {
        Self {
            job,
            reason,
            receipt: Some(Box::new(receipt)),
        }
    }

    /// As it came, with its reason.
    pub async fn put_aside(mut self) -> Result<(), SettleError> {
        match self.receipt.take() {
            Some(receipt) => receipt.put_aside(&self.reason).await,
            None => Ok(()),
        }
    }
}

impl Drop for Unreadable {
    fn drop(&mut self) {
        if let Some(receipt) = self.receipt.take() {
            receipt.release();
        }
    }
}

impl fmt::Debug for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unreadable")
            .field("job", &self.job)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

/// What an adapter implements for [`Unreadable`].
#[async_trait]
pub trait UnreadableReceipt: Send + Sync {
    async fn put_aside(self: Box<Self>, reason: &DeadLetterReason) -> Result<(), SettleError>;
    /// Gives the message back to its queue.
    fn release(self: Box<Self>);
}

/// A message handed out and not settled yet. Each way to settle consumes it;
/// dropping it unsettled gives it back to the queue.
pub struct Delivery {
    pub envelope: Envelope,
    /// The broker knows that it was handed out before.
    pub redelivered: bool,
    receipt: Option<Box<dyn Receipt>>,
}

/// A settlement that did not reach the broker: the message will come again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the delivery could not be settled and will come again: {0}")]
pub struct SettleError(pub String);

impl Delivery {
    pub fn new(envelope: Envelope, redelivered: bool, receipt: impl Receipt + 'static) -> Self {
        Self {
            envelope,
            redelivered,
            receipt: Some(Box::new(receipt)),
        }
    }

    /// Whether the message is still ours, as far as is known here: it is given to
    /// another when the connection is lost over which it came.
    pub fn is_held(&self) -> bool {
        self.receipt.as_ref().is_some_and(|it| it.is_held())
    }

    /// The message is done with.
    pub async fn ack(mut self) -> Result<(), SettleError> {
        self.take_receipt().ack().await
    }

    /// Tries the stage again with `next` after `delay`, one of
    /// [`crate::retry::delays_of`] its stage. Dropped before it is done, it gives
    /// the message back; `next` may come as well then.
    pub async fn retry(mut self, next: &Envelope, delay: Duration) -> Result<(), SettleError> {
        let receipt = self.receipt.as_ref().expect(HOLDS_ITS_RECEIPT);
        let retried = receipt.retry(next, delay).await;
        // Settled, or taken back by the broker.
        self.receipt = None;
        retried
    }

    /// Puts the message aside for an operator.
    pub async fn dead_letter(mut self, reason: &DeadLetterReason) -> Result<(), SettleError> {
        let receipt = self.take_receipt();
        receipt.dead_letter(&self.envelope, reason).await
    }

    fn take_receipt(&mut self) -> Box<dyn Receipt> {
        self.receipt.take().expect(HOLDS_ITS_RECEIPT)
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(receipt) = self.receipt.take() {
            receipt.release();
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("message_id", &self.envelope.message_id())
            .field("redelivered", &self.redelivered)
            .finish_non_exhaustive()
    }
}

const HOLDS_ITS_RECEIPT: &str = "a delivery holds its receipt until it is consumed";

/// What an adapter implements for [`Delivery`].
#[async_trait]
pub trait Receipt: Send + Sync {
    /// See [`Delivery::is_held`].
    fn is_held(&self) -> bool {
        true
    }
    async fn ack(self: Box<Self>) -> Result<(), SettleError>;
    async fn retry(&self, next: &Envelope, delay: Duration) -> Result<(), SettleError>;
    async fn dead_letter(
        self: Box<Self>,
        envelope: &Envelope,
        reason: &DeadLetterReason,
    ) -> Result<(), SettleError>;
    /// Gives the message back to its queue.
    fn release(self: Box<Self>);
}
