//! The port behind which the documents are searched.
//!
//! An adapter takes all queries of one turn in one call, so that a remote one can embed and search them in one
//! round trip, and gives back one merged ranking without duplicates. Scores order the passages of one answer to
//! one search; they are not comparable between searches or adapters. Whether the passages *answer* the question
//! is not decided here.
//!
//! - [`index::MemoryIndex`]: lexical, in process, no service needed.
//! - [`hybrid::HybridIndex`]: that and vectors, in process; the queries are embedded by a service.
//! - [`qdrant::QdrantKnowledge`]: a collection in Qdrant, by vectors, by words, or both.

pub mod analyser;
pub mod bm25;
pub mod chunk;
pub mod dense;
pub mod document;
mod embedding;
pub mod fusion;
pub mod headings;
pub mod hybrid;
pub mod index;
pub mod lexicon;
pub mod markdown;
pub mod passages;
mod plain;
pub mod qdrant;
pub mod sentence;
pub mod source;
pub mod spell;
pub mod spelling;
pub mod store;
pub mod vocabulary;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::query::Query;

/// Where documents are searched.
#[async_trait]
pub trait KnowledgeBase: Send + Sync {
    /// The passages that fit the queries best, best first, at most `top`, each once.
    ///
    /// Every query contributes: with two questions in one turn the ranking holds passages for both.
    /// No query, or none with a term to search for, gives no passage; that is not an error.
    async fn search(&self, queries: &[Query], top: usize) -> Result<Vec<Passage>, KnowledgeError>;

    /// What is searched, for health reports and start-up logs.
    async fn describe(&self) -> Result<Description, KnowledgeError>;
}

/// One retrieved piece of a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Passage {
    /// Unique within the knowledge base.
    pub id: String,
    pub document: DocumentRef,
    /// The heading of the section that holds the passage.
    pub heading: Option<String>,
    /// The page in the original, counted from 1, where the source has pages.
    pub page: Option<u32>,
    /// The text as it may be quoted: Markdown marks removed, one line per paragraph and per list item.
    pub text: String,
    /// Higher fits better; comparable within one search only.
    pub score: f32,
}

/// The document that a passage is from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentRef {
    pub id: String,
    pub title: String,
    pub url: Option<String>,
}

impl DocumentRef {
    const LONGEST_ID: usize = 1_000;
    const LONGEST_TITLE: usize = 300;
    /// Browsers give up on longer addresses at about this.
    const LONGEST_URL: usize = 2_048;

    /// Short enough, in bytes, to be repeated by each passage of a document: a file of two megabytes can hold a title of
    /// one and ten thousand passages. Ids and titles are cut; half an address leads nowhere and is left out.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        for (text, limit) in [
            (&mut self.id, Self::LONGEST_ID),
            (&mut self.title, Self::LONGEST_TITLE),
        ] {
            text.truncate(text.floor_char_boundary(limit));
        }
        self.url = self.url.filter(|url| url.len() <= Self::LONGEST_URL);
        self
    }
}

/// What a knowledge base holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Description {
    /// Which adapter answers, for example `memory`.
    pub backend: &'static str,
    /// `None` where they are not counted: a collection of passages knows its documents by looking at each passage.
    pub documents: Option<usize>,
    pub passages: usize,
}

/// Why a search gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum KnowledgeError {
    /// The service behind the port did not answer in time or refused for now; trying again can help.
    #[error("the knowledge base is not available: {reason}")]
    Unavailable {
        reason: String,
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// Settings or credentials are wrong; trying again does not help.
    #[error("the knowledge base is set up wrongly: {0}")]
    Misconfigured(String),
    /// What came back cannot be understood; someone must look at it.
    #[error("the knowledge base answered with something unexpected: {0}")]
    Unexpected(String),
}
