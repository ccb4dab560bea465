//! How well a sentence fits a question.

use std::collections::HashMap;

use super::confidence::{Weighed, share, strength};
use super::evidence::Evidence;
use super::reading::{Reading, Unit};
use crate::knowledge::lexicon::Lexicon;
use crate::knowledge::vocabulary::Vocabulary;
use crate::query::kind::QuestionKind;
use crate::query::{Query, Role};

/// A match around the sentence counts less than one in the sentence itself, the less the farther away.
const IN_HEADING: f32 = 0.95;
const IN_TITLE: f32 = 0.9;
const IN_PASSAGE: f32 = 0.7;
const IN_DOCUMENT: f32 = 0.4;

/// A heading speaks for its sentences, though less surely than their own words.
const HEADING_AS_OWN: f32 = 0.75;

/// What makes a sentence the better choice. Set by hand and checked on the evaluation questions.
mod weight {
    /// The question is covered by the sentence and what stands around it.
    pub const COVERAGE: f32 = 0.5;
    /// It is covered by the sentence's own words.
    pub const OWN_WORDS: f32 = 0.2;
    /// The sentence holds what the kind of question asks for.
    pub const EVIDENCE: f32 = 0.16;
    /// The heading, or for an introduction the title, names the same.
    pub const HEADING: f32 = 0.1;
    /// The document's title names the same.
    pub const TITLE: f32 = 0.06;
    /// The heading asks the same kind of question.
    pub const HEADING_KIND: f32 = 0.1;
    /// The heading names the aspect that is asked for: "Syarat".
    pub const HEADING_ASPECT: f32 = 0.1;
    /// The heading or title narrows the topic to something that was not asked.
    pub const NARROWER_HEADING: f32 = -0.1;
    pub const NARROWER_TITLE: f32 = -0.08;
    /// The sentence begins with the topic.
    pub const SUBJECT: f32 = 0.04;
    /// It begins with the topic and says what that is.
    pub const DEFINES: f32 = 0.14;
    /// A number stands beside what is counted.
    pub const COUNTED: f32 = 0.15;
    /// The sentence names something, and a name is asked for.
    pub const NAMES: f32 = 0.14;
    /// The sentence leans on the one before it.
    pub const CONTINUES: f32 = -0.05;
    /// The topic comes late in the sentence, and neither heading nor title names it.
    pub const ASIDE: f32 = -0.06;
    /// The search found the passage early.
    pub const RANK: f32 = 0.1;
}

/// What stands before a name.
const NAMING: &[&str] = &[
    " bernama ",
    " nama ",
    " disingkat ",
    " disebut ",
    " dinamai ",
    " dikenal sebagai ",
    " dikenal dengan ",
];

/// How much a title or heading that names the main topic adds, and how much of the weight of unknown words it takes off.
const ANCHOR: f32 = 0.08;
const SPARED: f32 = 0.5;

/// From this strength on a match is the word itself, or another for the same thing.
const OWN_WORD: f32 = 0.9;

/// From this weight on an unknown word is a noun, and no everyday one.
const THING_WEIGHT: f32 = 0.8;

/// How near the topic of a list has to be to that of the question: schools are listed with faculties.
const LISTED_TOPIC: f32 = 0.5;

/// A sentence as an answer.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub passage: usize,
    pub unit: usize,
    pub score: f32,
    /// How much of the question is covered, 0 to 1.
    pub coverage: f32,
    /// By term, how well the sentence and its heading match: what a second passage may add.
    pub direct: Vec<f32>,
    /// Whether the sentence lists what a question for a list asks for.
    pub lists: bool,
    /// Whether the passage is about what was asked: it holds the names and the main topic.
    pub to_the_point: bool,
}

/// What is known about words in general and in the collection.
#[derive(Clone, Copy)]
pub struct Words<'a> {
    pub lexicon: &'a Lexicon,
    pub vocabulary: &'a dyn Vocabulary,
}

