//! The logs in Redis, each under one key, so that it is there as a whole or not at all.
//!
//! `job:{id}` is a list. Its first element is the snapshot, `{epoch}:{number}:{nonce} {first} {JSON of the state}`, where `first` is
//! the number of the first event; the events follow, each as JSON. Growth is announced on the channel of the same name, and the
//! end of a job, by its id, on the channel `jobs:ended`.

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use futures::stream::BoxStream;
use redis::Script;
use serde::{Deserialize, Serialize};

use super::{Append, JobStore, Reading, Snapshot, Stored, Version};
use crate::{
    envelope::Job,
    ids::CorrelationId,
    job::watch::{Topic, Topics, Watch},
    redis_link::{LinkError, RedisLink},
    reply::{Record, ReplyError, Retention, address},
    time::{UnixMillis, whole_millis},
};

mod announcements;
mod scan;

/// ARGV: the version that is expected, or `''`; the new snapshot; ttl in ms; `1` when the events before go; the job when it is
/// over, or `''`; events… Answers nil, or the snapshot that is there instead, `''` for none.
static APPEND_IF: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local found = redis.call('LINDEX', KEYS[1], 0)
if (found and string.match(found, '^%S+') or '') ~= ARGV[1] then return found or '' end
if ARGV[4] == '1' then
  redis.call('DEL', KEYS[1])
  found = false
end
if found then redis.call('LSET', KEYS[1], 0, ARGV[2]) else redis.call('RPUSH', KEYS[1], ARGV[2]) end
for i = 6, #ARGV do redis.call('RPUSH', KEYS[1], ARGV[i]) end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
if #ARGV > 5 then redis.call('PUBLISH', KEYS[1], '') end
if ARGV[5] ~= '' then redis.call('PUBLISH', 'jobs:ended', ARGV[5]) end
return false
",
    )
});

/// ARGV: the number of the last event that is known. Answers the number of the first one that follows, that of the last one,
/// and the events from the one to the other.
static READ: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local found = redis.call('LINDEX', KEYS[1], 0)
if not found then return {} end
local first = tonumber(string.match(found, '^%S+ (%d+)'))
local from = math.max(tonumber(ARGV[1]) - first + 2, 1)
local events = redis.call('LRANGE', KEYS[1], from, -1)
table.insert(events, 1, string.format('%d', first + from - 1))
table.insert(events, 2, string.format('%d', first + redis.call('LLEN', KEYS[1]) - 2))
return events
",
    )
});

pub struct RedisJobStore {
    link: RedisLink,
    topics: Arc<Topics>,
    retention: Retention,
}

impl RedisJobStore {
    pub(crate) fn new(link: RedisLink, retention: Retention) -> Self {
        Self {
            topics: announcements::listen(link.clone()),
            link,
            retention,
        }
    }
}

/// An event, as it is kept.
#[derive(Serialize, Deserialize)]
struct Entry<E> {
    at: UnixMillis,
    event: E,
}

fn entry(record: &Record) -> String {
    json(&Entry {
        at: record.at,
        event: &record.event,
    })
}

fn record(sequence_number: u64, entry: &str) -> Result<Record, ReplyError> {
    let Entry { at, event } = parse(entry)?;
    Ok(Record {
        sequence_number,
        at,
        event,
    })
}

fn written(snapshot: &Snapshot) -> String {
    let first = snapshot.state.first;
    format!(
        "{} {first} {}",
        version(snapshot.version),
        json(&snapshot.state)
    )
}

fn version(version: Version) -> String {
    let Version {
        epoch,
        number,
        nonce,
    } = version;
    format!("{epoch}:{number}:{nonce}")
}

fn snapshot(text: &str) -> Result<Snapshot, ReplyError> {
    let malformed = || ReplyError::Unreadable("the snapshot of a job is malformed".into());
    let mut parts = text.splitn(3, ' ');
    let (version, state) = (parts.next(), parts.nth(1));
    let mut numbers = version.unwrap_or_default().split(':');
    let mut number = || {
        let number = numbers.next().and_then(|it| it.parse().ok());
        number.ok_or_else(malformed)
    };
    let version = Version {
        epoch: number()?,
        number: number()?,
        nonce: number()?,
    };
    let state = parse(state.ok_or_else(malformed)?)?;
    Ok(Snapshot { version, state })
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("events and turns hold nothing that JSON cannot")
}

