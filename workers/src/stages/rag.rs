//! Retrieval-augmented generation: the answer, from the documents alone.

use std::sync::Arc;

use async_trait::async_trait;
use common::{
    conversation::{ConversationError, ConversationKey, Conversations, PastTurn},
    envelope::Job,
    reply::Event,
    time::UnixMillis,
    turn::Turn,
};

use crate::{
    handler::{Handler, Progress, StageError},
    kit::{Kit, KitError},
    providers::{Answerer, Grounds},
    retrieval::Retriever,
};

pub struct Rag {
    conversations: Arc<dyn Conversations>,
    retriever: Retriever,
    answerer: Arc<dyn Answerer>,
}

impl Rag {
    pub fn new(kit: &Kit) -> Result<Self, KitError> {
        let (retriever, answerer) = kit.answering()?;
        Ok(Self {
            conversations: Arc::clone(&kit.backends.conversations),
            retriever,
            answerer,
        })
    }

    async fn history(&self, key: Option<&ConversationKey>) -> Result<Vec<PastTurn>, StageError> {
        match key {
            Some(key) => self.conversations.history(key).await.map_err(away),
            None => Ok(Vec::new()),
        }
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
        let conversation = conversation_of(job);
        let history = self.history(conversation.as_ref()).await?;
        let found = self.retriever.retrieve(&question, &history).await?;
        let grounds = Grounds {
            question: &question,
            understanding: &found.understanding,
            passages: &found.passages,
            history: &history,
            emotion: turn.emotion.as_ref().map(|emotion| emotion.label),
        };
        let answer = self.answerer.answer(&grounds, progress).await?;
        if let Some(key) = &conversation {
            let past = PastTurn {
                job: job.correlation_id,
                at: UnixMillis::now(),
                user: question,
                assistant: answer.text.clone(),
            };
            // Once, however often the job runs: the store tells by the job.
            self.conversations.append(key, past).await.map_err(away)?;
        }
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
}

fn conversation_of(job: &Job) -> Option<ConversationKey> {
    let id = job.conversation_id.clone()?;
    let tenant = job.tenant.clone();
    Some(ConversationKey { tenant, id })
}

fn away(error: ConversationError) -> StageError {
    StageError::transient("conversations_unavailable", error)
}
