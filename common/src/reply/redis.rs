//! The reply log in Redis.
//!
//! `reply:{id}` is a stream of events whose entry ids are `{sequence}-0`; its
//! growth is announced on the channel of the same name, and its end on
//! `reply:{id}:end` as well. Beside it the hash `{reply:{id}}:state` holds what is
//! decided by (its name hashes to the same Cluster slot):
//!
//! | field | is |
//! |---|---|
//! | `seq` | the number of the last event |
//! | `closed` | there when the log ends with a terminal event |
//! | `erased` | there when that is all that is left of the log |
//! | `resubmitted` | there when a second process submits the job |
//! | `failed` | by which message (JSON), when it is one that was put aside |
//! | `deadline` | that of a job that was resumed, ms since the epoch |
//! | `resumption` | what else (JSON) the last resumption said |
//! | `begun:{message}` | the attempt, how many processes have begun it, and the last of them |
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
use redis::Script;
use tokio::time::{Instant, timeout_at};

use super::{
    Appended, Begun, CompletedStage, Ending, Event, FailedBy, Failure, MOST_RUNS, Record,
    ReplyError, ReplyLog, Resumed, Resumption, Retention, Run, Speaking, SpokenSentence,
    StageStarted, Told, Withdrawn, address,
};
use crate::{
    envelope::Job,
    ids::{CorrelationId, MessageId},
    pipeline::Stage,
    redis_link::{LinkError, RedisLink},
    retry::Backoff,
    time::UnixMillis,
    turn::{Sentence, Turn},
};
use announcements::Announcements;
use entries::{entry, json, parse, read, speaking};
use scripts::{
    APPEND, BEGIN, BEGIN_SENTENCE, COMPLETE_SENTENCE, ERASE, EXPIRE, FAIL, LET_GO, OPEN, RESUBMIT,
    RESUME, WITHDRAW,
};

mod announcements;
mod entries;
mod scan;
mod scripts;

pub struct RedisReplyLog {
    link: RedisLink,
    announcements: Announcements,
    retention: Retention,
    /// Another for each process.
    process: String,
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
            process: uuid::Uuid::now_v7().simple().to_string(),
        }
    }

    fn ttl_ms(&self) -> u64 {
        crate::time::whole_millis(self.retention.0)
    }

    async fn run<T: redis::FromRedisValue + Send>(
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
        self.link
            .run(size, &invocation)
            .await
            .map_err(ReplyError::from)
    }

    async fn append_by(
        &self,
        id: CorrelationId,
        events: &[Event],
        by: Author<'_>,
    ) -> Result<Appended, ReplyError> {
        let ends = events.last().is_some_and(Event::is_terminal);
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
            u8::from(ends).to_string(),
            stage.map(|it| it.to_string()).unwrap_or_default(),
            run.map(|it| it.number.to_string()).unwrap_or_default(),
            made.map(json).unwrap_or_default(),
            restarts.count().to_string(),
            step.map(|it| it.to_string()).unwrap_or_default(),
        ];
        arguments.extend(events.iter().map(entry));
        let outcome: String = self.run(&APPEND, id, &arguments).await?;
        Ok(appended(&outcome))
    }

    /// What counts how often a try is begun, as the scripts take it.
    fn beginning(&self, job: &Job, message: &MessageId, attempt: u32) -> [String; 5] {
        [
            job.deadline.0.to_string(),
            part_of(job.correlation_id, message).to_owned(),
            attempt.to_string(),
            self.process.clone(),
            MOST_RUNS.to_string(),
        ]
    }

    /// What the log tells of the answer, for a run that is not the first.
    async fn told(&self, id: CorrelationId) -> Result<Told, ReplyError> {
        let records = read(&self.link, id, 0).await?;
        Ok(Told::by(records.iter().map(|record| &record.event)))
    }

    async fn state<const N: usize>(
        &self,
        id: CorrelationId,
        fields: [&str; N],
    ) -> Result<[Option<String>; N], ReplyError> {
        let mut command = redis::cmd("HMGET");
        command.arg(state_key(&address(id))).arg(&fields);
        self.link.run(0, &command).await.map_err(ReplyError::from)
    }
}

