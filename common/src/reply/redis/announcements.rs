//! One subscription connection per process, whatever the number of waiters.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::StreamExt as _;
use redis::aio::{PubSubSink, PubSubStream};
use tokio::{
    sync::{mpsc, watch},
    time::{interval, timeout},
};
use tracing::{info, warn};

use crate::{redis_link::RedisLink, retry::Backoff};

/// How often a silent subscription is asked for a sign of life.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Time for Redis to answer on the subscription.
const ANSWER: Duration = Duration::from_secs(5);

/// Channel names sent to Redis in one command.
const BATCH: usize = 512;

/// Tells followers that a log may have grown. Says nothing of how: they read
/// the log. It says so also when the subscription came back after a gap.
#[derive(Clone)]
pub struct Announcements {
    topics: Arc<Topics>,
}

/// Followed logs by channel name. The task that talks to Redis is told of names
/// that came or went, looks here for what holds now, and ends with the last
/// handle.
struct Topics {
    followed: Mutex<HashMap<String, Topic>>,
    changes: mpsc::UnboundedSender<String>,
}

struct Topic {
    growth: watch::Sender<()>,
    followers: usize,
}

/// One follower's ear; unsubscribes when the last one of a log is dropped.
pub struct Growth {
    topics: Arc<Topics>,
    name: String,
    growth: watch::Receiver<()>,
}

impl Announcements {
    pub fn start(link: RedisLink) -> Self {
        let (changes, changed) = mpsc::unbounded_channel();
        let topics = Arc::new(Topics {
            followed: Mutex::default(),
            changes,
        });
        let listener = Listener {
            link,
            topics: Arc::downgrade(&topics),
            changed,
        };
        tokio::spawn(listener.run());
        Self { topics }
    }

    /// Returns when announcements arrive from now on, or soon after if the
    /// connection is away: then they are made up for when it is back.
    pub async fn subscribe(&self, channel: &str) -> Growth {
        Growth {
            growth: self.topics.add(channel),
            topics: Arc::clone(&self.topics),
            name: channel.to_owned(),
        }
    }
}

impl Growth {
    /// Waits until the log may have grown.
    pub async fn changed(&mut self) {
        // The sender lives in `topics` for as long as this follower does.
        let _ = self.growth.changed().await;
    }
}

impl Drop for Growth {
    fn drop(&mut self) {
        self.topics.remove(&self.name);
    }
}

impl Topics {
    /// No code panics while holding the lock, so a poisoned one is still whole.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Topic>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, name: &str) -> watch::Receiver<()> {
        let mut followed = self.lock();
        let topic = followed.entry(name.to_owned()).or_insert_with(|| {
            // The listener ends only after the last handle, which is held here.
            let _ = self.changes.send(name.to_owned());
            Topic {
                growth: watch::Sender::new(()),
                followers: 0,
            }
        });
        topic.followers += 1;
        topic.growth.subscribe()
    }

    fn remove(&self, name: &str) {
        let mut followed = self.lock();
        if let Some(topic) = followed.get_mut(name) {
            topic.followers -= 1;
            if topic.followers == 0 {
                followed.remove(name);
                let _ = self.changes.send(name.to_owned());
            }
        }
    }

    fn is_followed(&self, name: &str) -> bool {
        self.lock().contains_key(name)
    }

    fn announce(&self, name: &str) {
        if let Some(topic) = self.lock().get(name) {
            topic.growth.send_replace(());
        }
    }

    fn announce_all(&self) {
        for topic in self.lock().values() {
            topic.growth.send_replace(());
        }
    }

    fn names(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }
}

struct Listener {
    link: RedisLink,
    topics: std::sync::Weak<Topics>,
    changed: mpsc::UnboundedReceiver<String>,
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
        for names in topics.names().chunks(BATCH) {
            answered(sink.subscribe(names)).await?;
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
                    apply(&topics, &mut sink, std::mem::take(&mut batch)).await?;
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
}

/// Brings Redis into line with what is followed now; the changes themselves may
/// have cancelled each other out.
async fn apply(topics: &Topics, sink: &mut PubSubSink, names: Vec<String>) -> Result<(), Lost> {
    let (followed, left): (Vec<_>, Vec<_>) =
        names.into_iter().partition(|name| topics.is_followed(name));
    if !left.is_empty() {
        answered(sink.unsubscribe(&left)).await?;
    }
    if !followed.is_empty() {
        answered(sink.subscribe(&followed)).await?;
        for name in &followed {
            // An event may have come before the subscription did.
            topics.announce(name);
        }
    }
    Ok(())
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
    fn start(mut stream: PubSubStream, topics: std::sync::Weak<Topics>) -> Self {
        let ended = tokio_util::sync::CancellationToken::new();
        let end = ended.clone().drop_guard();
        let task = tokio::spawn(async move {
            let _end = end;
            while let Some(message) = stream.next().await {
                let Some(topics) = topics.upgrade() else {
                    return;
                };
                topics.announce(message.get_channel_name());
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
