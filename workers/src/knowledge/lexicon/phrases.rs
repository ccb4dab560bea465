//! A table from phrases to values, where the longest phrase that begins at a place wins.

use std::collections::HashMap;

/// Values by phrase.
#[derive(Debug)]
pub struct Phrases<V> {
    by_first_word: HashMap<String, Vec<(Vec<String>, V)>>,
}

impl<V> Default for Phrases<V> {
    fn default() -> Self {
        Self {
            by_first_word: HashMap::new(),
        }
    }
}

impl<V> Phrases<V> {
    /// Sets the value of a phrase; an empty phrase is never found and so is not kept.
    pub fn insert(&mut self, phrase: Vec<String>, value: V) {
        let Some(first) = phrase.first() else { return };
        let entries = self.by_first_word.entry(first.clone()).or_default();
        entries.retain(|(known, _)| *known != phrase);
        entries.push((phrase, value));
    }

    /// The longest phrase that `words` begin with: its number of words and its value.
    pub fn longest_at(&self, words: &[String]) -> Option<(usize, &V)> {
        let entries = self.by_first_word.get(words.first()?)?;
        let fitting = entries
            .iter()
            .filter(|(phrase, _)| words.starts_with(phrase));
        fitting
            .max_by_key(|(phrase, _)| phrase.len())
            .map(|(phrase, value)| (phrase.len(), value))
    }
}

impl<V> Phrases<V> {
    /// Whether any phrase begins with the word.
    pub fn begins(&self, word: &str) -> bool {
        self.by_first_word.contains_key(word)
    }
}

impl<V: Default> Phrases<V> {
    /// The value of a phrase, made when it is missing.
    ///
    /// # Panics
    /// On an empty phrase, which has no first word to be found by.
    pub fn entry(&mut self, phrase: Vec<String>) -> &mut V {
        let first = phrase
            .first()
            .expect("callers leave empty phrases out")
            .clone();
        let entries = self.by_first_word.entry(first).or_default();
        let at = entries
            .iter()
            .position(|(known, _)| *known == phrase)
            .unwrap_or_else(|| {
                entries.push((phrase, V::default()));
                entries.len() - 1
            });
        &mut entries[at].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_longest_phrase_wins() {
        let mut phrases = Phrases::default();
        phrases.insert(words("kerja"), 1);
        phrases.insert(words("kerja praktik"), 2);
        phrases.insert(Vec::new(), 3);
        assert_eq!(
            phrases.longest_at(&words("kerja praktik itu")),
            Some((2, &2))
        );
        assert_eq!(phrases.longest_at(&words("kerja keras")), Some((1, &1)));
        assert_eq!(phrases.longest_at(&words("itu kerja")), None);
        assert_eq!(phrases.longest_at(&[]), None);
    }
}
