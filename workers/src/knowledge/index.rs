//! The knowledge base in memory.

mod build;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use super::bm25::{Field, NumberedForm, Postings};
use super::fusion::{Ranking, fuse};
use super::spelling::Spelling;
use super::vocabulary::Vocabulary;
use super::{Description, DocumentRef, KnowledgeBase, KnowledgeError, Passage};
use crate::query::Query;
use crate::query::kind::QuestionKind;

/// Title, heading and text of a passage. Set by hand; no sweep over other values has been made.
pub(super) const PASSAGE_FIELDS: [Field; 3] = [
    Field {
        weight: 1.5,
        normalisation: 0.6,
    },
    Field {
        weight: 1.5,
        normalisation: 0.5,
    },
    Field {
        weight: 1.0,
        normalisation: 0.6,
    },
];

/// Title and whole text of a document.
const DOCUMENT_FIELDS: [Field; 2] = [
    Field {
        weight: 4.0,
        normalisation: 0.6,
    },
    Field {
        weight: 1.0,
        normalisation: 0.6,
    },
];

/// How much the document's own score adds to that of each of its passages.
const DOCUMENT_SHARE: f32 = 0.4;

/// How much more a passage counts whose document's title is wholly named by the query, and how much more again when it is
/// the document's introduction: "Apa itu ITB?" is answered where the document about ITB begins.
const TITLE_NAMED: f32 = 0.3;
const INTRODUCTION: f32 = 0.3;

/// Documents cut into passages, with postings over both.
pub struct MemoryIndex {
    documents: Vec<DocumentRef>,
    titles: Vec<Box<[u32]>>,
    entries: Vec<Entry>,
    terms: HashMap<Box<str>, u32>,
    passages: Postings,
    whole: Postings,
    spelling: Spelling,
}

struct Entry {
    document: u32,
    /// Within its document, from 0.
    number: u32,
    /// Of a passage that was kept under an id.
    id: Option<Uuid>,
    heading: Option<Arc<str>>,
    page: Option<u32>,
    text: Box<str>,
}

impl MemoryIndex {
    /// The same as [`KnowledgeBase::search`], without waiting for anything.
    pub fn find(&self, queries: &[Query], top: usize) -> Vec<Passage> {
        let rankings = queries.iter().map(|query| Ranking {
            weight: query.weight,
            found: self.rank(query, top),
        });
        let mut fused = fuse(rankings);
        fused.truncate(top);
        fused
            .into_iter()
            .map(|(entry, score)| self.passage(entry, score))
            .collect()
    }

    /// The entries that fit one query, best first.
    pub(super) fn rank(&self, query: &Query, top: usize) -> Vec<usize> {
        let mut scores = vec![0.0; self.entries.len()];
        let mut whole = vec![0.0; self.documents.len()];
        for term in &query.terms {
            let forms = self.numbered(term);
            self.passages.score(&forms, term.weight, &mut scores);
            self.whole.score(&forms, term.weight, &mut whole);
        }
        let named = self.named_titles(query);
        let scored = scores.iter().enumerate().filter(|(_, score)| **score > 0.0);
        let mut ranking: Vec<(usize, f32)> = scored
            .map(|(at, score)| {
                let entry = &self.entries[at];
                let document = entry.document as usize;
                let introduces = if entry.number == 0 && asks_about_whole(query.kind) {
                    INTRODUCTION
                } else {
                    0.0
                };
                let raised = 1.0 + named[document] * (TITLE_NAMED + introduces);
                (at, (score + DOCUMENT_SHARE * whole[document]) * raised)
            })
            .collect();
        if ranking.len() > top && top > 0 {
            ranking.select_nth_unstable_by(top - 1, best_first);
        }
        ranking.truncate(top);
        ranking.sort_unstable_by(best_first);
        ranking.into_iter().map(|(entry, _)| entry).collect()
    }

    /// By document, the share of its title that the query names, squared: a title half named is about something else.
    fn named_titles(&self, query: &Query) -> Vec<f32> {
        let mut asked = vec![false; self.terms.len()];
        for form in query.terms.iter().flat_map(|term| self.numbered(term)) {
            form.terms
                .iter()
                .for_each(|term| asked[*term as usize] = true);
        }
        let named = |title: &[u32]| {
            let named = title.iter().filter(|term| asked[**term as usize]).count();
            (named as f32 / title.len().max(1) as f32).powi(2)
        };
        self.titles.iter().map(|title| named(title)).collect()
    }

    fn numbered(&self, term: &crate::query::Term) -> Vec<NumberedForm> {
        let number = |form: &crate::query::Form| {
            let terms: Option<Vec<u32>> = form
                .stems
                .iter()
                .map(|stem| self.terms.get(stem.as_str()).copied())
                .collect();
            Some(NumberedForm {
                terms: terms?,
                weight: form.weight,
            })
        };
        term.forms.iter().filter_map(number).collect()
    }

    pub(super) fn passage(&self, at: usize, score: f32) -> Passage {
        let entry = &self.entries[at];
        let document = self.documents[entry.document as usize].clone();
        Passage {
            id: match entry.id {
                Some(id) => id.to_string(),
                None => format!("{}#{}", document.id, entry.number),
            },
            document,
            heading: entry.heading.as_deref().map(str::to_owned),
            page: entry.page,
            text: entry.text.to_string(),
            score,
        }
    }

    /// Memory held, in bytes, roughly: texts, postings and words with their table overhead.
    pub fn bytes(&self) -> usize {
        let texts: usize = self
            .entries
            .iter()
            .map(|entry| entry.text.len() + size_of::<Entry>() + 32)
            .sum();
        let terms: usize = self.terms.keys().map(|term| term.len() + 40).sum();
        texts + terms + self.passages.bytes() + self.whole.bytes() + self.spelling.bytes()
    }
}

