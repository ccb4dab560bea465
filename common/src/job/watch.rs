//! Who waits for something new in which log, within one process.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{mpsc, watch};

use crate::ids::CorrelationId;

/// What can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// The log has another event.
    Growth(CorrelationId),
    /// The job is over.
    End(CorrelationId),
}

/// What is known of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum News {
    /// It may have happened: announcements may have been missed.
    Maybe,
    Certain,
}

/// The topics that somebody waits for.
pub struct Topics {
    watched: Mutex<HashMap<Topic, Watched>>,
    /// Told of topics that come and go.
    changes: Option<mpsc::UnboundedSender<Topic>>,
}

struct Watched {
    news: watch::Sender<News>,
    watchers: usize,
}

impl Watched {
    /// What was certain once stays so.
    fn tell(&self, news: News) {
        self.news.send_modify(|known| *known = news.max(*known));
    }
}

/// One who waits. The topic is left when the last one is dropped.
pub struct Watch {
    topics: Arc<Topics>,
    topic: Topic,
    news: watch::Receiver<News>,
}

impl Topics {
    pub fn new(changes: Option<mpsc::UnboundedSender<Topic>>) -> Self {
        Self {
            watched: Mutex::default(),
            changes,
        }
    }

    pub fn watch(self: &Arc<Self>, topic: Topic) -> Watch {
        let mut watched = self.lock();
        let entry = watched.entry(topic).or_insert_with(|| {
            self.tell(topic);
            Watched {
                news: watch::Sender::new(News::Maybe),
                watchers: 0,
            }
        });
        entry.watchers += 1;
        Watch {
            news: entry.news.subscribe(),
            topics: Arc::clone(self),
            topic,
        }
    }

    fn leave(&self, topic: Topic) {
        let mut watched = self.lock();
        if let Some(entry) = watched.get_mut(&topic) {
            entry.watchers -= 1;
            if entry.watchers == 0 {
                watched.remove(&topic);
                self.tell(topic);
            }
        }
    }

    fn tell(&self, topic: Topic) {
        if let Some(changes) = &self.changes {
            // Whoever is told ends after the last watch alone.
            let _ = changes.send(topic);
        }
    }

    pub fn is_watched(&self, topic: Topic) -> bool {
        self.lock().contains_key(&topic)
    }

    pub fn announce(&self, topic: Topic, news: News) {
        if let Some(entry) = self.lock().get(&topic) {
            entry.tell(news);
        }
    }

    /// Announcements may have been missed.
    pub fn announce_all(&self) {
        for entry in self.lock().values() {
            entry.tell(News::Maybe);
        }
    }

    pub fn all(&self) -> Vec<Topic> {
        self.lock().keys().copied().collect()
    }

    /// No code panics while holding the lock, so a poisoned one is still whole.
    fn lock(&self) -> MutexGuard<'_, HashMap<Topic, Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    /// Waits until there may be something new.
    pub async fn changed(&mut self) -> News {
        // The sender lives in `topics` for as long as this does.
        let _ = self.news.changed().await;
        *self.news.borrow_and_update()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.topics.leave(self.topic);
    }
}
