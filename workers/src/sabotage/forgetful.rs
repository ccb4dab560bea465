//! Does not look at what is known of earlier runs.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use common::{
    conversation::{Ahead, ConversationError, ConversationKey, Conversations, PastTurn},
    envelope::Job,
    ids::{ConversationId, CorrelationId, MessageId, Tenant},
    reply::{
        Appended, Begun, CompletedStage, Ending, Event, Failure, Record, ReplyError, ReplyLog,
        Resumed, Resumption, Run, Speaking, SpokenSentence, StageStarted, Told, Withdrawn,
    },
    time::UnixMillis,
    turn::Sentence,
};
use futures::stream::BoxStream;
use tokio::time::sleep;

pub struct Log(pub Arc<dyn ReplyLog>);

/// Time between a stage's completion and what follows from it. What dies in
/// between is given again; the sooner the rest is done, the fewer there are.
const UNSETTLED: Duration = Duration::from_secs(1);

/// Goes on as if it had been recorded.
fn recorded(_: Appended) -> Appended {
    Appended::Recorded
}

#[async_trait]
impl ReplyLog for Log {
    async fn open(&self, job: &Job) -> Result<(), ReplyError> {
        self.0.open(job).await
    }

    async fn begin_stage(&self, job: &Job, started: StageStarted) -> Result<Begun, ReplyError> {
        let stage = started.stage;
        Ok(match self.0.begin_stage(job, started).await? {
            begun @ (Begun::Started(_) | Begun::CrashesWorkers) => begun,
            Begun::AlreadyCompleted { .. } | Begun::Closed => Begun::Started(Run {
                stage,
                number: 0,
                crashes: 0,
                told: Told::default(),
            }),
        })
    }

    async fn append(&self, id: CorrelationId, events: &[Event]) -> Result<Appended, ReplyError> {
        self.0.append(id, events).await
    }

    async fn resubmit(&self, id: CorrelationId) -> Result<bool, ReplyError> {
        self.0.resubmit(id).await
    }

    async fn withdraw(&self, id: CorrelationId, end: &Event) -> Result<Withdrawn, ReplyError> {
        self.0.withdraw(id, end).await
    }

    async fn narrate(
        &self,
        id: CorrelationId,
        run: &Run,
        step: u32,
        events: &[Event],
    ) -> Result<Appended, ReplyError> {
        self.0.narrate(id, run, step, events).await.map(recorded)
    }

    async fn complete_stage(
        &self,
        id: CorrelationId,
        events: &[Event],
        completed: &CompletedStage<'_>,
    ) -> Result<Appended, ReplyError> {
        let appended = self.0.complete_stage(id, events, completed).await;
        sleep(UNSETTLED).await;
        appended.map(recorded)
    }

    async fn begin_sentence(
        &self,
        job: &Job,
        started: StageStarted,
        sentence: &Sentence,
    ) -> Result<Speaking, ReplyError> {
        self.0.begin_sentence(job, started, sentence).await
    }

    async fn complete_sentence(
        &self,
        id: CorrelationId,
        sentence: &Sentence,
        spoken: &SpokenSentence,
    ) -> Result<Speaking, ReplyError> {
        self.0.complete_sentence(id, sentence, spoken).await
    }

    async fn fail(
        &self,
        job: &Job,
        message: &MessageId,
        run: Option<&Run>,
        failure: &Failure,
    ) -> Result<Appended, ReplyError> {
        self.0.fail(job, message, run, failure).await
    }

    async fn ending(&self, id: CorrelationId) -> Result<Option<Ending>, ReplyError> {
        self.0.ending(id).await
    }

    async fn expire(&self, job: &Job) -> Result<Appended, ReplyError> {
        self.0.expire(job).await
    }

    async fn resume(
        &self,
        id: CorrelationId,
        resumption: &Resumption,
    ) -> Result<Resumed, ReplyError> {
        self.0.resume(id, resumption).await
    }

    async fn let_go(&self, id: CorrelationId, message: &MessageId) -> Result<(), ReplyError> {
        self.0.let_go(id, message).await
    }

    async fn ended(&self, id: CorrelationId) {
        self.0.ended(id).await;
    }

    async fn erase(&self, job: &Job) -> Result<(), ReplyError> {
        self.0.erase(job).await
    }

    fn jobs(&self) -> BoxStream<'static, Result<Job, ReplyError>> {
        self.0.jobs()
    }

    async fn read(&self, id: CorrelationId, cursor: u64) -> Result<Vec<Record>, ReplyError> {
        self.0.read(id, cursor).await
    }

    fn follow(
        &self,
        id: CorrelationId,
        cursor: u64,
    ) -> BoxStream<'static, Result<Record, ReplyError>> {
        self.0.follow(id, cursor)
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
    ) -> Result<(), ConversationError> {
        self.0.accept(key, job, deadline).await
    }

    async fn accept_again(
        &self,
        key: &ConversationKey,
        job: &Job,
    ) -> Result<(), ConversationError> {
        self.0.accept_again(key, job).await
    }

    async fn ahead_of(
        &self,
        key: &ConversationKey,
        job: CorrelationId,
    ) -> Result<Option<Ahead>, ConversationError> {
        self.0.ahead_of(key, job).await
    }

    async fn pass_over(
        &self,
        key: &ConversationKey,
        job: CorrelationId,
    ) -> Result<(), ConversationError> {
        self.0.pass_over(key, job).await
    }

    /// The store knows a turn by its job: the second one gets another.
    async fn append(
        &self,
        key: &ConversationKey,
        mut turn: PastTurn,
    ) -> Result<(), ConversationError> {
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
