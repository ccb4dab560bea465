//! Idempotency keys inside one process, lost with it: as are its jobs.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::Instant;

use super::{Claim, Claimed, IdempotencyError, IdempotencyKey, IdempotencyKeys, KEPT};
use crate::ids::CorrelationId;

pub struct MemoryIdempotencyKeys {
    kept: Duration,
    held: Mutex<HashMap<IdempotencyKey, Held>>,
}

struct Held {
    claim: Claim,
    until: Instant,
}

impl Default for MemoryIdempotencyKeys {
    fn default() -> Self {
        Self {
            kept: KEPT,
            held: Mutex::default(),
        }
    }
}

impl MemoryIdempotencyKeys {
    /// No code panics while holding the lock, so a poisoned one is still whole.
    fn lock(&self) -> MutexGuard<'_, HashMap<IdempotencyKey, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn claim_from(
        &self,
        key: &IdempotencyKey,
        from: Option<CorrelationId>,
        claim: &Claim,
    ) -> Claimed {
        let now = Instant::now();
        let mut held = self.lock();
        // Keys come one at a time: a good moment to forget the old ones.
        if held.len().is_multiple_of(64) {
            held.retain(|_, held| held.until > now);
        }
        if let Some(before) = held.get(key)
            && before.until > now
            && Some(before.claim.job) != from
        {
            return Claimed::Before(before.claim.clone());
        }
        let mine = Held {
            claim: claim.clone(),
            until: now + self.kept,
        };
        held.insert(key.clone(), mine);
        Claimed::Now
    }
}

#[async_trait]
impl IdempotencyKeys for MemoryIdempotencyKeys {
    async fn claim(
        &self,
        key: &IdempotencyKey,
        claim: &Claim,
    ) -> Result<Claimed, IdempotencyError> {
        Ok(self.claim_from(key, None, claim))
    }

    async fn take_over(
        &self,
        key: &IdempotencyKey,
        from: CorrelationId,
        claim: &Claim,
    ) -> Result<Claimed, IdempotencyError> {
        Ok(self.claim_from(key, Some(from), claim))
    }

    async fn confirm(
        &self,
        key: &IdempotencyKey,
        job: CorrelationId,
    ) -> Result<(), IdempotencyError> {
        if let Some(held) = self.lock().get_mut(key)
            && held.claim.job == job
        {
            held.claim.queued = true;
        }
        Ok(())
    }

    async fn release(
        &self,
        key: &IdempotencyKey,
        job: CorrelationId,
    ) -> Result<(), IdempotencyError> {
        let mut held = self.lock();
        if held.get(key).is_some_and(|held| held.claim.job == job) {
            held.remove(key);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{idempotency::Fingerprint, ids::Tenant, time::UnixMillis};

    #[tokio::test]
    async fn a_key_is_free_again_when_its_time_is_over() {
        let kept = Duration::from_millis(200);
        let keys = MemoryIdempotencyKeys {
            kept,
            ..MemoryIdempotencyKeys::default()
        };
        let key = IdempotencyKey::of(&Tenant::default(), "a");
        let claim = || Claim {
            job: CorrelationId::new(),
            fingerprint: Fingerprint::of([0; 32]),
            at: UnixMillis::now(),
            queued: false,
        };
        assert_eq!(keys.claim(&key, &claim()).await, Ok(Claimed::Now));
        assert_ne!(keys.claim(&key, &claim()).await, Ok(Claimed::Now));
        tokio::time::sleep(kept).await;
        assert_eq!(keys.claim(&key, &claim()).await, Ok(Claimed::Now));
    }
}
