//! Vectors in memory, searched exactly.

use rayon::prelude::*;

/// More vectors than these are for a vector database: they are all looked at for every query.
pub const MAX_VECTORS: usize = 100_000;

/// Vectors that one thread looks at before it takes more.
const BLOCK: usize = 1_024;

/// Unit vectors of one length, so that a dot product is their cosine.
#[derive(Debug)]
pub struct DenseIndex {
    dimension: usize,
    /// All vectors, one after the other.
    numbers: Vec<f32>,
}

/// A vector cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VectorError {
    #[error("a vector of {found} numbers is among vectors of {expected}")]
    Dimension { expected: usize, found: usize },
    #[error("a vector holds nothing but zeros, or a number that is none")]
    Directionless,
    #[error("there are more than {MAX_VECTORS} vectors")]
    TooMany,
}

impl DenseIndex {
    pub fn new(dimension: usize) -> Self {
        Self {
            dimension,
            numbers: Vec::new(),
        }
    }

    /// Adds a vector of any length but zero; its number is how many were there before.
    pub fn push(&mut self, vector: &[f32]) -> Result<(), VectorError> {
        if vector.len() != self.dimension {
            return Err(VectorError::Dimension {
                expected: self.dimension,
                found: vector.len(),
            });
        }
        if self.len() >= MAX_VECTORS {
            return Err(VectorError::TooMany);
        }
        let unit = unit(vector).ok_or(VectorError::Directionless)?;
        self.numbers.extend(unit);
        Ok(())
    }

    pub fn len(&self) -> usize {
        self.numbers.len() / self.dimension.max(1)
    }

    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The numbers of the `top` nearest vectors with their cosines, nearest first. A query of another dimension is
    /// near to nothing.
    pub fn nearest(&self, query: &[f32], top: usize) -> Vec<(usize, f32)> {
        let Some(query) = unit(query).filter(|query| query.len() == self.dimension) else {
            return Vec::new();
        };
        if top == 0 || self.dimension == 0 {
            return Vec::new();
        }
        let mut found: Vec<(usize, f32)> = self
            .numbers
            .par_chunks_exact(self.dimension)
            .with_min_len(BLOCK)
            .map(|vector| dot(vector, &query))
            .enumerate()
            .collect();
        if found.len() > top {
            found.select_nth_unstable_by(top - 1, nearest_first);
            found.truncate(top);
        }
        found.sort_unstable_by(nearest_first);
        found
    }
}

fn nearest_first(left: &(usize, f32), right: &(usize, f32)) -> std::cmp::Ordering {
    right.1.total_cmp(&left.1).then(left.0.cmp(&right.0))
}

fn unit(vector: &[f32]) -> Option<Vec<f32>> {
    let length = dot(vector, vector).sqrt();
    (length.is_finite() && length > 0.0)
        .then(|| vector.iter().map(|number| number / length).collect())
}

/// Eight sums side by side: the compiler may not reorder the additions of one, and would add number by number.
fn dot(left: &[f32], right: &[f32]) -> f32 {
    const LANES: usize = 8;
    let (left, right) = (left.chunks_exact(LANES), right.chunks_exact(LANES));
    let rest: f32 = left
        .remainder()
        .iter()
        .zip(right.remainder())
        .map(|(left, right)| left * right)
        .sum();
    let mut sums = [0.0_f32; LANES];
    for (left, right) in left.zip(right) {
        for lane in 0..LANES {
            sums[lane] += left[lane] * right[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(vectors: &[[f32; 3]]) -> DenseIndex {
        let mut index = DenseIndex::new(3);
        for vector in vectors {
            index.push(vector).expect("a vector");
        }
        index
    }

    #[test]
    fn direction_counts_and_length_does_not() {
        let index = index(&[
            [0.0, 1.0, 0.0],
            [100.0, 0.0, 0.0],
            [1.0, 1.0, 0.0],
            [-1.0, 0.0, 0.0],
        ]);
        let found = index.nearest(&[2.0, 0.1, 0.0], 3);
        let order: Vec<usize> = found.iter().map(|(number, _)| *number).collect();
        assert_eq!(order, [1, 2, 0]);
        assert!(found[0].1 > 0.99 && found[0].1 <= 1.0001);
    }

    #[test]
    fn what_has_no_place_among_the_vectors_is_refused() {
        let mut index = index(&[[1.0, 0.0, 0.0]]);
        assert_eq!(
            index.push(&[1.0]),
            Err(VectorError::Dimension {
                expected: 3,
                found: 1
            })
        );
        for vector in [[0.0; 3], [f32::NAN, 0.0, 0.0], [f32::INFINITY, 0.0, 0.0]] {
            assert_eq!(index.push(&vector), Err(VectorError::Directionless));
        }
        assert_eq!(index.len(), 1);
    }

    #[test]
    fn a_query_that_fits_nothing_finds_nothing() {
        let index = index(&[[1.0, 0.0, 0.0]]);
        assert!(index.nearest(&[1.0, 0.0], 5).is_empty());
        assert!(index.nearest(&[0.0; 3], 5).is_empty());
        assert!(index.nearest(&[1.0, 0.0, 0.0], 0).is_empty());
        assert!(DenseIndex::new(3).nearest(&[1.0, 0.0, 0.0], 5).is_empty());
        assert!(DenseIndex::new(0).nearest(&[], 5).is_empty());
    }

    #[test]
    fn a_dot_product_takes_in_what_is_left_over_after_whole_lanes() {
        let numbers: Vec<f32> = (1..=19).map(|number| number as f32).collect();
        assert_eq!(dot(&numbers, &numbers), 2_470.0);
    }
}
