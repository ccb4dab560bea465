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
    handler::{Handler, StageError},
    kit::{Kit, KitError},
    providers::Answerer,
};

pub struct Rag {
    conversations: Arc<dyn Conversations>,
    answerer: Arc<dyn Answerer>,
}

impl Rag {
    pub fn new(kit: &Kit) -> Result<Self, KitError> {
        Ok(Self {
            conversations: Arc::clone(&kit.backends.conversations),
            answerer: kit.answerer()?,
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
    async fn handle(&self, mut turn: Turn, job: &Job) -> Result<Turn, StageError> {
        let question = turn.user_text().unwrap_or_default().to_owned();
        let conversation = conversation_of(job);
        let history = self.history(conversation.as_ref()).await?;
        let answer = self.answerer.answer(&question, &history).await?;
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
        vec![
            Event::Retrieved {
                citations: answer.citations.clone(),
            },
            Event::AnswerDelta {
                text: answer.text.clone(),
            },
        ]
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
