//! Why a sentence that holds the words of a question may still not answer it.

use super::confidence::{Weighed, strength};
use super::fit::{Matches, Question, is_number};
use super::reading::Unit;
use crate::knowledge::analyser::stem::stem;
use crate::knowledge::analyser::token::tokens;
use crate::query::kind::QuestionKind;
use crate::query::{Form, Role, terms};

/// Without the evidence that a question for a number, a time or a person needs, less is believed to be covered.
const LACKING_EVIDENCE: f32 = 0.8;

/// When something happened is told by no sentence without a time.
const UNTIMED: f32 = 0.7;

/// Another institution is only mentioned, or the topics of a question for a fact do not stand together.
const ANOTHER: f32 = 0.5;
const SCATTERED: f32 = 0.65;

/// What is asked of the topic is not spoken of.
const UNTOLD: f32 = 0.65;

/// A term of this share of the heaviest one's weight has to stand beside it in an answer that tells a fact.
const SPREAD: f32 = 0.3;

/// A term of at least this share of the heaviest one's weight is a main topic.
const WEIGHTY: f32 = 0.5;

/// An everyday verb or adjective is put otherwise as easily as it is put.
const EVERYDAY: f32 = 0.5;

/// Lighter words, such as the institution's name, stand everywhere.
const EVERYWHERE: f32 = 0.15;

/// A number that counts something else, how far from what is counted it may stand in words, and from which strength on
/// the evidence is a number at all.
const UNCOUNTED: f32 = 0.6;
const COUNTED_REACH: usize = 4;
const NUMBER: f32 = 0.8;

/// Of an office only the holder's name answers, and of the present only a sentence that speaks of it.
const NAMELESS: f32 = 0.4;
const UNDATED: f32 = 0.55;

/// A name stands in few passages; words that stand in more are not names but parts of titles.
const NAME_RARITY: f32 = 0.7;

/// A thing that is asked about should stand among this many first words, or in the heading.
const BEGINNING: usize = 6;
const MENTIONED: f32 = 0.4;

