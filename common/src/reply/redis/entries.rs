//! What the log is written in: the entries of the stream, and JSON.

use redis::streams::{StreamId, StreamRangeReply};
use serde::{Deserialize, Serialize};

use super::super::{Event, Record, ReplyError, Speaking, SpokenAnswer, address};
use crate::{ids::CorrelationId, redis_link::RedisLink, time::UnixMillis};

/// An entry of the stream, as JSON in its field `e`.
#[derive(Serialize, Deserialize)]
struct Entry<E> {
    at: UnixMillis,
    event: E,
}

/// The entries after `cursor`.
pub(super) async fn read(
    link: &RedisLink,
    id: CorrelationId,
    cursor: u64,
) -> Result<Vec<Record>, ReplyError> {
    let mut command = redis::cmd("XRANGE");
    // `(` makes the start exclusive, since Redis 6.2.
    command
        .arg(address(id))
        .arg(format!("({cursor}-0"))
        .arg("+");
    let range: StreamRangeReply = link.run(0, &command).await.map_err(ReplyError::from)?;
    range.ids.iter().map(record).collect()
}

pub(super) fn record(entry: &StreamId) -> Result<Record, ReplyError> {
    let malformed = || ReplyError::Unreadable(format!("entry {} is malformed", entry.id));
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

pub(super) fn entry(event: &Event) -> String {
    json(&Entry {
        at: UnixMillis::now(),
        event,
    })
}

pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("events and turns hold nothing that JSON cannot")
}

pub(super) fn parse<T: for<'de> Deserialize<'de>>(json: &str) -> Result<T, ReplyError> {
    serde_json::from_str(json).map_err(|error| ReplyError::Unreadable(error.to_string()))
}

/// What the scripts about sentences answer.
pub(super) fn speaking(answer: &[String]) -> Result<Speaking, ReplyError> {
    match answer {
        [word, crashes] if word == "missing" => Ok(Speaking::Missing {
            crashes: crashes.parse().unwrap_or_default(),
        }),
        [word] if word == "spoken" => Ok(Speaking::Spoken),
        [word] if word == "crashes" => Ok(Speaking::CrashesWorkers),
        [word] if word == "lost" => Ok(Speaking::Lost),
        [word, turn, sentences @ ..] if word == "all" => {
            let sentences = sentences.iter().map(|json| parse(json));
            Ok(Speaking::AllSpoken(Box::new(SpokenAnswer {
                turn: parse(turn)?,
                sentences: sentences.collect::<Result<_, _>>()?,
            })))
        }
        _ => Ok(Speaking::Over),
    }
}
