//! What is to be spoken of an answer, as the log of its job tells it.

use std::collections::VecDeque;

use bytes::Bytes;
use common::{
    pipeline::Stage,
    reply::{Event, Record},
    turn::Speech,
};

use crate::sentences::SentenceSplitter;

/// A sentence of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// See [`Event::AudioDelta`].
    pub revision: u64,
    /// From 1.
    pub n: u32,
    pub text: String,
}

/// A sentence as speech.
pub struct SpokenSentence {
    pub speech: Speech,
    /// `None` for one that an earlier run has spoken.
    pub wav: Option<Bytes>,
}

impl From<Speech> for SpokenSentence {
    fn from(speech: Speech) -> Self {
        Self { speech, wav: None }
    }
}

/// A fold of the log.
#[derive(Default)]
pub struct Script {
    revision: u64,
    splitter: SentenceSplitter,
    /// Sentences so far.
    cut: u32,
    /// Those that nobody speaks yet.
    ready: VecDeque<Sentence>,
    /// Up to which sentence the speech is told.
    told: u32,
    spoken: Vec<SpokenSentence>,
    is_complete: bool,
}

impl Script {
    pub fn hear(&mut self, record: &Record) {
        match &record.event {
            Event::AnswerDelta { text } => {
                for sentence in self.splitter.push(text) {
                    self.add(sentence);
                }
            }
            Event::AnswerRestarted => {
                *self = Self {
                    revision: record.sequence_number,
                    ..Self::default()
                };
            }
            Event::AudioDelta {
                revision,
                n,
                speech,
                ..
            } if *revision == self.revision && *n > self.told => {
                self.is_told(*n, speech.clone().into());
            }
            Event::StageCompleted {
                stage: Stage::Rag, ..
            } => {
                let rest = std::mem::take(&mut self.splitter).finish();
                if let Some(sentence) = rest {
                    self.add(sentence);
                }
                self.is_complete = true;
            }
            _ => {}
        }
    }

    fn add(&mut self, text: String) {
        self.cut += 1;
        self.ready.push_back(Sentence {
            revision: self.revision,
            n: self.cut,
            text,
        });
    }

    /// The next sentence that is certain, and whose speech is not told.
    pub fn next_sentence(&mut self) -> Option<Sentence> {
        loop {
            let next = self.ready.pop_front()?;
            if next.n > self.told {
                return Some(next);
            }
        }
    }

    /// The speech of sentence `n` is told, after that of those before it.
    pub fn is_told(&mut self, n: u32, spoken: SpokenSentence) {
        self.told = n;
        self.spoken.push(spoken);
    }

    /// Which answer it is; another one once it is begun anew.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Nothing more is written.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Whether there is a next sentence, or may be.
    pub fn has_more(&self) -> bool {
        !self.is_complete || !self.ready.is_empty()
    }

    /// All sentences that were spoken, in order.
    pub fn into_spoken(self) -> Vec<SpokenSentence> {
        self.spoken
    }
}

#[cfg(test)]
mod tests {
    use common::testing::fixtures;

    use super::*;

    fn delta(text: &str) -> Event {
        Event::AnswerDelta { text: text.into() }
    }

    fn audio(revision: u64, n: u32) -> Event {
        Event::AudioDelta {
            revision,
            n,
            text: String::new(),
            speech: fixtures::speech(),
        }
    }

    fn is_written() -> Event {
        Event::StageCompleted {
            stage: Stage::Rag,
            duration_ms: 1.0,
            queued_ms: 0.0,
        }
    }

    /// What is left to speak of a log, and how many sentences are spoken.
    fn left(events: &[Event]) -> (Vec<String>, usize) {
        let mut script = Script::default();
        for record in fixtures::log(events.iter().cloned()) {
            script.hear(&record);
        }
        let next = std::iter::from_fn(|| script.next_sentence());
        let next = next.map(|it| format!("{}.{} {}", it.revision, it.n, it.text));
        (next.collect(), script.into_spoken().len())
    }

    #[test]
    fn a_sentence_is_spoken_once_it_is_certain_and_not_told() {
        let two = [delta("Satu du"), delta("a. Tiga"), delta(" empat.")];
        let whole = [&two[..], &[is_written()]].concat();
        let told = [&whole[..], &[audio(0, 1)]].concat();
        let anew = [&two[..], &[audio(0, 1), Event::AnswerRestarted]].concat();
        let anew_and_told = [&anew[..], &[delta("Lima. Enam. T"), audio(5, 1)]].concat();
        // Nothing was to be said of the second.
        let one_silent = [delta("Satu. *. Tiga. E"), audio(0, 1), audio(0, 3)];
        let rows: [(&[Event], &[&str], usize); 8] = [
            (&[], &[], 0),
            (&[is_written()], &[], 0),
            (&two, &["0.1 Satu dua."], 0),
            (&whole, &["0.1 Satu dua.", "0.2 Tiga empat."], 0),
            (&told, &["0.2 Tiga empat."], 1),
            (&anew, &[], 0),
            (&anew_and_told, &["5.2 Enam."], 1),
            (&one_silent, &[], 2),
        ];
        for (events, sentences, spoken) in rows {
            let sentences = sentences.iter().map(|it| (*it).to_owned()).collect();
            assert_eq!(left(events), (sentences, spoken), "{events:?}");
        }
    }

    #[test]
    fn an_answer_is_cut_alike_however_it_comes() {
        let answer = "Biaya UKT Rp 12,5 juta per semester. Lihat Pasal 5. Batasnya 3 Jan. 2025, kata Dr. Budi.";
        let whole = left(&[delta(answer), is_written()]);
        let letters = answer.chars().map(|it| delta(&it.to_string()));
        let letters: Vec<_> = letters.chain([is_written()]).collect();
        assert_eq!(left(&letters), whole);
        assert!(whole.0.len() > 1);
    }
}