impl Question<'_> {
    /// A word such as the institution's name, which every document holds.
    pub(super) fn is_everywhere(&self, topic: usize) -> bool {
        self.terms[topic].weight < EVERYWHERE
    }

    /// How far the coverage is believed.
    pub(super) fn belief(&self, found: f32, matches: &Matches, unit: &Unit) -> f32 {
        let lacking = self.needs_evidence() && found == 0.0;
        let nameless = self.wants_name() && !self.holds_name(unit);
        let undated = self.query.present
            && self.kind == QuestionKind::Person
            && !self.lexicon.names_present(&unit.folded);
        let aside = self.is_only_mentioned(matches, unit);
        let uncounted = self.is_uncounted(found, unit);
        [
            (lacking, LACKING_EVIDENCE),
            (lacking && self.kind == QuestionKind::Time, UNTIMED),
            (uncounted, UNCOUNTED),
            (self.is_about_another(unit), ANOTHER),
            (self.has_another_number(matches, unit), ANOTHER),
            (self.names_rival(unit), ANOTHER),
            (self.lacks_attribute(matches, unit), UNTOLD),
            (self.leaves_predicate_open(matches, unit), ANOTHER),
            (self.lacks_agent(unit), NAMELESS),
            (self.lacks_office(unit), NAMELESS),
            (self.lacks_field(matches, unit), UNTOLD),
            (
                self.needs_evidence() && self.is_scattered(matches, unit),
                SCATTERED,
            ),
            (nameless, NAMELESS),
            (undated, UNDATED),
            (aside, MENTIONED),
        ]
        .into_iter()
        .filter(|(applies, _)| *applies)
        .map(|(_, factor)| factor)
        .product()
    }

    /// What is asked about another institution, only a sentence about it answers.
    fn is_about_another(&self, unit: &Unit) -> bool {
        let elsewhere = |term: &Weighed| {
            term.term.role == Role::Name && self.lexicon.is_elsewhere(&term.term.surface)
        };
        let lacks = |term: &Weighed| {
            let own = term.known && term.term.role != Role::Name;
            own && strength(term.term, &unit.stems) == 0.0
        };
        self.terms.iter().any(elsewhere) && self.terms.iter().any(lacks)
    }

    /// "Pasal 12" is asked about, and the sentence stands elsewhere and does not begin with it.
    fn has_another_number(&self, matches: &Matches, unit: &Unit) -> bool {
        self.terms.iter().enumerate().any(|(at, term)| {
            let over = matches.heading[at].max(matches.title[at]);
            let beginning = &unit.stems[..unit.stems.len().min(2)];
            terms::is_numbered(term.term) && over == 0.0 && strength(term.term, beginning) == 0.0
        })
    }

    /// The sentence is about another campus or level of study than was asked.
    fn names_rival(&self, unit: &Unit) -> bool {
        let named = |term: &&Weighed| strength(term.term, &unit.stems) == 0.0;
        let forms = self
            .terms
            .iter()
            .filter(named)
            .flat_map(|term| term.term.forms.first());
        let mut rivals = forms.flat_map(|form| self.lexicon.alternatives.rivals(&form.stems));
        rivals.any(|rival| {
            unit.stems
                .windows(rival.len().max(1))
                .any(|window| window == rival.as_slice())
        })
    }

    /// A price, an address or the like is asked for, and neither sentence nor heading speaks of one.
    fn lacks_attribute(&self, matches: &Matches, unit: &Unit) -> bool {
        self.terms.iter().enumerate().any(|(at, term)| {
            let attribute = |form: &Form| {
                form.stems
                    .iter()
                    .all(|stem| self.lexicon.is_attribute(stem))
            };
            let asked = term.term.forms.first().is_some_and(attribute);
            asked && matches.heading[at] == 0.0 && strength(term.term, &unit.stems) == 0.0
        })
    }

    /// "Siapa ketua …?" is told only where a chair is spoken of.
    fn lacks_office(&self, unit: &Unit) -> bool {
        let office = |term: &Weighed| {
            let first = term.term.forms.first();
            first.is_some_and(|form| form.stems.iter().any(|stem| self.lexicon.is_office(stem)))
        };
        let mut offices = self.terms.iter().filter(|term| office(term));
        self.kind == QuestionKind::Person
            && offices.any(|term| strength(term.term, &unit.stems) == 0.0)
    }

    /// "Ada jurusan psikologi?" is told only where a programme of study is spoken of.
    fn lacks_field(&self, matches: &Matches, unit: &Unit) -> bool {
        let named = |at: usize| {
            self.terms
                .get(at + 1)
                .is_some_and(|next| next.term.role == Role::Topic)
        };
        let exists = matches!(self.kind, QuestionKind::YesNo | QuestionKind::Open);
        exists
            && self.terms.iter().enumerate().any(|(at, term)| {
                let over = matches.heading[at].max(matches.title[at]);
                self.is_field(term)
                    && named(at)
                    && over == 0.0
                    && strength(term.term, &unit.stems) == 0.0
            })
    }

    /// `jurusan`, `fakultas`
    fn is_field(&self, term: &Weighed) -> bool {
        let field = |form: &Form| form.stems.iter().all(|stem| self.lexicon.is_field(stem));
        term.term.forms.iter().any(field)
    }

    /// One of the main topics stands neither in the sentence nor over it.
    fn is_scattered(&self, matches: &Matches, unit: &Unit) -> bool {
        self.terms.iter().enumerate().any(|(at, term)| {
            let over = matches.heading[at].max(matches.title[at]);
            self.is_main(term) && over == 0.0 && strength(term.term, &unit.stems) == 0.0
        })
    }

    /// What the question is about, everyday words and those that stand everywhere aside.
    pub(super) fn is_main(&self, term: &Weighed) -> bool {
        let heaviest = self
            .heaviest()
            .map_or(0.0, |topic| self.terms[topic].weight);
        let everyday = term.term.weight <= EVERYDAY;
        let topic = term.known && term.term.role == Role::Topic;
        topic && !everyday && term.weight >= SPREAD * heaviest
    }

    /// "Siapa rektor?" wants a name, "Siapa yang menetapkan UKT?" does not.
    fn wants_name(&self) -> bool {
        let mut stems = self
            .terms
            .iter()
            .flat_map(|term| &term.term.forms[..1])
            .flat_map(|form| &form.stems);
        let office = stems.any(|stem| self.lexicon.is_office(stem)) || self.counted().is_some();
        self.kind == QuestionKind::Person && office
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
                && !self.lexicon.is_common(&stem)
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
        // "Planologi di fakultas apa?" is answered by a list that holds it.
        if self.terms.iter().any(|term| self.is_field(term)) {
            return false;
        }
        let weighty = WEIGHTY * self.terms[topic].weight;
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
    pub(super) fn is_aside(&self, topic: usize, matches: &Matches, unit: &Unit) -> bool {
        let beginning = &unit.stems[..unit.stems.len().min(BEGINNING)];
        let early = strength(self.terms[topic].term, beginning) > 0.0;
        !early && matches.heading[topic] == 0.0 && matches.title[topic] == 0.0
    }

    pub(super) fn needs_evidence(&self) -> bool {
        matches!(
            self.kind,
            QuestionKind::Quantity
                | QuestionKind::Duration
                | QuestionKind::Time
                | QuestionKind::Person
        )
    }

    /// "Berapa jumlah mahasiswa?" is not answered by any number near "mahasiswa", only by one that counts them. What the
    /// question itself puts beside the counted word is no distance: "Iuran koperasi Garuda sebesar Rp35.000".
    fn is_uncounted(&self, found: f32, unit: &Unit) -> bool {
        let Some(asked) = self
            .counted()
            .filter(|_| self.kind == QuestionKind::Quantity)
        else {
            return false;
        };
        let beside = windows(&unit.stems).any(|window| {
            window.iter().any(|stem| is_number(stem)) && strength(asked.term, window) > 0.0
        });
        // "Iuran … sebesar Rp35.000": behind its qualifiers an amount comes after what it is of.
        let behind = windows(&self.without_qualifiers(asked, unit)).any(|window| {
            let number = window.iter().position(|stem| is_number(stem));
            number.is_some_and(|at| strength(asked.term, &window[..at]) > 0.0)
        });
        let measured = strength(asked.term, &unit.stems) > 0.0 && self.is_measured(asked, unit);
        let refers = found > 0.0 && found < NUMBER;
        !beside && !behind && !measured && !refers
    }

    /// The sentence without what the question says of the counted thing.
    fn without_qualifiers(&self, asked: &Weighed, unit: &Unit) -> Vec<String> {
        let counted = |stem: &String| {
            let mut forms = asked.term.forms.iter();
            forms.any(|form| form.stems.contains(stem))
        };
        let stems = unit.stems.iter();
        stems
            .filter(|stem| counted(stem) || !self.asks_for(stem))
            .cloned()
            .collect()
    }

    /// The question names the measure, and a number stands before it: "beban SKS", "54 SKS".
    fn is_measured(&self, asked: &Weighed, unit: &Unit) -> bool {
        let measure = |stem: &String| {
            let mut others = self.terms.iter().filter(|term| {
                term.term.role == Role::Topic && term.term.surface != asked.term.surface
            });
            others.any(|term| strength(term.term, std::slice::from_ref(stem)) > 0.0)
        };
        let mut pairs = unit.stems.windows(2);
        pairs.any(|pair| is_number(&pair[0]) && measure(&pair[1]))
    }

    /// What is to be counted or named.
    pub(super) fn counted(&self) -> Option<&Weighed<'_>> {
        let surface = self.query.counted.as_ref()?;
        let mut terms = self.terms.iter();
        terms.find(|term| term.term.surface == *surface && term.term.role != Role::Aspect)
    }
}

/// The stretches of text within which a number counts something.
fn windows(stems: &[String]) -> std::slice::Windows<'_, String> {
    stems.windows(COUNTED_REACH.min(stems.len()).max(1))
}
