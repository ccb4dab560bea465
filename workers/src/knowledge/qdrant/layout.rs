//! What a collection holds of each point, and whether it fits the embedder.

use std::collections::HashMap;

use qdrant_client::qdrant::vectors_config::Config;
use qdrant_client::qdrant::{CollectionInfo, Distance, VectorParams, VectorsConfig};

use super::LEXICAL;
use super::payload::text;
use crate::knowledge::KnowledgeError;
use crate::providers::Embedder;

/// Where a collection of ours notes the model of its vectors.
pub(super) const EMBEDDING_MODEL: &str = "embedding_model";

/// The vectors of a collection.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Layout {
    pub(super) dense: Option<Dense>,
    pub(super) lexical: Lexical,
    /// Passages, as far as the server counts them.
    pub(super) points: u64,
    /// Whose vectors they are, where the collection says so.
    pub(super) model: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dense {
    /// `None` for the unnamed vector.
    pub(super) name: Option<String>,
    pub(super) dimension: u64,
    distance: Distance,
}

/// Whether the words of a passage can be searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lexical {
    Indexed,
    Absent,
}

impl Layout {
    /// Of several dense vectors with names, none is taken: nothing says which one the embedder's are.
    pub(super) fn read(info: CollectionInfo) -> Result<Self, KnowledgeError> {
        let points = info.points_count.unwrap_or_default();
        let config = info.config.unwrap_or_default();
        let model = config.metadata.get(EMBEDDING_MODEL).and_then(text);
        let params = config.params.unwrap_or_default();
        let sparse = params.sparse_vectors_config.unwrap_or_default().map;
        Ok(Self {
            dense: dense(params.vectors_config)?,
            lexical: if sparse.contains_key(LEXICAL) {
                Lexical::Indexed
            } else {
                Lexical::Absent
            },
            points,
            model,
        })
    }

    /// Whether vectors of `embedder` can be searched for here, or kept here.
    ///
    /// # Errors
    ///
    /// [`KnowledgeError::Misconfigured`], in words that name what to change.
    pub(super) fn check(
        &self,
        collection: &str,
        embedder: Option<&dyn Embedder>,
    ) -> Result<(), KnowledgeError> {
        let (dense, embedder) = match (&self.dense, embedder, self.lexical) {
            (Some(dense), Some(embedder), _) => (dense, embedder),
            (_, _, Lexical::Indexed) => return Ok(()),
            (Some(_), None, Lexical::Absent) => return Err(needs_embedder(collection)),
            (None, _, Lexical::Absent) => return Err(has_no_vector(collection)),
        };
        if dense.dimension == embedder.dimension() as u64 {
            return Ok(());
        }
        Err(KnowledgeError::Misconfigured(format!(
            "the collection {collection:?} holds vectors of {} numbers, but the embedding model {} makes {}; \
             set EMBEDDING_MODEL and EMBEDDING_DIMENSION to those that the collection was made with, \
             or QDRANT_COLLECTION_NAME to another collection",
            dense.dimension,
            embedder.model(),
            embedder.dimension()
        )))
    }

    /// Says in the log what works less well than it could.
    pub(super) fn warn(&self, collection: &str, embedder: Option<&dyn Embedder>) {
        if let Some(dense) = &self.dense
            && !matches!(dense.distance, Distance::Cosine | Distance::Dot)
        {
            let distance = dense.distance.as_str_name();
            tracing::warn!(
                collection,
                distance,
                "the collection measures distances in a way that text embeddings are not made for"
            );
        }
        let Some(embedder) = embedder else {
            if self.dense.is_some() {
                tracing::warn!(
                    collection,
                    "no embedding model is configured, so the collection is searched by words alone"
                );
            }
            return;
        };
        if self.dense.is_none() {
            tracing::warn!(
                collection,
                "the collection holds no embeddings, so it is searched by words alone; ingest it anew to change that"
            );
        }
        if let Some(model) = &self.model
            && short(model) != short(embedder.model())
        {
            tracing::warn!(
                collection,
                written_with = model,
                searched_with = embedder.model(),
                "the collection was written with another embedding model; what is found may fit badly"
            );
        }
    }
}

/// One model has several names: `openai/text-embedding-3-large`, `text-embedding-3-large`.
fn short(model: &str) -> String {
    let name = model.rsplit_once('/').map_or(model, |(_, name)| name);
    name.to_ascii_lowercase()
}

fn dense(config: Option<VectorsConfig>) -> Result<Option<Dense>, KnowledgeError> {
    let of = |name: Option<String>, params: &VectorParams| Dense {
        // The server knows the unnamed vector by an empty name.
        name: name.filter(|name| !name.is_empty()),
        dimension: params.size,
        distance: params.distance(),
    };
    match config.and_then(|config| config.config) {
        None => Ok(None),
        Some(Config::Params(params)) => Ok(Some(of(None, &params))),
        Some(Config::ParamsMap(map)) => match only(&map.map)? {
            None => Ok(None),
            Some((name, params)) => Ok(Some(of(Some(name.clone()), params))),
        },
    }
}

fn only(
    map: &HashMap<String, VectorParams>,
) -> Result<Option<(&String, &VectorParams)>, KnowledgeError> {
    if map.len() > 1 {
        let mut names: Vec<&str> = map.keys().map(String::as_str).collect();
        names.sort_unstable();
        return Err(KnowledgeError::Misconfigured(format!(
            "the collection has several dense vectors ({}); it must have one, named or not",
            names.join(", ")
        )));
    }
    Ok(map.iter().next())
}

fn needs_embedder(collection: &str) -> KnowledgeError {
    KnowledgeError::Misconfigured(format!(
        "the collection {collection:?} can be searched by embeddings alone, and no embedding model is configured; \
         set EMBEDDING_MODEL, EMBEDDING_DIMENSION and the key of their provider"
    ))
}

fn has_no_vector(collection: &str) -> KnowledgeError {
    KnowledgeError::Misconfigured(format!(
        "the collection {collection:?} has neither a dense vector nor the sparse vector {LEXICAL:?}, so it cannot be \
         searched; set QDRANT_COLLECTION_NAME to another one, or ingest into a new one"
    ))
}
