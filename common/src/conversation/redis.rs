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
//! | `{checkpoint:…}:accepted` | that may still run | deadline, ms since the epoch |
//!
//! `{checkpoint:…}:forgotten` says when it was last forgotten, for as long as
//! turns live.
//!
//! A job in the second alone has had its turn or lost it. They are changed by
//! scripts alone, so that each change is whole.

use std::{sync::LazyLock, time::Duration};

use async_trait::async_trait;
use redis::{FromRedisValue, Script, ScriptInvocation};
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::{Ahead, ConversationError, ConversationKey, Conversations, PastTurn, with_turn};
use crate::{
    envelope::Job,
    ids::CorrelationId,
    redis_link::RedisLink,
    time::{UnixMillis, whole_millis},
};

pub struct RedisConversations {
    link: RedisLink,
    ttl: Duration,
}

#[derive(Default, Serialize, Deserialize)]
struct Stored {
    turns: Vec<PastTurn>,
}

/// Functions shared by the scripts. KEYS: turns, line, accepted, forgotten.
const PRELUDE: &str = r"
local turns, line, accepted, forgotten = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local function drop_overdue(now)
  for _, job in ipairs(redis.call('ZRANGEBYSCORE', accepted, '-inf', now)) do
    redis.call('ZREM', line, job)
    redis.call('ZREM', accepted, job)
  end
end
local function keep(key, ms)
  if redis.call('PTTL', key) < ms then redis.call('PEXPIRE', key, ms) end
end
local function stand_at_the_end(job, deadline, now)
  local last = redis.call('ZREVRANGE', line, 0, 0, 'WITHSCORES')[2]
  redis.call('ZADD', line, (last or 0) + 1, job)
  keep(line, math.max(deadline - now, 1))
end
local function may_run(job, deadline, now)
  redis.call('ZADD', accepted, deadline, job)
  keep(accepted, math.max(deadline - now, 1))
end
";

fn script(body: &str) -> Script {
    Script::new(&format!("{PRELUDE}{body}"))
}

/// ARGV: job, its deadline, now.
static ACCEPT: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
drop_overdue(ARGV[3])
if redis.call('ZSCORE', accepted, ARGV[1]) then return end
stand_at_the_end(ARGV[1], ARGV[2], ARGV[3])
may_run(ARGV[1], ARGV[2], ARGV[3])
",
    )
});

/// ARGV: job, its deadline, now, when it was accepted.
static ACCEPT_AGAIN: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
drop_overdue(ARGV[3])
local at = redis.call('GET', forgotten)
local is_forgotten = at and tonumber(at) >= tonumber(ARGV[4])
if not is_forgotten and not redis.call('ZSCORE', line, ARGV[1]) then
  stand_at_the_end(ARGV[1], ARGV[2], ARGV[3])
end
keep(line, math.max(ARGV[2] - ARGV[3], 1))
may_run(ARGV[1], ARGV[2], ARGV[3])
",
    )
});

/// ARGV: job, now. Answers how many jobs are ahead, the nearest, its deadline.
static AHEAD: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
drop_overdue(ARGV[2])
local jobs = redis.call('ZRANK', line, ARGV[1])
if not jobs or jobs == 0 then return {0, '', 0} end
local nearest = redis.call('ZRANGE', line, jobs - 1, jobs - 1)[1]
return {jobs, nearest, tonumber(redis.call('ZSCORE', accepted, nearest) or ARGV[2])}
",
    )
});

/// ARGV: job.
static PASS_OVER: LazyLock<Script> = LazyLock::new(|| script("redis.call('ZREM', line, ARGV[1])"));

/// ARGV: now, time to live of turns in ms.
static FORGET: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
redis.call('DEL', turns, line)
redis.call('SET', forgotten, ARGV[1], 'PX', ARGV[2])
",
    )
});

/// ARGV: what the turns were when read, what they are to be, time to live in
/// ms, job. Answers 0 when they were something else meanwhile.
static REPLACE: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
if redis.call('ZSCORE', accepted, ARGV[4]) and not redis.call('ZSCORE', line, ARGV[4]) then
  return 1
end
local kind = redis.call('TYPE', turns).ok
local now = ''
if kind == 'string' then now = redis.call('GET', turns) end
if now ~= ARGV[1] then return 0 end
redis.call('SET', turns, ARGV[2], 'PX', ARGV[3])
redis.call('ZREM', line, ARGV[4])
return 1
",
    )
});

/// Turns of one conversation that can be added at the same moment before one of
/// them has to be tried again.
const CONTENTION: usize = 32;

impl RedisConversations {
    pub(crate) fn new(link: RedisLink, ttl: Duration) -> Self {
        Self { link, ttl }
    }

