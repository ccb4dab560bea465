//! How well a sentence fits a question.

use std::collections::HashMap;

use super::confidence::{Weighed, share, strength};
use super::evidence::Evidence;
use super::reading::{Reading, Unit};
use crate::query::Role;
use crate::query::kind::QuestionKind;

/// A match around the sentence counts less than one in the sentence itself, the less the farther away.
const IN_HEADING: f32 = 0.95;
const IN_TITLE: f32 = 0.9;
const IN_PASSAGE: f32 = 0.7;
const IN_DOCUMENT: f32 = 0.5;

/// What makes a sentence the better choice. Set by hand and checked on the evaluation questions.
mod weight {
    /// The question is covered by the sentence and what stands around it.
    pub const COVERAGE: f32 = 0.5;
    /// It is covered by the sentence's own words.
    pub const OWN_WORDS: f32 = 0.2;
    /// The sentence holds what the kind of question asks for.
    pub const EVIDENCE: f32 = 0.16;
    /// The heading, or for an introduction the title, names the same.
    pub const HEADING: f32 = 0.06;
    /// The heading asks the same kind of question.
    pub const HEADING_KIND: f32 = 0.06;
    /// The heading or title narrows the topic to something that was not asked.
    pub const NARROWER_HEADING: f32 = -0.1;
    pub const NARROWER_TITLE: f32 = -0.05;
    /// The sentence begins with the topic.
    pub const SUBJECT: f32 = 0.04;
    /// It begins with the topic and says what that is.
    pub const DEFINES: f32 = 0.14;
    /// A number stands beside what is counted.
    pub const COUNTED: f32 = 0.08;
    /// The sentence leans on the one before it.
    pub const CONTINUES: f32 = -0.05;
    /// The search found the passage early.
    pub const RANK: f32 = 0.1;
}

/// Without the evidence that a question for a number, a time or a person needs, less is believed to be covered.
const LACKING_EVIDENCE: f32 = 0.7;

/// A sentence as an answer.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub passage: usize,
    pub unit: usize,
    pub score: f32,
    /// How much of the question is covered, 0 to 1.
    pub coverage: f32,
    /// The same by term, for what a second passage may add.
    pub covered: Vec<f32>,
    /// Whether every name of the question is in the passage.
    pub names_found: bool,
}

/// The sentences of all passages as answers.
pub fn candidates(
    kind: QuestionKind,
    terms: &[Weighed],
    readings: &[Reading],
    evidence: &Evidence,
) -> Vec<Candidate> {
    let question = Question {
        kind,
        terms,
        evidence,
    };
    let matches: Vec<Matches> = readings
        .iter()
        .map(|reading| question.matches(reading))
        .collect();
    let mut documents: HashMap<&str, Vec<f32>> = HashMap::new();
    for (reading, matches) in readings.iter().zip(&matches) {
        let all = documents
            .entry(&reading.document)
            .or_insert_with(|| vec![0.0; terms.len()]);
        raise(all, &matches.anywhere, 1.0);
    }
    let passages = readings.iter().zip(&matches).enumerate();
    passages
        .flat_map(|(passage, (reading, matches))| {
            question.candidates(
                passage,
                reading,
                matches,
                &documents[reading.document.as_str()],
            )
        })
        .collect()
}

/// The strength of every term in the parts of a passage.
struct Matches {
    units: Vec<Vec<f32>>,
    heading: Vec<f32>,
    title: Vec<f32>,
    anywhere: Vec<f32>,
}

struct Question<'a> {
    kind: QuestionKind,
    terms: &'a [Weighed<'a>],
    evidence: &'a Evidence,
}