/// The sentences of all passages as answers.
pub fn candidates(
    query: &Query,
    terms: &[Weighed],
    readings: &[Reading],
    evidence: &Evidence,
    words: Words,
) -> Vec<Candidate> {
    let question = Question {
        kind: query.kind,
        query,
        terms,
        evidence,
        lexicon: words.lexicon,
        vocabulary: words.vocabulary,
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
pub(super) struct Matches {
    pub(super) units: Vec<Vec<f32>>,
    pub(super) heading: Vec<f32>,
    pub(super) title: Vec<f32>,
    pub(super) anywhere: Vec<f32>,
}

pub(super) struct Question<'a> {
    pub(super) kind: QuestionKind,
    pub(super) query: &'a Query,
    pub(super) terms: &'a [Weighed<'a>],
    pub(super) evidence: &'a Evidence,
    pub(super) lexicon: &'a Lexicon,
    pub(super) vocabulary: &'a dyn Vocabulary,
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
        let to_the_point = self.is_to_the_point(&matches.anywhere);
        let setting = self.setting(reading, matches) + weight::RANK / (passage as f32 + 2.0);
        let candidate = |(at, unit): (usize, &Unit)| {
            let mut covered = matches.units[at].clone();
            raise(&mut covered, &around, 1.0);
            let coverage = self.coverage(&covered, matches);
            let found = self.evidence.of(self.kind, &unit.text, &unit.folded);
            let mut direct = matches.units[at].clone();
            raise(&mut direct, &matches.heading, HEADING_AS_OWN);
            let score = setting
                + weight::COVERAGE * coverage
                + weight::OWN_WORDS * share(self.terms, &direct)
                + weight::EVIDENCE * found
                + self.wording(unit)
                + if self
                    .heaviest()
                    .is_some_and(|topic| self.is_aside(topic, matches, unit))
                {
                    weight::ASIDE
                } else {
                    0.0
                };
            let coverage = coverage * self.belief(found, matches, unit);
            let topic = self.heaviest().map_or(0.0, |topic| direct[topic]);
            let lists = self.kind == QuestionKind::List && found >= 1.0 && topic >= LISTED_TOPIC;
            Candidate {
                lists,
                passage,
                unit: at,
                score,
                coverage,
                direct,
                to_the_point,
            }
        };
        reading.units.iter().enumerate().map(candidate).collect()
    }

    /// How much of the question is covered. In a document whose title names the main topic, words that the collection
    /// lacks are likely another way to say what it tells.
    fn coverage(&self, covered: &[f32], matches: &Matches) -> f32 {
        let anchored = self
            .heaviest()
            .filter(|topic| !self.is_everywhere(*topic))
            .map_or(0.0, |topic| {
                matches.title[topic].max(matches.heading[topic])
            });
        let counts = |term: &Weighed| {
            let asked = self.query.counted.as_ref() == Some(&term.term.surface);
            // Whether there is such a thing cannot be told by a text that lacks the word for it.
            let thing = self.kind == QuestionKind::YesNo && term.term.weight >= THING_WEIGHT;
            let spared = !term.known && !asked && !thing && term.term.role != Role::Name;
            term.weight * if spared { 1.0 - SPARED * anchored } else { 1.0 }
        };
        let total: f32 = self.terms.iter().map(counts).sum();
        let found = self.terms.iter().zip(covered);
        let found: f32 = found.map(|(term, strength)| term.weight * strength).sum();
        (found / total.max(f32::EPSILON) + ANCHOR * anchored).min(1.0)
    }

    fn strengths(&self, stems: &[String]) -> Vec<f32> {
        self.terms
            .iter()
            .map(|term| strength(term.term, stems))
            .collect()
    }

    /// All names, and the term that weighs most, stand in the passage itself.
    fn is_to_the_point(&self, anywhere: &[f32]) -> bool {
        let heaviest = self
            .terms
            .iter()
            .filter(|term| term.known)
            .map(|term| term.weight)
            .fold(0.0, f32::max);
        self.terms.iter().zip(anywhere).all(|(term, strength)| {
            let required = term.term.role == Role::Name || (term.known && term.weight >= heaviest);
            !required || *strength > 0.0
        })
    }

    pub(super) fn heaviest(&self) -> Option<usize> {
        let terms = self.terms.iter().enumerate();
        let topics = terms.filter(|(_, term)| term.known && term.term.role != Role::Aspect);
        let heaviest = topics.max_by(|(_, left), (_, right)| left.weight.total_cmp(&right.weight));
        heaviest.map(|(at, _)| at)
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
            + weight::TITLE * share(self.terms, &matches.title)
            + if same_kind { weight::HEADING_KIND } else { 0.0 }
            + if self.names_aspect(matches) {
                weight::HEADING_ASPECT
            } else {
                0.0
            }
            + weight::NARROWER_HEADING * self.narrower(&reading.heading)
            + weight::NARROWER_TITLE * self.narrower(&reading.title)
    }

    fn names_aspect(&self, matches: &Matches) -> bool {
        let named = self.terms.iter().zip(&matches.heading);
        let mut named = named.filter(|(_, strength)| **strength >= OWN_WORD);
        named.any(|(term, _)| term.term.role == Role::Aspect)
    }

    /// The share of words that the question does not hold.
    fn narrower(&self, stems: &[String]) -> f32 {
        let extra = stems.iter().filter(|stem| !self.asks_for(stem)).count();
        extra as f32 / stems.len().max(1) as f32
    }

    pub(super) fn asks_for(&self, stem: &String) -> bool {
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
        if self.asks_for_name() && NAMING.iter().any(|phrase| unit.folded.contains(phrase)) {
            sum += weight::NAMES;
        }
        if unit.continues {
            sum += weight::CONTINUES;
        }
        sum
    }

    /// "Apa nama …?"
    fn asks_for_name(&self) -> bool {
        self.terms.iter().any(|term| term.term.surface == "nama")
    }

    fn begins_with_topic(&self, unit: &Unit) -> bool {
        let forms = self
            .heaviest()
            .map_or(&[][..], |topic| &self.terms[topic].term.forms);
        forms.iter().any(|form| unit.stems.starts_with(&form.stems))
    }

    /// A number beside one of the terms: "144 SKS".
    fn counts(&self, unit: &Unit) -> bool {
        unit.stems.windows(2).any(|pair| {
            (is_number(&pair[0]) && self.asks_for(&pair[1]))
                || (is_number(&pair[1]) && self.asks_for(&pair[0]))
        })
    }
}

/// Numbers in words, as stems.
const NUMBER_WORDS: &[&str] = &[
    "satu", "dua", "tiga", "empat", "lima", "enam", "tujuh", "delapan", "sembilan", "sepuluh",
    "belas", "puluh", "ratus", "ribu", "juta",
];

pub(super) fn is_number(stem: &str) -> bool {
    let word = NUMBER_WORDS.contains(&stem);
    word || stem.starts_with(|first: char| first.is_ascii_digit())
}

fn raise(strengths: &mut [f32], others: &[f32], factor: f32) {
    for (strength, other) in strengths.iter_mut().zip(others) {
        *strength = strength.max(factor * other);
    }
}
