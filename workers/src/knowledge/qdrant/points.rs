//! Passages written to a collection, listed and removed.

use std::collections::HashMap;

use async_trait::async_trait;
use qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use qdrant_client::qdrant::vectors::VectorsOptions;
use qdrant_client::qdrant::with_payload_selector::SelectorOptions;
use qdrant_client::qdrant::{
    Condition, DeletePoints, DenseVector, Filter, NamedVectors, PayloadIncludeSelector, PointId,
    PointStruct, PointsSelector, RetrievedPoint, ScrollPoints, UpsertPoints, Vector, Vectors,
    WithPayloadSelector, vector,
};
use uuid::Uuid;

use super::layout::{Layout, Lexical};
use super::{ConnectError, LEXICAL, QdrantKnowledge, lexical, payload};
use crate::knowledge::KnowledgeError;
use crate::knowledge::store::{PassageStore, StoredPassage};

/// Passages sent at once: 1.6 MB of vectors at 4,096 dimensions, where the server takes 32 MB.
const PUT_AT_ONCE: usize = 100;

/// Ids listed or removed at once.
const IDS_AT_ONCE: usize = 1_000;

#[async_trait]
impl PassageStore for QdrantKnowledge {
    /// An absent collection has none.
    async fn list(&self) -> Result<HashMap<Uuid, String>, KnowledgeError> {
        match self.layout().await {
            Err(ConnectError::MissingCollection { .. }) => return Ok(HashMap::new()),
            found => found?,
        };
        let mut all = HashMap::new();
        let mut offset: Option<PointId> = None;
        loop {
            let request = self.page_of_ours(offset.clone());
            let call = |mut client: super::Points| {
                let request = request.clone();
                async move { client.scroll(request).await }
            };
            let page = self.link.points(call).await;
            let page = page.map_err(|error| self.failed(error))?;
            all.extend(page.result.into_iter().filter_map(listed));
            if page.next_page_offset.is_none() {
                return Ok(all);
            }
            if page.next_page_offset == offset {
                let reason = "the list of points does not end".to_owned();
                return Err(KnowledgeError::Unexpected(reason));
            }
            offset = page.next_page_offset;
        }
    }

    /// Makes the collection when there is none.
    async fn put(&self, passages: Vec<StoredPassage>) -> Result<(), KnowledgeError> {
        if passages.is_empty() {
            return Ok(());
        }
        let layout = self.layout_to_write().await?;
        for passages in passages.chunks(PUT_AT_ONCE) {
            let points = passages.iter().map(|passage| self.point(passage, &layout));
            let points = points.collect::<Result<Vec<_>, _>>()?;
            let request = UpsertPoints {
                collection_name: self.collection.clone(),
                wait: Some(true),
                points,
                ..UpsertPoints::default()
            };
            let call = |mut client: super::Points| {
                let request = request.clone();
                async move { client.upsert(request).await }
            };
            let done = self.link.points(call).await;
            done.map_err(|error| self.failed(error))?;
        }
        Ok(())
    }

    async fn remove(&self, ids: &[Uuid]) -> Result<(), KnowledgeError> {
        for ids in ids.chunks(IDS_AT_ONCE) {
            let ids = ids.iter().map(Uuid::to_string);
            let filter = Filter::must([Condition::has_id(ids), ours()]);
            let selector = PointsSelectorOneOf::Filter(filter);
            let request = DeletePoints {
                collection_name: self.collection.clone(),
                wait: Some(true),
                points: Some(PointsSelector {
                    points_selector_one_of: Some(selector),
                }),
                ..DeletePoints::default()
            };
            let call = |mut client: super::Points| {
                let request = request.clone();
                async move { client.delete(request).await }
            };
            let done = self.link.points(call).await;
            done.map_err(|error| self.failed(error))?;
        }
        Ok(())
    }
}

impl QdrantKnowledge {
    fn page_of_ours(&self, offset: Option<PointId>) -> ScrollPoints {
        let fields = vec![payload::DOCUMENT_ID.to_owned()];
        let fields = SelectorOptions::Include(PayloadIncludeSelector { fields });
        ScrollPoints {
            collection_name: self.collection.clone(),
            filter: Some(Filter::must([ours()])),
            offset,
            limit: Some(IDS_AT_ONCE as u32),
            with_payload: Some(WithPayloadSelector {
                selector_options: Some(fields),
            }),
            ..ScrollPoints::default()
        }
    }

    fn point(
        &self,
        passage: &StoredPassage,
        layout: &Layout,
    ) -> Result<PointStruct, KnowledgeError> {
        let mut vectors = HashMap::new();
        if let Some(dense) = &layout.dense {
            let data = self.checked(passage, dense.dimension)?;
            let name = dense.name.clone().unwrap_or_default();
            vectors.insert(name, named(vector::Vector::Dense(DenseVector { data })));
        }
        if layout.lexical == Lexical::Indexed {
            let words = lexical::of_passage(passage, &self.lexicon);
            if !words.indices.is_empty() {
                vectors.insert(LEXICAL.to_owned(), named(vector::Vector::Sparse(words)));
            }
        }
        let vectors = VectorsOptions::Vectors(NamedVectors { vectors });
        Ok(PointStruct {
            id: Some(passage.id.to_string().into()),
            payload: payload::of_passage(passage),
            vectors: Some(Vectors {
                vectors_options: Some(vectors),
            }),
        })
    }

    /// The vector of a passage, if it is one for this collection.
    fn checked(&self, passage: &StoredPassage, dimension: u64) -> Result<Vec<f32>, KnowledgeError> {
        let collection = &self.collection;
        match &passage.vector {
            Some(vector) if vector.len() as u64 == dimension => Ok(vector.clone()),
            Some(vector) => Err(KnowledgeError::Misconfigured(format!(
                "a passage carries a vector of {} numbers, but the collection {collection:?} holds vectors of \
                 {dimension}; set EMBEDDING_MODEL and EMBEDDING_DIMENSION to those that the collection was made with",
                vector.len()
            ))),
            None => Err(KnowledgeError::Misconfigured(format!(
                "the collection {collection:?} holds embeddings, and a passage carries none; \
                 set EMBEDDING_MODEL and EMBEDDING_DIMENSION to those that the collection was made with"
            ))),
        }
    }
}

fn named(vector: vector::Vector) -> Vector {
    Vector {
        vector: Some(vector),
        ..Vector::default()
    }
}

fn ours() -> Condition {
    Condition::matches(payload::WRITTEN_BY, payload::OURS.to_owned())
}

/// A point under an id that is no UUID is not of ours, whatever it says.
fn listed(point: RetrievedPoint) -> Option<(Uuid, String)> {
    let id = Uuid::parse_str(&payload::id(point.id)?).ok()?;
    let document = payload::at(&point.payload, payload::DOCUMENT_ID).and_then(payload::text);
    Some((id, document.unwrap_or_default()))
}
