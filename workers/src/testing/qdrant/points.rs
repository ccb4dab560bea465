//! Points written, removed, listed and searched.

use std::collections::HashMap;

use qdrant_client::qdrant::point_id::PointIdOptions;
use qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use qdrant_client::qdrant::points_server::Points;
use qdrant_client::qdrant::vectors::VectorsOptions;
use qdrant_client::qdrant::{
    BatchResult, CreateFieldIndexCollection, DeletePoints, PointId, PointStruct,
    PointsOperationResponse, QueryBatchPoints, QueryBatchResponse, QueryPoints, RetrievedPoint,
    ScoredPoint, ScrollPoints, ScrollResponse, UpsertPoints, Vector, vector,
};
use tonic::Status;

use super::scoring::{check, matches, score};
use super::{Collection, Point, Served, Stored, serve};

serve! {
    Points {
        served {
            upsert(UpsertPoints) -> PointsOperationResponse via on_upsert;
            delete(DeletePoints) -> PointsOperationResponse via on_delete;
            create_field_index(CreateFieldIndexCollection) -> PointsOperationResponse via on_index;
            scroll(ScrollPoints) -> ScrollResponse via on_scroll;
            query_batch(QueryBatchPoints) -> QueryBatchResponse via on_query_batch;
        }
        absent {
            get(GetPoints) -> GetResponse;
            update_vectors(UpdatePointVectors) -> PointsOperationResponse;
            delete_vectors(DeletePointVectors) -> PointsOperationResponse;
            set_payload(SetPayloadPoints) -> PointsOperationResponse;
            overwrite_payload(SetPayloadPoints) -> PointsOperationResponse;
            delete_payload(DeletePayloadPoints) -> PointsOperationResponse;
            clear_payload(ClearPayloadPoints) -> PointsOperationResponse;
            delete_field_index(DeleteFieldIndexCollection) -> PointsOperationResponse;
            create_vector_name(CreateVectorNameRequest) -> PointsOperationResponse;
            delete_vector_name(DeleteVectorNameRequest) -> PointsOperationResponse;
            search(SearchPoints) -> SearchResponse;
            search_batch(SearchBatchPoints) -> SearchBatchResponse;
            search_groups(SearchPointGroups) -> SearchGroupsResponse;
            recommend(RecommendPoints) -> RecommendResponse;
            recommend_batch(RecommendBatchPoints) -> RecommendBatchResponse;
            recommend_groups(RecommendPointGroups) -> RecommendGroupsResponse;
            discover(DiscoverPoints) -> DiscoverResponse;
            discover_batch(DiscoverBatchPoints) -> DiscoverBatchResponse;
            count(CountPoints) -> CountResponse;
            update_batch(UpdateBatchPoints) -> UpdateBatchResponse;
            query(QueryPoints) -> QueryResponse;
            query_groups(QueryPointGroups) -> QueryGroupsResponse;
            facet(FacetCounts) -> FacetResponse;
            search_matrix_pairs(SearchMatrixPoints) -> SearchMatrixPairsResponse;
            search_matrix_offsets(SearchMatrixPoints) -> SearchMatrixOffsetsResponse;
        }
    }
}

impl Served {
    fn on_upsert(&self, request: UpsertPoints) -> Result<PointsOperationResponse, Status> {
        self.with(&request.collection_name, |collection| {
            for point in request.points {
                let (id, point) = kept(point)?;
                check(&point, &collection.made_with)?;
                collection.points.insert(id, point);
            }
            Ok(PointsOperationResponse::default())
        })
    }

    fn on_delete(&self, request: DeletePoints) -> Result<PointsOperationResponse, Status> {
        let selector = request
            .points
            .and_then(|points| points.points_selector_one_of);
        let Some(PointsSelectorOneOf::Filter(filter)) = selector else {
            return Err(Status::unimplemented("points are deleted by a filter here"));
        };
        self.with(&request.collection_name, |collection| {
            let goes = |id: &String, point: &mut Point| matches(&filter, id, point);
            collection.points.retain(|id, point| !goes(id, point));
            Ok(PointsOperationResponse::default())
        })
    }

