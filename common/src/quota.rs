//! PORT: how much each caller may use, counted together by all processes.
//!
//! A request is weighed against everything at once: how often its caller may
//! ask ([`Policy`]), how many jobs of his may be under way, and what he may use
//! in a day ([`Budgets`]). Whoever works for him reports what was used.
//!
//! Guarantees, held by every adapter (`testing::contracts::quotas`):
//! - A request is admitted when all that it is weighed against has room, and
//!   then counts against all of it; one that is refused counts against nothing.
//!   No two processes give away the same room.
//! - Of a policy's quota all may be used at once; then it comes back evenly, one
//!   every `window / quota` (GCRA, the *Generic Cell Rate Algorithm* of ITU-T
//!   I.371). So in any time `t` no more than `quota + t × quota / window` are
//!   admitted, and who is refused is told the moment at which he is not.
//! - A job has its place until it leaves or its deadline has passed, so that a
//!   process that dies leaks none. It counts among the interactive ones until
//!   then, unless it is [demoted](Quotas::demote).
//! - What is about to be used is [set aside](Quotas::reserve) first, and when it
//!   is [settled](Quotas::settle) what was used counts in its place, once, however
//!   often that is reported. What is never settled, because its process died,
//!   is free again after a while.
//! - A budget is whole again at midnight UTC. It is compared when a job is
//!   admitted, with what was used, and with what the jobs under way are likely
//!   to use or have set aside, whichever is more: no two jobs are admitted on
//!   the last of it. One that takes more than was left overruns it all the same.
//! - What one partition uses leaves the others as they are.
//!
//! Time is the store's, so that the clocks of the processes do not matter, save
//! for deadlines, which come from outside.

use std::{
    net::IpAddr,
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

use async_trait::async_trait;

use crate::{
    ids::{CorrelationId, Tenant},
    time::UnixMillis,
};

pub mod memory;
mod rate;
pub mod redis;

#[async_trait]
pub trait Quotas: Send + Sync + 'static {
    /// Weighs a request, and counts it when it is admitted.
    async fn admit(&self, request: &Request<'_>) -> Result<Ruling, QuotaError>;

    /// Lets `job`, if it has a place, keep it until `deadline`, if that is later.
    async fn hold(
        &self,
        tenant: &Tenant,
        job: CorrelationId,
        deadline: UnixMillis,
    ) -> Result<(), QuotaError>;

    /// Counts `job` no more among the interactive ones; it keeps its place.
    async fn demote(&self, tenant: &Tenant, job: CorrelationId) -> Result<(), QuotaError>;

    /// Frees the place of `job`, if it has one.
    async fn leave(&self, tenant: &Tenant, job: CorrelationId) -> Result<(), QuotaError>;

    /// Sets aside what is about to be used for `tenant`. Refuses nothing: the job
    /// was admitted.
    async fn reserve(&self, tenant: &Tenant, reservation: &Reservation) -> Result<(), QuotaError>;

    /// Counts what was `used`, unless that was counted before, and sets nothing
    /// aside any more.
    async fn settle(
        &self,
        tenant: &Tenant,
        reservation: &Reservation,
        used: Usage,
    ) -> Result<(), QuotaError>;
}

/// Whose requests are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Partition {
    Tenant(Tenant),
    /// Callers who have not shown who they are.
    Address(IpAddr),
    /// A browser that uses the page.
    Session(String),
}

/// How many requests are admitted in which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Policies with the same name count together.
    pub name: &'static str,
    pub quota: NonZeroU32,
    pub window: Duration,
}

/// What is weighed.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub partition: &'a Partition,
    pub policies: &'a [Policy],
    /// The job that it asks for.
    pub job: Option<NewJob>,
}

#[derive(Clone, Copy, Debug)]
pub struct NewJob {
    pub id: CorrelationId,
    pub deadline: UnixMillis,
    /// Jobs of the partition that may be under way; `None` for any number.
    pub most: Option<NonZeroU32>,
    pub budgets: Budgets,
    /// What such a job is likely to use.
    pub estimate: Usage,
}

/// What a tenant may use in a day, from midnight to midnight UTC; `None` for
/// as much as he likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budgets {
    /// Of language models, read and written.
    pub tokens: Option<NonZeroU64>,
    /// Listened to and spoken.
    pub audio: Option<Duration>,
}

/// What is used, or may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub tokens: u64,
    pub audio: Duration,
}

impl Usage {
    pub fn tokens(tokens: u64) -> Self {
        Self {
            tokens,
            ..Self::default()
        }
    }

    pub fn audio(audio: Duration) -> Self {
        Self {
            audio,
            ..Self::default()
        }
    }
}

/// What is set aside for one use of a model or an engine. Another one for each: a
/// message that is worked on twice has used twice as much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    id: String,
    pub job: CorrelationId,
    pub estimate: Usage,
    /// Time for it to be settled.
    pub time: Duration,
}

impl Reservation {
    pub fn new(job: CorrelationId, estimate: Usage, time: Duration) -> Self {
        Self {
            id: uuid::Uuid::now_v7().simple().to_string(),
            job,
            estimate,
            time,
        }
    }
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// `None` when it is admitted.
    pub refusal: Option<Refusal>,
    /// How each of its policies stands after it, in their order.
    pub standings: Vec<Standing>,
    /// Jobs of the partition, with the new one if it is admitted; 0 when no job
    /// was asked for.
    pub jobs_under_way: u32,
    /// The interactive ones of these. The new one counts as one: how its caller
    /// waits is not known yet.
    pub interactive_jobs: u32,
}

impl Ruling {
    pub fn is_admitted(&self) -> bool {
        self.refusal.is_none()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub why: Why,
    /// The same request may be admitted then.
    pub retry_after: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The policy with this place in the request has no room.
    Rate { policy: usize },
    /// Too many jobs are under way.
    Jobs,
    /// The day's tokens are used, or set aside.
    Tokens,
    /// The day's audio is used, or set aside.
    Audio,
}

/// What is left of a policy's quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub remaining: u32,
    /// Until one more comes back; zero when all are there.
    pub more_in: Duration,
}

/// The store did not do what it was asked, or may have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuotaError {
    /// It did not: too many ask it at the same time.
    #[error("too many ask the store of quotas")]
    Crowded,
    #[error("the store of quotas is not available: {0}")]
    Away(String),
}

/// When to ask again for what a job under way holds. When it ends nobody knows;
/// jobs take about as long.
const PLACE_MAY_BE_FREE: Duration = Duration::from_secs(5);

/// From `seconds` since the epoch until all budgets are whole again.
fn until_midnight(seconds: u64) -> Duration {
    Duration::from_secs(A_DAY - seconds % A_DAY)
}

/// Seconds. Unix time has no leap seconds, so each day has as many.
const A_DAY: u64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_whole_again_at_midnight() {
        for (seconds, expected) in [(0, 86_400), (1, 86_399), (86_399, 1), (86_400, 86_400)] {
            assert_eq!(until_midnight(seconds), Duration::from_secs(expected));
        }
    }
}
