//! What is known about words: general Indonesian academic language and the institution's own abbreviations.
//!
//! All of it is data under `data/`, compiled in. A folder of other documents can bring its own `synonyms.tsv`, added
//! with [`Lexicon::add_synonyms`].

pub mod alternatives;
pub mod phrases;

use std::collections::HashSet;

use crate::query::Form;
use crate::query::kind::QuestionKind;
use crate::query::small_talk::SmallTalk;

use super::analyser::stem::stem;
use super::analyser::token::tokens;
use alternatives::Alternatives;
use phrases::Phrases;

/// Word lists and phrase tables, read once and shared by index, queries and answers.
#[derive(Debug, Default)]
pub struct Lexicon {
    function_words: HashSet<String>,
    fillers: HashSet<String>,
    english_fillers: HashSet<String>,
    /// By stem, so that an inflected form counts too.
    light: HashSet<String>,
    name_heads: HashSet<String>,
    /// By stem.
    common: HashSet<String>,
    /// By stem.
    other_topics: HashSet<String>,
    elsewhere: HashSet<String>,
    /// By stem.
    attributes: HashSet<String>,
    continuations: Vec<String>,
    offices: HashSet<String>,
    records: HashSet<String>,
    secrets: HashSet<String>,
    /// By stem.
    fields: HashSet<String>,
    present: Vec<String>,
    pub(crate) colloquial: Phrases<Vec<String>>,
    pub(crate) kinds: Phrases<QuestionKind>,
    pub(crate) small_talk: Phrases<SmallTalk>,
    /// Keyed by stems.
    pub(crate) related: Phrases<Vec<Related>>,
    pub(crate) english: HashSet<String>,
    pub(crate) alternatives: Alternatives,
}

/// Another way to say something.
#[derive(Debug, Clone, PartialEq)]
pub struct Related {
    pub stems: Vec<String>,
    /// 1 for the same thing, less for something near.
    pub weight: f32,
}

impl Related {
    /// As a form of a term, `sure` being how sure the term itself is.
    pub(crate) fn as_form(&self, sure: f32) -> Form {
        Form {
            stems: self.stems.clone(),
            weight: self.weight * sure,
        }
    }
}

/// A line of a synonym file that is not `weight<TAB>word|word…`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {line}: expected a weight from 0 to 1, a tab and at least two words with '|' between them"
)]
pub struct SynonymError {
    pub line: usize,
}

impl Lexicon {
    /// The lists in the binary.
    pub fn bundled() -> Self {
        let mut lexicon = Self {
            function_words: words(include_str!("../../data/lexicon/function_words.txt")),
            fillers: words(include_str!("../../data/lexicon/fillers.txt")),
            english_fillers: words(include_str!("../../data/lexicon/english_fillers.txt")),
            light: stemmed(include_str!("../../data/lexicon/light_words.txt")),
            common: stemmed(include_str!("../../data/lexicon/common_words.txt")),
            other_topics: stemmed(include_str!("../../data/lexicon/other_topics.txt")),
            attributes: stemmed(include_str!("../../data/lexicon/attributes.txt")),
            elsewhere: words(include_str!("../../data/lexicon/elsewhere.txt")),
            offices: stemmed(include_str!("../../data/lexicon/offices.txt")),
            records: words(include_str!("../../data/lexicon/records.txt")),
            secrets: words(include_str!("../../data/lexicon/secrets.txt")),
            fields: stemmed(include_str!("../../data/lexicon/fields.txt")),
            present: padded_phrases(include_str!("../../data/lexicon/present.txt")),
            continuations: padded_phrases(include_str!("../../data/lexicon/continuations.txt")),
            name_heads: words(include_str!("../../data/lexicon/name_heads.txt")),
            ..Self::default()
        };
        for (from, to) in pairs(include_str!("../../data/lexicon/colloquial.tsv")) {
            lexicon.colloquial.insert(folded(from), folded(to));
        }
        for (phrase, name) in pairs(include_str!("../../data/lexicon/kinds.tsv")) {
            lexicon.kinds.insert(
                folded(phrase),
                QuestionKind::named(name).unwrap_or_default(),
            );
        }
        for (phrase, name) in pairs(include_str!("../../data/lexicon/small_talk.tsv")) {
            if let Some(talk) = SmallTalk::named(name) {
                lexicon.small_talk.insert(folded(phrase), talk);
            }
        }
        lexicon.alternatives = Alternatives::read(
            &[
                include_str!("../../data/lexicon/alternatives.tsv"),
                include_str!("../../data/institution/alternatives.tsv"),
            ],
            &lexicon,
        );
        for text in [
            include_str!("../../data/lexicon/synonyms.tsv"),
            include_str!("../../data/institution/itb.tsv"),
        ] {
            lexicon
                .add_synonyms(text)
                .expect("the tests read every bundled line");
        }
        // After the synonyms, which the Indonesian words bring along.
        lexicon.add_english(include_str!("../../data/lexicon/english.tsv"));
        lexicon
    }

