//! The claim check in Redis: the string `claim:{name}`, with a time to live.

use std::{sync::LazyLock, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use redis::Script;

use super::{ClaimCheck, ClaimError, Item, Ticket};
use crate::{
    ids::CorrelationId,
    redis_link::{LinkError, RedisLink},
    time::whole_millis,
};

/// ARGV: ms from now. Never shortens.
static KEEP: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local left = redis.call('PTTL', KEYS[1])
if left >= 0 and left < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
",
    )
});

pub struct RedisClaimCheck {
    link: RedisLink,
}

impl RedisClaimCheck {
    pub(crate) fn new(link: RedisLink) -> Self {
        Self { link }
    }

    /// Once more when the connection was gone: nothing else is sent on it that
    /// would have noticed before, and to do it twice does no harm.
    async fn transfer<T: redis::FromRedisValue>(
        &self,
        bytes: usize,
        command: &redis::Cmd,
    ) -> Result<T, ClaimError> {
        let once = async || {
            let mut connection = self.link.connection();
            let command = command.query_async(&mut connection);
            self.link.bounded(bytes, command).await
        };
        let done = match once().await {
            Err(LinkError::Lost(_)) => once().await,
            done => done,
        };
        done.map_err(|error| ClaimError::Unavailable(error.to_string()))
    }
}

fn key(ticket: &Ticket) -> String {
    format!("claim:{}", ticket.name)
}

#[async_trait]
impl ClaimCheck for RedisClaimCheck {
    async fn check_in(
        &self,
        id: CorrelationId,
        item: Item,
        bytes: Bytes,
        keep: Duration,
    ) -> Result<Ticket, ClaimError> {
        let ticket = Ticket::new(id, item, &bytes);
        let mut set = redis::cmd("SET");
        set.arg(key(&ticket))
            .arg(bytes.as_ref())
            .arg("PX")
            .arg(whole_millis(keep).max(1));
        self.transfer::<()>(bytes.len(), &set).await?;
        Ok(ticket)
    }

    async fn redeem(&self, ticket: &Ticket) -> Result<Bytes, ClaimError> {
        let mut get = redis::cmd("GET");
        get.arg(key(ticket));
        let size = usize::try_from(ticket.bytes).unwrap_or(usize::MAX);
        let bytes: Option<Vec<u8>> = self.transfer(size, &get).await?;
        bytes.map(Bytes::from).ok_or(ClaimError::Gone)
    }

    async fn keep(&self, ticket: &Ticket, longer: Duration) -> Result<(), ClaimError> {
        let mut invocation = KEEP.key(key(ticket));
        invocation.arg(whole_millis(longer));
        let mut connection = self.link.connection();
        self.link
            .bounded(0, invocation.invoke_async(&mut connection))
            .await
            .map_err(|error| ClaimError::Unavailable(error.to_string()))
    }
}
