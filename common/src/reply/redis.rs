//! The reply log in Redis.
//!
//! `reply:{id}` is a stream of events whose entry ids are `{sequence}-0`; its
//! growth is announced on the channel of the same name. Beside it the hash
//! `{reply:{id}}:state` holds what is decided by (its name hashes to the same
//! Cluster slot):
//!
//! | field | is |
//! |---|---|
//! | `seq` | the number of the last event |
//! | `closed` | there when a terminal event is in the log |
//! | `done:{stage}` | the turn (JSON) that the stage produced |
//!
//! Both are changed by scripts alone, so that each change is whole.

use std::sync::LazyLock;

use async_trait::async_trait;
use futures::stream::BoxStream;
use redis::{Script, streams::StreamRangeReply};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use super::{
    Appended, Begun, CompletedStage, Event, Record, ReplyError, ReplyLog, Retention, StageStarted,
    address,
};
use crate::{
    envelope::Job, ids::CorrelationId, redis_link::RedisLink, retry::Backoff, time::UnixMillis,
    turn::Turn,
};
use announcements::Announcements;

mod announcements;

pub struct RedisReplyLog {
    link: RedisLink,
    announcements: Announcements,
    retention: Retention,
}

/// An entry of the stream, as JSON in its field `e`.
#[derive(Serialize, Deserialize)]
struct Entry<E> {
    at: UnixMillis,
    event: E,
}

/// Functions shared by the scripts. KEYS: stream, state.
const PRELUDE: &str = r"
local stream, state = KEYS[1], KEYS[2]
local function add(entry)
  local seq = redis.call('HINCRBY', state, 'seq', 1)
  redis.call('XADD', stream, seq .. '-0', 'e', entry)
  return seq
end
local function publish(ttl)
  redis.call('PEXPIRE', stream, ttl)
  redis.call('PEXPIRE', state, ttl)
  redis.call('PUBLISH', stream, '')
end
local function open(accepted)
  if redis.call('EXISTS', stream) == 0 then
    redis.call('DEL', state)
    add(accepted)
  end
end
";

fn script(body: &str) -> Script {
    Script::new(&format!("{PRELUDE}{body}"))
}

/// ARGV: ttl in ms, accepted entry.
static OPEN: LazyLock<Script> = LazyLock::new(|| script("open(ARGV[2]) publish(ARGV[1]) return 1"));

/// ARGV: ttl in ms, accepted entry, stage, started entry.
static BEGIN: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
open(ARGV[2])
if redis.call('HEXISTS', state, 'closed') == 1 then return {'closed', ''} end
local done = redis.call('HGET', state, 'done:' .. ARGV[3])
if done then return {'completed', done} end
add(ARGV[4])
publish(ARGV[1])
return {'started', ''}
",
    )
});

/// ARGV: ttl in ms, '1' when the last entry is terminal, completed stage or '',
/// its turn, entries…
static APPEND: LazyLock<Script> = LazyLock::new(|| {
    script(
        r"
if redis.call('HEXISTS', state, 'closed') == 1 then return 0 end
for i = 5, #ARGV do add(ARGV[i]) end
if ARGV[3] ~= '' then redis.call('HSET', state, 'done:' .. ARGV[3], ARGV[4]) end
if ARGV[2] == '1' then redis.call('HSET', state, 'closed', 1) end
publish(ARGV[1])
return 1
",
    )
});

impl RedisReplyLog {
    pub(crate) fn new(link: RedisLink, retention: Retention) -> Self {
        Self {
            announcements: Announcements::start(link.clone()),
            link,
            retention,
        }
    }

    fn ttl_ms(&self) -> u64 {
        crate::time::whole_millis(self.retention.0)
    }

    async fn run<T: redis::FromRedisValue>(
        &self,
        script: &Script,
        id: CorrelationId,
        arguments: &[String],
    ) -> Result<T, ReplyError> {
        let key = address(id);
        let state = format!("{{{key}}}:state");
        let size = arguments.iter().map(String::len).sum();
        let mut invocation = script.key(key);
        invocation.key(state).arg(arguments);
        let mut connection = self.link.connection();
        self.link
            .bounded(size, invocation.invoke_async(&mut connection))
            .await
            .map_err(ReplyError)
    }

    async fn append_with(
        &self,
        id: CorrelationId,
        events: &[Event],
        completed: Option<&CompletedStage<'_>>,
    ) -> Result<Appended, ReplyError> {
        let closes = events.last().is_some_and(Event::is_terminal);
        let (stage, turn) = match completed {
            Some(it) => (it.stage.to_string(), json(it.turn)),
            None => (String::new(), String::new()),
        };
        let mut arguments = vec![
            self.ttl_ms().to_string(),
            u8::from(closes).to_string(),
            stage,
            turn,
        ];
        arguments.extend(events.iter().map(entry));
        match self.run(&APPEND, id, &arguments).await? {
            1 => Ok(Appended::Recorded),
            _ => Ok(Appended::Closed),
        }
    }
}