    /// Adds lines `weight<TAB>word|several words|…`: each member of a line finds the others. With `>` in place
    /// of the first `|`, only the left side finds the right one.
    pub fn add_synonyms(&mut self, text: &str) -> Result<(), SynonymError> {
        for (number, line) in lines(text) {
            let error = SynonymError { line: number };
            let (weight, members) = line.split_once('\t').ok_or_else(|| error.clone())?;
            let weight: f32 = weight.trim().parse().map_err(|_| error.clone())?;
            let (left, right) = members.split_once('>').unwrap_or((members, members));
            let (from, to) = (self.members(left), self.members(right));
            let enough = if left == right {
                from.len() > 1
            } else {
                !from.is_empty() && !to.is_empty()
            };
            if !(0.0..=1.0).contains(&weight) || !enough {
                return Err(error);
            }
            self.relate(&from, &to, weight);
        }
        Ok(())
    }

    fn members(&self, text: &str) -> Vec<Vec<String>> {
        text.split('|')
            .map(|member| self.phrase(member))
            .filter(|stems| !stems.is_empty())
            .collect()
    }

    fn relate(&mut self, from: &[Vec<String>], to: &[Vec<String>], weight: f32) {
        for from in from {
            let others = to.iter().filter(|to| *to != from);
            let others: Vec<Related> = others
                .map(|to| Related {
                    stems: to.clone(),
                    weight,
                })
                .collect();
            self.related.entry(from.clone()).extend(others);
        }
    }

    fn add_english(&mut self, text: &str) {
        for (from, to) in pairs(text) {
            let key = self.phrase(from);
            let words = to.split('|').map(|word| self.phrase(word));
            let to: Vec<Related> = words
                .filter(|stems| *stems != key)
                .flat_map(|stems| self.with_synonyms(stems))
                .collect();
            self.english.extend(folded(from));
            if !to.is_empty() {
                self.related.entry(key).extend(to);
            }
        }
    }

    /// A translation and the synonyms of it.
    fn with_synonyms(&self, stems: Vec<String>) -> Vec<Related> {
        let known = self
            .related
            .longest_at(&stems)
            .filter(|(length, _)| *length == stems.len());
        let synonyms = known
            .map_or(&[][..], |(_, related)| related)
            .iter()
            .cloned();
        std::iter::once(Related {
            stems: stems.clone(),
            weight: 1.0,
        })
        .chain(synonyms)
        .collect()
    }

    /// The stems of a phrase, function words left out.
    pub fn phrase(&self, text: &str) -> Vec<String> {
        let words = folded(text);
        words
            .iter()
            .filter(|word| !self.is_function_word(word))
            .map(|word| stem(word))
            .collect()
    }

    /// A word without a topic, left out of index and queries: `yang`, `di`.
    pub fn is_function_word(&self, word: &str) -> bool {
        self.function_words.contains(word)
    }

    /// A word that people put around a question, left out of queries only: `kak`, `dong`, `tolong`.
    pub fn is_filler(&self, word: &str) -> bool {
        self.fillers.contains(word) || self.is_function_word(word)
    }

    /// As [`Self::is_filler`], for questions in English.
    pub fn is_english_filler(&self, word: &str) -> bool {
        self.english_fillers.contains(word)
    }

    /// A word for an aspect that many topics have: `cara`, `syarat`, `biaya`.
    pub fn is_light(&self, stem: &str) -> bool {
        self.light.contains(stem)
    }

    /// An everyday word, which says little when the documents lack it: `sanggup`.
    pub fn is_common(&self, stem: &str) -> bool {
        self.common.contains(stem)
    }

    /// A thing of another field than the documents', when they lack it: `resep`.
    pub fn is_other_topic(&self, stem: &str) -> bool {
        self.other_topics.contains(stem)
    }

    /// What only a sentence that speaks of it can tell: `harga`.
    pub fn is_attribute(&self, stem: &str) -> bool {
        self.attributes.contains(stem)
    }

