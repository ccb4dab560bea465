//! The vectors of an answer, checked
//! (<https://platform.openai.com/docs/api-reference/embeddings/object>).

use serde::Deserialize;
use serde_json::Value;

use crate::{
    handler::StageError,
    providers::openai::{call::Call, complaint::Complaint},
};

/// The code of a failure that a wrong setting causes: the model's vectors have
/// another length than is configured, so that nothing can be found with them.
pub const WRONG_DIMENSION: &str = "embedding_dimension";

/// Bytes of JSON for one number: `-0.012345678901234567, ` and room.
const NUMBER_BYTES: usize = 32;

/// Bytes that any answer may have, so that one with longer vectors than
/// expected is told as such.
const ROOM: usize = 16 << 20;

/// What was asked for.
pub(super) struct Expected {
    pub(super) count: usize,
    pub(super) dimension: usize,
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Embedding>,
}

#[derive(Deserialize)]
struct Embedding {
    /// Some servers leave it out.
    index: Option<usize>,
    /// `null` is how not-a-number is written in JSON.
    embedding: Vec<Option<f32>>,
}

impl Expected {
    /// In bytes.
    pub(super) fn longest_answer(&self) -> usize {
        let numbers = self.count.saturating_mul(self.dimension);
        numbers.saturating_mul(NUMBER_BYTES).saturating_add(ROOM)
    }
}

/// The vectors in `answer`, in the order of the texts.
pub(super) fn read(
    answer: &[u8],
    expected: &Expected,
    call: &Call,
) -> Result<Vec<Vec<f32>>, StageError> {
    let Ok(answer) = serde_json::from_slice::<Answer>(answer) else {
        return Err(no_vectors(answer, call));
    };
    let embeddings = in_order(answer.data, expected.count, call)?;
    let vectors: Option<Vec<Vec<f32>>> = embeddings.into_iter().map(finite).collect();
    let vectors =
        vectors.ok_or_else(|| call.unexpected("a vector has something else than numbers"))?;
    match vectors
        .iter()
        .find(|vector| vector.len() != expected.dimension)
    {
        None => Ok(vectors),
        Some(vector) => Err(wrong_dimension(vector.len(), expected.dimension, call)),
    }
}

fn in_order(
    mut embeddings: Vec<Embedding>,
    count: usize,
    call: &Call,
) -> Result<Vec<Embedding>, StageError> {
    if embeddings.len() != count {
        let found = embeddings.len();
        return Err(call.unexpected(format_args!("{found} vectors came for {count} texts")));
    }
    // Without any number the order is that of the texts.
    if embeddings.iter().any(|embedding| embedding.index.is_some()) {
        embeddings.sort_by_key(|embedding| embedding.index);
        let mut numbers = embeddings.iter().map(|embedding| embedding.index);
        if !(0..count).all(|number| numbers.next() == Some(Some(number))) {
            return Err(call.unexpected("the vectors are not numbered as the texts"));
        }
    }
    Ok(embeddings)
}

fn finite(embedding: Embedding) -> Option<Vec<f32>> {
    let numbers = embedding.embedding.into_iter();
    numbers
        .map(|number| number.filter(|number| number.is_finite()))
        .collect()
}

fn wrong_dimension(found: usize, expected: usize, call: &Call) -> StageError {
    let detail = format!(
        "the vectors of {} have {found} numbers, configured are {expected}",
        call.name
    );
    StageError::internal(WRONG_DIMENSION, detail)
}

fn no_vectors(answer: &[u8], call: &Call) -> StageError {
    match serde_json::from_slice::<Value>(answer) {
        Ok(document) => match Complaint::of(&document) {
            Some(complaint) => call.complained(&complaint),
            None => call.unexpected("the answer has no vectors"),
        },
        Err(error) if error.is_eof() => call.unexpected("the answer's JSON is cut off"),
        Err(_) => call.unexpected("the answer is no JSON"),
    }
}
