//! Text cut into sentences while it is still being written.
//!
//! [`SentenceSplitter`] gives a sentence back as soon as its end is certain, so
//! that speech can begin before an answer is finished. Where the pieces end
//! depends on the text alone, never on how it arrived, and nothing but white
//! space between the pieces is lost.

mod boundary;
mod overlong;

use boundary::Boundary;

/// Collects a text that arrives in pieces and gives back whole sentences.
#[derive(Debug, Default)]
pub struct SentenceSplitter {
    /// What is not given back yet; a sentence and a look-ahead at most.
    buffer: String,
}

impl SentenceSplitter {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next piece of text and returns the sentences that ended.
    ///
    /// Sentences are trimmed and never empty. One without an end is cut after
    /// about 240 characters, at a comma or a space where there is one.
    pub fn push(&mut self, delta: &str) -> Vec<String> {
        self.buffer.push_str(delta);
        let mut sentences = Vec::new();
        let mut start = 0;
        while let Some(length) = piece(&self.buffer[start..], More::MayCome) {
            let sentence = self.buffer[start..start + length].trim();
            if !sentence.is_empty() {
                sentences.push(sentence.to_owned());
            }
            start += length;
        }
        self.buffer.drain(..start);
        sentences
    }

    /// Returns what is left when the text is complete.
    #[must_use]
    pub fn finish(self) -> Option<String> {
        let rest = self.buffer.trim();
        (!rest.is_empty()).then(|| rest.to_owned())
    }
}

/// Cuts a whole text into sentences, trimmed and in order.
#[must_use]
pub fn split(text: &str) -> Vec<&str> {
    let mut sentences = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let length = piece(rest, More::IsOver).unwrap_or(rest.len());
        let sentence = rest[..length].trim();
        if !sentence.is_empty() {
            sentences.push(sentence);
        }
        rest = &rest[length..];
    }
    sentences
}

/// Whether text may follow the end of what is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum More {
    MayCome,
    IsOver,
}

/// The length in bytes of the first sentence, if its end is certain.
fn piece(text: &str, more: More) -> Option<usize> {
    // Leading space belongs to no sentence and must not count for its length.
    let indent = text.len() - text.trim_start().len();
    if indent > 0 {
        return Some(indent);
    }
    for (count, (index, c)) in text.char_indices().enumerate() {
        if count >= overlong::MAX_CHARS {
            return Some(overlong::cut(&text[..index]));
        }
        match boundary::after(text, index, c, more) {
            Boundary::At(end) => return Some(end),
            Boundary::Unknown => return None,
            Boundary::None => {}
        }
    }
    None
}

#[cfg(test)]
mod tests;
