//! What a message asks for: pure, from the text, the earlier messages and the words of the collection.

pub mod context;
pub mod follow_up;
pub mod kind;
pub mod language;
pub mod mending;
pub mod small_talk;
pub mod split;
pub mod terms;
pub mod words;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::knowledge::lexicon::Lexicon;
use crate::knowledge::vocabulary::Vocabulary;
use kind::QuestionKind;
use language::Language;
use small_talk::SmallTalk;

/// A longer message is cut: nobody asks a question of this length, and the work must stay bounded.
const MAX_CHARS: usize = 2_000;

/// More questions in one message are left out.
const MAX_QUESTIONS: usize = 4;

/// How many earlier messages a follow-up is resolved against.
const MAX_EARLIER: usize = 4;

/// One question, ready to be searched for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Query {
    /// The question as it stands alone, for an embedder or a language model.
    pub text: String,
    pub kind: QuestionKind,
    pub terms: Vec<Term>,
    /// Asks about the user's own record, which no document holds: "nilai saya berapa".
    pub personal: bool,
    /// Asks for the present state: "siapa rektor sekarang".
    pub present: bool,
    /// The surface of the term that is to be counted or named: `mahasiswa` in "berapa jumlah mahasiswa".
    #[serde(default)]
    pub counted: Option<String>,
    /// How much this query counts among those of the turn.
    pub weight: f32,
}

/// One thing that is asked about, with the ways to say it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Term {
    /// As the user wrote it, folded.
    pub surface: String,
    pub forms: Vec<Form>,
    pub weight: f32,
    pub role: Role,
}

/// One way to say a term.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Form {
    /// Words that have to be found together.
    pub stems: Vec<String>,
    /// 1 for what was asked, less for something near.
    pub weight: f32,
}

/// What a term is for the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// What the question is about.
    Topic,
    /// Something that many topics have: a price, a way, a date.
    Aspect,
    /// A name: text that does not hold it is about something else.
    Name,
}

/// What a message is.
#[derive(Debug, Clone, PartialEq)]
pub struct Understanding {
    pub language: Language,
    /// Set when the message asks nothing.
    pub small_talk: Option<SmallTalk>,
    /// One per question; empty for small talk and for messages without words.
    pub queries: Vec<Query>,
}

/// Turns messages into queries.
#[derive(Clone)]
pub struct Interpreter {
    lexicon: Arc<Lexicon>,
    vocabulary: Arc<dyn Vocabulary>,
}

impl Interpreter {
    pub fn new(lexicon: Arc<Lexicon>, vocabulary: Arc<dyn Vocabulary>) -> Self {
        Self {
            lexicon,
            vocabulary,
        }
    }

    /// Understands a message. `earlier` are the user's earlier messages, oldest first; they resolve a follow-up such as
    /// "Kalau S2?".
    pub fn understand(&self, message: &str, earlier: &[&str]) -> Understanding {
        self.understand_after(self.previous(earlier), message)
    }

    /// The last earlier question, itself resolved against those before it.
    fn previous(&self, earlier: &[&str]) -> Option<Query> {
        let last = &earlier[earlier.len().saturating_sub(MAX_EARLIER)..];
        last.iter().fold(None, |previous, message| {
            let understood = self.understand_after(previous.clone(), message);
            let mut queries = understood.queries.into_iter();
            queries.rfind(|query| !query.terms.is_empty()).or(previous)
        })
    }

    fn understand_after(&self, previous: Option<Query>, message: &str) -> Understanding {
        let message = cut(message);
        let language = language::detect(message, &self.lexicon);
        let words = mending::mend(
            words::words(message, &self.lexicon),
            &self.lexicon,
            &*self.vocabulary,
        );
        let (small_talk, asked) = small_talk::strip(words, &self.lexicon);
        let queries = self.queries(message, asked, language, previous);
        let small_talk = small_talk.filter(|talk| {
            let asks_nothing = queries.iter().all(|query| query.terms.is_empty());
            *talk == SmallTalk::Distress || asks_nothing
        });
        let queries = if small_talk.is_some() {
            Vec::new()
        } else {
            queries
        };
        Understanding {
            language,
            small_talk,
            queries,
        }
    }

    fn queries(
        &self,
        message: &str,
        asked: Vec<words::Word>,
        language: Language,
        mut previous: Option<Query>,
    ) -> Vec<Query> {
        let mut queries: Vec<Query> = Vec::new();
        for part in split::questions(message, asked, &self.lexicon)
            .into_iter()
            .take(MAX_QUESTIONS)
        {
            let alone = self.query(message, &part, language);
            let mut query = follow_up::resolve(
                alone,
                &part,
                previous.as_ref(),
                &self.lexicon,
                &*self.vocabulary,
            );
            if let Some(before) = queries.last() {
                follow_up::keep_qualifiers(&mut query, before, &self.lexicon);
            }
            previous = Some(query.clone());
            queries.push(query);
        }
        split::share_topic(&mut queries);
        queries
    }

    fn query(&self, message: &str, part: &[words::Word], language: Language) -> Query {
        let mut terms = terms::terms(part, language, &self.lexicon, &*self.vocabulary);
        context::lighten(&mut terms, message, part, &self.lexicon);
        Query {
            text: words::text(message, part),
            kind: kind::detect(part, &self.lexicon),
            counted: kind::counted(part, &terms, &self.lexicon),
            terms,
            personal: kind::is_personal(part, &self.lexicon),
            present: kind::is_present(part, &self.lexicon),
            weight: 1.0,
        }
    }
}

fn cut(message: &str) -> &str {
    message
        .char_indices()
        .nth(MAX_CHARS)
        .map_or(message, |(at, _)| &message[..at])
}
