//! What a collection of documents tells about words.

/// The words of a collection, for weighing and correcting those of a question.
pub trait Vocabulary: Send + Sync {
    /// Whether any passage holds the stem.
    fn contains(&self, stem: &str) -> bool;

    /// How much a stem tells passages apart: 0 when every passage holds it, 1 when at most one does.
    fn rarity(&self, stem: &str) -> f32;

    /// The stem of a word of the collection that `word` is likely a slip of, if there is one.
    fn nearest(&self, word: &str) -> Option<String>;
}

/// Stands in where the collection's words cannot be listed, as behind a remote search: every word counts the same and
/// none is corrected.
#[derive(Debug, Clone, Copy, Default)]
pub struct UnlistedVocabulary;

impl Vocabulary for UnlistedVocabulary {
    fn contains(&self, _stem: &str) -> bool {
        true
    }

    fn rarity(&self, _stem: &str) -> f32 {
        0.7
    }

    fn nearest(&self, _word: &str) -> Option<String> {
        None
    }
}