    /// A name of something else than the institution: `ugm`.
    pub fn is_elsewhere(&self, word: &str) -> bool {
        self.elsewhere.contains(word)
    }

    /// Whether any list holds a word, so that it is no slip.
    pub fn lists(&self, word: &str) -> bool {
        let single = [word.to_owned()];
        let stem = stem(word);
        self.is_filler(word)
            || self.is_english_filler(word)
            || self.is_elsewhere(word)
            || self.is_name_head(word)
            || self.english.contains(word)
            || [&self.light, &self.common, &self.other_topics, &self.offices]
                .into_iter()
                .any(|list| list.contains(&stem))
            || self.kinds.longest_at(&single).is_some()
            || self.small_talk.longest_at(&single).is_some()
            || self.related.begins(&stem)
    }

    /// Whether a sentence, folded with spaces around its words, leans on the one before: "Selain itu, …".
    pub fn continues(&self, folded: &str) -> bool {
        self.continuations
            .iter()
            .any(|opening| folded.starts_with(opening))
    }

    /// Whether a stem is an office, which somebody holds: `rektor`.
    pub fn is_office(&self, stem: &str) -> bool {
        self.offices.contains(stem)
    }

    /// What each person has one of: `ipk`.
    pub fn is_record(&self, word: &str) -> bool {
        self.records.contains(word)
    }

    /// What nobody is told: `password`.
    pub fn is_secret(&self, word: &str) -> bool {
        self.secrets.contains(word)
    }

    /// What a field of study is taught in, with its name after it: `jurusan`.
    pub fn is_field(&self, stem: &str) -> bool {
        self.fields.contains(stem)
    }

    /// Whether a text, folded with spaces around its words, speaks of the present: "saat ini".
    pub fn names_present(&self, folded: &str) -> bool {
        self.present
            .iter()
            .any(|phrase| folded.contains(phrase.as_str()))
    }

    /// A word that makes a name with the next one: `universitas`.
    pub fn is_name_head(&self, word: &str) -> bool {
        self.name_heads.contains(word)
    }
}

fn folded(text: &str) -> Vec<String> {
    tokens(text).into_iter().map(|token| token.text).collect()
}

/// Lines with content, counted from 1; `#` begins a comment line.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text
        .lines()
        .enumerate()
        .map(|(at, line)| (at + 1, line.trim_end()));
    numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

fn words(text: &str) -> HashSet<String> {
    lines(text)
        .flat_map(|(_, line)| line.split_whitespace())
        .map(str::to_owned)
        .collect()
}

fn stemmed(text: &str) -> HashSet<String> {
    words(text).iter().map(|word| stem(word)).collect()
}

/// Phrases with a space on both sides, as they are found in folded text.
fn padded_phrases(text: &str) -> Vec<String> {
    let phrases = lines(text).flat_map(|(_, line)| line.split('|'));
    phrases.map(|phrase| format!(" {phrase} ")).collect()
}

fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    lines(text).filter_map(|(_, line)| line.split_once('\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_lists_are_read_whole() {
        let lexicon = Lexicon::bundled();
        assert!(
            lexicon.is_function_word("yang")
                && lexicon.is_filler("dong")
                && lexicon.is_light("cara")
        );
        let names = pairs(include_str!("../../data/lexicon/kinds.tsv"));
        assert!(
            names
                .into_iter()
                .all(|(_, name)| QuestionKind::named(name).is_some())
        );
        let names = pairs(include_str!("../../data/lexicon/small_talk.tsv"));
        assert!(
            names
                .into_iter()
                .all(|(_, name)| SmallTalk::named(name).is_some())
        );
    }

    #[test]
    fn synonyms_work_in_both_directions_and_bad_lines_are_named() {
        let mut lexicon = Lexicon::default();
        lexicon
            .add_synonyms("# nama\n0.9\tprodi|program studi\n")
            .expect("good lines");
        let (length, related) = lexicon
            .related
            .longest_at(&["program".into(), "studi".into()])
            .expect("known");
        assert_eq!(
            (length, related[0].stems.as_slice()),
            (2, &["prodi".to_owned()][..])
        );
        for bad in ["prodi|jurusan", "2\ta|b", "0.5\tsendiri", "x\ta|b"] {
            assert_eq!(
                lexicon.add_synonyms(bad),
                Err(SynonymError { line: 1 }),
                "{bad}"
            );
        }
    }
}
