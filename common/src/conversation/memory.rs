//! Conversations inside one process.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::Instant;

use super::{
    ConversationError, ConversationKey, Conversations, PastTurn, Place, Ready, known_until,
    with_turn,
};
use crate::{
    envelope::{Envelope, Job},
    ids::{ConversationId, CorrelationId, Tenant},
    reply::Retention,
    time::UnixMillis,
};

pub struct MemoryConversations {
    ttl: Duration,
    retention: Retention,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    conversations: HashMap<ConversationKey, Conversation>,
    /// How often one was changed.
    changes: u64,
}

struct Conversation {
    turns: Vec<PastTurn>,
    turns_until: Instant,
    /// Jobs that may still add a turn, in the order in which they were accepted.
    line: VecDeque<CorrelationId>,
    /// When the time of each job is up that was accepted and may still run.
    deadlines: HashMap<CorrelationId, UnixMillis>,
    /// The messages of jobs whose turn has not come.
    held: HashMap<CorrelationId, Envelope>,
    /// Until when there may be data of each job.
    jobs: HashMap<CorrelationId, UnixMillis>,
    /// When it was last forgotten, and until when that is remembered.
    forgotten: Option<(UnixMillis, Instant)>,
}

impl Conversation {
    fn new() -> Self {
        Self {
            turns: Vec::new(),
            turns_until: Instant::now(),
            line: VecDeque::new(),
            deadlines: HashMap::new(),
            held: HashMap::new(),
            jobs: HashMap::new(),
            forgotten: None,
        }
    }

    fn turns(&self) -> &[PastTurn] {
        if self.turns_until > Instant::now() {
            &self.turns
        } else {
            &[]
        }
    }

    fn drop_overdue(&mut self) {
        let now = UnixMillis::now();
        self.deadlines.retain(|_, deadline| *deadline > now);
        self.line.retain(|job| self.deadlines.contains_key(job));
        self.jobs.retain(|_, until| *until > now);
        self.forgotten = self.forgotten.filter(|(_, until)| *until > Instant::now());
    }

    fn leave_line(&mut self, job: CorrelationId) {
        self.line.retain(|waiting| *waiting != job);
    }

    fn place_of(&self, job: CorrelationId) -> Place {
        match self.line.iter().position(|it| *it == job) {
            None | Some(0) => Place::Next,
            Some(_) => Place::Behind,
        }
    }

    fn next_held(&self) -> Option<Envelope> {
        self.held.get(self.line.front()?).cloned()
    }

    /// Whether `job` was accepted, and has had its turn or lost it.
    fn is_spent(&self, job: CorrelationId) -> bool {
        self.deadlines.contains_key(&job) && !self.line.contains(&job)
    }

    fn was_forgotten_after(&self, accepted: UnixMillis) -> bool {
        self.forgotten.is_some_and(|(at, _)| at >= accepted)
    }

    fn is_over(&self) -> bool {
        self.turns().is_empty()
            && self.deadlines.is_empty()
            && self.held.is_empty()
            && self.jobs.is_empty()
            && self.forgotten.is_none()
    }
}

/// Changes after which conversations that are over are looked for.
const CLEAN_EVERY: u64 = 64;

impl MemoryConversations {
    pub fn new(ttl: Duration, retention: Retention) -> Self {
        Self {
            ttl,
            retention,
            kept: Mutex::default(),
        }
    }

    /// No code panics while holding the lock, so a poisoned one is still whole.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(
        &self,
        key: &ConversationKey,
        change: impl FnOnce(&mut Conversation) -> T,
    ) -> Result<T, ConversationError> {
        let mut kept = self.lock();
        kept.changes += 1;
        if kept.changes.is_multiple_of(CLEAN_EVERY) {
            kept.clean();
        }
        let conversation = kept
            .conversations
            .entry(key.clone())
            .or_insert_with(Conversation::new);
        conversation.drop_overdue();
        Ok(change(conversation))
    }
}

impl Kept {
    fn clean(&mut self) {
        self.conversations.retain(|_, conversation| {
            conversation.drop_overdue();
            !conversation.is_over()
        });
    }
}

#[async_trait]
impl Conversations for MemoryConversations {
    async fn history(&self, key: &ConversationKey) -> Result<Vec<PastTurn>, ConversationError> {
        let kept = self.lock();
        let conversation = kept.conversations.get(key);
        Ok(conversation
            .map(|conversation| conversation.turns().to_vec())
            .unwrap_or_default())
    }

