//! The outbox of one process. What it loses with the process, the process loses all the same.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;

use super::{Entry, Outbox, OutboxError, Taken};
use crate::time::UnixMillis;

#[derive(Default)]
pub struct MemoryOutbox(Mutex<HashMap<Entry, UnixMillis>>);

impl MemoryOutbox {
    /// No code panics while holding the lock, so a poisoned one is still whole.
    fn lock(&self) -> MutexGuard<'_, HashMap<Entry, UnixMillis>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Outbox for MemoryOutbox {
    async fn note(&self, entry: &Entry, at: UnixMillis) -> Result<(), OutboxError> {
        let mut noted = self.lock();
        let due = noted.entry(entry.clone()).or_insert(at);
        *due = at.min(*due);
        Ok(())
    }

    async fn hasten(&self, entry: &Entry, at: UnixMillis) -> Result<(), OutboxError> {
        if let Some(due) = self.lock().get_mut(entry) {
            *due = at.min(*due);
        }
        Ok(())
    }

    async fn strike(&self, entry: &Entry) -> Result<(), OutboxError> {
        self.lock().remove(entry);
        Ok(())
    }

    async fn take(&self, most: usize, lease: Duration) -> Result<Vec<Taken>, OutboxError> {
        let now = UnixMillis::now();
        let until = now.after(lease);
        let mut noted = self.lock();
        let due = noted.iter_mut().filter(|(_, at)| **at <= now).take(most);
        let taken = due.map(|(entry, at)| {
            *at = until;
            Taken {
                entry: entry.clone(),
                until,
            }
        });
        Ok(taken.collect())
    }

    async fn settle(&self, taken: &Taken, next: Option<UnixMillis>) -> Result<(), OutboxError> {
        let mut noted = self.lock();
        if noted.get(&taken.entry) == Some(&taken.until) {
            match next {
                Some(next) => noted.insert(taken.entry.clone(), next),
                None => noted.remove(&taken.entry),
            };
        }
        Ok(())
    }
}
