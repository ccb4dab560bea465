//! Conversations in Redis: the string `checkpoint:{conversation_id}` holds the
//! turns as JSON, with a time to live. A tenant other than the default has its
//! name in the key: `checkpoint:{tenant}:{conversation_id}`.
//!
//! Beside it, while jobs are under way (their names hash to the same Cluster
//! slot as that of the turns):
//!
//! | sorted set | holds jobs | by |
//! |---|---|---|
//! | `{checkpoint:…}:line` | that may still add a turn | the order of acceptance |
//! | `{checkpoint:…}:accepted` | that may still run, or are erased | deadline, ms since the epoch |
//! | `{checkpoint:…}:jobs` | of which there may be data | until when there may, likewise |
//!
//! The hash `{checkpoint:…}:held` holds the messages of jobs whose turn has not come, by job. `{checkpoint:…}:forgotten` says when it was last forgotten, for as long as
//! turns live.
//!
//! A job in the second without the first has had its turn or lost it. They are
//! changed by scripts alone, so that each change is whole.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use redis::{FromRedisValue, Script, ScriptInvocation};
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::{
    ConversationError, ConversationKey, Conversations, PastTurn, Place, Ready, known_until,
    with_turn,
};
use crate::{
    envelope::{Envelope, Job},
    ids::{ConversationId, CorrelationId, Tenant},
    redis_link::{LinkError, RedisLink},
    reply::Retention,
    time::{UnixMillis, whole_millis},
};

use scripts::{ACCEPT, ACCEPT_AGAIN, ERASE, FORGET, HOLD, PUBLISHED, READY, REMOVE, REPLACE, SWAP};

mod scripts;

pub struct RedisConversations {
    link: RedisLink,
    ttl: Duration,
    retention: Retention,
    /// What was read last, by the name of its key: most likely what is still there when a turn is added.
    read: Mutex<VecDeque<(String, String)>>,
}

/// Conversations of which that is remembered.
const REMEMBERED: usize = 64;

#[derive(Default, Serialize, Deserialize)]
struct Stored {
    turns: Vec<PastTurn>,
}

/// Turns of one conversation that can be added at the same moment before one of
/// them has to be tried again.
const CONTENTION: usize = 32;

impl RedisConversations {
    pub(crate) fn new(link: RedisLink, ttl: Duration, retention: Retention) -> Self {
        Self {
            link,
            ttl,
            retention,
            read: Mutex::default(),
        }
    }

