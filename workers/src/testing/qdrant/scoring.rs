//! What fits a filter, and how near a point is.

use std::collections::{BTreeMap, HashMap};

use qdrant_client::qdrant::condition::ConditionOneOf;
use qdrant_client::qdrant::r#match::MatchValue;
use qdrant_client::qdrant::point_id::PointIdOptions;
use qdrant_client::qdrant::query::Variant;
use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::vectors_config::Config;
use qdrant_client::qdrant::{
    Condition, CreateCollection, Filter, QueryPoints, Value, VectorInput, vector_input,
};
use tonic::Status;

use super::{Collection, Point, Stored};

pub(super) fn matches(filter: &Filter, id: &str, point: &Point) -> bool {
    filter
        .must
        .iter()
        .all(|condition| fits(condition, id, point))
}

fn fits(condition: &Condition, id: &str, point: &Point) -> bool {
    match &condition.condition_one_of {
        Some(ConditionOneOf::HasId(wanted)) => wanted.has_id.iter().any(|wanted| {
            matches!(&wanted.point_id_options, Some(PointIdOptions::Uuid(uuid)) if uuid == id)
        }),
        Some(ConditionOneOf::Field(field)) => {
            let wanted = field.r#match.as_ref();
            let wanted = wanted.and_then(|wanted| wanted.match_value.as_ref());
            let found = at(&point.payload, &field.key);
            matches!(
                (wanted, found.and_then(|found| found.kind.as_ref())),
                (Some(MatchValue::Keyword(wanted)), Some(Kind::StringValue(found))) if wanted == found
            )
        }
        _ => false,
    }
}

fn at<'a>(payload: &'a HashMap<String, Value>, path: &str) -> Option<&'a Value> {
    match path.split_once('.') {
        None => payload.get(path),
        Some((outer, inner)) => match payload.get(outer)?.kind.as_ref()? {
            Kind::StructValue(fields) => at(&fields.fields, inner),
            _ => None,
        },
    }
}

/// Refuses vectors that the collection has no place for, in the server's words.
pub(super) fn check(point: &Point, made_with: &CreateCollection) -> Result<(), Status> {
    for (name, vector) in &point.vectors {
        match vector {
            Stored::Sparse(_) => {
                let sparse = made_with.sparse_vectors_config.as_ref();
                if !sparse.is_some_and(|sparse| sparse.map.contains_key(name)) {
                    return Err(unknown(name));
                }
            }
            Stored::Dense(vector) => {
                let expected = dimension(made_with, name).ok_or_else(|| unknown(name))?;
                check_dimension(expected, vector.len())?;
            }
        }
    }
    Ok(())
}

fn unknown(name: &str) -> Status {
    Status::invalid_argument(format!(
        "Wrong input: Not existing vector name error: {name}"
    ))
}

fn check_dimension(expected: u64, found: usize) -> Result<(), Status> {
    if expected == found as u64 {
        return Ok(());
    }
    let said =
        format!("Wrong input: Vector dimension error: expected dim: {expected}, got {found}");
    Err(Status::invalid_argument(said))
}

fn dimension(made_with: &CreateCollection, name: &str) -> Option<u64> {
    match made_with.vectors_config.as_ref()?.config.as_ref()? {
        Config::Params(params) => name.is_empty().then_some(params.size),
        Config::ParamsMap(map) => map.map.get(name).map(|params| params.size),
    }
}

/// The points that have the vector, with their scores. As with a server, a point that shares no word with a sparse
/// query is not among them.
pub(super) fn score(
    collection: &Collection,
    query: QueryPoints,
) -> Result<Vec<(f32, &String, &Point)>, Status> {
    let name = query.using.unwrap_or_default();
    let variant = query.query.and_then(|query| query.variant);
    let Some(Variant::Nearest(VectorInput {
        variant: Some(wanted),
    })) = variant
    else {
        return Err(Status::unimplemented("only the nearest are found here"));
    };
    let points = collection.points.iter();
    match wanted {
        vector_input::Variant::Dense(wanted) => {
            let expected = dimension(&collection.made_with, &name).ok_or_else(|| unknown(&name))?;
            check_dimension(expected, wanted.data.len())?;
            let scored = points.filter_map(|(id, point)| match point.vectors.get(&name)? {
                Stored::Dense(vector) => Some((cosine(vector, &wanted.data), id, point)),
                Stored::Sparse(_) => None,
            });
            Ok(scored.collect())
        }
        vector_input::Variant::Sparse(wanted) => {
            let sparse = collection.made_with.sparse_vectors_config.as_ref();
            if !sparse.is_some_and(|sparse| sparse.map.contains_key(&name)) {
                return Err(unknown(&name));
            }
            let wanted: BTreeMap<u32, f32> =
                wanted.indices.into_iter().zip(wanted.values).collect();
            let weighed = weigh(collection, &name, wanted);
            let scored = points.filter_map(|(id, point)| {
                let Stored::Sparse(vector) = point.vectors.get(&name)? else {
                    return None;
                };
                let score: f32 = weighed
                    .iter()
                    .filter_map(|(term, weight)| Some(weight * vector.get(term)?))
                    .sum();
                (score > 0.0).then_some((score, id, point))
            });
            Ok(scored.collect())
        }
        _ => Err(Status::unimplemented("another kind of vector")),
    }
}

/// Multiplies by the inverse document frequency, as `Modifier::Idf` does.
fn weigh(collection: &Collection, name: &str, wanted: BTreeMap<u32, f32>) -> BTreeMap<u32, f32> {
    let all = collection.points.len() as f32;
    let weigh = |(term, weight): (u32, f32)| {
        let holds = |point: &&Point| matches!(point.vectors.get(name), Some(Stored::Sparse(vector)) if vector.contains_key(&term));
        let held_by = collection.points.values().filter(holds).count() as f32;
        let idf = (1.0 + (all - held_by + 0.5) / (held_by + 0.5)).ln();
        (term, weight * idf)
    };
    wanted.into_iter().map(weigh).collect()
}

fn cosine(left: &[f32], right: &[f32]) -> f32 {
    let dot = |left: &[f32], right: &[f32]| -> f32 {
        left.iter()
            .zip(right)
            .map(|(left, right)| left * right)
            .sum()
    };
    let lengths = (dot(left, left) * dot(right, right)).sqrt();
    if lengths > 0.0 {
        dot(left, right) / lengths
    } else {
        0.0
    }
}
