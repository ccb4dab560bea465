//! The claim check in Redis: the string `claim:{name}`, with a time to live.

use std::{ops::Range, sync::LazyLock, time::Duration};

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

/// Bytes of the recordings that a small part may have to wait for, on the
/// connection that it shares with them.
const LARGEST_AHEAD: usize = 16 * 1024 * 1024;

pub struct RedisClaimCheck {
    link: RedisLink,
}

impl RedisClaimCheck {
    pub(crate) fn new(link: RedisLink) -> Self {
        Self { link }
    }

    /// Once more when the connection was gone: nothing else is sent on it that
    /// would have noticed before, and to do it twice does no harm. A command is
    /// made when its turn has come: it has a copy of what it carries.
    async fn transfer<T: redis::FromRedisValue>(
        &self,
        bytes: usize,
        command: impl Fn() -> redis::Cmd,
    ) -> Result<T, ClaimError> {
        let once = async || {
            let mut connection = self.link.connection();
            let command = async { command().query_async(&mut connection).await };
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

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
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
        let set = || {
            let mut set = redis::cmd("SET");
            set.arg(key(&ticket)).arg(bytes.as_ref());
            set.arg("PX").arg(whole_millis(keep).max(1));
            set
        };
        self.transfer::<()>(bytes.len(), set).await?;
        Ok(ticket)
    }

    async fn redeem(&self, ticket: &Ticket) -> Result<Bytes, ClaimError> {
        let get = || redis::Cmd::get(key(ticket));
        let bytes: Option<Vec<u8>> = self.transfer(size(ticket.bytes), get).await?;
        bytes.map(Bytes::from).ok_or(ClaimError::Gone)
    }

    async fn redeem_part(&self, ticket: &Ticket, part: Range<u64>) -> Result<Bytes, ClaimError> {
        let wanted = part.end.saturating_sub(part.start);
        if wanted == 0 {
            return Ok(Bytes::new());
        }
        let get = || {
            let mut get = redis::cmd("GETRANGE");
            get.arg(key(ticket)).arg(part.start).arg(part.end - 1);
            get
        };
        let patience = size(wanted).max(LARGEST_AHEAD);
        let bytes: Vec<u8> = self.transfer(patience, get).await?;
        // Nothing of it is there when the key is not.
        match bytes.len() as u64 == wanted {
            true => Ok(bytes.into()),
            false => Err(ClaimError::Gone),
        }
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
