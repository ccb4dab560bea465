//! A new collection, for vectors of the embedder and words, or words alone.

use std::collections::HashMap;
use std::sync::Arc;

use qdrant_client::qdrant::vectors_config::Config;
use qdrant_client::qdrant::{
    CreateCollection, CreateFieldIndexCollection, Distance, FieldType, Modifier,
    SparseVectorConfig, SparseVectorParams, Value, VectorParams, VectorsConfig,
};

use super::layout::{EMBEDDING_MODEL, Layout};
use super::{ConnectError, LEXICAL, QdrantKnowledge, payload};
use crate::knowledge::KnowledgeError;
use crate::providers::Embedder;

impl QdrantKnowledge {
    /// The layout of a collection that passages may be written to; made when there is none.
    pub(super) async fn layout_to_write(&self) -> Result<Arc<Layout>, KnowledgeError> {
        let layout = match self.layout().await {
            Err(ConnectError::MissingCollection { .. }) => self.create().await?,
            found => found?,
        };
        if self.embedder.is_some() && layout.dense.is_none() {
            return Err(KnowledgeError::Misconfigured(format!(
                "the collection {:?} was made without an embedding model, and one is configured; \
                 set QDRANT_COLLECTION_NAME to a new name, or delete the collection",
                self.collection
            )));
        }
        Ok(layout)
    }

    async fn create(&self) -> Result<Arc<Layout>, KnowledgeError> {
        let request = request(&self.collection, self.embedder.as_deref());
        let call = |mut client: super::Collections| {
            let request = request.clone();
            async move { client.create(request).await }
        };
        let created = self.link.collections(call).await;
        let layout = match (created, self.layout().await) {
            // Also when another process was faster.
            (_, Ok(layout)) => layout,
            (Err(error), Err(_)) => return Err(error.into()),
            (Ok(_), Err(error)) => return Err(error.into()),
        };
        self.index_our_mark().await?;
        tracing::info!(collection = self.collection, "the collection is made");
        Ok(layout)
    }

    /// A server in strict mode filters by indexed fields alone.
    async fn index_our_mark(&self) -> Result<(), KnowledgeError> {
        let request = CreateFieldIndexCollection {
            collection_name: self.collection.clone(),
            wait: Some(true),
            field_name: payload::WRITTEN_BY.to_owned(),
            field_type: Some(FieldType::Keyword.into()),
            ..CreateFieldIndexCollection::default()
        };
        let call = |mut client: super::Points| {
            let request = request.clone();
            async move { client.create_field_index(request).await }
        };
        self.link.points(call).await?;
        Ok(())
    }
}

fn request(collection: &str, embedder: Option<&dyn Embedder>) -> CreateCollection {
    let dense = embedder.map(|embedder| VectorsConfig {
        config: Some(Config::Params(VectorParams {
            size: embedder.dimension() as u64,
            distance: Distance::Cosine.into(),
            ..VectorParams::default()
        })),
    });
    let lexical = SparseVectorParams {
        modifier: Some(Modifier::Idf.into()),
        ..SparseVectorParams::default()
    };
    let model =
        embedder.map(|embedder| (EMBEDDING_MODEL.to_owned(), Value::from(embedder.model())));
    CreateCollection {
        collection_name: collection.to_owned(),
        vectors_config: dense,
        sparse_vectors_config: Some(SparseVectorConfig {
            map: HashMap::from([(LEXICAL.to_owned(), lexical)]),
        }),
        metadata: model.into_iter().collect(),
        ..CreateCollection::default()
    }
}
