//! Does not look at what is known of earlier runs.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use common::{
    conversation::{ConversationError, ConversationKey, Conversations, PastTurn, Place, Ready},
    envelope::{Envelope, Job},
    ids::{ConversationId, CorrelationId, Tenant},
    job::{
        store::{Append, JobStore, Reading, Snapshot, Stored, Version},
        watch::{Topic, Watch},
    },
    reply::{Event, Record, ReplyError},
    time::UnixMillis,
};
use futures::stream::BoxStream;
use tokio::time::sleep;

pub struct Logs(pub Arc<dyn JobStore>);

/// Time between a stage's completion and what follows from it. What dies in
/// between is given again; the sooner the rest is done, the fewer there are.
const UNSETTLED: Duration = Duration::from_secs(1);

/// As if no stage were complete, and nothing over.
fn forgotten(snapshot: Snapshot) -> Result<Snapshot, ReplyError> {
    let unreadable = |error: serde_json::Error| ReplyError::Unreadable(error.to_string());
    let mut state = serde_json::to_value(&snapshot.state).map_err(unreadable)?;
    if let Some(fields) = state.as_object_mut() {
        fields.remove("completed");
        fields.remove("end");
    }
    Ok(Snapshot {
        state: serde_json::from_value(state).map_err(unreadable)?,
        ..snapshot
    })
}

#[async_trait]
impl JobStore for Logs {
    async fn load(&self, id: CorrelationId) -> Result<Option<Snapshot>, ReplyError> {
        self.0.load(id).await?.map(forgotten).transpose()
    }

    async fn append_if(
        &self,
        id: CorrelationId,
        expected: Option<Version>,
        append: &Append,
    ) -> Result<Stored, ReplyError> {
        let is_done = |record: &Record| matches!(record.event, Event::StageCompleted { .. });
        let stored = self.0.append_if(id, expected, append).await?;
        if append.records.iter().any(is_done) {
            sleep(UNSETTLED).await;
        }
        Ok(match stored {
            Stored::Conflict(Some(found)) => Stored::Conflict(Some(Box::new(forgotten(*found)?))),
            other => other,
        })
    }

    async fn read(&self, id: CorrelationId, after: u64) -> Result<Reading, ReplyError> {
        self.0.read(id, after).await
    }

    fn watch(&self, topic: Topic) -> Watch {
        self.0.watch(topic)
    }

    fn jobs(&self) -> BoxStream<'static, Result<Job, ReplyError>> {
        self.0.jobs()
    }

    async fn ping(&self) -> Result<(), ReplyError> {
        self.0.ping().await
    }
}

pub struct Turns(pub Arc<dyn Conversations>);

#[async_trait]
impl Conversations for Turns {
    async fn history(&self, key: &ConversationKey) -> Result<Vec<PastTurn>, ConversationError> {
        self.0.history(key).await
    }

    async fn accept(
        &self,
        key: &ConversationKey,
        job: CorrelationId,
        deadline: UnixMillis,
    ) -> Result<Place, ConversationError> {
        self.0.accept(key, job, deadline).await
    }

    async fn accept_again(
        &self,
        key: &ConversationKey,
        job: &Job,
    ) -> Result<(), ConversationError> {
        self.0.accept_again(key, job).await
    }

    async fn hold(
        &self,
        key: &ConversationKey,
        message: &Envelope,
    ) -> Result<Place, ConversationError> {
        self.0.hold(key, message).await
    }

    async fn remove_from_order(
        &self,
        key: &ConversationKey,
        job: CorrelationId,
    ) -> Result<Option<Envelope>, ConversationError> {
        self.0.remove_from_order(key, job).await
    }

    async fn ready(&self, key: &ConversationKey) -> Result<Ready, ConversationError> {
        self.0.ready(key).await
    }

    async fn published(
        &self,
        key: &ConversationKey,
        job: CorrelationId,
    ) -> Result<(), ConversationError> {
        self.0.published(key, job).await
    }

    /// The store knows a turn by its job: the second one gets another.
    async fn append(
        &self,
        key: &ConversationKey,
        mut turn: PastTurn,
    ) -> Result<Option<Envelope>, ConversationError> {
        let turns = self.0.history(key).await?;
        if turns.iter().any(|past| past.job == turn.job) {
            turn.job = CorrelationId::new();
        }
        self.0.append(key, turn).await
    }

    async fn forget(&self, key: &ConversationKey) -> Result<Vec<CorrelationId>, ConversationError> {
        self.0.forget(key).await
    }

    async fn erase(
        &self,
        key: &ConversationKey,
        job: CorrelationId,
    ) -> Result<bool, ConversationError> {
        self.0.erase(key, job).await
    }

    async fn of_tenant(&self, tenant: &Tenant) -> Result<Vec<ConversationId>, ConversationError> {
        self.0.of_tenant(tenant).await
    }
}