    fn remember(&self, name: &str, raw: &str) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.retain(|(other, _)| other != name);
        read.truncate(REMEMBERED - 1);
        read.push_front((name.to_owned(), raw.to_owned()));
    }

    /// What was read last; once, since it is about to change.
    fn recall(&self, name: &str) -> Option<String> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let place = read.iter().position(|(other, _)| other == name)?;
        read.remove(place).map(|(_, raw)| raw)
    }

    /// What is stored, as it is; empty when there is nothing, or something that
    /// is no string (another program's).
    async fn raw(&self, name: &str) -> Result<String, ConversationError> {
        let mut get = redis::cmd("GET");
        get.arg(name);
        let read: Result<Option<String>, LinkError> = self.link.run(0, &get).await;
        match read {
            Ok(text) => Ok(text.unwrap_or_default()),
            Err(LinkError::OtherType) => Ok(String::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// Runs `script` on the keys of the conversation; `fill` adds its arguments,
    /// of `bytes` in all.
    async fn run<T: FromRedisValue + Send>(
        &self,
        script: &Script,
        key: &ConversationKey,
        bytes: usize,
        fill: impl FnOnce(&mut ScriptInvocation<'_>),
    ) -> Result<T, ConversationError> {
        let turns = name_of(key);
        let mut invocation = script.key(&turns);
        invocation
            .key(format!("{{{turns}}}:line"))
            .key(format!("{{{turns}}}:accepted"))
            .key(format!("{{{turns}}}:forgotten"))
            .key(format!("{{{turns}}}:jobs"))
            .key(format!("{{{turns}}}:held"));
        fill(&mut invocation);
        self.link
            .run(bytes, &invocation)
            .await
            .map_err(ConversationError::from)
    }

    /// Some keys of conversations, and where to go on; 0 at the end.
    async fn step(&self, cursor: u64) -> Result<(u64, Vec<String>), ConversationError> {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg("*checkpoint:*");
        scan.arg("COUNT").arg(500);
        self.link
            .run(0, &scan)
            .await
            .map_err(ConversationError::from)
    }

    /// Whether there was a turn of `job`.
    async fn remove_turn(
        &self,
        key: &ConversationKey,
        job: CorrelationId,
    ) -> Result<bool, ConversationError> {
        let name = name_of(key);
        for _ in 0..CONTENTION {
            let raw = self.raw(&name).await?;
            let mut turns = turns_in(&raw);
            let before = turns.len();
            turns.retain(|turn| turn.job != job);
            if turns.len() == before {
                return Ok(false);
            }
            let new = stored(turns);
            let swapped: bool = self
                .run(&SWAP, key, raw.len() + new.len(), |script| {
                    script.arg(&raw).arg(&new);
                })
                .await?;
            if swapped {
                return Ok(true);
            }
        }
        Err(contended())
    }
}

fn now() -> u64 {
    UnixMillis::now().0
}

fn place(is_next: bool) -> Place {
    match is_next {
        true => Place::Next,
        false => Place::Behind,
    }
}

/// The message that a script gives, `''` for none.
fn message(text: &str) -> Option<Envelope> {
    if text.is_empty() {
        return None;
    }
    let read = serde_json::from_str(text);
    read.inspect_err(|_| {
        warn!("a message of another version is held; its job ends at its deadline")
    })
    .ok()
}

fn stored(turns: Vec<PastTurn>) -> String {
    serde_json::to_string(&Stored { turns }).expect("turns hold nothing that JSON cannot")
}

fn contended() -> ConversationError {
    ConversationError("too many turns of one conversation at once".into())
}

impl From<LinkError> for ConversationError {
    fn from(error: LinkError) -> Self {
        Self(error.to_string())
    }
}

fn name_of(key: &ConversationKey) -> String {
    if key.tenant.is_default() {
        format!("checkpoint:{}", key.id)
    } else {
        format!("checkpoint:{}:{}", key.tenant, key.id)
    }
}

/// The conversation to which a key of the store belongs.
fn key_in(name: &str) -> Option<ConversationKey> {
    let inner = name.strip_prefix('{').and_then(|it| it.split_once('}'));
    let name = inner.map_or(name, |(name, _)| name);
    let name = name.strip_prefix("checkpoint:")?;
    let (tenant, id) = name.split_once(':').unwrap_or((Tenant::DEFAULT, name));
    Some(ConversationKey {
        tenant: tenant.parse().ok()?,
        id: id.parse().ok()?,
    })
}

fn turns_in(raw: &str) -> Vec<PastTurn> {
    if raw.is_empty() {
        return Vec::new();
    }
    serde_json::from_str::<Stored>(raw)
        .map(|stored| stored.turns)
        .unwrap_or_else(|_| {
            warn!("a conversation is stored in a form that is not ours; it begins anew");
            Vec::new()
        })
}

#[async_trait]
impl Conversations for RedisConversations {
    async fn history(&self, key: &ConversationKey) -> Result<Vec<PastTurn>, ConversationError> {
        let name = name_of(key);
        let raw = self.raw(&name).await?;
        self.remember(&name, &raw);
        Ok(turns_in(&raw))
    }

    async fn accept(
        &self,
        key: &ConversationKey,
        job: CorrelationId,
        deadline: UnixMillis,
    ) -> Result<Place, ConversationError> {
        let is_next = self.run(&ACCEPT, key, 0, |script| {
            script.arg(job.to_string()).arg(deadline.0).arg(now());
            script.arg(known_until(deadline, self.retention).0);
        });
        is_next.await.map(place)
    }

    async fn accept_again(
        &self,
        key: &ConversationKey,
        job: &Job,
    ) -> Result<(), ConversationError> {
        self.run(&ACCEPT_AGAIN, key, 0, |script| {
            let id = job.correlation_id.to_string();
            script.arg(id).arg(job.deadline.0).arg(now());
            script.arg(known_until(job.deadline, self.retention).0);
            script.arg(job.accepted_at.0);
        })
        .await
    }

    async fn hold(
        &self,
        key: &ConversationKey,
        message: &Envelope,
    ) -> Result<Place, ConversationError> {
        let text =
            serde_json::to_string(message).expect("a message holds nothing that JSON cannot");
        // Whoever finds it after its deadline has it end.
        let keep = message.job.time_left(UnixMillis::now()) + self.retention.0;
        let is_next = self.run(&HOLD, key, text.len(), |script| {
            let job = message.correlation_id().to_string();
            script.arg(job).arg(now()).arg(&text);
            script.arg(whole_millis(keep));
        });
        is_next.await.map(place)
    }

    async fn remove_from_order(
        &self,
        key: &ConversationKey,
        job: CorrelationId,
    ) -> Result<Option<Envelope>, ConversationError> {
        let next: String = self
            .run(&REMOVE, key, 0, |script| {
                script.arg(job.to_string()).arg(now());
            })
            .await?;
        Ok(message(&next))
    }

    async fn ready(&self, key: &ConversationKey) -> Result<Ready, ConversationError> {
        let found: Vec<String> = self
            .run(&READY, key, 0, |script| {
                script.arg(now());
            })
            .await?;
        let (others, ready) = found
            .split_first()
            .map_or(("0", &[][..]), |(others, ready)| (others.as_str(), ready));
        Ok(Ready {
            messages: ready.iter().filter_map(|text| message(text)).collect(),
            holds_more: others != "0",
        })
    }

    async fn published(
        &self,
        key: &ConversationKey,
        job: CorrelationId,
    ) -> Result<(), ConversationError> {
        self.run(&PUBLISHED, key, 0, |script| {
            script.arg(job.to_string());
        })
        .await
    }

    async fn append(
        &self,
        key: &ConversationKey,
        turn: PastTurn,
    ) -> Result<Option<Envelope>, ConversationError> {
        let name = name_of(key);
        let job = turn.job.to_string();
        for _ in 0..CONTENTION {
            let raw = match self.recall(&name) {
                Some(raw) => raw,
                None => self.raw(&name).await?,
            };
            let Some(turns) = with_turn(turns_in(&raw), turn.clone()) else {
                return self.remove_from_order(key, turn.job).await;
            };
            let new = stored(turns);
            let (replaced, next): (bool, String) = self
                .run(&REPLACE, key, raw.len() + new.len(), |script| {
                    let ttl = whole_millis(self.ttl).max(1);
                    script.arg(&raw).arg(&new).arg(ttl).arg(&job).arg(now());
                })
                .await?;
            if replaced {
                return Ok(message(&next));
            }
        }
        Err(contended())
    }

    async fn forget(&self, key: &ConversationKey) -> Result<Vec<CorrelationId>, ConversationError> {
        let turns = self.history(key).await?;
        let known: Vec<String> = self
            .run(&FORGET, key, 0, |script| {
                script.arg(now()).arg(whole_millis(self.ttl).max(1));
            })
            .await?;
        let known = known.iter().filter_map(|job| job.parse().ok());
        // Of an earlier version nothing but the turns may tell.
        let jobs: HashSet<_> = known.chain(turns.iter().map(|turn| turn.job)).collect();
        Ok(jobs.into_iter().collect())
    }

    async fn erase(
        &self,
        key: &ConversationKey,
        job: CorrelationId,
    ) -> Result<bool, ConversationError> {
        let until = UnixMillis::now().after(self.retention.0);
        self.run::<()>(&ERASE, key, 0, |script| {
            script.arg(job.to_string()).arg(until.0).arg(now());
        })
        .await?;
        self.remove_turn(key, job).await
    }

    async fn of_tenant(&self, tenant: &Tenant) -> Result<Vec<ConversationId>, ConversationError> {
        let mut found = HashSet::new();
        let mut cursor = 0_u64;
        loop {
            let (next, names) = self.step(cursor).await?;
            let keys = names.iter().filter_map(|name| key_in(name));
            found.extend(keys.filter(|key| key.tenant == *tenant).map(|key| key.id));
            if next == 0 {
                return Ok(found.into_iter().collect());
            }
            cursor = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_conversations_have_one_name() {
        let words = ["default", "a", "b", "a-b", "a_b", "checkpoint"];
        let mut names = HashSet::new();
        for tenant in words {
            for id in words {
                let key = ConversationKey {
                    tenant: tenant.parse().unwrap(),
                    id: id.parse().unwrap(),
                };
                let name = name_of(&key);
                assert_eq!(key_in(&name), Some(key.clone()));
                assert_eq!(key_in(&format!("{{{name}}}:line")), Some(key));
                assert!(names.insert(name), "{tenant} {id}");
            }
        }
        for other in [
            "quota:{tenant:a}:jobs",
            "my-checkpoint:a",
            "checkpoint:a:b:c",
        ] {
            assert_eq!(key_in(other), None, "{other}");
        }
        // What separates the parts of a name is in none of them.
        for word in ["a:b", "a}b", "{a"] {
            assert!(word.parse::<crate::ids::Tenant>().is_err());
            assert!(word.parse::<crate::ids::ConversationId>().is_err());
        }
    }
}
