//! What one run of a stage tells, brought into line with what the log has of
//! earlier runs.
//!
//! A run may follow one that died in the middle of the answer. As long as it
//! writes the same, the log already has it, and its reader hears no word twice;
//! where it differs, the answer is begun anew.

use common::reply::{Event, Told};

pub struct Telling {
    /// The answer as the log has it.
    told: Told,
    /// The answer as this run has it.
    text: String,
}

/// What follows from some events.
#[derive(Debug, Default, PartialEq)]
pub struct Tidings {
    /// For the log.
    pub events: Vec<Event>,
    /// The job's first piece of an answer is among the events.
    pub begins: bool,
}

impl Tidings {
    pub fn extend(&mut self, more: Self) {
        self.events.extend(more.events);
        self.begins |= more.begins;
    }
}

impl Telling {
    pub fn new(told: Told) -> Self {
        Self {
            told,
            text: String::new(),
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
        tidings
    }

    /// Tells what this run has and the log has not.
    fn catch_up(&mut self, tidings: &mut Tidings) {
        let (told, text) = (&self.told.text, &self.text);
        if !told.starts_with(text) && !text.starts_with(told) {
            self.begin_anew(tidings);
        }
        if let Some(more) = self.text.strip_prefix(&self.told.text)
            && !more.is_empty()
        {
            let text = more.to_owned();
            tidings.begins |= !self.told.has_begun;
            self.told.has_begun = true;
            self.told.text.push_str(&text);
            tidings.events.push(Event::AnswerDelta { text });
        }
    }

    fn begin_anew(&mut self, tidings: &mut Tidings) {
        self.told.text.clear();
        tidings.events.push(Event::AnswerRestarted);
    }
}

#[cfg(test)]
mod tests;
