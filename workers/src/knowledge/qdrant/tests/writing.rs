//! Collections made, filled and emptied.

use serde_json::json;
use uuid::Uuid;

use super::*;

#[tokio::test]
async fn what_is_put_is_listed_found_replaced_and_removed() {
    let (qdrant, embedder) = (FakeQdrant::start().await, embedder());
    let knowledge = knowledge(&qdrant.config(COLLECTION), Some(&embedder));
    assert!(knowledge.list().await.expect("nothing yet").is_empty());
    knowledge.remove(&[]).await.expect("nothing to do");
    let passages = (1..=250).map(|number| {
        embedded(
            number,
            &format!("d{}", number % 3),
            &format!("teks nomor {number}"),
            &embedder,
        )
    });
    knowledge.put(passages.collect()).await.expect("written");
    assert_eq!(qdrant.indexed(COLLECTION), ["metadata.written_by"]);
    let listed = knowledge.list().await.expect("a list");
    assert_eq!(listed.len(), 250);
    assert_eq!(listed[&Uuid::from_u128(4)], "d1");
    let description = knowledge.describe().await.expect("a description");
    assert_eq!((description.backend, description.passages), ("qdrant", 250));

    knowledge
        .put(vec![embedded(4, "lain", "kamar asrama", &embedder)])
        .await
        .expect("replaced");
    let found = knowledge
        .search(&queries("kamar asrama"), 1)
        .await
        .expect("an answer");
    assert_eq!(found[0].id, Uuid::from_u128(4).to_string());
    assert_eq!(found[0].document.id, "lain");

    let ids: Vec<Uuid> = (1..=249).map(Uuid::from_u128).collect();
    knowledge.remove(&ids).await.expect("removed");
    let left: Vec<Uuid> = knowledge
        .list()
        .await
        .expect("a list")
        .into_keys()
        .collect();
    assert_eq!(left, [Uuid::from_u128(250)]);
}

#[tokio::test]
async fn the_points_of_others_are_neither_listed_nor_removed() {
    let (qdrant, embedder) = (FakeQdrant::start().await, embedder());
    qdrant.add_langchain_collection(COLLECTION, DIMENSION as u64);
    let theirs = Uuid::from_u128(9);
    let payload = json!({"page_content": "milik orang lain", "metadata": {"title": "Lain"}});
    let vector = embedder.vector("milik orang lain");
    qdrant.add_point(COLLECTION, &theirs.to_string(), "", vector, &payload);
    let knowledge = knowledge(&qdrant.config(COLLECTION), Some(&embedder));
    let ours = embedded(1, "kita", "milik kita", &embedder);
    knowledge
        .put(vec![ours.clone()])
        .await
        .expect("written beside it");
    assert_eq!(knowledge.list().await.expect("a list").len(), 1);
    knowledge.remove(&[theirs, ours.id]).await.expect("removed");
    let left: Vec<String> = qdrant.points(COLLECTION).into_keys().collect();
    assert_eq!(left, [theirs.to_string()]);
}

#[tokio::test]
async fn without_an_embedder_words_alone_are_kept_and_found() {
    let qdrant = FakeQdrant::start().await;
    let knowledge = knowledge(&qdrant.config(COLLECTION), None);
    let passages = vec![
        stored(1, "biaya", "Biaya kuliah dibayar setiap semester"),
        stored(2, "asrama", "Asrama disediakan bagi mahasiswa baru"),
    ];
    knowledge.put(passages).await.expect("written");
    knowledge.verify().await.expect("it can be searched");
    let found = knowledge
        .search(&queries("bayar kuliah"), 5)
        .await
        .expect("an answer");
    let ids: Vec<&str> = found
        .iter()
        .map(|passage| passage.document.id.as_str())
        .collect();
    assert_eq!(ids, ["biaya"]);
    assert!(
        knowledge
            .search(&queries("zzz"), 5)
            .await
            .expect("an answer")
            .is_empty()
    );
}

#[tokio::test]
async fn vectors_of_another_dimension_are_refused_in_words() {
    let (qdrant, embedder) = (FakeQdrant::start().await, embedder());
    qdrant.add_langchain_collection(COLLECTION, 3_072);
    let knowledge = knowledge(&qdrant.config(COLLECTION), Some(&embedder));
    let verified = knowledge
        .verify()
        .await
        .expect_err("it does not fit")
        .to_string();
    let passage = embedded(1, "a", "teks", &embedder);
    let put = knowledge
        .put(vec![passage])
        .await
        .expect_err("it does not fit")
        .to_string();
    for text in [verified, put] {
        for named in [
            "3072",
            "64",
            COLLECTION,
            "words",
            "EMBEDDING_MODEL",
            "EMBEDDING_DIMENSION",
        ] {
            assert!(text.contains(named), "{named}: {text}");
        }
    }
}

#[tokio::test]
async fn passages_that_do_not_fit_the_collection_are_refused() {
    let (qdrant, embedder) = (FakeQdrant::start().await, embedder());
    let config = qdrant.config(COLLECTION);
    let with = knowledge(&config, Some(&embedder));
    let short = StoredPassage {
        vector: Some(vec![1.0; 3]),
        ..stored(1, "a", "teks")
    };
    for passage in [short, stored(1, "a", "teks")] {
        let error = with.put(vec![passage]).await.expect_err("it does not fit");
        assert!(
            matches!(&error, KnowledgeError::Misconfigured(text) if text.contains("EMBEDDING_MODEL")),
            "{error}"
        );
    }
    let by_words = qdrant.config("kata");
    knowledge(&by_words, None)
        .put(vec![stored(1, "a", "teks")])
        .await
        .expect("written");
    let error = knowledge(&by_words, Some(&embedder))
        .put(vec![embedded(1, "a", "teks", &embedder)])
        .await
        .expect_err("the collection has no place for vectors");
    assert!(error.to_string().contains("kata"), "{error}");
}