fn parse<T: for<'de> Deserialize<'de>>(json: &str) -> Result<T, ReplyError> {
    serde_json::from_str(json).map_err(|error| ReplyError::Unreadable(error.to_string()))
}

#[async_trait]
impl JobStore for RedisJobStore {
    async fn load(&self, id: CorrelationId) -> Result<Option<Snapshot>, ReplyError> {
        let mut first = redis::cmd("LINDEX");
        first.arg(address(id)).arg(0);
        let found: Option<String> = self.link.run(0, &first).await?;
        found.map(|it| snapshot(&it)).transpose()
    }

    async fn append_if(
        &self,
        id: CorrelationId,
        expected: Option<Version>,
        append: &Append,
    ) -> Result<Stored, ReplyError> {
        let is_over = append.snapshot.state.is_terminal();
        let ended = if is_over {
            id.to_string()
        } else {
            String::new()
        };
        let mut arguments = vec![
            expected.map(version).unwrap_or_default(),
            written(&append.snapshot),
            whole_millis(self.retention.0).to_string(),
            u8::from(append.erases).to_string(),
            ended,
        ];
        arguments.extend(append.records.iter().map(entry));
        let size = arguments.iter().map(String::len).sum();
        let mut invocation = APPEND_IF.key(address(id));
        invocation.arg(&arguments);
        let found: Option<String> = self.link.run(size, &invocation).await?;
        match found.as_deref() {
            None => Ok(Stored::Appended),
            Some("") => Ok(Stored::Conflict(None)),
            Some(found) => Ok(Stored::Conflict(Some(Box::new(snapshot(found)?)))),
        }
    }

    async fn read(&self, id: CorrelationId, after: u64) -> Result<Reading, ReplyError> {
        let mut invocation = READ.key(address(id));
        invocation.arg(after);
        let found: Vec<String> = self.link.run(0, &invocation).await?;
        let [first, last, entries @ ..] = &found[..] else {
            return Ok(Reading::default());
        };
        let number = |text: &String| {
            let number = text.parse::<u64>();
            number.map_err(|_| ReplyError::Unreadable("an event has no number".into()))
        };
        let numbered = (number(first)?..).zip(entries);
        let records = numbered.map(|(number, it)| record(number, it));
        Ok(Reading {
            last: number(last)?,
            records: records.collect::<Result<_, _>>()?,
        })
    }

    fn watch(&self, topic: Topic) -> Watch {
        self.topics.watch(topic)
    }

    fn jobs(&self) -> BoxStream<'static, Result<Job, ReplyError>> {
        scan::jobs(self.link.clone())
    }

    async fn ping(&self) -> Result<(), ReplyError> {
        Ok(self.link.probe().await?)
    }
}

impl From<LinkError> for ReplyError {
    fn from(error: LinkError) -> Self {
        Self::Away(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{job::state::JobState, reply::Event};

    #[test]
    fn an_event_of_a_newer_version_has_its_number_and_is_not_known() {
        let newer = r#"{"at":5,"event":{"type":"job.moved","to":{"a":[1]}}}"#;
        let expected = Record {
            sequence_number: 4,
            at: UnixMillis(5),
            event: Event::Unknown,
        };
        assert_eq!(record(4, newer), Ok(expected));
        assert!(record(4, r#"{"at":5}"#).is_err());
    }

    #[test]
    fn a_snapshot_is_read_as_it_was_written() {
        let mut state = JobState::default();
        (state.last, state.first) = (9, 9);
        let version = Version {
            epoch: 77,
            number: 4,
            nonce: 5,
        };
        let written_one = Snapshot { version, state };
        let text = written(&written_one);
        assert!(text.starts_with("77:4:5 9 {"), "{text}");
        assert_eq!(snapshot(&text), Ok(written_one));
        for malformed in ["", "1:1", "1:1 1", "1:1:1 1", "x:1:1 1 {}", "1 1 {}"] {
            assert!(snapshot(malformed).is_err(), "{malformed}");
        }
    }
}
