//! From a question to the passages that may answer it.

use std::sync::Arc;

use common::conversation::PastTurn;

use crate::{
    handler::StageError,
    knowledge::{KnowledgeBase, KnowledgeError, Passage},
    query::{Interpreter, Understanding},
};

/// Passages that an answer may be made of.
const PASSAGES: usize = 10;

/// Understands questions and searches for them.
pub struct Retriever {
    interpreter: Interpreter,
    knowledge: Arc<dyn KnowledgeBase>,
}

/// What was found for a question.
pub struct Retrieved {
    pub understanding: Understanding,
    /// Best first.
    pub passages: Vec<Passage>,
}

impl Retriever {
    pub fn new(interpreter: Interpreter, knowledge: Arc<dyn KnowledgeBase>) -> Self {
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
    ) -> Result<Retrieved, KnowledgeError> {
        let earlier: Vec<&str> = history.iter().map(|turn| turn.user.as_str()).collect();
        let understanding = self.interpreter.understand(question, &earlier);
        let passages = match understanding.queries.as_slice() {
            [] => Vec::new(),
            queries => self.knowledge.search(queries, PASSAGES).await?,
        };
        Ok(Retrieved {
            understanding,
            passages,
        })
    }
}

impl From<KnowledgeError> for StageError {
    fn from(error: KnowledgeError) -> Self {
        match error {
            KnowledgeError::Unavailable { .. } => Self::transient("knowledge_unavailable", error),
            _ => Self::internal("knowledge_failed", error),
        }
    }
}
