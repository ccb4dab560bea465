//! PORT: where passages are written, for those who maintain a knowledge base.

use std::collections::HashMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{DocumentRef, KnowledgeError};

/// A knowledge base that can be changed.
///
/// Only what was written through this port is listed and can be removed: the
/// points of another program in the same collection are left alone.
#[async_trait]
pub trait PassageStore: Send + Sync {
    /// The ids of all passages, with the ids of their documents.
    async fn list(&self) -> Result<HashMap<Uuid, String>, KnowledgeError>;

    /// Adds passages, or replaces those of the same id.
    async fn put(&self, passages: Vec<StoredPassage>) -> Result<(), KnowledgeError>;

    async fn remove(&self, ids: &[Uuid]) -> Result<(), KnowledgeError>;

    /// A run has come to its end, early or not: what was put and removed is kept from now on at the latest. `order` names
    /// the passages that were seen, as they stand in their documents, for a store that keeps an order.
    async fn finish(&self, _order: &[Uuid]) -> Result<(), KnowledgeError> {
        Ok(())
    }
}

/// A passage as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredPassage {
    /// Derived from all that follows but the vector, so that what has not
    /// changed keeps its id.
    pub id: Uuid,
    pub document: DocumentRef,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heading: Option<String>,
    /// Counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    pub text: String,
    /// The embedding of the passage, where an embedder is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<Vec<f32>>,
}
