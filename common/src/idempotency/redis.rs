//! Idempotency keys in Redis: the hash `idempotency:{key}`, whose name holds
//! the digest of tenant and key alone, with a time to live.
//!
//! | field | is |
//! |---|---|
//! | `job` | the job that holds it |
//! | `fingerprint` | of the request |
//! | `at` | ms since the epoch by the clock of Redis, when it was claimed |
//! | `queued` | `1` when the job's message is known to be queued |
//!
//! It is changed by scripts alone, so that each change is whole.

use std::sync::LazyLock;

use async_trait::async_trait;
use redis::Script;

use super::{Claim, Claimed, Fingerprint, IdempotencyError, IdempotencyKey, IdempotencyKeys, KEPT};
use crate::{
    ids::CorrelationId,
    redis_link::RedisLink,
    time::{UnixMillis, whole_millis},
};

pub struct RedisIdempotencyKeys {
    link: RedisLink,
}

/// ARGV: job, fingerprint, ttl in ms, the job to take it over from or ''.
/// Nothing when it is claimed now, else who holds it, and for how many ms: by the
/// clock of Redis, since those of two API servers may differ.
static CLAIM: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'job', 'fingerprint', 'at', 'queued')
if held[1] and held[1] ~= ARGV[4] then
  return {held[1], held[2], string.format('%d', math.max(now - held[3], 0)), held[4] or ''}
end
redis.call('HSET', KEYS[1], 'job', ARGV[1], 'fingerprint', ARGV[2], 'at', string.format('%d', now))
redis.call('HDEL', KEYS[1], 'queued')
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {}
",
    )
});

/// ARGV: job.
static CONFIRM: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
if redis.call('HGET', KEYS[1], 'job') == ARGV[1] then redis.call('HSET', KEYS[1], 'queued', 1) end
return 1
",
    )
});

/// ARGV: job.
static RELEASE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
if redis.call('HGET', KEYS[1], 'job') == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
",
    )
});

impl RedisIdempotencyKeys {
    pub(crate) fn new(link: RedisLink) -> Self {
        Self { link }
    }

    async fn run<T: redis::FromRedisValue + Send>(
        &self,
        script: &Script,
        key: &IdempotencyKey,
        arguments: &[String],
    ) -> Result<T, IdempotencyError> {
        let mut invocation = script.key(name(key));
        invocation.arg(arguments);
        self.link
            .run(0, &invocation)
            .await
            .map_err(|error| IdempotencyError(error.to_string()))
    }

    async fn claim_from(
        &self,
        key: &IdempotencyKey,
        from: Option<CorrelationId>,
        claim: &Claim,
    ) -> Result<Claimed, IdempotencyError> {
        let arguments = [
            claim.job.to_string(),
            claim.fingerprint.0.clone(),
            whole_millis(KEPT).to_string(),
            from.map(|job| job.to_string()).unwrap_or_default(),
        ];
        let held: Vec<String> = self.run(&CLAIM, key, &arguments).await?;
        match held.as_slice() {
            [] => Ok(Claimed::Now),
            [job, fingerprint, age, queued] => parsed(claim.at, job, fingerprint, age, queued)
                .map(Claimed::Before)
                .ok_or_else(malformed),
            _ => Err(malformed()),
        }
    }
}

fn name(key: &IdempotencyKey) -> String {
    format!("idempotency:{}", key.0)
}

fn parsed(now: UnixMillis, job: &str, fingerprint: &str, age: &str, queued: &str) -> Option<Claim> {
    let age: u64 = age.parse().ok()?;
    Some(Claim {
        job: job.parse().ok()?,
        fingerprint: Fingerprint(fingerprint.to_owned()),
        at: UnixMillis(now.0.saturating_sub(age)),
        queued: queued == "1",
    })
}

fn malformed() -> IdempotencyError {
    IdempotencyError("a claim is of another version".into())
}

#[async_trait]
impl IdempotencyKeys for RedisIdempotencyKeys {
    async fn claim(
        &self,
        key: &IdempotencyKey,
        claim: &Claim,
    ) -> Result<Claimed, IdempotencyError> {
        self.claim_from(key, None, claim).await
    }

    async fn take_over(
        &self,
        key: &IdempotencyKey,
        from: CorrelationId,
        claim: &Claim,
    ) -> Result<Claimed, IdempotencyError> {
        self.claim_from(key, Some(from), claim).await
    }

    async fn confirm(
        &self,
        key: &IdempotencyKey,
        job: CorrelationId,
    ) -> Result<(), IdempotencyError> {
        self.run::<()>(&CONFIRM, key, &[job.to_string()]).await
    }

    async fn release(
        &self,
        key: &IdempotencyKey,
        job: CorrelationId,
    ) -> Result<(), IdempotencyError> {
        self.run::<()>(&RELEASE, key, &[job.to_string()]).await
    }
}