/// Whether an introduction may answer; a number, a time or a way stands further below.
fn asks_about_whole(kind: QuestionKind) -> bool {
    !matches!(
        kind,
        QuestionKind::Quantity
            | QuestionKind::Duration
            | QuestionKind::Time
            | QuestionKind::Manner
            | QuestionKind::Reason
    )
}

fn best_first(left: &(usize, f32), right: &(usize, f32)) -> std::cmp::Ordering {
    right.1.total_cmp(&left.1).then(left.0.cmp(&right.0))
}

#[async_trait]
impl KnowledgeBase for MemoryIndex {
    async fn search(&self, queries: &[Query], top: usize) -> Result<Vec<Passage>, KnowledgeError> {
        Ok(self.find(queries, top))
    }

    async fn describe(&self) -> Result<Description, KnowledgeError> {
        Ok(Description {
            backend: "memory",
            documents: Some(self.documents.len()),
            passages: self.entries.len(),
        })
    }
}

impl Vocabulary for MemoryIndex {
    fn contains(&self, stem: &str) -> bool {
        self.terms.contains_key(stem)
    }

    fn rarity(&self, stem: &str) -> f32 {
        let Some(term) = self.terms.get(stem) else {
            return 1.0;
        };
        let units = self.entries.len().max(2) as f32;
        let held_by = self.passages.document_frequency(*term).max(1) as f32;
        ((units / held_by).ln() / units.ln()).clamp(0.0, 1.0)
    }

    fn nearest(&self, word: &str) -> Option<String> {
        let frequency = |term: u32| self.passages.document_frequency(term);
        let nearer = |left: &(u32, f32), right: &(u32, f32)| {
            let more_common = frequency(right.0).cmp(&frequency(left.0));
            left.1.total_cmp(&right.1).then(more_common)
        };
        let (best, _) = self.spelling.near(word).min_by(nearer)?;
        let (stem, _) = self.terms.iter().find(|(_, number)| **number == best)?;
        Some(stem.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::knowledge::document::Document;
    use crate::knowledge::lexicon::Lexicon;
    use crate::query::Interpreter;

    fn index() -> (Arc<MemoryIndex>, Interpreter) {
        let lexicon = Arc::new(Lexicon::bundled());
        let documents = [
            (
                "perpustakaan",
                "---\ntitle: Perpustakaan\n---\nPerpustakaan dibuka setiap hari kerja.\n## Denda\nDenda dihitung per hari.",
            ),
            (
                "asrama",
                "---\ntitle: Asrama\nurl: https://contoh.id/asrama\n---\nAsrama disediakan bagi mahasiswa baru.\n## Biaya\nSewa kamar dibayar per semester.",
            ),
            (
                "beasiswa",
                "---\ntitle: Beasiswa\n---\nBeasiswa diberikan kepada mahasiswa yang berprestasi.",
            ),
        ];
        let documents: Vec<Document> = documents
            .iter()
            .map(|(id, text)| Document::from_markdown(id, text))
            .collect();
        let index = Arc::new(MemoryIndex::build(&documents, &lexicon));
        (index.clone(), Interpreter::new(lexicon, index))
    }

    fn found(question: &str, top: usize) -> Vec<String> {
        let (index, interpreter) = index();
        let queries = interpreter.understand(question, &[]).queries;
        index
            .find(&queries, top)
            .into_iter()
            .map(|passage| passage.id)
            .collect()
    }

    #[test]
    fn the_fitting_passage_comes_first_also_for_slang_typos_and_english() {
        for (question, expected) in [
            ("kapan perpustakaan buka", "perpustakaan#0"),
            ("denda perpus brp", "perpustakaan#1"),
            ("biaya asrma", "asrama#1"),
            ("ada beasisiwa ga", "beasiswa#0"),
            ("is there a dormitory?", "asrama#0"),
        ] {
            assert_eq!(
                found(question, 5).first().map(String::as_str),
                Some(expected),
                "{question}"
            );
        }
    }

    #[test]
    fn both_questions_of_one_turn_are_found_and_no_passage_comes_twice() {
        let ids = found(
            "kapan perpustakaan buka dan bagaimana cara dapat beasiswa?",
            4,
        );
        assert!(
            ids.contains(&"perpustakaan#0".into()) && ids.contains(&"beasiswa#0".into()),
            "{ids:?}"
        );
        let distinct: HashSet<&String> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
    }

    #[test]
    fn nothing_is_found_for_nothing() {
        let (index, interpreter) = index();
        assert!(index.find(&[], 5).is_empty());
        assert!(found("zzz qqq", 5).is_empty());
        assert!(found("perpustakaan", 0).is_empty());
        let empty = MemoryIndex::build(&[], &Lexicon::bundled());
        assert!(
            empty
                .find(&interpreter.understand("biaya asrama", &[]).queries, 5)
                .is_empty()
        );
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_port_gives_passages_with_their_document() {
        let (index, interpreter) = index();
        let queries = interpreter.understand("biaya asrama", &[]).queries;
        let knowledge: &dyn KnowledgeBase = &*index;
        let passages = knowledge.search(&queries, 1).await.expect("in memory");
        assert_eq!(
            passages[0].document.url.as_deref(),
            Some("https://contoh.id/asrama")
        );
        assert_eq!(passages[0].heading.as_deref(), Some("Biaya"));
        let description = knowledge.describe().await.expect("in memory");
        assert_eq!((description.documents, description.passages), (Some(3), 5));
    }
}
