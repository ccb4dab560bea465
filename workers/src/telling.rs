//! What one run of a stage tells, brought into line with what the log has of
//! earlier runs, and cut into sentences for the stage that speaks them.
//!
//! A run may follow one that died in the middle of the answer. As long as it
//! writes the same, the log already has it, and its reader hears no word twice;
//! where it differs, the answer is begun anew.

use common::{
    reply::{Event, Told},
    turn::Sentence,
};

use crate::sentences::SentenceSplitter;

pub struct Telling {
    /// The answer as the log has it.
    told: Told,
    /// The answer as this run has it.
    text: String,
    splitter: Option<Splitter>,
}

/// What follows from some events.
#[derive(Debug, Default, PartialEq)]
pub struct Tidings {
    /// For the log.
    pub events: Vec<Event>,
    /// Those that are now certain, for the stage that speaks; after the events.
    pub sentences: Vec<Sentence>,
    /// The job's first piece of an answer is among the events.
    pub begins: bool,
}

impl Tidings {
    pub fn extend(&mut self, more: Self) {
        self.events.extend(more.events);
        self.sentences.extend(more.sentences);
        self.begins |= more.begins;
    }
}

/// Whether the next stage speaks the answer sentence by sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Speaks,
    DoesNotSpeak,
}

impl Telling {
    pub fn new(told: Told, next: Next) -> Self {
        let splitter = match next {
            Next::Speaks => Some(Splitter::new(told.take)),
            Next::DoesNotSpeak => None,
        };
        Self {
            told,
            text: String::new(),
            splitter,
        }
    }

    pub fn tell(&mut self, events: Vec<Event>) -> Tidings {
        let mut tidings = Tidings::default();
        for event in events {
            match event {
                Event::AnswerDelta { text } => {
                    self.text.push_str(&text);
                    self.catch_up(&mut tidings);
                }
                Event::AnswerRestarted => {
                    self.text.clear();
                    if !self.told.text.is_empty() {
                        self.begin_anew(&mut tidings);
                    }
                }
                other => tidings.events.push(other),
            }
        }
        tidings
    }

    /// The answer is complete, and reads `answer`.
    pub fn finish(&mut self, answer: &str) -> Tidings {
        let mut tidings = Tidings::default();
        if self.text.trim_end() != answer.trim_end() {
            answer.clone_into(&mut self.text);
            self.catch_up(&mut tidings);
        }
        if self.told.text.trim_end() != self.text.trim_end() {
            // An earlier run had more to say.
            self.begin_anew(&mut tidings);
            self.catch_up(&mut tidings);
        }
        let last = self.splitter.as_mut().map(Splitter::finish);
        tidings.sentences.extend(last);
        tidings
    }

    /// Tells what this run has and the log has not.
    fn catch_up(&mut self, tidings: &mut Tidings) {
        let in_line = self.told.text.starts_with(&self.text)
            || self.text.starts_with(&self.told.text)
                && self
                    .splitter
                    .as_ref()
                    .is_none_or(|it| it.follows(&self.text));
        if !in_line {
            self.begin_anew(tidings);
        }
        if let Some(splitter) = &mut self.splitter {
            tidings.sentences.extend(splitter.reach(&self.text));
        }
        if let Some(more) = self.text.strip_prefix(&self.told.text)
            && !more.is_empty()
        {
            let text = more.to_owned();
            tidings.begins |= self.told == Told::default();
            self.told.text.push_str(&text);
            tidings.events.push(Event::AnswerDelta { text });
        }
    }

    fn begin_anew(&mut self, tidings: &mut Tidings) {
        self.told = Told {
            take: self.told.take + 1,
            text: String::new(),
        };
        tidings.events.push(Event::AnswerRestarted);
        if let Some(splitter) = &mut self.splitter {
            // Those of the take that is given up are void.
            tidings.sentences.clear();
            *splitter = Splitter::new(self.told.take);
        }
    }
}

/// Cuts one take of the answer into numbered sentences.
struct Splitter {
    take: u32,
    n: u32,
    /// What it has been given.
    given: String,
    sentences: SentenceSplitter,
}

impl Splitter {
    fn new(take: u32) -> Self {
        Self {
            take,
            n: 0,
            given: String::new(),
            sentences: SentenceSplitter::new(),
        }
    }

    fn follows(&self, text: &str) -> bool {
        text.starts_with(&self.given)
    }

    /// The sentences that are certain once the answer reads `text`.
    fn reach(&mut self, text: &str) -> Vec<Sentence> {
        let Some(more) = text.strip_prefix(&self.given) else {
            return Vec::new();
        };
        let certain = self.sentences.push(more);
        self.given.push_str(more);
        certain
            .into_iter()
            .map(|text| self.sentence(text, false))
            .collect()
    }

    fn finish(&mut self) -> Sentence {
        let rest = std::mem::take(&mut self.sentences).finish();
        self.sentence(rest.unwrap_or_default(), true)
    }

    fn sentence(&mut self, text: String, last: bool) -> Sentence {
        self.n += 1;
        Sentence {
            take: self.take,
            n: self.n,
            text,
            last,
        }
    }
}

/// All sentences of a `take` that is complete and reads `answer`.
pub fn sentences_of(answer: &str, take: u32) -> Vec<Sentence> {
    let mut splitter = Splitter::new(take);
    let mut sentences = splitter.reach(answer);
    sentences.push(splitter.finish());
    sentences
}

#[cfg(test)]
mod tests;
