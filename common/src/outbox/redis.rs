//! The outbox in Redis: the sorted set `outbox:{prefix}`, by the time at which each entry is due, in ms. Its entries are
//! published to the queues with that prefix.

use std::{sync::LazyLock, time::Duration};

use async_trait::async_trait;
use redis::Script;
use tracing::warn;

use super::{Entry, Outbox, OutboxError, Taken};
use crate::{
    redis_link::{LinkError, RedisLink},
    time::UnixMillis,
};

/// ARGV: now, until when what is taken is leased, how many at most. Answers them.
static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
for _, entry in ipairs(due) do redis.call('ZADD', KEYS[1], ARGV[2], entry) end
return due
",
    )
});

/// ARGV: an entry, the time at which it is due if nobody has noted it since, the time at which it is to be, or `''`.
static SETTLE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local at = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not at or tonumber(at) ~= tonumber(ARGV[2]) then return end
if ARGV[3] == '' then
  redis.call('ZREM', KEYS[1], ARGV[1])
else
  redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
end
",
    )
});

pub struct RedisOutbox {
    link: RedisLink,
    name: String,
}

impl RedisOutbox {
    pub(crate) fn new(link: RedisLink, queue_prefix: &str) -> Self {
        Self {
            link,
            name: format!("outbox:{queue_prefix}"),
        }
    }

    async fn add(&self, how: &[&str], entry: &Entry, at: UnixMillis) -> Result<(), OutboxError> {
        let mut add = redis::cmd("ZADD");
        add.arg(&self.name)
            .arg(how)
            .arg(at.0)
            .arg(entry.to_string());
        Ok(self.link.run(0, &add).await?)
    }
}

impl From<LinkError> for OutboxError {
    fn from(error: LinkError) -> Self {
        Self(error.to_string())
    }
}

#[async_trait]
impl Outbox for RedisOutbox {
    async fn note(&self, entry: &Entry, at: UnixMillis) -> Result<(), OutboxError> {
        self.add(&["LT"], entry, at).await
    }

    async fn hasten(&self, entry: &Entry, at: UnixMillis) -> Result<(), OutboxError> {
        self.add(&["XX", "LT"], entry, at).await
    }

    async fn strike(&self, entry: &Entry) -> Result<(), OutboxError> {
        let mut remove = redis::cmd("ZREM");
        remove.arg(&self.name).arg(entry.to_string());
        Ok(self.link.run(0, &remove).await?)
    }

    async fn take(&self, most: usize, lease: Duration) -> Result<Vec<Taken>, OutboxError> {
        let now = UnixMillis::now();
        let until = now.after(lease);
        let mut invocation = TAKE.key(&self.name);
        invocation.arg(now.0).arg(until.0).arg(most);
        let due: Vec<String> = self.link.run(0, &invocation).await?;
        let taken = due.into_iter().filter_map(|text| match text.parse() {
            Ok(entry) => Some(Taken { entry, until }),
            Err(_) => {
                warn!("the outbox holds an entry of another version");
                None
            }
        });
        Ok(taken.collect())
    }

    async fn settle(&self, taken: &Taken, next: Option<UnixMillis>) -> Result<(), OutboxError> {
        let next = next.map(|at| at.0.to_string()).unwrap_or_default();
        let mut invocation = SETTLE.key(&self.name);
        invocation
            .arg(taken.entry.to_string())
            .arg(taken.until.0)
            .arg(next);
        Ok(self.link.run(0, &invocation).await?)
    }
}
