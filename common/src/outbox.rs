//! PORT: what is to be done, and by when somebody looks whether it was (a *transactional outbox* with a *polling relay*).
//!
//! A process that records something and then publishes a message may end in between. What is noted here is
//! [taken](Outbox::take) by a relay once it is due, and done then. Whoever does it in time strikes it out.
//!
//! Promises of every adapter (`testing::contracts::outbox`):
//! - What is due is given to one relay at a time, and to the next one when its lease is over, until it is struck out.
//! - What was noted again since it was taken is not settled by who took it.

use std::{fmt, str::FromStr, time::Duration};

use async_trait::async_trait;

use crate::{conversation::ConversationKey, ids::CorrelationId, time::UnixMillis};

pub mod memory;
pub mod redis;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Entry {
    /// Telling of the end of `job` by the job `callback`.
    Callback {
        job: CorrelationId,
        callback: CorrelationId,
    },
    /// Sending on the jobs of a conversation that are held back and whose turn has come.
    Turns(ConversationKey),
}

/// An entry that is leased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    pub entry: Entry,
    /// Until then nobody else takes it.
    pub until: UnixMillis,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the outbox is not available: {0}")]
pub struct OutboxError(pub String);

#[async_trait]
pub trait Outbox: Send + Sync + 'static {
    /// Has `entry` be due at `at`, or when it is due already where that is sooner.
    async fn note(&self, entry: &Entry, at: UnixMillis) -> Result<(), OutboxError>;

    /// Has `entry` be due at `at`, where it is noted for later; does nothing where it is done already.
    async fn hasten(&self, entry: &Entry, at: UnixMillis) -> Result<(), OutboxError>;

    /// `entry` is done.
    async fn strike(&self, entry: &Entry) -> Result<(), OutboxError>;

    /// Some entries that are due, `most` at a time, for as long as `lease`.
    async fn take(&self, most: usize, lease: Duration) -> Result<Vec<Taken>, OutboxError>;

    /// What was taken is done, or due again at `next`. Does nothing where it was noted again, or taken by another, since.
    async fn settle(&self, taken: &Taken, next: Option<UnixMillis>) -> Result<(), OutboxError>;
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Callback { job, callback } => write!(f, "callback:{job}:{callback}"),
            Self::Turns(ConversationKey { tenant, id }) => write!(f, "turns:{tenant}:{id}"),
        }
    }
}

/// It is none of this version.
#[derive(Debug, PartialEq, Eq)]
pub struct UnknownEntry;

impl FromStr for Entry {
    type Err = UnknownEntry;

    fn from_str(text: &str) -> Result<Self, UnknownEntry> {
        let mut parts = text.split(':');
        let mut part = || parts.next().ok_or(UnknownEntry);
        match (part()?, part()?, part()?) {
            ("callback", job, callback) => Ok(Self::Callback {
                job: job.parse().map_err(|_| UnknownEntry)?,
                callback: callback.parse().map_err(|_| UnknownEntry)?,
            }),
            ("turns", tenant, id) => Ok(Self::Turns(ConversationKey {
                tenant: tenant.parse().map_err(|_| UnknownEntry)?,
                id: id.parse().map_err(|_| UnknownEntry)?,
            })),
            _ => Err(UnknownEntry),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let key = ConversationKey {
            tenant: "a-b".parse().unwrap(),
            id: "c_d".parse().unwrap(),
        };
        let callback = Entry::Callback {
            job: CorrelationId::new(),
            callback: CorrelationId::new(),
        };
        for entry in [callback, Entry::Turns(key)] {
            assert_eq!(entry.to_string().parse(), Ok(entry));
        }
        for other in ["", "turns:a", "callback:a:b", "newer:a:b"] {
            assert_eq!(other.parse::<Entry>(), Err(UnknownEntry), "{other}");
        }
    }
}