/// The name of a message within its job.
fn part_of(id: CorrelationId, message: &MessageId) -> &str {
    let name = message.as_str();
    let within = name.strip_prefix(&id.to_string());
    within.map_or(name, |part| part.trim_start_matches('/'))
}

/// What the scripts that append answer.
fn appended(outcome: &str) -> Appended {
    match outcome {
        "recorded" => Appended::Recorded,
        "superseded" => Appended::Superseded,
        "void" => Appended::Void,
        "lost" => Appended::Lost,
        _ => Appended::Closed,
    }
}

/// What a log begins with.
fn accepted(job: &Job) -> String {
    entry(&Event::Accepted { job: job.clone() })
}

fn state_key(stream: &str) -> String {
    format!("{{{stream}}}:state")
}

#[async_trait]
impl ReplyLog for RedisReplyLog {
    async fn open(&self, job: &Job) -> Result<(), ReplyError> {
        let arguments = [self.ttl_ms().to_string(), accepted(job)];
        self.run(&OPEN, job.correlation_id, &arguments).await
    }

    async fn begin_stage(&self, job: &Job, started: StageStarted) -> Result<Begun, ReplyError> {
        let stage = started.stage;
        let id = job.correlation_id;
        let attempt = started.attempt;
        let mut arguments = vec![
            self.ttl_ms().to_string(),
            accepted(job),
            stage.to_string(),
            entry(&Event::StageStarted(started)),
        ];
        arguments.extend(self.beginning(job, &MessageId::of(id, stage), attempt));
        let (outcome, number, turn, crashes): (String, u32, String, u32) =
            self.run(&BEGIN, id, &arguments).await?;
        match outcome.as_str() {
            "started" => Ok(Begun::Started(Run {
                stage,
                number,
                crashes,
                told: match number {
                    1 => Told::default(),
                    _ => self.told(id).await?,
                },
            })),
            "completed" => Ok(Begun::AlreadyCompleted {
                turn: Box::new(parse::<Turn>(&turn)?),
                take: number,
            }),
            "crashes" => Ok(Begun::CrashesWorkers),
            _ => Ok(Begun::Closed),
        }
    }

    async fn append(&self, id: CorrelationId, events: &[Event]) -> Result<Appended, ReplyError> {
        self.append_by(id, events, Author::default()).await
    }

    async fn resubmit(&self, id: CorrelationId) -> Result<bool, ReplyError> {
        self.run(&RESUBMIT, id, &[]).await
    }

