//! All searches of a turn as one request, and its answer as one ranking.

use std::collections::HashMap;

use qdrant_client::qdrant::query::Variant;
use qdrant_client::qdrant::with_payload_selector::SelectorOptions;
use qdrant_client::qdrant::{
    DenseVector, PayloadIncludeSelector, Query as PointQuery, QueryBatchPoints, QueryBatchResponse,
    QueryPoints, ScoredPoint, VectorInput, WithPayloadSelector, vector_input,
};

use super::{LEXICAL, lexical, payload};
use crate::knowledge::embedding::Embedded;
use crate::knowledge::fusion::{Ranking, distinct, fuse};
use crate::knowledge::{KnowledgeError, Passage};
use crate::query::Query;

/// How many points each search of a turn brings. More than five, so that what is second by words and by meaning can
/// beat what is first by words alone; the upper bound is for callers who ask for very much.
const EACH: std::ops::RangeInclusive<usize> = 10..=100;

/// Searches to be sent together.
pub(super) struct Batch {
    collection: String,
    each: u64,
    searches: Vec<QueryPoints>,
    weights: Vec<f32>,
}

impl Batch {
    pub(super) fn new(collection: &str, top: usize) -> Self {
        Self {
            collection: collection.to_owned(),
            each: top.clamp(*EACH.start(), *EACH.end()) as u64,
            searches: Vec::new(),
            weights: Vec::new(),
        }
    }

    /// Searches by meaning in the vector `name`, or the unnamed one.
    pub(super) fn by_meaning(&mut self, embedded: Vec<Embedded>, name: Option<&str>) {
        for Embedded { weight, vector } in embedded {
            let vector = vector_input::Variant::Dense(DenseVector { data: vector });
            self.push(weight, vector, name);
        }
    }

    pub(super) fn by_words(&mut self, queries: &[&Query]) {
        for query in queries {
            let vector = lexical::of_query(query);
            if !vector.indices.is_empty() {
                let vector = vector_input::Variant::Sparse(vector);
                self.push(query.weight, vector, Some(LEXICAL));
            }
        }
    }

    fn push(&mut self, weight: f32, vector: vector_input::Variant, name: Option<&str>) {
        let nearest = Variant::Nearest(VectorInput {
            variant: Some(vector),
        });
        let fields = vec![payload::TEXT.to_owned(), payload::METADATA.to_owned()];
        let fields = SelectorOptions::Include(PayloadIncludeSelector { fields });
        self.searches.push(QueryPoints {
            collection_name: self.collection.clone(),
            query: Some(PointQuery {
                variant: Some(nearest),
            }),
            using: name.map(str::to_owned),
            limit: Some(self.each),
            with_payload: Some(WithPayloadSelector {
                selector_options: Some(fields),
            }),
            ..QueryPoints::default()
        });
        self.weights.push(weight);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.searches.is_empty()
    }

    pub(super) fn request(&self) -> QueryBatchPoints {
        QueryBatchPoints {
            collection_name: self.collection.clone(),
            query_points: self.searches.clone(),
            ..QueryBatchPoints::default()
        }
    }

    /// The best `top` passages of all searches.
    pub(super) fn merge(
        &self,
        response: QueryBatchResponse,
        top: usize,
    ) -> Result<Vec<Passage>, KnowledgeError> {
        let (asked, answered) = (self.weights.len(), response.result.len());
        if asked != answered {
            let reason = format!("{answered} rankings for {asked} searches");
            return Err(KnowledgeError::Unexpected(reason));
        }
        let mut points: HashMap<String, ScoredPoint> = HashMap::new();
        let mut rankings = Vec::with_capacity(asked);
        for (weight, result) in self.weights.iter().zip(response.result) {
            let mut found = Vec::with_capacity(result.result.len());
            for mut point in result.result {
                if let Some(id) = payload::id(point.id.take()) {
                    found.push(id.clone());
                    points.insert(id, point);
                }
            }
            rankings.push(Ranking {
                weight: *weight,
                found,
            });
        }
        let passages = fuse(rankings).into_iter().filter_map(|(id, score)| {
            let point = points.get(&id)?;
            payload::passage(&id, &point.payload, score)
        });
        Ok(distinct(passages, top))
    }
}
