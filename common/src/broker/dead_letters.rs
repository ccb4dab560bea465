//! Messages that were put aside, for an operator to decide on.

use std::fmt;

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};

use super::{DeadLetterReason, SettleError, wire::WireError};
use crate::{envelope::Envelope, ids::CorrelationId, pipeline::Stage, time::UnixMillis};

#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// Names it to operators: the message's own name, or one made of its bytes
    /// when it has none. Copies of one message have the same.
    pub id: String,
    /// In whose dead letters it is.
    pub stage: Stage,
    pub reason: DeadLetterReason,
    /// `None` when nobody wrote it down.
    pub put_aside_at: Option<UnixMillis>,
    pub content: Content,
}

#[derive(Clone, PartialEq)]
pub enum Content {
    Message(Box<Envelope>),
    /// This program cannot read it; another version may.
    Unreadable {
        why: WireError,
        /// By the properties of the message.
        job: Option<CorrelationId>,
        body: Vec<u8>,
    },
}

impl DeadLetter {
    pub fn envelope(&self) -> Option<&Envelope> {
        match &self.content {
            Content::Message(envelope) => Some(envelope),
            Content::Unreadable { .. } => None,
        }
    }

    /// The job that it belongs to, as far as that can be told.
    pub fn job(&self) -> Option<CorrelationId> {
        match &self.content {
            Content::Message(envelope) => Some(envelope.correlation_id()),
            Content::Unreadable { job, .. } => *job,
        }
    }

    /// A name for a message that has none.
    pub(super) fn name_of(body: &[u8]) -> String {
        format!("body/{}", hex::encode(&Sha256::digest(body)[..8]))
    }
}

impl fmt::Debug for Content {
    /// What cannot be read may be anybody's text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(envelope) => write!(f, "Message({})", envelope.message_id()),
            Self::Unreadable { why, body, .. } => {
                write!(f, "Unreadable({why}, {} bytes)", body.len())
            }
        }
    }
}

/// Which dead letters something is done to.
pub type Meant<'a> = dyn Fn(&DeadLetter) -> bool + Send + Sync + 'a;

/// What became of the dead letters of a stage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// How many were removed.
    pub removed: u64,
    /// The jobs of the others, as far as that can be told.
    pub left: Vec<CorrelationId>,
}

impl Swept {
    /// Whether `letter` goes, as `meant` says.
    pub(super) fn takes(&mut self, letter: &DeadLetter, meant: &Meant<'_>) -> bool {
        let goes = meant(letter);
        if goes {
            self.removed += 1;
        } else {
            self.left.extend(letter.job());
        }
        goes
    }
}

/// A dead letter that nobody else sees for as long as it is held. Dropped, it
/// goes back; so it does when the process dies.
pub struct HeldLetter {
    pub letter: DeadLetter,
    hold: Option<Box<dyn Hold>>,
}

/// What an adapter implements for [`HeldLetter`].
#[async_trait]
pub trait Hold: Send + Sync {
    async fn remove(self: Box<Self>) -> Result<(), SettleError>;
    async fn put_back(self: Box<Self>);
    /// Puts it back, from where nobody can wait for it.
    fn release(self: Box<Self>);
}

impl HeldLetter {
    pub fn new(letter: DeadLetter, hold: impl Hold + 'static) -> Self {
        let hold: Box<dyn Hold> = Box::new(hold);
        let hold = Some(hold);
        Self { letter, hold }
    }

    /// Takes it away for good.
    pub async fn remove(mut self) -> Result<(), SettleError> {
        match self.hold.take() {
            Some(hold) => hold.remove().await,
            None => Ok(()),
        }
    }

    /// Leaves it as it was.
    pub async fn put_back(mut self) {
        if let Some(hold) = self.hold.take() {
            hold.put_back().await;
        }
    }
}

impl Drop for HeldLetter {
    fn drop(&mut self) {
        if let Some(hold) = self.hold.take() {
            hold.release();
        }
    }
}
