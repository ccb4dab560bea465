//! Answers from the documents' own sentences, without a language model.

use std::sync::Arc;

use async_trait::async_trait;
use common::{
    conversation::PastTurn,
    turn::{Answer, Citation},
};

use crate::{
    eval::{self, Outcome, Question},
    handler::StageError,
    knowledge::{
        KnowledgeBase, KnowledgeError, document::Document, index::MemoryIndex, lexicon::Lexicon,
    },
    providers::{
        Answerer,
        extractive::{self, Extractive, Institution},
    },
    query::Interpreter,
};

const PROVIDER: &str = "extractive";

/// Passages that an answer may be made of.
const PASSAGES: usize = 10;

pub struct LocalAnswerer {
    interpreter: Interpreter,
    knowledge: Arc<dyn KnowledgeBase>,
    extractive: Extractive,
}

impl LocalAnswerer {
    /// Over an index of `documents` in memory.
    pub fn new(documents: &[Document], institution: Institution) -> Self {
        let lexicon = Arc::new(Lexicon::bundled());
        let index = Arc::new(MemoryIndex::build(documents, &lexicon));
        Self {
            interpreter: Interpreter::new(Arc::clone(&lexicon), index.clone()),
            extractive: Extractive::new(lexicon, index.clone(), institution),
            knowledge: index,
        }
    }
}

impl LocalAnswerer {
    /// Asks `question` for its measures.
    ///
    /// # Errors
    ///
    /// The knowledge base could not be searched.
    pub async fn measure(&self, question: &Question) -> Result<Outcome, KnowledgeError> {
        let knowledge = self.knowledge.as_ref();
        eval::ask(question, &self.interpreter, knowledge, &self.extractive).await
    }
}

#[async_trait]
impl Answerer for LocalAnswerer {
    async fn answer(&self, question: &str, history: &[PastTurn]) -> Result<Answer, StageError> {
        let earlier: Vec<&str> = history.iter().map(|turn| turn.user.as_str()).collect();
        let understanding = self.interpreter.understand(question, &earlier);
        let passages = self
            .knowledge
            .search(&understanding.queries, PASSAGES)
            .await
            .map_err(|error| match error {
                KnowledgeError::Unavailable { .. } => {
                    StageError::transient("knowledge_unavailable", error)
                }
                _ => StageError::internal("knowledge_failed", error),
            })?;
        let answer = self.extractive.answer(&understanding, &passages);
        Ok(Answer {
            text: answer.text_without_marks(),
            citations: answer.citations.into_iter().map(citation).collect(),
            provider: PROVIDER.to_owned(),
        })
    }
}

fn citation(cited: extractive::Citation) -> Citation {
    Citation {
        n: u32::try_from(cited.n).unwrap_or(u32::MAX),
        title: cited.title,
        url: cited.url.unwrap_or_default(),
        quote: cited.quote,
        score: Some(cited.score),
    }
}
