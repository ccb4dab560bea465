//! The claim check in Redis: the string `claim:{name}`, with a time to live. The
//! name has the job in braces, so that what belongs to it is in one Cluster slot:
//!
//! | key | holds |
//! |---|---|
//! | `claim:{{job}}/input` and the like | the bytes |
//! | `claim:{{job}}:names` | set of the names of what is kept of the job |
//! | `claim:{{job}}:erased` | there for a while after the job was erased |
//!
//! An earlier version wrote the job without braces, and kept no names.

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

/// KEYS: item, names, erased. ARGV: bytes, ms from now, name. Answers 0 when the
/// job is erased.
static CHECK_IN: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
if redis.call('EXISTS', KEYS[3]) == 1 then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('SADD', KEYS[2], ARGV[3])
if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[2], ARGV[2]) end
return 1
",
    )
});

/// KEYS: item, and the names if there are any. ARGV: ms from now. Never shortens.
static KEEP: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
for _, key in ipairs(KEYS) do
  local left = redis.call('PTTL', key)
  if left >= 0 and left < tonumber(ARGV[1]) then redis.call('PEXPIRE', key, ARGV[1]) end
end
",
    )
});

/// Bytes of the recordings that a small part may have to wait for, on the
/// connection that it shares with them.
const LARGEST_AHEAD: usize = 16 * 1024 * 1024;

pub struct RedisClaimCheck {
    link: RedisLink,
    /// How long after it was erased nothing of a job is taken.
    retention: Duration,
}

impl RedisClaimCheck {
    pub(crate) fn new(link: RedisLink, retention: Duration) -> Self {
        Self { link, retention }
    }
}

impl From<LinkError> for ClaimError {
    fn from(error: LinkError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

fn key(ticket: &Ticket) -> String {
    format!("claim:{}", ticket.name)
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn key_of(id: CorrelationId, what: &str) -> String {
    format!("claim:{{{id}}}:{what}")
}

/// Where the name of `ticket` is kept; `None` for one of an earlier version.
fn names_beside(ticket: &Ticket) -> Option<String> {
    let (job, _) = ticket.name.split_once('/')?;
    job.starts_with('{').then(|| format!("claim:{job}:names"))
}

/// The name that an earlier version gave to what was sent in.
fn old_name_of_input(id: CorrelationId) -> String {
    format!("{id}/{}", Item::Input)
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
        let mut invocation = CHECK_IN.key(key(&ticket));
        invocation
            .key(key_of(id, "names"))
            .key(key_of(id, "erased"))
            .arg(bytes.as_ref())
            .arg(whole_millis(keep).max(1))
            .arg(&ticket.name);
        let taken: bool = self.link.run(bytes.len(), &invocation).await?;
        taken.then_some(ticket).ok_or(ClaimError::Gone)
    }

    async fn redeem(&self, ticket: &Ticket) -> Result<Bytes, ClaimError> {
        let get = redis::Cmd::get(key(ticket));
        let bytes: Option<Vec<u8>> = self.link.run(size(ticket.bytes), &get).await?;
        bytes.map(Bytes::from).ok_or(ClaimError::Gone)
    }

    async fn redeem_part(&self, ticket: &Ticket, part: Range<u64>) -> Result<Bytes, ClaimError> {
        let wanted = part.end.saturating_sub(part.start);
        if wanted == 0 {
            return Ok(Bytes::new());
        }
        let mut get = redis::cmd("GETRANGE");
        get.arg(key(ticket)).arg(part.start).arg(part.end - 1);
        let patience = size(wanted).max(LARGEST_AHEAD);
        let bytes: Vec<u8> = self.link.run(patience, &get).await?;
        // Nothing of it is there when the key is not.
        match bytes.len() as u64 == wanted {
            true => Ok(bytes.into()),
            false => Err(ClaimError::Gone),
        }
    }

    async fn keep(&self, ticket: &Ticket, longer: Duration) -> Result<(), ClaimError> {
        let mut invocation = KEEP.key(key(ticket));
        if let Some(names) = names_beside(ticket) {
            invocation.key(names);
        }
        invocation.arg(whole_millis(longer));
        Ok(self.link.run(0, &invocation).await?)
    }

    async fn discard(&self, ticket: &Ticket) -> Result<(), ClaimError> {
        let mut remove = redis::pipe();
        remove.cmd("UNLINK").arg(key(ticket)).ignore();
        if let Some(names) = names_beside(ticket) {
            remove.srem(names, &ticket.name).ignore();
        }
        Ok(self.link.run(0, &remove).await?)
    }

    /// No more is taken before what there is goes, so nothing comes in between.
    async fn erase(&self, id: CorrelationId, known: &[Ticket]) -> Result<u64, ClaimError> {
        let mut close = redis::pipe();
        close.atomic().cmd("SET").arg(key_of(id, "erased")).arg(1);
        close.arg("PX").arg(whole_millis(self.retention).max(1));
        close.ignore().smembers(key_of(id, "names"));
        let (mut names,): (Vec<String>,) = self.link.run(0, &close).await?;
        names.push(old_name_of_input(id));
        names.extend(known.iter().map(|ticket| ticket.name.clone()));
        names.sort_unstable();
        names.dedup();
        let mut remove = redis::pipe();
        for name in &names {
            remove.cmd("UNLINK").arg(format!("claim:{name}"));
        }
        remove.cmd("UNLINK").arg(key_of(id, "names")).ignore();
        let removed: Vec<u64> = self.link.run(0, &remove).await?;
        Ok(removed.iter().sum())
    }
}
