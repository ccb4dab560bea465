//! Conversations in Redis: the string `checkpoint:{conversation_id}` holds the
//! turns as JSON, with a time to live. A tenant other than the default has its
//! name in the key: `checkpoint:{tenant}:{conversation_id}`.

use std::{sync::LazyLock, time::Duration};

use async_trait::async_trait;
use redis::Script;
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::{ConversationError, ConversationKey, Conversations, PastTurn, with_turn};
use crate::{redis_link::RedisLink, time::whole_millis};

pub struct RedisConversations {
    link: RedisLink,
    ttl: Duration,
}

#[derive(Default, Serialize, Deserialize)]
struct Stored {
    turns: Vec<PastTurn>,
}

/// KEYS: conversation. ARGV: what it held when read, what it is to hold, time
/// to live in ms. Answers 0 when it held something else meanwhile.
static REPLACE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local kind = redis.call('TYPE', KEYS[1]).ok
local now = ''
if kind == 'string' then now = redis.call('GET', KEYS[1]) end
if now ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
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
            .map_err(ConversationError)?;
        Ok(read.unwrap_or_default())
    }

    async fn replace(&self, name: &str, old: &str, new: &str) -> Result<bool, ConversationError> {
        let mut replace = REPLACE.key(name);
        replace.arg(old).arg(new).arg(whole_millis(self.ttl).max(1));
        let mut connection = self.link.connection();
        self.link
            .bounded(old.len() + new.len(), replace.invoke_async(&mut connection))
            .await
            .map_err(ConversationError)
    }
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

    async fn append(&self, key: &ConversationKey, turn: PastTurn) -> Result<(), ConversationError> {
        let name = name_of(key);
        for _ in 0..CONTENTION {
            let raw = self.raw(&name).await?;
            let Some(turns) = with_turn(turns_in(&raw), turn.clone()) else {
                return Ok(());
            };
            let new = serde_json::to_string(&Stored { turns })
                .expect("turns hold nothing that JSON cannot");
            if self.replace(&name, &raw, &new).await? {
                return Ok(());
            }
        }
        Err(ConversationError(
            "too many turns of one conversation at once".into(),
        ))
    }
}
