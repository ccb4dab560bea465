//! Measures retrieval and answers against questions with known answers.

use serde::{Deserialize, Serialize};

use crate::knowledge::{KnowledgeBase, KnowledgeError, Passage};
use crate::providers::extractive::{Answer, Extractive};
use crate::query::Interpreter;

/// How deep a ranking is looked at.
const DEPTH: usize = 5;

/// How many passages an answer is made from.
pub const PASSAGES: usize = 10;

/// A question and what is known about its answer.
#[derive(Debug, Clone, Deserialize)]
pub struct Question {
    pub id: String,
    pub question: String,
    /// Documents that answer, any of them; none for a question that the documents do not answer.
    #[serde(default)]
    pub expect: Vec<String>,
    /// Words that a right answer holds.
    #[serde(default)]
    pub words: Vec<String>,
    #[serde(default)]
    pub kind: String,
    #[serde(default)]
    pub history: Option<Vec<Earlier>>,
}

/// An earlier message of the user.
#[derive(Debug, Clone, Deserialize)]
pub struct Earlier {
    #[serde(default)]
    pub user: String,
}

/// What became of one question.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    pub id: String,
    pub kind: String,
    pub question: String,
    pub searched: Vec<String>,
    pub answerable: bool,
    /// The place of the first expected document among the distinct documents found, from 1.
    pub rank: Option<usize>,
    pub found: Vec<String>,
    pub declined: bool,
    /// Whether the answer cites an expected document.
    pub cites_expected: bool,
    /// Whether the answer holds all expected words.
    pub holds_words: bool,
    pub quotes: usize,
    pub verbatim: usize,
    pub answer: String,
    pub confidence: f32,
}

/// The measures over a set of questions; shares are 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub questions: usize,
    pub answerable: usize,
    pub hit_at_1: f32,
    pub hit_at_5: f32,
    pub mean_reciprocal_rank: f32,
    /// Of the answerable questions, those declined.
    pub wrongly_declined: f32,
    /// Of the unanswerable questions, those answered.
    pub wrongly_answered: f32,
    /// Of the answers given to answerable questions, those that cite an expected document.
    pub cites_expected: f32,
    /// Of the answers given to questions with expected words, those that hold all of them.
    pub holds_words: f32,
    pub verbatim_quotes: f32,
}

/// Asks one question as a turn would.
pub async fn ask(
    question: &Question,
    interpreter: &Interpreter,
    knowledge: &dyn KnowledgeBase,
    answerer: &Extractive,
) -> Result<Outcome, KnowledgeError> {
    let earlier: Vec<&str> = question
        .history
        .iter()
        .flatten()
        .map(|earlier| earlier.user.as_str())
        .collect();
    let understanding = interpreter.understand(&question.question, &earlier);
    let passages = knowledge.search(&understanding.queries, PASSAGES).await?;
    let answer = answerer.answer(&understanding, &passages);
    let searched = understanding
        .queries
        .iter()
        .map(|query| query.text.clone())
        .collect();
    Ok(outcome(question, searched, &passages, &answer))
}

fn outcome(
    question: &Question,
    searched: Vec<String>,
    passages: &[Passage],
    answer: &Answer,
) -> Outcome {
    let found = distinct_documents(passages);
    let expected = |id: &String| question.expect.contains(id);
    let spoken = answer.text.to_lowercase();
    Outcome {
        id: question.id.clone(),
        kind: question.kind.clone(),
        question: question.question.clone(),
        searched,
        answerable: !question.expect.is_empty(),
        rank: found.iter().position(expected).map(|at| at + 1),
        found: found.into_iter().take(DEPTH).collect(),
        declined: answer.declined,
        cites_expected: answer
            .citations
            .iter()
            .any(|citation| expected(&citation.document_id)),
        holds_words: question
            .words
            .iter()
            .all(|word| spoken.contains(&word.to_lowercase())),
        quotes: answer.citations.len(),
        verbatim: answer
            .citations
            .iter()
            .filter(|citation| is_verbatim(citation, passages))
            .count(),
        answer: answer.text.clone(),
        confidence: answer
            .citations
            .iter()
            .map(|citation| citation.score)
            .fold(0.0, f32::max),
    }
}

