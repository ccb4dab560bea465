//! PORT: where the logs of jobs are kept. It has no rules: those are in [`super::state`].
//!
//! Promises of every adapter (`testing::contracts::stores`):
//! - [`append_if`](JobStore::append_if) stores all of an append or nothing of it, and only on the version that it was decided
//!   on (*optimistic concurrency control*).
//! - [`read`](JobStore::read) gives the events in their order, without a gap.
//! - A [`Watch`] that was made before an append hears of it, also when the store is away in between.
//! - A log goes [`Retention`](crate::reply::Retention) after it was last changed, as a whole.

use std::cmp::Ordering;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use super::{
    state::JobState,
    watch::{Topic, Watch},
};
use crate::{
    envelope::Job,
    ids::CorrelationId,
    reply::{Record, ReplyError},
};

pub mod memory;
pub mod redis;

/// Which beginning of a log it is: [`FIRST_EPOCH`], or for one that was lost or came back with less than was known, ms from the
/// acceptance of its job until that was noticed. The numbers of its events tell it ([`first_number`]), so that none is
/// given twice: whoever has seen events of an earlier epoch gets all of a later one.
pub type Epoch = u64;

/// That of a log that was never lost.
pub const FIRST_EPOCH: Epoch = 0;

/// Numbers of one epoch: far more than a job has events, and few enough for 2⁵³, the largest whole number of JavaScript, to
/// have room for epochs of a year.
const NUMBERS: u64 = 1 << 18;

/// The number of the first event of `epoch`.
pub const fn first_number(epoch: Epoch) -> u64 {
    epoch * NUMBERS + 1
}

/// The epoch of the event with this number.
pub const fn epoch_of(number: u64) -> Epoch {
    number.saturating_sub(1) / NUMBERS
}

/// Which state of a log it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Another one when a log is begun anew that was lost.
    pub epoch: Epoch,
    /// From 1, one more with each append.
    pub number: u64,
    /// Tells two appends of one number apart, one of which the store has lost. Random; 0 for that with which a job is
    /// submitted.
    pub nonce: u64,
}

impl Version {
    /// That with which a job is submitted.
    pub const FIRST: Self = Self {
        epoch: FIRST_EPOCH,
        number: 1,
        nonce: 0,
    };

    /// Of the first append of a log.
    pub fn first_of(epoch: Epoch) -> Self {
        let nonce = if epoch == FIRST_EPOCH { 0 } else { nonce() };
        Self {
            epoch,
            number: 1,
            nonce,
        }
    }

    /// Of the append after this one.
    pub fn next(self, epoch: Epoch) -> Self {
        Self {
            epoch,
            number: self.number + 1,
            nonce: nonce(),
        }
    }

    /// Whether a store that has this version has lost something since `seen`.
    pub fn is_less_than(self, seen: Self) -> bool {
        match self.epoch.cmp(&seen.epoch) {
            Ordering::Less => true,
            Ordering::Equal if self.number == seen.number => self.nonce != seen.nonce,
            Ordering::Equal => self.number < seen.number,
            Ordering::Greater => false,
        }
    }
}

fn nonce() -> u64 {
    uuid::Uuid::now_v7().as_u64_pair().1
}

/// What a log was decided by, and by what the next append is decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    pub version: Version,
    pub state: JobState,
}

/// What is to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Append {
    pub snapshot: Snapshot,
    pub records: Vec<Record>,
    /// The records before go.
    pub erases: bool,
}

/// What is there of a log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// The number of its last event, 0 when there is no log.
    pub last: u64,
    pub records: Vec<Record>,
}

/// What became of an append.
#[derive(Clone, Debug, PartialEq)]
pub enum Stored {
    Appended,
    /// The log is at another version; `None` when there is none.
    Conflict(Option<Box<Snapshot>>),
}

#[async_trait]
pub trait JobStore: Send + Sync + 'static {
    /// `None` when there is no log.
    async fn load(&self, id: CorrelationId) -> Result<Option<Snapshot>, ReplyError>;

    /// Stores `append` if the log is at the version `expected`, `None` for one that does not exist.
    async fn append_if(
        &self,
        id: CorrelationId,
        expected: Option<Version>,
        append: &Append,
    ) -> Result<Stored, ReplyError>;

    /// The events after number `after` (0 for all).
    async fn read(&self, id: CorrelationId, after: u64) -> Result<Reading, ReplyError>;

    /// Tells when there may be something new.
    fn watch(&self, topic: Topic) -> Watch;

    /// Every job that has a log and is not erased, in no order. Looks through the whole store: for operators.
    fn jobs(&self) -> BoxStream<'static, Result<Job, ReplyError>>;

    /// Whether the store answers.
    async fn ping(&self) -> Result<(), ReplyError>;
}
