//! A passage taken apart into the units that an answer can be made of.

use std::ops::Range;

use crate::knowledge::Passage;
use crate::knowledge::analyser::stem::stem;
use crate::knowledge::analyser::stems;
use crate::knowledge::chunk::item_text;
use crate::knowledge::lexicon::Lexicon;
use crate::knowledge::sentence::sentences;
use crate::query::kind::{self, QuestionKind};
use crate::query::words::words;

/// Words between a thing and what it is.
const COPULAS: &[&str] = &[" adalah ", " ialah ", " merupakan ", " singkatan "];

/// A passage's units and the words around them.
#[derive(Debug)]
pub struct Reading {
    pub units: Vec<Unit>,
    /// The id of the document.
    pub document: String,
    pub title: Vec<String>,
    pub heading: Vec<String>,
    /// The kind of question that the heading answers or asks: "Cara mendaftar".
    pub heading_kind: Option<QuestionKind>,
}

/// A sentence or an item of a list.
#[derive(Debug)]
pub struct Unit {
    /// In bytes of the passage's text, with the item's mark.
    pub span: Range<usize>,
    pub stems: Vec<String>,
    pub shape: Shape,
    pub text: String,
    /// Folded words for the search for evidence.
    pub folded: String,
    /// Says what something is.
    pub defines: bool,
    /// Leans on the sentence before.
    pub continues: bool,
}

/// What a unit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Sentence,
    Item,
}

impl Reading {
    pub fn of(passage: &Passage, lexicon: &Lexicon) -> Self {
        Self {
            units: units(&passage.text, lexicon),
            document: passage.document.id.clone(),
            title: stems(&passage.document.title, lexicon),
            heading_kind: passage
                .heading
                .as_deref()
                .map(|heading| kind::detect(&words(heading, lexicon), lexicon)),
            heading: passage
                .heading
                .as_deref()
                .map(|heading| topic_stems(heading, lexicon))
                .unwrap_or_default(),
        }
    }

    /// Stands before the first heading.
    pub fn is_introduction(&self) -> bool {
        self.heading_kind.is_none()
    }

    /// The list that a unit belongs to, with the sentence that introduces it.
    pub fn list_around(&self, at: usize) -> Option<Range<usize>> {
        let is_item = |at: usize| {
            self.units
                .get(at)
                .is_some_and(|unit| unit.shape == Shape::Item)
        };
        let first = if is_item(at) {
            at
        } else {
            (at + 1).min(self.units.len())
        };
        if !is_item(first) {
            return None;
        }
        let start = (0..first)
            .rev()
            .take_while(|at| is_item(*at))
            .last()
            .unwrap_or(first);
        let end = (first..self.units.len())
            .take_while(|at| is_item(*at))
            .last()
            .map_or(first, |last| last + 1);
        let introduced = start > 0 && !is_item(start - 1);
        Some(start - usize::from(introduced)..end)
    }
}

/// A heading may be a question: its question words are no topic.
fn topic_stems(heading: &str, lexicon: &Lexicon) -> Vec<String> {
    let words = words(heading, lexicon)
        .into_iter()
        .filter(|word| !lexicon.is_filler(&word.text));
    words.map(|word| stem(&word.text)).collect()
}

fn units(text: &str, lexicon: &Lexicon) -> Vec<Unit> {
    let mut found = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let line = line.trim_end();
        if item_text(line).is_some() {
            found.push(unit(text, start..start + line.len(), Shape::Item, lexicon));
            continue;
        }
        for range in sentences(line) {
            found.push(unit(
                text,
                start + range.start..start + range.end,
                Shape::Sentence,
                lexicon,
            ));
        }
    }
    found
}

fn unit(text: &str, span: Range<usize>, shape: Shape, lexicon: &Lexicon) -> Unit {
    let text = text[span.clone()].to_owned();
    let folded = super::evidence::folded(&text);
    Unit {
        stems: stems(&text, lexicon),
        defines: COPULAS.iter().any(|copula| folded.contains(copula)),
        continues: shape == Shape::Sentence && lexicon.continues(&folded),
        text,
        folded,
        span,
        shape,
    }
}
