//! One subscription connection per process, whatever the number of watches.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use futures::StreamExt as _;
use redis::aio::{PubSubSink, PubSubStream};
use tokio::{
    sync::mpsc,
    time::{interval, timeout},
};
use tracing::{info, warn};

use crate::{
    job::watch::{News, Topic, Topics},
    redis_link::RedisLink,
    reply::address,
    retry::Backoff,
};

/// How often a silent subscription is asked for a sign of life.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Time for Redis to answer on the subscription.
const ANSWER: Duration = Duration::from_secs(5);

/// Channel names sent to Redis in one command.
const BATCH: usize = 512;

/// On which the end of each job is announced.
const ENDED: &str = "jobs:ended";

/// Watches that are told that a log may have changed. They are told so also when the subscription came back after a gap.
pub fn listen(link: RedisLink) -> Arc<Topics> {
    let (changes, changed) = mpsc::unbounded_channel();
    let topics = Arc::new(Topics::new(Some(changes)));
    let listener = Listener {
        link,
        topics: Arc::downgrade(&topics),
        changed,
        hears_ends: false,
    };
    tokio::spawn(listener.run());
    topics
}

struct Listener {
    link: RedisLink,
    topics: Weak<Topics>,
    changed: mpsc::UnboundedReceiver<Topic>,
    /// On this connection. From the first time that anybody waits for an end.
    hears_ends: bool,
}

/// No handle is left.
struct Closed;

type Lost = String;

impl Listener {
    async fn run(mut self) {
        let mut backoff = Backoff::reconnecting();
        loop {
            match self.listen(&mut backoff).await {
                Ok(Closed) => return,
                Err(reason) => warn!(reason, "lost the subscription to Redis"),
            }
            backoff.wait().await;
            if self.topics.upgrade().is_none() {
                return;
            }
        }
    }

    async fn listen(&mut self, backoff: &mut Backoff) -> Result<Closed, Lost> {
        let (mut sink, stream) = self.connect().await?;
        let reader = Reader::start(stream, self.topics.clone());
        // What changed while there was no connection is in the names.
        while self.changed.try_recv().is_ok() {}
        let Some(topics) = self.topics.upgrade() else {
            return Ok(Closed);
        };
        self.hears_ends = false;
        let watched = topics.all();
        for batch in watched.chunks(BATCH) {
            self.apply(&topics, &mut sink, batch.to_vec()).await?;
        }
        topics.announce_all();
        drop(topics);
        backoff.reset();
        info!("listening to Redis for replies");

        let mut heartbeat = interval(HEARTBEAT);
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                count = self.changed.recv_many(&mut batch, BATCH) => {
                    let Some(topics) = self.topics.upgrade().filter(|_| count > 0) else {
                        return Ok(Closed);
                    };
                    self.apply(&topics, &mut sink, std::mem::take(&mut batch)).await?;
                }
                _ = heartbeat.tick() => {
                    answered(sink.ping::<redis::Value>()).await?;
                }
                () = reader.ended() => return Err("the connection is closed".into()),
            }
        }
    }

    async fn connect(&self) -> Result<(PubSubSink, PubSubStream), Lost> {
        let pubsub = answered(self.link.client.get_async_pubsub()).await?;
        Ok(pubsub.split())
    }

    /// Brings Redis into line with what is watched now; the changes themselves may have cancelled each other out.
    async fn apply(
        &mut self,
        topics: &Topics,
        sink: &mut PubSubSink,
        changed: Vec<Topic>,
    ) -> Result<(), Lost> {
        let (watched, left): (Vec<_>, Vec<_>) = changed
            .into_iter()
            .partition(|topic| topics.is_watched(*topic));
        let left = channels(&left);
        if !left.is_empty() {
            answered(sink.unsubscribe(&left)).await?;
        }
        let mut new = channels(&watched);
        let is_end = |topic: &Topic| matches!(topic, Topic::End(_));
        if !self.hears_ends && watched.iter().any(is_end) {
            new.push(ENDED.to_owned());
        }
        if !new.is_empty() {
            answered(sink.subscribe(&new)).await?;
        }
        let heard_ends = self.hears_ends;
        self.hears_ends |= watched.iter().any(is_end);
        for topic in watched {
            // An event may have come before the subscription did.
            if !(heard_ends && is_end(&topic)) {
                topics.announce(topic, News::Maybe);
            }
        }
        Ok(())
    }
}

/// The channels that are heard for these alone.
fn channels(topics: &[Topic]) -> Vec<String> {
    let channel = |topic: &Topic| match topic {
        Topic::Growth(id) => Some(address(*id)),
        Topic::End(_) => None,
    };
    topics.iter().filter_map(channel).collect()
}

/// What a message tells of.
fn topic(channel: &str, payload: &str) -> Option<Topic> {
    if channel == ENDED {
        return payload.parse().ok().map(Topic::End);
    }
    let id = channel.split_once(':')?.1;
    id.parse().ok().map(Topic::Growth)
}

async fn answered<T>(
    command: impl Future<Output = Result<T, redis::RedisError>>,
) -> Result<T, Lost> {
    match timeout(ANSWER, command).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("Redis did not answer in time".into()),
    }
}

/// Passes announcements on; a task of its own, because the sink's commands are
/// answered through the same stream.
struct Reader {
    task: tokio::task::JoinHandle<()>,
    ended: tokio_util::sync::CancellationToken,
}

impl Reader {
    fn start(mut stream: PubSubStream, topics: Weak<Topics>) -> Self {
        let ended = tokio_util::sync::CancellationToken::new();
        let end = ended.clone().drop_guard();
        let task = tokio::spawn(async move {
            let _end = end;
            while let Some(message) = stream.next().await {
                let Some(topics) = topics.upgrade() else {
                    return;
                };
                let payload: String = message.get_payload().unwrap_or_default();
                if let Some(topic) = topic(message.get_channel_name(), &payload) {
                    topics.announce(topic, News::Certain);
                }
            }
        });
        Self { task, ended }
    }

    async fn ended(&self) {
        self.ended.cancelled().await;
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}