    async fn withdraw(&self, id: CorrelationId, end: &Event) -> Result<Withdrawn, ReplyError> {
        let arguments = [self.ttl_ms().to_string(), entry(end)];
        let outcome: String = self.run(&WITHDRAW, id, &arguments).await?;
        Ok(match outcome.as_str() {
            "begun" => Withdrawn::Begun,
            "resubmitted" => Withdrawn::Resubmitted,
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
        let id = job.correlation_id;
        let message = MessageId::of_sentence(id, started.stage, sentence);
        let attempt = started.attempt;
        let mut arguments = vec![
            self.ttl_ms().to_string(),
            accepted(job),
            sentence.take.to_string(),
            sentence.n.to_string(),
            u8::from(sentence.last).to_string(),
            entry(&Event::StageStarted(started)),
        ];
        arguments.extend(self.beginning(job, &message, attempt));
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

    async fn fail(
        &self,
        job: &Job,
        message: &MessageId,
        run: Option<&Run>,
        failure: &Failure,
    ) -> Result<Appended, ReplyError> {
        let by = FailedBy::of(message, failure);
        let error = failure.clone();
        let arguments = [
            self.ttl_ms().to_string(),
            job.deadline.0.to_string(),
            entry(&Event::Failed { error }),
            run.map(|it| it.stage.to_string()).unwrap_or_default(),
            run.map(|it| it.number.to_string()).unwrap_or_default(),
            by.as_ref().map(json).unwrap_or_default(),
            message.take().map(|it| it.to_string()).unwrap_or_default(),
            accepted(job),
        ];
        let outcome: String = self.run(&FAIL, job.correlation_id, &arguments).await?;
        Ok(appended(&outcome))
    }

    async fn ending(&self, id: CorrelationId) -> Result<Option<Ending>, ReplyError> {
        let fields = ["closed", "failed", "erased"];
        let [closed, by, erased] = self.state(id, fields).await?;
        let failed_by = by.map(|by| parse(&by)).transpose()?;
        Ok(closed.map(|_| Ending {
            failed_by,
            is_erased: erased.is_some(),
        }))
    }

    async fn expire(&self, job: &Job) -> Result<Appended, ReplyError> {
        let arguments = [
            self.ttl_ms().to_string(),
            job.deadline.0.to_string(),
            entry(&Event::Expired),
            accepted(job),
        ];
        let outcome: String = self.run(&EXPIRE, job.correlation_id, &arguments).await?;
        Ok(appended(&outcome))
    }

    async fn resume(
        &self,
        id: CorrelationId,
        resumption: &Resumption,
    ) -> Result<Resumed, ReplyError> {
        let arguments = [
            self.ttl_ms().to_string(),
            resumption.deadline.0.to_string(),
            entry(&Event::Resumed(resumption.clone())),
            json(resumption),
            UnixMillis::now().0.to_string(),
        ];
        let (outcome, standing): (String, String) = self.run(&RESUME, id, &arguments).await?;
        match (outcome.as_str(), standing.as_str()) {
            ("gone", _) => Ok(Resumed::Gone),
            ("over", _) => Ok(Resumed::Over),
            (_, "") => Ok(Resumed::UnderWay(None)),
            (_, standing) => Ok(Resumed::UnderWay(Some(parse(standing)?))),
        }
    }

    async fn let_go(&self, id: CorrelationId, message: &MessageId) -> Result<(), ReplyError> {
        let arguments = [part_of(id, message).to_owned(), self.process.clone()];
        self.run(&LET_GO, id, &arguments).await
    }

    async fn ended(&self, id: CorrelationId) {
        let channel = format!("{}:end", address(id));
        let mut end = self.announcements.subscribe(&channel).await;
        let mut backoff = Backoff::reconnecting();
        loop {
            match self.state(id, ["closed"]).await {
                Ok([Some(_)]) => return,
                Ok([None]) => {
                    backoff.reset();
                    let look_anyway = Instant::now() + LOOK_ANYWAY;
                    let _ = timeout_at(look_anyway, end.changed()).await;
                }
                Err(_) => backoff.wait().await,
            }
        }
    }

    async fn erase(&self, job: &Job) -> Result<(), ReplyError> {
        let erased = Event::Erased {
            job: Box::new(job.erased()),
        };
        let arguments = [self.ttl_ms().to_string(), entry(&erased)];
        self.run(&ERASE, job.correlation_id, &arguments).await
    }

    fn jobs(&self) -> BoxStream<'static, Result<Job, ReplyError>> {
        scan::jobs(self.link.clone())
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
                        let is_over = news.last().is_some_and(|last| last.event.is_terminal());
                        for record in news {
                            cursor = record.sequence_number;
                            yield Ok(record);
                        }
                        if is_over {
                            return;
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
        Ok(self.link.probe().await?)
    }
}

impl From<LinkError> for ReplyError {
    fn from(error: LinkError) -> Self {
        Self::Away(error.to_string())
    }
}

/// How long a follower trusts that no announcement means no news.
const LOOK_ANYWAY: std::time::Duration = std::time::Duration::from_secs(10);