    fn on_index(
        &self,
        request: CreateFieldIndexCollection,
    ) -> Result<PointsOperationResponse, Status> {
        self.with(&request.collection_name, |collection| {
            collection.indexed.push(request.field_name);
            Ok(PointsOperationResponse::default())
        })
    }

    fn on_scroll(&self, request: ScrollPoints) -> Result<ScrollResponse, Status> {
        let filter = request.filter.unwrap_or_default();
        let first = request.offset.map(text).unwrap_or_default();
        let limit = request.limit.unwrap_or(10) as usize;
        self.with(&request.collection_name, |collection| {
            let mut fitting = collection
                .points
                .range(first..)
                .filter(|(id, point)| matches(&filter, id, point));
            let result = fitting.by_ref().take(limit);
            let result = result.map(|(id, point)| RetrievedPoint {
                id: Some(PointId::from(id.as_str())),
                payload: point.payload.clone(),
                ..RetrievedPoint::default()
            });
            Ok(ScrollResponse {
                result: result.collect(),
                next_page_offset: fitting.next().map(|(id, _)| PointId::from(id.as_str())),
                ..ScrollResponse::default()
            })
        })
    }

    fn on_query_batch(&self, request: QueryBatchPoints) -> Result<QueryBatchResponse, Status> {
        self.with(&request.collection_name, |collection| {
            let results = request.query_points.into_iter();
            let results = results.map(|query| nearest(collection, query));
            Ok(QueryBatchResponse {
                result: results.collect::<Result<_, _>>()?,
                ..QueryBatchResponse::default()
            })
        })
    }
}

fn nearest(collection: &Collection, query: QueryPoints) -> Result<BatchResult, Status> {
    let limit = query.limit.unwrap_or(10) as usize;
    let mut found: Vec<(f32, &String, &Point)> = score(collection, query)?;
    found.sort_by(|left, right| right.0.total_cmp(&left.0));
    let found = found.into_iter().take(limit);
    let result = found.map(|(score, id, point)| ScoredPoint {
        id: Some(PointId::from(id.as_str())),
        payload: point.payload.clone(),
        score,
        ..ScoredPoint::default()
    });
    Ok(BatchResult {
        result: result.collect(),
    })
}

fn kept(point: PointStruct) -> Result<(String, Point), Status> {
    let id = point.id.map(text);
    let id = id.ok_or_else(|| Status::invalid_argument("a point without an id"))?;
    let vectors = point.vectors.and_then(|vectors| vectors.vectors_options);
    let vectors = match vectors {
        None => HashMap::new(),
        Some(VectorsOptions::Vector(vector)) => HashMap::from([(String::new(), vector)]),
        Some(VectorsOptions::Vectors(named)) => named.vectors,
    };
    let vectors = vectors
        .into_iter()
        .map(|(name, vector)| Ok((name, stored(vector)?)));
    let point = Point {
        payload: point.payload,
        vectors: vectors.collect::<Result<_, Status>>()?,
    };
    Ok((id, point))
}

fn stored(vector: Vector) -> Result<Stored, Status> {
    match vector.vector {
        Some(vector::Vector::Dense(dense)) => Ok(Stored::Dense(dense.data)),
        Some(vector::Vector::Sparse(sparse)) => {
            let numbers = sparse.indices.len();
            let terms = sparse.indices.into_iter().zip(sparse.values);
            let terms: std::collections::BTreeMap<u32, f32> = terms.collect();
            if terms.len() != numbers {
                return Err(Status::invalid_argument("indices must be unique"));
            }
            Ok(Stored::Sparse(terms))
        }
        _ => Err(Status::invalid_argument("a vector of another kind")),
    }
}

fn text(id: PointId) -> String {
    match id.point_id_options {
        Some(PointIdOptions::Uuid(uuid)) => uuid,
        Some(PointIdOptions::Num(number)) => number.to_string(),
        None => String::new(),
    }
}
