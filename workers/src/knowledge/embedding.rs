//! The vectors of a turn's queries.

use crate::handler::StageError;
use crate::providers::{Embedder, Purpose, failure};
use crate::query::Query;

/// The vector of a query, and how much the query counts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Embedded {
    pub(super) weight: f32,
    pub(super) vector: Vec<f32>,
}

/// The queries that ask for something.
pub(super) fn searchable(queries: &[Query]) -> impl Iterator<Item = &Query> {
    queries.iter().filter(|query| !query.terms.is_empty())
}

/// Embeds all queries in one call. One without text has no vector.
pub(super) async fn embed(
    embedder: &dyn Embedder,
    queries: &[&Query],
) -> Result<Vec<Embedded>, StageError> {
    let queries: Vec<&&Query> = queries
        .iter()
        .filter(|query| !query.text.trim().is_empty())
        .collect();
    if queries.is_empty() {
        return Ok(Vec::new());
    }
    let texts: Vec<String> = queries.iter().map(|query| query.text.clone()).collect();
    let vectors = embedder.embed(&texts, Purpose::Query).await?;
    check(embedder, texts.len(), &vectors)?;
    let weighted = queries.into_iter().zip(vectors);
    Ok(weighted
        .map(|(query, vector)| Embedded {
            weight: query.weight,
            vector,
        })
        .collect())
}

/// A vector too few would give one question the passages of another.
fn check(embedder: &dyn Embedder, texts: usize, vectors: &[Vec<f32>]) -> Result<(), StageError> {
    if vectors.len() != texts {
        let reason = format!("{} vectors for {texts} texts", vectors.len());
        return Err(failure::unexpected(embedder.model(), reason));
    }
    let expected = embedder.dimension();
    match vectors.iter().find(|vector| vector.len() != expected) {
        None => Ok(()),
        Some(vector) => {
            let reason = format!("a vector of {} numbers instead of {expected}", vector.len());
            Err(failure::unexpected(embedder.model(), reason))
        }
    }
}