    /// What is stored, as it is; empty when there is nothing, or something that
    /// is no string (another program's).
    async fn raw(&self, name: &str) -> Result<String, ConversationError> {
        let mut get = redis::cmd("GET");
        get.arg(name);
        let mut connection = self.link.connection();
        let read = self
            .link
            .bounded::<Option<String>>(0, async {
                match get.query_async(&mut connection).await {
                    Err(error) if is_of_another_type(&error) => Ok(None),
                    other => other,
                }
            })
            .await
            .map_err(|error| ConversationError(error.to_string()))?;
        Ok(read.unwrap_or_default())
    }

    /// Runs `script` on the keys of the conversation; `fill` adds its arguments,
    /// of `bytes` in all.
    async fn run<T: FromRedisValue>(
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
            .key(format!("{{{turns}}}:forgotten"));
        fill(&mut invocation);
        let mut connection = self.link.connection();
        self.link
            .bounded(bytes, invocation.invoke_async(&mut connection))
            .await
            .map_err(|error| ConversationError(error.to_string()))
    }
}

fn now() -> u64 {
    UnixMillis::now().0
}

fn is_of_another_type(error: &redis::RedisError) -> bool {
    error.code() == Some("WRONGTYPE")
}

fn name_of(key: &ConversationKey) -> String {
    if key.tenant.is_default() {
        format!("checkpoint:{}", key.id)
    } else {
        format!("checkpoint:{}:{}", key.tenant, key.id)
    }
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
        Ok(turns_in(&self.raw(&name_of(key)).await?))
    }

    async fn accept(
        &self,
        key: &ConversationKey,
        job: CorrelationId,
        deadline: UnixMillis,
    ) -> Result<(), ConversationError> {
        self.run(&ACCEPT, key, 0, |script| {
            script.arg(job.to_string()).arg(deadline.0).arg(now());
        })
        .await
    }

    async fn accept_again(
        &self,
        key: &ConversationKey,
        job: &Job,
    ) -> Result<(), ConversationError> {
        self.run(&ACCEPT_AGAIN, key, 0, |script| {
            let id = job.correlation_id.to_string();
            script.arg(id).arg(job.deadline.0).arg(now());
            script.arg(job.accepted_at.0);
        })
        .await
    }

    async fn ahead_of(
        &self,
        key: &ConversationKey,
        job: CorrelationId,
    ) -> Result<Option<Ahead>, ConversationError> {
        let (jobs, nearest, until): (u64, String, u64) = self
            .run(&AHEAD, key, 0, |script| {
                script.arg(job.to_string()).arg(now());
            })
            .await?;
        if jobs == 0 {
            return Ok(None);
        }
        let nearest = nearest
            .parse()
            .map_err(|_| ConversationError("the line holds what is no job".into()))?;
        Ok(Some(Ahead {
            jobs,
            nearest,
            until: UnixMillis(until),
        }))
    }

    async fn pass_over(
        &self,
        key: &ConversationKey,
        job: CorrelationId,
    ) -> Result<(), ConversationError> {
        self.run(&PASS_OVER, key, 0, |script| {
            script.arg(job.to_string());
        })
        .await
    }

    async fn append(&self, key: &ConversationKey, turn: PastTurn) -> Result<(), ConversationError> {
        let name = name_of(key);
        let job = turn.job.to_string();
        for _ in 0..CONTENTION {
            let raw = self.raw(&name).await?;
            let Some(turns) = with_turn(turns_in(&raw), turn.clone()) else {
                return self.pass_over(key, turn.job).await;
            };
            let new = serde_json::to_string(&Stored { turns })
                .expect("turns hold nothing that JSON cannot");
            let replaced: bool = self
                .run(&REPLACE, key, raw.len() + new.len(), |script| {
                    let ttl = whole_millis(self.ttl).max(1);
                    script.arg(&raw).arg(&new).arg(ttl).arg(&job);
                })
                .await?;
            if replaced {
                return Ok(());
            }
        }
        Err(ConversationError(
            "too many turns of one conversation at once".into(),
        ))
    }

    async fn forget(&self, key: &ConversationKey) -> Result<(), ConversationError> {
        self.run(&FORGET, key, 0, |script| {
            script.arg(now()).arg(whole_millis(self.ttl).max(1));
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

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
                assert!(names.insert(name_of(&key)), "{tenant} {id}");
            }
        }
        // What separates the parts of a name is in none of them.
        for word in ["a:b", "a}b", "{a"] {
            assert!(word.parse::<crate::ids::Tenant>().is_err());
            assert!(word.parse::<crate::ids::ConversationId>().is_err());
        }
    }
}
