//! Measures retrieval and answers against questions with known answers.

use common::{
    conversation::PastTurn,
    ids::CorrelationId,
    time::UnixMillis,
    turn::{Answer, Citation},
};
use serde::{Deserialize, Serialize};

use crate::{
    handler::StageError,
    knowledge::Passage,
    narration::Narration,
    providers::{Answerer, Grounds},
    retrieval::Retriever,
};

/// How deep a ranking is looked at.
const DEPTH: usize = 5;

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
    /// The user's messages before it, the oldest first.
    pub earlier: Vec<String>,
    pub expected: Vec<String>,
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

/// What is wrong with an answer, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Miss {
    /// No document answers, yet something was said.
    Answered,
    /// A quote stands in no passage.
    QuoteNotFound,
    /// The documents answer, yet nothing was said.
    Declined,
    /// No expected document is cited.
    OtherDocument,
    /// The words of a right answer are missing.
    WordsMissing,
    /// The answer is right, but no expected document is among the first found.
    NotFound,
}

impl Outcome {
    /// What is wrong, if anything is.
    pub fn miss(&self) -> Option<Miss> {
        let deep = self.rank.is_none_or(|rank| rank > DEPTH);
        let found = [
            (!self.answerable && !self.declined, Miss::Answered),
            (self.verbatim < self.quotes, Miss::QuoteNotFound),
            (self.answerable && self.declined, Miss::Declined),
            (self.answerable && !self.cites_expected, Miss::OtherDocument),
            (self.answerable && !self.holds_words, Miss::WordsMissing),
            (self.answerable && deep, Miss::NotFound),
        ];
        let mut found = found.into_iter();
        found.find(|(applies, _)| *applies).map(|(_, miss)| miss)
    }
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
///
/// # Errors
///
/// What the search or the answerer gave up with.
pub async fn ask(
    question: &Question,
    retriever: &Retriever,
    answerer: &dyn Answerer,
) -> Result<Outcome, StageError> {
    let history: Vec<PastTurn> = question.history.iter().flatten().map(past).collect();
    let found = retriever.retrieve(&question.question, &history).await?;
    let grounds = Grounds {
        question: &question.question,
        understanding: &found.understanding,
        passages: &found.passages,
        history: &history,
        emotion: None,
        account: None,
    };
    let answer = answerer.answer(&grounds, &Narration::default()).await?;
    let queries = found.understanding.queries.iter();
    let searched = queries.map(|query| query.text.clone()).collect();
    Ok(outcome(question, searched, &found.passages, &answer))
}

fn past(earlier: &Earlier) -> PastTurn {
    PastTurn {
        job: CorrelationId::new(),
        at: UnixMillis::now(),
        user: earlier.user.clone(),
        assistant: String::new(),
    }
}

fn outcome(
    question: &Question,
    searched: Vec<String>,
    passages: &[Passage],
    answer: &Answer,
) -> Outcome {
    let found = distinct_documents(passages);
    let expected = |id: &String| question.expect.contains(id);
    let earlier = question.history.iter().flatten();
    let spoken = answer.text.to_lowercase();
    let proofs: Vec<Option<&Passage>> = answer
        .citations
        .iter()
        .map(|citation| proof(citation, passages))
        .collect();
    Outcome {
        id: question.id.clone(),
        kind: question.kind.clone(),
        question: question.question.clone(),
        earlier: earlier.map(|earlier| earlier.user.clone()).collect(),
        expected: question.expect.clone(),
        searched,
        answerable: !question.expect.is_empty(),
        rank: found.iter().position(expected).map(|at| at + 1),
        found: found.into_iter().take(DEPTH).collect(),
        declined: answer.declined,
        cites_expected: proofs
            .iter()
            .flatten()
            .any(|passage| expected(&passage.document.id)),
        holds_words: question
            .words
            .iter()
            .all(|word| spoken.contains(&word.to_lowercase())),
        quotes: proofs.len(),
        verbatim: proofs.iter().flatten().count(),
        answer: answer.text.clone(),
        confidence: answer
            .citations
            .iter()
            .filter_map(|citation| citation.score)
            .fold(0.0, f32::max),
    }
}

/// The passage of the cited document that holds the quote.
fn proof<'a>(citation: &Citation, passages: &'a [Passage]) -> Option<&'a Passage> {
    passages.iter().find(|passage| {
        passage.document.title == citation.title
            && !citation.quote.is_empty()
            && passage.text.contains(&citation.quote)
    })
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
        // An empty sum of floats is -0, and is shown so.
        .fold(0.0, |sum, reciprocal| sum + reciprocal);
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
        verbatim_quotes: if quotes == 0 {
            1.0
        } else {
            verbatim as f32 / quotes as f32
        },
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
            earlier: Vec::new(),
            expected: Vec::new(),
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
    fn a_miss_names_what_is_worst() {
        let words_missing = Outcome {
            holds_words: false,
            ..outcome(true, Some(1), false)
        };
        let forged = Outcome {
            verbatim: 0,
            ..outcome(true, Some(1), false)
        };
        for (outcome, miss) in [
            (outcome(true, Some(1), false), None),
            (outcome(false, None, true), None),
            (outcome(false, None, false), Some(Miss::Answered)),
            (outcome(true, Some(1), true), Some(Miss::Declined)),
            (outcome(true, Some(6), false), Some(Miss::NotFound)),
            (words_missing, Some(Miss::WordsMissing)),
            (forged, Some(Miss::QuoteNotFound)),
        ] {
            assert_eq!(outcome.miss(), miss, "{outcome:?}");
        }
    }

    #[test]
    fn no_questions_measure_nothing() {
        let report = report(&[]);
        assert_eq!(report.hit_at_5, 0.0);
        assert!(report.mean_reciprocal_rank.is_sign_positive());
    }
}
