//! How well a sentence fits a question.

use std::collections::HashMap;

use super::confidence::{Weighed, share, strength};
use super::evidence::Evidence;
use super::reading::{Reading, Unit};
use crate::knowledge::analyser::stem::stem;
use crate::knowledge::analyser::token::tokens;
use crate::knowledge::lexicon::Lexicon;
use crate::knowledge::vocabulary::Vocabulary;
use crate::query::kind::QuestionKind;
use crate::query::{Query, Role};

/// A match around the sentence counts less than one in the sentence itself, the less the farther away.
const IN_HEADING: f32 = 0.95;
const IN_TITLE: f32 = 0.9;
const IN_PASSAGE: f32 = 0.7;
const IN_DOCUMENT: f32 = 0.5;

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
    pub const HEADING: f32 = 0.06;
    /// The document's title names the same.
    pub const TITLE: f32 = 0.06;
    /// The heading asks the same kind of question.
    pub const HEADING_KIND: f32 = 0.06;
    /// The heading or title narrows the topic to something that was not asked.
    pub const NARROWER_HEADING: f32 = -0.1;
    pub const NARROWER_TITLE: f32 = -0.08;
    /// The sentence begins with the topic.
    pub const SUBJECT: f32 = 0.04;
    /// It begins with the topic and says what that is.
    pub const DEFINES: f32 = 0.14;
    /// A number stands beside what is counted.
    pub const COUNTED: f32 = 0.08;
    /// The sentence leans on the one before it.
    pub const CONTINUES: f32 = -0.05;
    /// The topic comes late in the sentence, and neither heading nor title names it.
    pub const ASIDE: f32 = -0.06;
    /// The search found the passage early.
    pub const RANK: f32 = 0.1;
}

/// Without the evidence that a question for a number, a time or a person needs, less is believed to be covered.
const LACKING_EVIDENCE: f32 = 0.7;

/// Of an office only the holder's name answers, and of the present only a sentence that speaks of it.
const NAMELESS: f32 = 0.55;
const UNDATED: f32 = 0.55;

/// A name stands in few passages; words that stand in more are not names but parts of titles.
const NAME_RARITY: f32 = 0.7;

/// A thing that is asked about should stand among this many first words, or in the heading.
const BEGINNING: usize = 6;
const MENTIONED: f32 = 0.55;

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
struct Matches {
    units: Vec<Vec<f32>>,
    heading: Vec<f32>,
    title: Vec<f32>,
    anywhere: Vec<f32>,
}

struct Question<'a> {
    kind: QuestionKind,
    query: &'a Query,
    terms: &'a [Weighed<'a>],
    evidence: &'a Evidence,
    lexicon: &'a Lexicon,
    vocabulary: &'a dyn Vocabulary,
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
            let coverage = share(self.terms, &covered);
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
            .map(|term| term.weight)
            .fold(0.0, f32::max);
        self.terms.iter().zip(anywhere).all(|(term, strength)| {
            let required = term.term.role == Role::Name || term.weight >= heaviest;
            !required || *strength > 0.0
        })
    }

    /// How far the coverage is believed.
    fn belief(&self, found: f32, matches: &Matches, unit: &Unit) -> f32 {
        let lacking = self.needs_evidence() && found == 0.0;
        let nameless = self.wants_name() && !self.holds_name(unit);
        let undated = self.query.present
            && self.kind == QuestionKind::Person
            && !self.lexicon.names_present(&unit.folded);
        let aside = self.is_only_mentioned(matches, unit);
        [
            (lacking, LACKING_EVIDENCE),
            (nameless, NAMELESS),
            (undated, UNDATED),
            (aside, MENTIONED),
        ]
        .into_iter()
        .filter(|(applies, _)| *applies)
        .map(|(_, factor)| factor)
        .product()
    }

    /// "Siapa rektor?" wants a name, "Siapa yang menetapkan UKT?" does not.
    fn wants_name(&self) -> bool {
        let mut stems = self
            .terms
            .iter()
            .flat_map(|term| &term.term.forms[..1])
            .flat_map(|form| &form.stems);
        self.kind == QuestionKind::Person && stems.any(|stem| self.lexicon.is_office(stem))
    }

    /// A capital inside the sentence that the question does not hold and that is no abbreviation.
    fn holds_name(&self, unit: &Unit) -> bool {
        let words = tokens(&unit.text);
        words.iter().skip(1).any(|word| {
            let written = &unit.text[word.span.clone()];
            let stem = stem(&word.text);
            let abbreviation = written.chars().skip(1).any(char::is_uppercase);
            word.capital
                && !abbreviation
                && !self.asks_for(&stem)
                && !self.lexicon.is_light(&stem)
                && !self.lexicon.is_office(&stem)
                && self.vocabulary.rarity(&stem) >= NAME_RARITY
        })
    }

    /// A question about one thing is not answered by a sentence that mentions it in passing.
    fn is_only_mentioned(&self, matches: &Matches, unit: &Unit) -> bool {
        let about = matches!(
            self.kind,
            QuestionKind::Definition
                | QuestionKind::Thing
                | QuestionKind::Open
                | QuestionKind::Manner
                | QuestionKind::List
                | QuestionKind::Reason
        );
        let Some(topic) = self.heaviest() else {
            return false;
        };
        let weighty = 0.25 * self.terms[topic].weight;
        let alone = self
            .terms
            .iter()
            .filter(|term| term.weight >= weighty)
            .count()
            == 1;
        let repeated = matches
            .units
            .iter()
            .filter(|unit| unit[topic] > 0.0)
            .count()
            > 1;
        about && alone && !repeated && self.is_aside(topic, matches, unit)
    }

    /// The topic is neither in heading or title nor among the sentence's first words.
    fn is_aside(&self, topic: usize, matches: &Matches, unit: &Unit) -> bool {
        let beginning = &unit.stems[..unit.stems.len().min(BEGINNING)];
        let early = strength(self.terms[topic].term, beginning) > 0.0;
        !early && matches.heading[topic] == 0.0 && matches.title[topic] == 0.0
    }

    fn heaviest(&self) -> Option<usize> {
        let terms = self.terms.iter().enumerate();
        let topics = terms.filter(|(_, term)| term.term.role != Role::Aspect);
        let heaviest = topics.max_by(|(_, left), (_, right)| left.weight.total_cmp(&right.weight));
        heaviest.map(|(at, _)| at)
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
            + weight::TITLE * share(self.terms, &matches.title)
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
        let forms = self
            .heaviest()
            .map_or(&[][..], |topic| &self.terms[topic].term.forms);
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
