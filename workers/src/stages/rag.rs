//! Retrieval-augmented generation: the answer, from the documents alone.

use std::sync::Arc;

use async_trait::async_trait;
use common::{
    backends::Backends,
    conversation::{ConversationKey, PastTurn},
    envelope::Job,
    reply::Event,
    time::UnixMillis,
    turn::Turn,
};

use crate::{
    handler::{Handler, Progress, StageError},
    kit::{Kit, KitError},
    meter::{Account, Meter},
    providers::{Answerer, Grounds},
    retrieval::Retriever,
};

use history::{before, within_budget};

mod history;

pub struct Rag {
    backends: Backends,
    history_tokens: usize,
    retriever: Retriever,
    answerer: Arc<dyn Answerer>,
    meter: Meter,
}

impl Rag {
    pub async fn new(kit: &Kit) -> Result<Self, KitError> {
        let (retriever, answerer) = kit.answering().await?;
        Ok(Self {
            backends: kit.backends.clone(),
            history_tokens: kit.config.history_tokens,
            retriever,
            answerer,
            meter: Meter::new(&kit.backends.quotas),
        })
    }

    /// What was said before `job`.
    async fn history(
        &self,
        key: Option<&ConversationKey>,
        job: &Job,
    ) -> Result<Vec<PastTurn>, StageError> {
        let Some(key) = key else {
            return Ok(Vec::new());
        };
        let turns = self
            .backends
            .conversations
            .history(key)
            .await
            .map_err(away)?;
        Ok(before(job.correlation_id, turns))
    }
}

#[async_trait]
impl Handler for Rag {
    async fn handle(
        &self,
        mut turn: Turn,
        job: &Job,
        progress: &dyn Progress,
    ) -> Result<Turn, StageError> {
        let question = turn.user_text().unwrap_or_default().to_owned();
        let conversation = ConversationKey::of(job);
        let history = self.history(conversation.as_ref(), job).await?;
        let found = self.retriever.retrieve(&question, &history).await?;
        let grounds = Grounds {
            question: &question,
            understanding: &found.understanding,
            passages: &found.passages,
            history: within_budget(&history, self.history_tokens),
            emotion: turn.emotion.as_ref().map(|emotion| emotion.label),
            account: Some(Account {
                meter: &self.meter,
                job,
            }),
        };
        let answer = self.answerer.answer(&grounds, progress).await?;
        turn.answer = Some(answer);
        Ok(turn)
    }

    fn events(&self, turn: &Turn) -> Vec<Event> {
        let Some(answer) = &turn.answer else {
            return Vec::new();
        };
        vec![Event::Retrieved {
            citations: answer.citations.clone(),
        }]
    }

    fn commits(&self, job: &Job) -> bool {
        ConversationKey::of(job).is_some()
    }

    /// Adds the turn to its conversation. Once, however often the job runs: the store tells by the job.
    async fn commit(&self, turn: &Turn, job: &Job) -> Result<(), StageError> {
        let (Some(key), Some(answer)) = (ConversationKey::of(job), &turn.answer) else {
            return Ok(());
        };
        let past = PastTurn {
            job: job.correlation_id,
            at: UnixMillis::now(),
            user: turn.user_text().unwrap_or_default().to_owned(),
            assistant: answer.text.clone(),
        };
        self.backends.add_turn(&key, past).await.map_err(away)
    }

    async fn finish(&self) {
        self.meter.finish().await;
    }
}

fn away(error: impl std::fmt::Display) -> StageError {
    StageError::transient("conversations_unavailable", error)
}