impl Question<'_> {
    fn matches(&self, reading: &Reading) -> Matches {
        let units: Vec<Vec<f32>> = reading
            .units
            .iter()
            .map(|unit| self.strengths(&unit.stems))
            .collect();
        let (heading, title) = (
            self.strengths(&reading.heading),
            self.strengths(&reading.title),
        );
        let mut anywhere = vec![0.0; self.terms.len()];
        units
            .iter()
            .for_each(|unit| raise(&mut anywhere, unit, 1.0));
        raise(&mut anywhere, &heading, 1.0);
        raise(&mut anywhere, &title, 1.0);
        Matches {
            units,
            heading,
            title,
            anywhere,
        }
    }

    fn candidates(
        &self,
        passage: usize,
        reading: &Reading,
        matches: &Matches,
        document: &[f32],
    ) -> Vec<Candidate> {
        let mut around = vec![0.0; self.terms.len()];
        raise(&mut around, document, IN_DOCUMENT);
        raise(&mut around, &matches.anywhere, IN_PASSAGE);
        raise(&mut around, &matches.title, IN_TITLE);
        raise(&mut around, &matches.heading, IN_HEADING);
        let names_found = self.names_found(&matches.anywhere);
        let setting = self.setting(reading, matches) + weight::RANK / (passage as f32 + 2.0);
        let candidate = |(at, unit): (usize, &Unit)| {
            let mut covered = matches.units[at].clone();
            raise(&mut covered, &around, 1.0);
            let coverage = share(self.terms, &covered);
            let found = self.evidence.of(self.kind, &unit.text, &unit.folded);
            let believed = if found == 0.0 && self.needs_evidence() {
                LACKING_EVIDENCE
            } else {
                1.0
            };
            let score = setting
                + weight::COVERAGE * coverage
                + weight::OWN_WORDS * share(self.terms, &matches.units[at])
                + weight::EVIDENCE * found
                + self.wording(unit);
            let coverage = coverage * believed;
            Candidate {
                passage,
                unit: at,
                score,
                coverage,
                covered,
                names_found,
            }
        };
        reading.units.iter().enumerate().map(candidate).collect()
    }

    fn strengths(&self, stems: &[String]) -> Vec<f32> {
        self.terms
            .iter()
            .map(|term| strength(term.term, stems))
            .collect()
    }

    fn names_found(&self, anywhere: &[f32]) -> bool {
        let mut terms = self.terms.iter().zip(anywhere);
        terms.all(|(term, strength)| term.term.role != Role::Name || *strength > 0.0)
    }

    fn needs_evidence(&self) -> bool {
        matches!(
            self.kind,
            QuestionKind::Quantity
                | QuestionKind::Duration
                | QuestionKind::Time
                | QuestionKind::Person
        )
    }

    /// What heading and title say for all sentences of the passage.
    fn setting(&self, reading: &Reading, matches: &Matches) -> f32 {
        let over = if reading.heading.is_empty() {
            &matches.title
        } else {
            &matches.heading
        };
        let same_kind = reading.heading_kind == Some(self.kind);
        weight::HEADING * share(self.terms, over)
            + if same_kind { weight::HEADING_KIND } else { 0.0 }
            + weight::NARROWER_HEADING * self.narrower(&reading.heading)
            + weight::NARROWER_TITLE * self.narrower(&reading.title)
    }

    /// The share of words that the question does not hold.
    fn narrower(&self, stems: &[String]) -> f32 {
        let extra = stems.iter().filter(|stem| !self.asks_for(stem)).count();
        extra as f32 / stems.len().max(1) as f32
    }

    fn asks_for(&self, stem: &String) -> bool {
        let mut forms = self.terms.iter().flat_map(|term| &term.term.forms);
        forms.any(|form| form.stems.contains(stem))
    }

    fn wording(&self, unit: &Unit) -> f32 {
        let mut sum = 0.0;
        if self.begins_with_topic(unit) {
            sum += weight::SUBJECT;
            let asks_what = matches!(self.kind, QuestionKind::Definition | QuestionKind::Open);
            if asks_what && unit.defines {
                sum += weight::DEFINES;
            }
        }
        if self.kind == QuestionKind::Quantity && self.counts(unit) {
            sum += weight::COUNTED;
        }
        if unit.continues {
            sum += weight::CONTINUES;
        }
        sum
    }

    fn begins_with_topic(&self, unit: &Unit) -> bool {
        let topics = self
            .terms
            .iter()
            .filter(|term| term.term.role != Role::Aspect);
        let heaviest = topics.max_by(|left, right| left.weight.total_cmp(&right.weight));
        let forms = heaviest.map_or(&[][..], |term| &term.term.forms);
        forms.iter().any(|form| unit.stems.starts_with(&form.stems))
    }

    /// A number directly before or after one of the terms: "144 SKS".
    fn counts(&self, unit: &Unit) -> bool {
        let number = |stem: &String| stem.starts_with(|first: char| first.is_ascii_digit());
        unit.stems.windows(2).any(|pair| {
            (number(&pair[0]) && self.asks_for(&pair[1]))
                || (number(&pair[1]) && self.asks_for(&pair[0]))
        })
    }
}

fn raise(strengths: &mut [f32], others: &[f32], factor: f32) {
    for (strength, other) in strengths.iter_mut().zip(others) {
        *strength = strength.max(factor * other);
    }
}
