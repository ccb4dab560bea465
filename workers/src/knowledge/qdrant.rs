//! A collection in Qdrant (1.10 or later), over gRPC.
//!
//! A collection that LangChain wrote is read as it is. One that is made here has the same payload, so that LangChain
//! can read it too, and besides the dense vector a sparse one for the words; without an embedding model, the sparse one
//! alone. What can be searched is found out from the collection itself.

mod batch;
mod config;
mod create;
mod layout;
mod lexical;
mod link;
mod payload;
mod points;
pub mod snapshots;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use qdrant_client::qdrant::GetCollectionInfoRequest;
use qdrant_client::qdrant::collections_client::CollectionsClient;
use qdrant_client::qdrant::points_client::PointsClient;
use tonic::Code;

pub use config::{Address, QdrantConfig};
use layout::{Layout, Lexical};
use link::{CallError, Guarded, Link};

use self::batch::Batch;
use super::embedding;
use super::lexicon::Lexicon;
use super::spell::Spell;
use super::{Description, KnowledgeBase, KnowledgeError, Passage};
use crate::providers::Embedder;
use crate::query::Query;

/// The sparse vector of our collections.
const LEXICAL: &str = "lexical";

type Points = PointsClient<Guarded>;
type Collections = CollectionsClient<Guarded>;

pub struct QdrantKnowledge {
    link: Link,
    address: Address,
    collection: String,
    embedder: Option<Arc<dyn Embedder>>,
    lexicon: Arc<Lexicon>,
    /// As it was found; asked for again after the server contradicts it.
    layout: Mutex<Option<Arc<Layout>>>,
    embedder_outage: Spell,
}

/// The collection cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The server is there and the collection is not: another knowledge base may stand in until it is ingested.
    #[error(
        "there is no collection {collection:?} at {address}; ingest documents into it, \
         restore a snapshot of it, or set QDRANT_COLLECTION_NAME"
    )]
    MissingCollection {
        collection: String,
        address: Address,
    },
    #[error(transparent)]
    Knowledge(#[from] KnowledgeError),
}

impl From<ConnectError> for KnowledgeError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::MissingCollection { .. } => Self::Misconfigured(error.to_string()),
            ConnectError::Knowledge(error) => error,
        }
    }
}

impl QdrantKnowledge {
    /// Connects to nothing yet. To be called within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// [`KnowledgeError::Misconfigured`] when the settings can lead to no connection.
    pub fn new(
        config: &QdrantConfig,
        embedder: Option<Arc<dyn Embedder>>,
        lexicon: Arc<Lexicon>,
    ) -> Result<Self, KnowledgeError> {
        Ok(Self {
            link: Link::new(config)?,
            address: config.address.clone(),
            collection: config.collection.clone(),
            embedder,
            lexicon,
            layout: Mutex::default(),
            embedder_outage: Spell::default(),
        })
    }

    /// Looks at the collection, and says in the log what is searched and how.
    ///
    /// # Errors
    ///
    /// There is no such collection, it does not fit the embedder, or the server is away.
    pub async fn verify(&self) -> Result<(), ConnectError> {
        let layout = self.fetch_layout().await?;
        let embedder = self.embedder.as_deref();
        layout.warn(&self.collection, embedder);
        tracing::info!(
            server = %self.address,
            collection = self.collection,
            passages = layout.points,
            by_meaning = layout.dense.is_some() && embedder.is_some(),
            by_words = layout.lexical == Lexical::Indexed,
            "the collection in Qdrant is searched over gRPC"
        );
        Ok(())
    }

    async fn layout(&self) -> Result<Arc<Layout>, ConnectError> {
        let known = self.lock().clone();
        match known {
            Some(layout) => Ok(layout),
            None => self.fetch_layout().await,
        }
    }

    async fn fetch_layout(&self) -> Result<Arc<Layout>, ConnectError> {
        let call = |mut client: Collections| {
            let request = GetCollectionInfoRequest {
                collection_name: self.collection.clone(),
            };
            async move { client.get(request).await }
        };
        let info = match self.link.collections(call).await {
            Err(error) if error.code() == Some(Code::NotFound) => {
                *self.lock() = None;
                return Err(ConnectError::MissingCollection {
                    collection: self.collection.clone(),
                    address: self.address.clone(),
                });
            }
            answer => answer.map_err(KnowledgeError::from)?,
        };
        let layout = Layout::read(info.result.unwrap_or_default())?;
        layout.check(&self.collection, self.embedder.as_deref())?;
        let layout = Arc::new(layout);
        *self.lock() = Some(Arc::clone(&layout));
        Ok(layout)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<Layout>>> {
        // Replaced as a whole, so it is sound whatever happened to its holder.
        self.layout.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The collection may have been made anew since it was looked at.
    fn failed(&self, error: CallError) -> KnowledgeError {
        if let Some(Code::NotFound | Code::InvalidArgument) = error.code() {
            *self.lock() = None;
        }
        error.into()
    }

    async fn batch(
        &self,
        queries: &[&Query],
        top: usize,
        layout: &Layout,
    ) -> Result<Batch, KnowledgeError> {
        let mut batch = Batch::new(&self.collection, top);
        if let (Some(dense), Some(embedder)) = (&layout.dense, &self.embedder) {
            match embedding::embed(embedder.as_ref(), queries).await {
                Ok(embedded) => {
                    if self.embedder_outage.ends() {
                        tracing::info!("the embedder works again");
                    }
                    batch.by_meaning(embedded, dense.name.as_deref());
                }
                Err(error) if layout.lexical == Lexical::Indexed => {
                    if self.embedder_outage.begins() {
                        tracing::warn!(%error, "the embedder fails, so the search goes by words alone");
                    }
                }
                Err(error) => {
                    return Err(KnowledgeError::Unavailable {
                        reason: format!("the questions cannot be embedded: {error}"),
                        source: Some(Box::new(error)),
                    });
                }
            }
        }
        if layout.lexical == Lexical::Indexed {
            batch.by_words(queries);
        }
        Ok(batch)
    }
}

#[async_trait]
impl KnowledgeBase for QdrantKnowledge {
    async fn search(&self, queries: &[Query], top: usize) -> Result<Vec<Passage>, KnowledgeError> {
        let queries: Vec<&Query> = embedding::searchable(queries).collect();
        if queries.is_empty() || top == 0 {
            return Ok(Vec::new());
        }
        let layout = self.layout().await?;
        let batch = self.batch(&queries, top, &layout).await?;
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let call = |mut client: Points| {
            let request = batch.request();
            async move { client.query_batch(request).await }
        };
        let found = self.link.points(call).await;
        batch.merge(found.map_err(|error| self.failed(error))?, top)
    }

    async fn describe(&self) -> Result<Description, KnowledgeError> {
        let layout = self.fetch_layout().await?;
        Ok(Description {
            backend: "qdrant",
            documents: None,
            passages: usize::try_from(layout.points).unwrap_or(usize::MAX),
        })
    }
}
