//! PORT: keeps audio out of the messages (Enterprise Integration Patterns,
//! *Claim Check*): the bytes are checked in, a small ticket travels. And keeps
//! what is said of a job that is over.
//!
//! Guarantees, held by every adapter (`testing::claim_check_contract`):
//! - Bytes checked in under a name can be redeemed by every process, any number
//!   of times, until they are older than asked for.
//! - Speech is named by its bytes too: a stage that runs twice may speak
//!   differently, and whoever was given the first ticket still gets what it
//!   stood for. Checking in what was sent in, or said, again replaces it.
//! - A part of the bytes is read without the rest, so that a reader holds no more
//!   in memory than it has use for at the moment.
//! - Of a job that was [erased](ClaimCheck::erase) nothing is kept, and nothing
//!   is taken for as long as a job is kept after its end: a stage that is still
//!   at work leaves nothing behind.

use std::{ops::Range, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::ids::CorrelationId;

pub mod memory;
pub mod redis;

#[async_trait]
pub trait ClaimCheck: Send + Sync + 'static {
    /// Keeps `bytes` for `keep`; [`ClaimError::Gone`] when the job is erased.
    async fn check_in(
        &self,
        id: CorrelationId,
        item: Item,
        bytes: Bytes,
        keep: Duration,
    ) -> Result<Ticket, ClaimError>;

    async fn redeem(&self, ticket: &Ticket) -> Result<Bytes, ClaimError>;

    /// The bytes at these places, from 0, all of them within [`Ticket::bytes`].
    /// [`ClaimError::Gone`] also when fewer are kept under this name by now. The
    /// answer keeps nothing but these bytes in memory.
    async fn redeem_part(&self, ticket: &Ticket, part: Range<u64>) -> Result<Bytes, ClaimError>;

    /// Keeps what `ticket` stands for at least for `longer` from now on, if it is
    /// still kept.
    async fn keep(&self, ticket: &Ticket, longer: Duration) -> Result<(), ClaimError>;

    /// Keeps what `ticket` stands for no longer.
    async fn discard(&self, ticket: &Ticket) -> Result<(), ClaimError>;

    /// Forgets all that is kept of job `id`, and what `known` tickets of it stand
    /// for: an earlier version kept no account of them. How many items there were.
    async fn erase(&self, id: CorrelationId, known: &[Ticket]) -> Result<u64, ClaimError>;
}

/// What of a job is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// The audio that was sent in.
    Input,
    /// The answer as speech.
    Speech,
    /// A sentence of the answer as speech.
    Sentence {
        /// See [`Event::AudioDelta`](crate::reply::Event::AudioDelta).
        revision: u64,
        /// From 1.
        n: u32,
    },
    /// What was said of the answer.
    Feedback,
}

impl std::fmt::Display for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Input => f.write_str("input"),
            Self::Speech => f.write_str("speech"),
            Self::Sentence { revision, n } => write!(f, "speech/{revision}/{n}"),
            Self::Feedback => f.write_str("feedback"),
        }
    }
}

/// Where bytes are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    name: String,
    /// How many they are.
    pub bytes: u64,
}

impl Ticket {
    /// For what was sent in with job `id`, if there is any, to keep it for longer.
    pub fn of_input(id: CorrelationId) -> Self {
        Self::new(id, Item::Input, &Bytes::new())
    }

    /// For what was said of the answer of job `id`, if anything was.
    pub fn of_feedback(id: CorrelationId) -> Self {
        Self::new(id, Item::Feedback, &Bytes::new())
    }

    /// A digest of the bytes; `None` for what was sent in, whose name stays the
    /// same when its bytes do not.
    pub fn digest(&self) -> Option<&str> {
        let (_, digest) = self.name.split_once("/speech/")?;
        digest.rsplit('/').next()
    }

    /// The job is in braces, so that all of it is in one Cluster slot.
    fn new(id: CorrelationId, item: Item, bytes: &Bytes) -> Self {
        let name = match item {
            Item::Input | Item::Feedback => format!("{{{id}}}/{item}"),
            Item::Speech | Item::Sentence { .. } => {
                let digest = hex::encode(&Sha256::digest(bytes)[..8]);
                format!("{{{id}}}/{item}/{digest}")
            }
        };
        Self {
            name,
            bytes: bytes.len() as u64,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// Kept no longer, or never checked in; or its job is erased.
    #[error("the bytes are not kept any more")]
    Gone,
    #[error("the claim check is not available: {0}")]
    Unavailable(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_for_speech_tells_a_digest_of_the_bytes() {
        let id = CorrelationId::new();
        let (one, other) = (Bytes::from_static(b"one"), Bytes::from_static(b"other"));
        for item in [Item::Speech, Item::Sentence { revision: 0, n: 2 }] {
            let digest = |bytes| Ticket::new(id, item, bytes).digest().map(str::to_owned);
            assert_eq!(digest(&one).unwrap().len(), 16);
            assert_eq!(digest(&one), digest(&one));
            assert_ne!(digest(&one), digest(&other));
        }
        assert_eq!(Ticket::of_input(id).digest(), None);
    }
}
