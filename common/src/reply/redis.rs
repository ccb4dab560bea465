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
//! | `run:{stage}` | the number of the stage's newest run |
//! | `step:{stage}` | the last step that it told |
//! | `done:{stage}` | the turn (JSON) that the stage produced |
//! | `take` | which beginning of the answer counts, when it is not the first |
//! | `sentence:{n}` | how (JSON) a sentence of this take was spoken |
//! | `audio:{n}` | its announcement, until its turn comes |
//! | `announced` | up to which sentence they are announced |
//! | `sentences` | how many there are, once that is known |
//!
//! Both are changed by scripts alone, so that each change is whole.

use async_trait::async_trait;
use futures::stream::BoxStream;
use redis::{Script, streams::StreamRangeReply};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use super::{
    Appended, Begun, CompletedStage, Event, Record, ReplyError, ReplyLog, Retention, Run, Speaking,
    SpokenAnswer, SpokenSentence, StageStarted, Told, Withdrawn, address,
};
use crate::{
    envelope::Job,
    ids::CorrelationId,
    pipeline::Stage,
    redis_link::RedisLink,
    retry::Backoff,
    time::UnixMillis,
    turn::{Sentence, Turn},
};
use announcements::Announcements;
use scripts::{APPEND, BEGIN, BEGIN_SENTENCE, COMPLETE_SENTENCE, OPEN, WITHDRAW};

mod announcements;
mod scripts;

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

/// Who appends, where that matters.
#[derive(Default)]
struct Author<'a> {
    stage: Option<Stage>,
    run: Option<&'a Run>,
    step: Option<u32>,
    /// The turn with which the stage is complete.
    made: Option<&'a Turn>,
}

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
        let state = state_key(&key);
        let size = arguments.iter().map(String::len).sum();
        let mut invocation = script.key(key);
        invocation.key(state).arg(arguments);
        let mut connection = self.link.connection();
        self.link
            .bounded(size, invocation.invoke_async(&mut connection))
            .await
            .map_err(ReplyError)
    }

    async fn append_by(
        &self,
        id: CorrelationId,
        events: &[Event],
        by: Author<'_>,
    ) -> Result<Appended, ReplyError> {
        let end = match events.last() {
            Some(Event::Completed { .. }) => "end",
            Some(last) if last.is_terminal() => "interrupt",
            _ => "",
        };
        let Author {
            stage,
            run,
            made,
            step,
        } = by;
        let restarts = events
            .iter()
            .filter(|event| **event == Event::AnswerRestarted);
        let mut arguments = vec![
            self.ttl_ms().to_string(),
            end.to_owned(),
            stage.map(|it| it.to_string()).unwrap_or_default(),
            run.map(|it| it.number.to_string()).unwrap_or_default(),
            made.map(json).unwrap_or_default(),
            restarts.count().to_string(),
            step.map(|it| it.to_string()).unwrap_or_default(),
        ];
        arguments.extend(events.iter().map(entry));
        let outcome: String = self.run(&APPEND, id, &arguments).await?;
        Ok(match outcome.as_str() {
            "recorded" => Appended::Recorded,
            "superseded" => Appended::Superseded,
            _ => Appended::Closed,
        })
    }

    /// What the log tells of the answer, for a run that is not the first.
    async fn told(&self, id: CorrelationId) -> Result<Told, ReplyError> {
        let records = read(&self.link, id, 0).await?;
        Ok(Told::by(records.iter().map(|record| &record.event)))
    }

    async fn is_closed(&self, id: CorrelationId) -> Result<bool, ReplyError> {
        let mut command = redis::cmd("HEXISTS");
        command.arg(state_key(&address(id))).arg("closed");
        let mut connection = self.link.connection();
        self.link
            .bounded(0, command.query_async(&mut connection))
            .await
            .map_err(ReplyError)
    }
}

fn state_key(stream: &str) -> String {
    format!("{{{stream}}}:state")
}