    async fn accept(
        &self,
        key: &ConversationKey,
        job: CorrelationId,
        deadline: UnixMillis,
    ) -> Result<Place, ConversationError> {
        self.change(key, |conversation| {
            let until = known_until(deadline, self.retention);
            conversation.jobs.insert(job, until);
            if conversation.deadlines.insert(job, deadline).is_none() {
                conversation.line.push_back(job);
            }
            conversation.place_of(job)
        })
    }

    async fn accept_again(
        &self,
        key: &ConversationKey,
        job: &Job,
    ) -> Result<(), ConversationError> {
        self.change(key, |conversation| {
            let id = job.correlation_id;
            let until = known_until(job.deadline, self.retention);
            conversation.jobs.insert(id, until);
            conversation.deadlines.insert(id, job.deadline);
            let is_forgotten = conversation.was_forgotten_after(job.accepted_at);
            if !is_forgotten && !conversation.line.contains(&id) {
                conversation.line.push_back(id);
            }
        })
    }

    async fn hold(
        &self,
        key: &ConversationKey,
        message: &Envelope,
    ) -> Result<Place, ConversationError> {
        self.change(key, |conversation| {
            let job = message.correlation_id();
            let place = conversation.place_of(job);
            if place == Place::Behind {
                conversation.held.insert(job, message.clone());
            }
            place
        })
    }

    async fn remove_from_order(
        &self,
        key: &ConversationKey,
        job: CorrelationId,
    ) -> Result<Option<Envelope>, ConversationError> {
        self.change(key, |conversation| {
            conversation.leave_line(job);
            conversation.next_held()
        })
    }

    async fn append(
        &self,
        key: &ConversationKey,
        turn: PastTurn,
    ) -> Result<Option<Envelope>, ConversationError> {
        self.change(key, |conversation| {
            let job = turn.job;
            if !conversation.is_spent(job) {
                if let Some(turns) = with_turn(conversation.turns().to_vec(), turn) {
                    conversation.turns = turns;
                    conversation.turns_until = Instant::now() + self.ttl;
                }
                conversation.leave_line(job);
            }
            conversation.next_held()
        })
    }

    async fn ready(&self, key: &ConversationKey) -> Result<Ready, ConversationError> {
        self.change(key, |conversation| {
            let held = conversation.held.values();
            let (ready, waiting): (Vec<_>, Vec<_>) =
                held.partition(|it| conversation.place_of(it.correlation_id()) == Place::Next);
            Ready {
                messages: ready.into_iter().cloned().collect(),
                holds_more: !waiting.is_empty(),
            }
        })
    }

    async fn published(
        &self,
        key: &ConversationKey,
        job: CorrelationId,
    ) -> Result<(), ConversationError> {
        self.change(key, |conversation| {
            conversation.held.remove(&job);
        })
    }

    async fn forget(&self, key: &ConversationKey) -> Result<Vec<CorrelationId>, ConversationError> {
        self.change(key, |conversation| {
            conversation.turns.clear();
            conversation.line.clear();
            conversation.held.clear();
            let until = Instant::now() + self.ttl;
            conversation.forgotten = Some((UnixMillis::now(), until));
            conversation.jobs.keys().copied().collect()
        })
    }

    async fn erase(
        &self,
        key: &ConversationKey,
        job: CorrelationId,
    ) -> Result<bool, ConversationError> {
        self.change(key, |conversation| {
            conversation.leave_line(job);
            conversation.held.remove(&job);
            conversation.jobs.remove(&job);
            // Without a place in the line, it has had its turn or lost it.
            let spent_until = UnixMillis::now().after(self.retention.0);
            conversation.deadlines.insert(job, spent_until);
            let before = conversation.turns().len();
            conversation.turns.retain(|turn| turn.job != job);
            conversation.turns().len() < before
        })
    }

    async fn of_tenant(&self, tenant: &Tenant) -> Result<Vec<ConversationId>, ConversationError> {
        let kept = self.lock();
        let keys = kept
            .conversations
            .keys()
            .filter(|key| key.tenant == *tenant);
        Ok(keys.map(|key| key.id.clone()).collect())
    }
}