#[async_trait]
impl ReplyLog for RedisReplyLog {
    async fn open(&self, job: &Job) -> Result<(), ReplyError> {
        let first = entry(&Event::Accepted { job: job.clone() });
        let arguments = [self.ttl_ms().to_string(), first];
        self.run(&OPEN, job.correlation_id, &arguments).await
    }

    async fn begin_stage(&self, job: &Job, started: StageStarted) -> Result<Begun, ReplyError> {
        let arguments = [
            self.ttl_ms().to_string(),
            entry(&Event::Accepted { job: job.clone() }),
            started.stage.to_string(),
            entry(&Event::StageStarted(started)),
        ];
        let (outcome, turn): (String, String) =
            self.run(&BEGIN, job.correlation_id, &arguments).await?;
        match outcome.as_str() {
            "started" => Ok(Begun::Started),
            "completed" => Ok(Begun::AlreadyCompleted(Box::new(parse::<Turn>(&turn)?))),
            _ => Ok(Begun::Closed),
        }
    }

    async fn append(&self, id: CorrelationId, events: &[Event]) -> Result<Appended, ReplyError> {
        self.append_with(id, events, None).await
    }

    async fn complete_stage(
        &self,
        id: CorrelationId,
        events: &[Event],
        completed: &CompletedStage<'_>,
    ) -> Result<Appended, ReplyError> {
        self.append_with(id, events, Some(completed)).await
    }

    async fn read(&self, id: CorrelationId, cursor: u64) -> Result<Vec<Record>, ReplyError> {
        read(&self.link, id, cursor).await
    }

    fn follow(
        &self,
        id: CorrelationId,
        mut cursor: u64,
    ) -> BoxStream<'static, Result<Record, ReplyError>> {
        let link = self.link.clone();
        let announcements = self.announcements.clone();
        Box::pin(async_stream::stream! {
            let mut growth = announcements.subscribe(id).await;
            let mut backoff = Backoff::reconnecting();
            loop {
                match read(&link, id, cursor).await {
                    Ok(news) => {
                        backoff.reset();
                        for record in news {
                            cursor = record.sequence_number;
                            let last = record.event.is_terminal();
                            yield Ok(record);
                            if last {
                                return;
                            }
                        }
                        // An announcement can be lost with a connection that
                        // dies unnoticed, so the log is looked at anyway.
                        let look_anyway = Instant::now() + LOOK_ANYWAY;
                        let _ = timeout_at(look_anyway, growth.changed()).await;
                    }
                    Err(error) => {
                        yield Err(error);
                        backoff.wait().await;
                    }
                }
            }
        })
    }

    async fn ping(&self) -> Result<(), ReplyError> {
        let mut connection = self.link.connection();
        let command = redis::cmd("PING");
        self.link
            .bounded(0, command.query_async(&mut connection))
            .await
            .map_err(ReplyError)
    }
}

/// How long a follower trusts that no announcement means no news.
const LOOK_ANYWAY: std::time::Duration = std::time::Duration::from_secs(10);

async fn read(link: &RedisLink, id: CorrelationId, cursor: u64) -> Result<Vec<Record>, ReplyError> {
    let mut connection = link.connection();
    let mut command = redis::cmd("XRANGE");
    // `(` makes the start exclusive, since Redis 6.2.
    command
        .arg(address(id))
        .arg(format!("({cursor}-0"))
        .arg("+");
    let range: StreamRangeReply = link
        .bounded(0, command.query_async(&mut connection))
        .await
        .map_err(ReplyError)?;
    range.ids.iter().map(record).collect()
}

fn record(entry: &redis::streams::StreamId) -> Result<Record, ReplyError> {
    let malformed = || ReplyError(format!("entry {} is malformed", entry.id));
    let sequence_number = entry
        .id
        .split_once('-')
        .and_then(|(number, _)| number.parse().ok())
        .ok_or_else(malformed)?;
    let json: String = entry.get("e").ok_or_else(malformed)?;
    let Entry { at, event } = parse(&json)?;
    Ok(Record {
        sequence_number,
        at,
        event,
    })
}

fn entry(event: &Event) -> String {
    json(&Entry {
        at: UnixMillis::now(),
        event,
    })
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("events and turns hold nothing that JSON cannot")
}

fn parse<T: for<'de> Deserialize<'de>>(json: &str) -> Result<T, ReplyError> {
    serde_json::from_str(json)
        .map_err(|error| ReplyError(format!("an entry is of another version: {error}")))
}
