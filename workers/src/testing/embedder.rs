//! An embedder without a model.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;

use crate::handler::StageError;
use crate::providers::{Embedder, Purpose, failure};

/// Gives each word a place among the dimensions: texts that share words are near to each other.
pub struct WordEmbedder {
    dimension: usize,
    calls: AtomicUsize,
    failing: AtomicBool,
}

impl WordEmbedder {
    pub fn new(dimension: usize) -> Self {
        Self {
            dimension,
            calls: AtomicUsize::new(0),
            failing: AtomicBool::new(false),
        }
    }

    pub fn vector(&self, text: &str) -> Vec<f32> {
        let mut vector = vec![0.0; self.dimension];
        for word in text.split(|letter: char| !letter.is_alphanumeric()) {
            if !word.is_empty() {
                vector[place(word) % self.dimension] += 1.0;
            }
        }
        vector
    }

    /// How often it was asked.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// From now on it is unreachable, until [`recover`](Self::recover).
    pub fn fail(&self) {
        self.failing.store(true, Ordering::SeqCst);
    }

    pub fn recover(&self) {
        self.failing.store(false, Ordering::SeqCst);
    }
}

fn place(word: &str) -> usize {
    word.to_lowercase().bytes().fold(7, |hash: usize, byte| {
        hash.wrapping_mul(31).wrapping_add(byte.into())
    })
}

#[async_trait]
impl Embedder for WordEmbedder {
    async fn embed(
        &self,
        texts: &[String],
        _purpose: Purpose,
    ) -> Result<Vec<Vec<f32>>, StageError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.failing.load(Ordering::SeqCst) {
            return Err(failure::unreachable("words", "it is told to fail"));
        }
        Ok(texts.iter().map(|text| self.vector(text)).collect())
    }

    fn dimension(&self) -> usize {
        self.dimension
    }

    fn model(&self) -> &str {
        "words"
    }
}
