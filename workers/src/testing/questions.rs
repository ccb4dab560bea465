//! What questions are understood as, where their words do not matter.

use crate::query::{Query, Understanding, kind::QuestionKind, language::Language};

/// One question for each text.
pub fn understood(texts: &[&str], language: Language) -> Understanding {
    let query = |text: &&str| Query {
        text: (*text).to_owned(),
        kind: QuestionKind::default(),
        terms: Vec::new(),
        personal: false,
        present: false,
        counted: None,
        weight: 1.0,
    };
    Understanding {
        language,
        small_talk: None,
        queries: texts.iter().map(query).collect(),
    }
}
