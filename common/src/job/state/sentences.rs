//! The sentences of an answer that are spoken one by one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    reply::{Event, SpokenSentence},
    turn::Sentence,
};

/// The sentences of the answer that counts, on their way into the log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Sentences {
    /// The stage that speaks has begun.
    pub(super) is_started: bool,
    /// By number, from 1.
    spoken: BTreeMap<u32, Spoken>,
    /// Up to which number they are announced.
    announced: u32,
    /// How many there are, once that is known.
    count: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Spoken {
    how: SpokenSentence,
    /// What is said, until it is announced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

impl Sentences {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn note_count(&mut self, sentence: &Sentence) {
        if sentence.last {
            self.count = Some(sentence.n);
        }
    }

    /// All of them, in order, once none is missing.
    pub(super) fn all(&self) -> Option<Vec<SpokenSentence>> {
        let count = self.count.filter(|count| *count <= self.announced)?;
        let all = self.spoken.range(..=count);
        Some(all.map(|(_, spoken)| spoken.how.clone()).collect())
    }

    /// The announcements that are due, now that nothing before them is missing.
    pub(super) fn announce(&mut self) -> Vec<Event> {
        let mut due = Vec::new();
        while let Some(next) = self.spoken.get_mut(&(self.announced + 1)) {
            self.announced += 1;
            if let (Some(text), Some(speech)) = (next.text.take(), &next.how.speech) {
                due.push(Event::AudioDelta {
                    n: self.announced,
                    text,
                    speech: speech.clone(),
                });
            }
        }
        due
    }

    pub(super) fn is_spoken(&self, n: u32) -> bool {
        self.spoken.contains_key(&n)
    }

    /// Keeps how `sentence` was spoken, if it was not yet.
    pub(super) fn complete(&mut self, sentence: &Sentence, how: &SpokenSentence) {
        self.note_count(sentence);
        self.spoken.entry(sentence.n).or_insert_with(|| Spoken {
            how: how.clone(),
            text: Some(sentence.text.clone()),
        });
    }
}
