//! PORT: which job stands for a request that its client named with a key
//! (IETF draft-ietf-httpapi-idempotency-key-header-07), so that the same
//! request sent again makes no second job.
//!
//! Guarantees, held by every adapter (`testing::contracts::idempotency`):
//! - Of all who claim a free key, on any process, one gets it; the others are
//!   told whose it is.
//! - A key of one tenant is free for every other.
//! - A key is taken over from the job that is named alone, and given back by
//!   the job that holds it alone: who comes late changes nothing.
//! - A key is free again [`KEPT`] after it was claimed.
//!
//! A claim is made before its job is submitted, and names the job beforehand.
//! What became of that job is asked of its reply log, the only account of it:
//! a claim whose job has no log after a while was left by a process that died,
//! and may be taken over. A log alone does not tell that the job's message is
//! queued, since it is opened before; that is noted in the claim.

use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};

use crate::{
    ids::{CorrelationId, Tenant},
    time::UnixMillis,
};

pub mod memory;
pub mod redis;

/// How long a key stands for its job.
pub const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

#[async_trait]
pub trait IdempotencyKeys: Send + Sync + 'static {
    /// Claims `key`, if it is free.
    async fn claim(&self, key: &IdempotencyKey, claim: &Claim)
    -> Result<Claimed, IdempotencyError>;

    /// Claims `key`, if it is free or held by the job `from`.
    async fn take_over(
        &self,
        key: &IdempotencyKey,
        from: CorrelationId,
        claim: &Claim,
    ) -> Result<Claimed, IdempotencyError>;

    /// Notes that the message of `job` is queued, if `job` holds `key`.
    async fn confirm(
        &self,
        key: &IdempotencyKey,
        job: CorrelationId,
    ) -> Result<(), IdempotencyError>;

    /// Gives `key` back, if `job` holds it.
    async fn release(
        &self,
        key: &IdempotencyKey,
        job: CorrelationId,
    ) -> Result<(), IdempotencyError>;
}

/// A client's key, as it is kept: its hash together with the tenant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    pub fn of(tenant: &Tenant, key: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(tenant.as_str());
        // No tenant's name holds it.
        hash.update([0]);
        hash.update(key);
        Self(hex::encode(hash.finalize()))
    }
}

/// A digest of all that makes two requests the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint(String);

impl Fingerprint {
    pub fn of(digest: [u8; 32]) -> Self {
        Self(hex::encode(digest))
    }
}

/// What a key stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub job: CorrelationId,
    pub fingerprint: Fingerprint,
    /// When it was made, by the clock of whoever asks. How long ago that was is told by the store.
    pub at: UnixMillis,
    /// Whether its message is known to be queued.
    pub queued: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// By this call.
    Now,
    /// By another one before.
    Before(Claim),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store of idempotency keys is not available: {0}")]
pub struct IdempotencyError(pub String);
