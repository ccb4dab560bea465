//! The knowledge base in memory, by words and by meaning.

use std::sync::Arc;

use async_trait::async_trait;

use super::dense::{DenseIndex, VectorError};
use super::embedding::{self, Embedded};
use super::fusion::{Ranking, distinct, fuse};
use super::index::MemoryIndex;
use super::spell::Spell;
use super::store::StoredPassage;
use super::{Description, KnowledgeBase, KnowledgeError, Passage};
use crate::providers::Embedder;
use crate::query::Query;

/// The fewest that one query brings into the fusion: a passage that is second by words and by meaning should beat one
/// that is first by words alone, also where one passage is asked for.
const EACH_AT_LEAST: usize = 10;

/// A [`MemoryIndex`] and the vectors of its passages.
///
/// When the embedder fails, it searches by words alone.
pub struct HybridIndex {
    lexical: Arc<MemoryIndex>,
    dense: Arc<DenseIndex>,
    /// By the number of a vector, the entry of `lexical` that it belongs to.
    entries: Vec<usize>,
    embedder: Arc<dyn Embedder>,
    outage: Spell,
}

impl HybridIndex {
    /// Adds to `lexical`, which was made of the same passages, the vectors that they carry.
    ///
    /// # Errors
    ///
    /// [`KnowledgeError::Misconfigured`] when a vector does not fit the embedder, when there are too many for memory,
    /// or when no passage carries one.
    pub fn new(
        lexical: Arc<MemoryIndex>,
        passages: &[StoredPassage],
        embedder: Arc<dyn Embedder>,
    ) -> Result<Self, KnowledgeError> {
        let mut dense = DenseIndex::new(embedder.dimension());
        let mut entries = Vec::with_capacity(passages.len());
        let mut places = lexical.places();
        for passage in passages {
            let Some(vector) = &passage.vector else {
                continue;
            };
            if let Some(entry) = places.remove(&passage.id) {
                dense
                    .push(vector)
                    .map_err(|error| unusable(&error, embedder.as_ref()))?;
                entries.push(entry);
            }
        }
        if dense.is_empty() {
            return Err(KnowledgeError::Misconfigured(
                "no passage carries a vector: ingest the documents with the embedding model".into(),
            ));
        }
        if entries.len() < passages.len() {
            let without = passages.len() - entries.len();
            tracing::warn!(
                without,
                "some passages carry no vector and are found by words alone"
            );
        }
        Ok(Self {
            lexical,
            dense: Arc::new(dense),
            entries,
            embedder,
            outage: Spell::default(),
        })
    }

    /// By query, the entries nearest in meaning; none where the embedder fails.
    async fn by_meaning(&self, queries: &[&Query], top: usize) -> Vec<Ranking<usize>> {
        let embedded = embedding::embed(self.embedder.as_ref(), queries).await;
        let vectors = match embedded {
            Ok(vectors) => vectors,
            Err(error) => {
                if self.outage.begins() {
                    tracing::warn!(%error, "the embedder fails, so the search goes by words alone");
                }
                return Vec::new();
            }
        };
        if self.outage.ends() {
            tracing::info!("the embedder works again");
        }
        // All vectors are looked at, which takes too long for a thread that others wait for.
        let dense = Arc::clone(&self.dense);
        let nearest =
            move |embedded: Embedded| (embedded.weight, dense.nearest(&embedded.vector, top));
        let search = move || vectors.into_iter().map(nearest).collect::<Vec<_>>();
        let found = match tokio::task::spawn_blocking(search).await {
            Ok(found) => found,
            Err(_) => {
                tracing::error!("the search by meaning broke off");
                return Vec::new();
            }
        };
        let entry = |(number, _): (usize, f32)| self.entries[number];
        let ranking = |(weight, found): (f32, Vec<_>)| Ranking {
            weight,
            found: found.into_iter().map(entry).collect(),
        };
        found.into_iter().map(ranking).collect()
    }
}

fn unusable(error: &VectorError, embedder: &dyn Embedder) -> KnowledgeError {
    KnowledgeError::Misconfigured(match error {
        VectorError::Dimension { expected, found } => format!(
            "the passages carry vectors of {found} numbers, but the embedding model {} makes {expected}; \
             set EMBEDDING_MODEL and EMBEDDING_DIMENSION to those that the documents were ingested with, or ingest them again",
            embedder.model()
        ),
        other => other.to_string(),
    })
}

#[async_trait]
impl KnowledgeBase for HybridIndex {
    async fn search(&self, queries: &[Query], top: usize) -> Result<Vec<Passage>, KnowledgeError> {
        let queries: Vec<&Query> = embedding::searchable(queries).collect();
        if queries.is_empty() || top == 0 {
            return Ok(Vec::new());
        }
        let each = top.max(EACH_AT_LEAST);
        let mut rankings = self.by_meaning(&queries, each).await;
        rankings.extend(queries.iter().map(|query| Ranking {
            weight: query.weight,
            found: self.lexical.rank(query, each),
        }));
        let passages = fuse(rankings)
            .into_iter()
            .map(|(entry, score)| self.lexical.passage(entry, score));
        Ok(distinct(passages, top))
    }