fn is_verbatim(citation: &crate::providers::extractive::Citation, passages: &[Passage]) -> bool {
    let of_document = passages
        .iter()
        .filter(|passage| passage.document.id == citation.document_id);
    !citation.quote.is_empty()
        && of_document
            .into_iter()
            .any(|passage| passage.text.contains(&citation.quote))
}

fn distinct_documents(passages: &[Passage]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for passage in passages {
        if !found.contains(&passage.document.id) {
            found.push(passage.document.id.clone());
        }
    }
    found
}

/// Sums outcomes up.
pub fn report(outcomes: &[Outcome]) -> Report {
    let answerable: Vec<&Outcome> = outcomes
        .iter()
        .filter(|outcome| outcome.answerable)
        .collect();
    let unanswerable: Vec<&Outcome> = outcomes
        .iter()
        .filter(|outcome| !outcome.answerable)
        .collect();
    let answered: Vec<&Outcome> = answerable
        .iter()
        .copied()
        .filter(|outcome| !outcome.declined)
        .collect();
    let quotes: usize = outcomes.iter().map(|outcome| outcome.quotes).sum();
    let verbatim: usize = outcomes.iter().map(|outcome| outcome.verbatim).sum();
    let reciprocal: f32 = answerable
        .iter()
        .filter_map(|outcome| outcome.rank)
        .map(|rank| 1.0 / rank as f32)
        .sum();
    Report {
        questions: outcomes.len(),
        answerable: answerable.len(),
        hit_at_1: share(&answerable, |outcome| outcome.rank == Some(1)),
        hit_at_5: share(&answerable, |outcome| {
            outcome.rank.is_some_and(|rank| rank <= DEPTH)
        }),
        mean_reciprocal_rank: reciprocal / answerable.len().max(1) as f32,
        wrongly_declined: share(&answerable, |outcome| outcome.declined),
        wrongly_answered: share(&unanswerable, |outcome| !outcome.declined),
        cites_expected: share(&answered, |outcome| outcome.cites_expected),
        holds_words: share(&answered, |outcome| outcome.holds_words),
        verbatim_quotes: verbatim as f32 / quotes.max(1) as f32,
    }
}

fn share(outcomes: &[&Outcome], counts: impl Fn(&Outcome) -> bool) -> f32 {
    let counted = outcomes.iter().filter(|outcome| counts(outcome)).count();
    counted as f32 / outcomes.len().max(1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(answerable: bool, rank: Option<usize>, declined: bool) -> Outcome {
        Outcome {
            id: "q".into(),
            kind: "formal".into(),
            question: "?".into(),
            searched: Vec::new(),
            answerable,
            rank,
            found: Vec::new(),
            declined,
            cites_expected: !declined,
            holds_words: true,
            quotes: 1,
            verbatim: 1,
            answer: String::new(),
            confidence: 1.0,
        }
    }

    #[test]
    fn measures_are_shares_of_the_questions_they_are_about() {
        let report = report(&[
            outcome(true, Some(1), false),
            outcome(true, Some(2), true),
            outcome(true, Some(6), false),
            outcome(true, None, false),
            outcome(false, None, true),
            outcome(false, None, false),
        ]);
        assert_eq!((report.questions, report.answerable), (6, 4));
        assert_eq!((report.hit_at_1, report.hit_at_5), (0.25, 0.5));
        assert!((report.mean_reciprocal_rank - (1.0 + 0.5 + 1.0 / 6.0) / 4.0).abs() < 1e-6);
        assert_eq!(
            (report.wrongly_declined, report.wrongly_answered),
            (0.25, 0.5)
        );
        assert_eq!(report.verbatim_quotes, 1.0);
    }

    #[test]
    fn no_questions_measure_nothing() {
        assert_eq!(report(&[]).hit_at_5, 0.0);
    }
}