/// What the scripts about sentences answer.
fn speaking(answer: &[String]) -> Result<Speaking, ReplyError> {
    match answer {
        [word] if word == "missing" => Ok(Speaking::Missing),
        [word] if word == "spoken" => Ok(Speaking::Spoken),
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

#[async_trait]
impl ReplyLog for RedisReplyLog {
    async fn open(&self, job: &Job) -> Result<(), ReplyError> {
        let first = entry(&Event::Accepted { job: job.clone() });
        let arguments = [self.ttl_ms().to_string(), first];
        self.run(&OPEN, job.correlation_id, &arguments).await
    }

    async fn begin_stage(&self, job: &Job, started: StageStarted) -> Result<Begun, ReplyError> {
        let stage = started.stage;
        let arguments = [
            self.ttl_ms().to_string(),
            entry(&Event::Accepted { job: job.clone() }),
            stage.to_string(),
            entry(&Event::StageStarted(started)),
        ];
        let id = job.correlation_id;
        let (outcome, number, turn): (String, u32, String) =
            self.run(&BEGIN, id, &arguments).await?;
        match outcome.as_str() {
            "started" => Ok(Begun::Started(Run {
                stage,
                number,
                told: match number {
                    1 => Told::default(),
                    _ => self.told(id).await?,
                },
            })),
            "completed" => Ok(Begun::AlreadyCompleted {
                turn: Box::new(parse::<Turn>(&turn)?),
                take: number,
            }),
            _ => Ok(Begun::Closed),
        }
    }

    async fn append(&self, id: CorrelationId, events: &[Event]) -> Result<Appended, ReplyError> {
        self.append_by(id, events, Author::default()).await
    }

    async fn withdraw(&self, id: CorrelationId, end: &Event) -> Result<Withdrawn, ReplyError> {
        let arguments = [self.ttl_ms().to_string(), entry(end)];
        let outcome: String = self.run(&WITHDRAW, id, &arguments).await?;
        Ok(match outcome.as_str() {
            "begun" => Withdrawn::Begun,
            _ => Withdrawn::Ended,
        })
    }

    async fn narrate(
        &self,
        id: CorrelationId,
        run: &Run,
        step: u32,
        events: &[Event],
    ) -> Result<Appended, ReplyError> {
        let by = Author {
            stage: Some(run.stage),
            run: Some(run),
            step: Some(step),
            made: None,
        };
        self.append_by(id, events, by).await
    }

    async fn complete_stage(
        &self,
        id: CorrelationId,
        events: &[Event],
        completed: &CompletedStage<'_>,
    ) -> Result<Appended, ReplyError> {
        let by = Author {
            stage: Some(completed.stage),
            run: completed.run,
            step: None,
            made: Some(completed.turn),
        };
        self.append_by(id, events, by).await
    }

    async fn begin_sentence(
        &self,
        job: &Job,
        started: StageStarted,
        sentence: &Sentence,
    ) -> Result<Speaking, ReplyError> {
        let arguments = [
            self.ttl_ms().to_string(),
            entry(&Event::Accepted { job: job.clone() }),
            sentence.take.to_string(),
            sentence.n.to_string(),
            u8::from(sentence.last).to_string(),
            entry(&Event::StageStarted(started.clone())),
            started.attempt.to_string(),
        ];
        let id = job.correlation_id;
        speaking(&self.run::<Vec<_>>(&BEGIN_SENTENCE, id, &arguments).await?)
    }

    async fn complete_sentence(
        &self,
        id: CorrelationId,
        sentence: &Sentence,
        spoken: &SpokenSentence,
    ) -> Result<Speaking, ReplyError> {
        let announcement = Event::of_sentence(sentence, spoken);
        let arguments = [
            self.ttl_ms().to_string(),
            sentence.take.to_string(),
            sentence.n.to_string(),
            u8::from(sentence.last).to_string(),
            json(spoken),
            announcement.as_ref().map(entry).unwrap_or_default(),
        ];
        speaking(
            &self
                .run::<Vec<_>>(&COMPLETE_SENTENCE, id, &arguments)
                .await?,
        )
    }

    async fn interrupted(&self, id: CorrelationId) {
        let channel = format!("{}:end", address(id));
        let mut end = self.announcements.subscribe(&channel).await;
        let mut backoff = Backoff::reconnecting();
        loop {
            match self.is_closed(id).await {
                Ok(true) => return,
                Ok(false) => {
                    backoff.reset();
                    let look_anyway = Instant::now() + LOOK_ANYWAY;
                    let _ = timeout_at(look_anyway, end.changed()).await;
                }
                Err(_) => backoff.wait().await,
            }
        }
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
            let mut growth = announcements.subscribe(&address(id)).await;
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
