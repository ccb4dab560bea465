//! The claim check in Redis: the string `claim:{name}`, with a time to live.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::{ClaimCheck, ClaimError, Item, Ticket};
use crate::{ids::CorrelationId, redis_link::RedisLink, time::whole_millis};

pub struct RedisClaimCheck {
    link: RedisLink,
}

impl RedisClaimCheck {
    pub(crate) fn new(link: RedisLink) -> Self {
        Self { link }
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
        let mut connection = self.link.connection();
        self.link
            .bounded::<()>(bytes.len(), set.query_async(&mut connection))
            .await
            .map_err(ClaimError::Unavailable)?;
        Ok(ticket)
    }

    async fn redeem(&self, ticket: &Ticket) -> Result<Bytes, ClaimError> {
        let mut get = redis::cmd("GET");
        get.arg(key(ticket));
        let size = usize::try_from(ticket.bytes).unwrap_or(usize::MAX);
        let mut connection = self.link.connection();
        let bytes: Option<Vec<u8>> = self
            .link
            .bounded(size, get.query_async(&mut connection))
            .await
            .map_err(ClaimError::Unavailable)?;
        bytes.map(Bytes::from).ok_or(ClaimError::Gone)
    }
}
