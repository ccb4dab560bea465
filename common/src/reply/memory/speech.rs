//! The sentences of an answer that are spoken, on their way into the log.

use std::collections::BTreeMap;

use crate::{
    reply::{Event, SpokenSentence, Told},
    turn::Sentence,
};

pub struct Spoken {
    /// Which beginning of the answer counts, from 1.
    pub take: u32,
    sentences: BTreeMap<u32, (SpokenSentence, Option<Event>)>,
    /// Up to which sentence they are announced.
    announced: u32,
    /// How many there are, once that is known.
    count: Option<u32>,
}

impl Default for Spoken {
    fn default() -> Self {
        Self::of(Told::default().take)
    }
}

impl Spoken {
    fn of(take: u32) -> Self {
        Self {
            take,
            sentences: BTreeMap::new(),
            announced: 0,
            count: None,
        }
    }

    pub fn begun_anew(&self) -> Self {
        Self::of(self.take + 1)
    }

    /// Whether it is spoken already.
    pub fn begin(&mut self, sentence: &Sentence) -> bool {
        if sentence.last {
            self.count = Some(sentence.n);
        }
        self.sentences.contains_key(&sentence.n)
    }

    /// All sentences, once there is none missing.
    pub fn all(&self) -> Option<Vec<SpokenSentence>> {
        let count = self.count.filter(|count| *count <= self.announced)?;
        let all = self.sentences.range(..=count);
        Some(all.map(|(_, (spoken, _))| spoken.clone()).collect())
    }

    /// Keeps what is new, and gives the announcements whose turn has come.
    pub fn complete(&mut self, sentence: &Sentence, spoken: &SpokenSentence) -> Vec<Event> {
        let announcement = Event::of_sentence(sentence, spoken);
        if !self.begin(sentence) {
            let kept = (spoken.clone(), announcement);
            self.sentences.insert(sentence.n, kept);
        }
        let mut announcements = Vec::new();
        while let Some((_, announcement)) = self.sentences.get_mut(&(self.announced + 1)) {
            announcements.extend(announcement.take());
            self.announced += 1;
        }
        announcements
    }
}
