//! From a question to the passages that may answer it.

use common::{conversation::PastTurn, reply::FailureKind};

use crate::{
    handler::StageError,
    knowledge::{KnowledgeBase, KnowledgeError, Passage},
    providers::fallback::Fallback,
    query::{Interpreter, Query, Understanding},
};

/// Passages that an answer may be made of.
const PASSAGES: usize = 10;

/// Understands questions and searches for them.
pub struct Retriever {
    interpreter: Interpreter,
    knowledge: Fallback<dyn KnowledgeBase>,
}

/// What was found for a question.
pub struct Retrieved {
    pub understanding: Understanding,
    /// Best first.
    pub passages: Vec<Passage>,
}

impl Retriever {
    pub fn new(interpreter: Interpreter, knowledge: Fallback<dyn KnowledgeBase>) -> Self {
        Self {
            interpreter,
            knowledge,
        }
    }

    /// Finds what may answer `question`, asked after `history` (the oldest
    /// first).
    ///
    /// # Errors
    ///
    /// The knowledge base could not be searched.
    pub async fn retrieve(
        &self,
        question: &str,
        history: &[PastTurn],
    ) -> Result<Retrieved, StageError> {
        let earlier: Vec<&str> = history.iter().map(|turn| turn.user.as_str()).collect();
        let understanding = self.interpreter.understand(question, &earlier);
        let passages = match understanding.queries.as_slice() {
            [] => Vec::new(),
            queries => self.search(queries).await?,
        };
        // Wherever they come from, they come this way.
        let passages = passages.into_iter().map(Passage::plain).collect();
        Ok(Retrieved {
            understanding,
            passages,
        })
    }

    async fn search(&self, queries: &[Query]) -> Result<Vec<Passage>, StageError> {
        let mut tries = self.knowledge.tries();
        while let Some(one) = tries.next().await {
            let found = one.provider.search(queries, PASSAGES).await;
            if let Some(end) = tries.judge(one, found.map_err(StageError::from)) {
                return end;
            }
        }
        tries.give_up()
    }
}

/// The knowledge base does not answer.
pub const KNOWLEDGE_AWAY: &str = "knowledge_unavailable";

impl From<KnowledgeError> for StageError {
    fn from(error: KnowledgeError) -> Self {
        match error {
            KnowledgeError::Unavailable {
                reason,
                source: Some(cause),
            } => match cause.downcast::<Self>() {
                // The vendor of the embeddings failed, and this says how.
                Ok(vendor) => *vendor,
                Err(cause) => Self::transient(
                    KNOWLEDGE_AWAY,
                    KnowledgeError::Unavailable {
                        reason,
                        source: Some(cause),
                    },
                ),
            },
            KnowledgeError::Unavailable { .. } => Self::transient(KNOWLEDGE_AWAY, error),
            // Somebody must look at it, and asking again now is no use.
            _ => Self::Permanent {
                code: "knowledge_failed",
                kind: FailureKind::Unavailable,
                message: "The knowledge base cannot be searched now.".into(),
                detail: error.to_string(),
            },
        }
    }
}