    async fn describe(&self) -> Result<Description, KnowledgeError> {
        Ok(Description {
            backend: "hybrid",
            ..self.lexical.describe().await?
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::knowledge::lexicon::Lexicon;
    use crate::query::Interpreter;
    use crate::testing::embedder::WordEmbedder;
    use crate::testing::passages::stored;

    const DIMENSION: usize = 64;

    struct Set {
        index: HybridIndex,
        embedder: Arc<WordEmbedder>,
        interpreter: Interpreter,
    }

    /// The last passage is found by meaning alone: its vector is that of other words than its text.
    fn set() -> Set {
        let embedder = Arc::new(WordEmbedder::new(DIMENSION));
        let mut passages = vec![
            stored(1, "biaya", "Biaya kuliah dibayar setiap semester."),
            stored(2, "asrama", "Asrama disediakan bagi mahasiswa baru."),
            stored(3, "salinan", "Asrama disediakan bagi mahasiswa  baru."),
            stored(4, "kolam", "Airnya diganti tiap pekan."),
        ];
        for passage in &mut passages {
            passage.vector = Some(embedder.vector(&passage.text));
        }
        passages[3].vector = Some(embedder.vector("asrama mahasiswa"));
        let lexicon = Arc::new(Lexicon::bundled());
        let lexical = Arc::new(MemoryIndex::from_passages(&passages, &lexicon));
        let interpreter = Interpreter::new(lexicon, lexical.clone());
        let index = HybridIndex::new(lexical, &passages, embedder.clone()).expect("they fit");
        Set {
            index,
            embedder,
            interpreter,
        }
    }

    async fn found(set: &Set, question: &str, top: usize) -> Vec<String> {
        let queries = set.interpreter.understand(question, &[]).queries;
        let passages = set.index.search(&queries, top).await.expect("an answer");
        passages
            .into_iter()
            .map(|passage| passage.document.id)
            .collect()
    }

    #[tokio::test]
    async fn what_only_the_meaning_tells_is_found_and_equal_texts_come_once() {
        let set = set();
        let found = found(&set, "asrama mahasiswa", 3).await;
        assert!(found.contains(&"kolam".into()), "{found:?}");
        assert!(found.contains(&"asrama".into()), "{found:?}");
        assert!(!found.contains(&"salinan".into()), "{found:?}");
        assert_eq!(set.embedder.calls(), 1);
    }

    #[tokio::test]
    async fn all_questions_of_a_turn_are_embedded_in_one_call() {
        let set = set();
        let found = found(&set, "berapa biaya kuliah dan di mana asrama mahasiswa?", 3).await;
        assert!(found.contains(&"biaya".into()), "{found:?}");
        assert_eq!(set.embedder.calls(), 1);
    }

    #[tokio::test]
    async fn while_the_embedder_fails_words_find_what_they_can() {
        let set = set();
        set.embedder.fail();
        assert_eq!(found(&set, "asrama mahasiswa", 5).await, ["asrama"]);
        set.embedder.recover();
        assert!(
            found(&set, "asrama mahasiswa", 5)
                .await
                .contains(&"kolam".into())
        );
    }

    #[tokio::test]
    async fn nothing_asked_is_nothing_found_and_not_embedded() {
        let set = set();
        assert!(found(&set, "asrama", 0).await.is_empty());
        assert!(
            set.index
                .search(&[], 5)
                .await
                .expect("an answer")
                .is_empty()
        );
        assert_eq!(set.embedder.calls(), 0);
        let description = set.index.describe().await.expect("in memory");
        assert_eq!((description.backend, description.passages), ("hybrid", 4));
    }

    #[test]
    fn passages_that_do_not_fit_the_embedder_are_refused_in_words() {
        let lexicon = Lexicon::bundled();
        let build = |vector: Option<Vec<f32>>| {
            let mut passage = stored(1, "a", "teks");
            passage.vector = vector;
            let passages = [passage];
            let lexical = Arc::new(MemoryIndex::from_passages(&passages, &lexicon));
            let built =
                HybridIndex::new(lexical, &passages, Arc::new(WordEmbedder::new(DIMENSION)));
            built.map(drop).map_err(|error| error.to_string())
        };
        let error = build(Some(vec![1.0; 3_072])).expect_err("another dimension");
        for named in [
            "3072",
            "64",
            "words",
            "EMBEDDING_MODEL",
            "EMBEDDING_DIMENSION",
        ] {
            assert!(error.contains(named), "{named}: {error}");
        }
        build(Some(vec![0.0; DIMENSION])).expect_err("no direction");
        build(None).expect_err("no vector");
        build(Some(vec![1.0; DIMENSION])).expect("it fits");
    }
}
