//! Against a server that speaks the protocol.

mod failing;
mod writing;

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::knowledge::store::{PassageStore, StoredPassage};
use crate::knowledge::vocabulary::UnlistedVocabulary;
use crate::query::Interpreter;
use crate::testing::embedder::WordEmbedder;
use crate::testing::passages::stored;
use crate::testing::qdrant::FakeQdrant;

const COLLECTION: &str = "informasi-umum-itb";
const DIMENSION: usize = 64;

fn queries(question: &str) -> Vec<Query> {
    let lexicon = Arc::new(Lexicon::bundled());
    let interpreter = Interpreter::new(lexicon, Arc::new(UnlistedVocabulary));
    interpreter.understand(question, &[]).queries
}

async fn finds_something(knowledge: &QdrantKnowledge, asked: &[Query]) -> bool {
    let found = knowledge.search(asked, 5).await.expect("an answer");
    !found.is_empty()
}

fn embedder() -> Arc<WordEmbedder> {
    Arc::new(WordEmbedder::new(DIMENSION))
}

fn knowledge(config: &QdrantConfig, embedder: Option<&Arc<WordEmbedder>>) -> QdrantKnowledge {
    let embedder = embedder.map(|embedder| Arc::clone(embedder) as Arc<dyn Embedder>);
    QdrantKnowledge::new(config, embedder, Arc::new(Lexicon::bundled())).expect("valid settings")
}

/// What LangChain wrote, with a point that is nobody's passage.
fn fill_as_langchain(qdrant: &FakeQdrant, embedder: &WordEmbedder, vector: &str) {
    for (id, text, metadata) in [
        (
            "1",
            "Biaya kuliah dibayar setiap semester",
            json!({"source": "data/uang-kuliah.pdf", "page": 0}),
        ),
        (
            "2",
            "Asrama disediakan bagi mahasiswa baru",
            json!({"title": "Asrama", "source": "https://contoh.id/asrama"}),
        ),
        (
            "3",
            "Biaya kuliah  dibayar setiap semester",
            json!({"source": "data/salinan.pdf"}),
        ),
        ("4", "Perpustakaan buka setiap hari kerja", json!(null)),
    ] {
        let payload = json!({"page_content": text, "metadata": metadata});
        qdrant.add_point(COLLECTION, id, vector, embedder.vector(text), &payload);
    }
    let same = embedder.vector("biaya kuliah");
    qdrant.add_point(
        COLLECTION,
        "5",
        vector,
        same,
        &json!({"text": "biaya kuliah"}),
    );
}

fn embedded(number: u128, document: &str, text: &str, embedder: &WordEmbedder) -> StoredPassage {
    StoredPassage {
        vector: Some(embedder.vector(text)),
        ..stored(number, document, text)
    }
}

#[tokio::test]
async fn what_langchain_wrote_is_read_as_it_is() {
    let (qdrant, embedder) = (FakeQdrant::start().await, embedder());
    qdrant.add_langchain_collection(COLLECTION, DIMENSION as u64);
    fill_as_langchain(&qdrant, &embedder, "");
    let knowledge = knowledge(&qdrant.config(COLLECTION), Some(&embedder));
    knowledge.verify().await.expect("it fits");
    let found = knowledge
        .search(&queries("berapa biaya kuliah?"), 2)
        .await
        .expect("an answer");
    let texts: Vec<&str> = found.iter().map(|passage| passage.text.as_str()).collect();
    assert_eq!(found.len(), 2, "{texts:?}");
    assert!(texts[0].starts_with("Biaya kuliah"), "{texts:?}");
    assert_eq!(found[0].document.title, "uang kuliah");
    assert_eq!(found[0].page, Some(1));
    assert!(
        !texts[1].starts_with("Biaya"),
        "the same text twice: {texts:?}"
    );
}

#[tokio::test]
async fn a_single_vector_with_a_name_is_found_by_it() {
    let (qdrant, embedder) = (FakeQdrant::start().await, embedder());
    qdrant.add_named_collection(COLLECTION, &[("isi", DIMENSION as u64)]);
    fill_as_langchain(&qdrant, &embedder, "isi");
    let knowledge = knowledge(&qdrant.config(COLLECTION), Some(&embedder));
    let found = knowledge
        .search(&queries("asrama mahasiswa"), 5)
        .await
        .expect("an answer");
    assert_eq!(
        found[0].document.url.as_deref(),
        Some("https://contoh.id/asrama")
    );
}

#[tokio::test]
async fn all_questions_of_a_turn_are_one_embedding_call_and_one_search() {
    let (qdrant, embedder) = (FakeQdrant::start().await, embedder());
    let knowledge = knowledge(&qdrant.config(COLLECTION), Some(&embedder));
    let passages = vec![
        embedded(
            1,
            "biaya",
            "Biaya kuliah dibayar setiap semester",
            &embedder,
        ),
        embedded(
            2,
            "asrama",
            "Asrama disediakan bagi mahasiswa baru",
            &embedder,
        ),
    ];
    knowledge.put(passages).await.expect("written");
    qdrant.forget_calls();
    let queries = queries("berapa biaya kuliah dan di mana asrama mahasiswa?");
    assert_eq!(queries.len(), 2);
    let found = knowledge.search(&queries, 5).await.expect("an answer");
    assert_eq!(found.len(), 2);
    assert_eq!(qdrant.calls(), ["query_batch"]);
    assert_eq!(embedder.calls(), 1);
}

#[tokio::test]
async fn nothing_asked_is_nothing_found_without_a_call() {
    let (qdrant, embedder) = (FakeQdrant::start().await, embedder());
    let knowledge = knowledge(&qdrant.config(COLLECTION), Some(&embedder));
    assert!(
        knowledge
            .search(&[], 5)
            .await
            .expect("an answer")
            .is_empty()
    );
    assert!(
        knowledge
            .search(&queries("asrama"), 0)
            .await
            .expect("an answer")
            .is_empty()
    );
    assert!(qdrant.calls().is_empty());
}
