//! Answers made of the documents' own sentences, without a language model.
//!
//! The sentences that fit a question best are taken over as they stand, in the order of the document, each with a
//! citation whose quote is a verbatim part of the passage. Where the passages do not answer, it says so: a sentence
//! about something near is worse than none. Passages are only ever text to choose from; nothing that they say changes
//! how the choice is made.

mod compose;
mod confidence;
mod evidence;
mod fit;
mod reading;
mod replies;
mod select;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use replies::Institution;

use crate::knowledge::Passage;
use crate::knowledge::lexicon::Lexicon;
use crate::knowledge::vocabulary::Vocabulary;
use crate::query::{Query, Understanding};
use evidence::Evidence;
use reading::Reading;
use select::Choice;

/// An answer to one turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// With marks such as `[1]` after what they prove.
    pub text: String,
    /// In the order of their numbers, from 1.
    pub citations: Vec<Citation>,
    /// The passages do not answer; `text` says so, and nothing is cited. Small talk is not declined.
    pub declined: bool,
}

/// What a part of an answer rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Citation {
    pub n: usize,
    pub document_id: String,
    pub title: String,
    pub url: Option<String>,
    /// A verbatim part of the passage's text.
    pub quote: String,
    /// How much of the question the passage covers, 0 to 1.
    pub score: f32,
}

impl Answer {
    /// The text to be read out: without citation marks.
    pub fn text_without_marks(&self) -> String {
        compose::without_marks(&self.text)
    }
}

/// Chooses sentences that answer.
#[derive(Clone)]
pub struct Extractive {
    lexicon: Arc<Lexicon>,
    vocabulary: Arc<dyn Vocabulary>,
    evidence: Arc<Evidence>,
    institution: Institution,
}

impl Extractive {
    pub fn new(
        lexicon: Arc<Lexicon>,
        vocabulary: Arc<dyn Vocabulary>,
        institution: Institution,
    ) -> Self {
        let evidence = Arc::new(Evidence::bundled());
        Self {
            lexicon,
            vocabulary,
            evidence,
            institution,
        }
    }

    /// Answers from the passages alone; they should come best first.
    pub fn answer(&self, understanding: &Understanding, passages: &[Passage]) -> Answer {
        let language = understanding.language;
        if let Some(talk) = understanding.small_talk {
            return said(self.institution.small_talk(talk, language), false);
        }
        if understanding.queries.is_empty() {
            return said(self.institution.unclear(language), true);
        }
        let readings: Vec<Reading> = passages
            .iter()
            .map(|passage| Reading::of(passage, &self.lexicon))
            .collect();
        let choose = |query: &Query| {
            let weighed = confidence::weigh(query, &*self.vocabulary);
            let mut choices = select::choose(query.kind, &weighed, &readings, &self.evidence);
            if !choices.first().is_some_and(confidence::is_answer) {
                choices.clear();
            }
            choices
        };
        let choices: Vec<Vec<Choice>> = understanding.queries.iter().map(choose).collect();
        if choices.iter().all(Vec::is_empty) {
            return said(self.institution.not_found(language), true);
        }
        compose::answer(
            &choices,
            &understanding.queries,
            passages,
            &self.institution,
            language,
        )
    }
}

fn said(text: String, declined: bool) -> Answer {
    Answer {
        text,
        citations: Vec::new(),
        declined,
    }
}
