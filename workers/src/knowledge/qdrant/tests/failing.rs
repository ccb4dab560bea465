//! Servers, collections and settings that are no use.

use std::time::Duration;

use common::config::Secret;

use super::*;

#[tokio::test]
async fn while_the_embedder_fails_words_are_searched_where_there_are_some() {
    let (qdrant, embedder) = (FakeQdrant::start().await, embedder());
    let ours = knowledge(&qdrant.config("kita"), Some(&embedder));
    let passage = embedded(
        1,
        "asrama",
        "Asrama disediakan bagi mahasiswa baru",
        &embedder,
    );
    ours.put(vec![passage]).await.expect("written");
    qdrant.add_langchain_collection(COLLECTION, DIMENSION as u64);
    fill_as_langchain(&qdrant, &embedder, "");
    let theirs = knowledge(&qdrant.config(COLLECTION), Some(&embedder));

    embedder.fail();
    let asked = queries("asrama mahasiswa");
    assert_eq!(ours.search(&asked, 5).await.expect("an answer").len(), 1);
    let error = theirs
        .search(&asked, 5)
        .await
        .expect_err("nothing to search by");
    assert!(
        matches!(error, KnowledgeError::Unavailable { .. }),
        "{error}"
    );
    embedder.recover();
    assert!(finds_something(&theirs, &asked).await);
}

#[tokio::test]
async fn a_missing_collection_is_told_apart_and_found_once_it_is_there() {
    let (qdrant, embedder) = (FakeQdrant::start().await, embedder());
    let knowledge = knowledge(&qdrant.config(COLLECTION), Some(&embedder));
    let error = knowledge.verify().await.expect_err("there is none");
    assert!(
        matches!(error, ConnectError::MissingCollection { .. }),
        "{error}"
    );
    assert!(error.to_string().contains(COLLECTION), "{error}");
    let asked = queries("asrama mahasiswa");
    let error = knowledge
        .search(&asked, 5)
        .await
        .expect_err("there is none");
    assert!(matches!(error, KnowledgeError::Misconfigured(_)), "{error}");

    qdrant.add_langchain_collection(COLLECTION, DIMENSION as u64);
    fill_as_langchain(&qdrant, &embedder, "");
    assert!(finds_something(&knowledge, &asked).await);
}

#[tokio::test]
async fn a_collection_that_was_made_anew_is_looked_at_again() {
    let (qdrant, embedder) = (FakeQdrant::start().await, embedder());
    qdrant.add_langchain_collection(COLLECTION, DIMENSION as u64);
    let knowledge = knowledge(&qdrant.config(COLLECTION), Some(&embedder));
    let asked = queries("asrama mahasiswa");
    knowledge.search(&asked, 5).await.expect("nothing yet");
    qdrant.drop_collection(COLLECTION);
    qdrant.add_named_collection(COLLECTION, &[("isi", DIMENSION as u64)]);
    fill_as_langchain(&qdrant, &embedder, "isi");
    knowledge
        .search(&asked, 5)
        .await
        .expect_err("the unnamed vector is gone");
    assert!(finds_something(&knowledge, &asked).await);
}

#[tokio::test]
async fn what_cannot_be_searched_at_all_says_so() {
    let (qdrant, embedder) = (FakeQdrant::start().await, embedder());
    qdrant.add_langchain_collection(COLLECTION, DIMENSION as u64);
    qdrant.add_named_collection("dua", &[("isi", 64), ("judul", 64)]);
    qdrant.add_named_collection("kosong", &[]);
    for (collection, embedder, named) in [
        (COLLECTION, None, "EMBEDDING_MODEL"),
        ("dua", Some(&embedder), "isi, judul"),
        ("kosong", Some(&embedder), "kosong"),
    ] {
        let error = knowledge(&qdrant.config(collection), embedder)
            .verify()
            .await
            .expect_err(collection);
        let error = KnowledgeError::from(error);
        assert!(
            matches!(&error, KnowledgeError::Misconfigured(text) if text.contains(named)),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_wrong_key_is_a_wrong_setting_and_is_not_shown() {
    let (qdrant, embedder) = (FakeQdrant::start().await, embedder());
    qdrant.add_langchain_collection(COLLECTION, DIMENSION as u64);
    qdrant.require_key("kunci-benar");
    let mut config = qdrant.config(COLLECTION);
    for key in [None, Some("kunci-salah")] {
        config.api_key = key.map(Secret::new);
        let error = knowledge(&config, Some(&embedder))
            .verify()
            .await
            .expect_err("it is refused");
        let error = KnowledgeError::from(error);
        assert!(
            matches!(&error, KnowledgeError::Misconfigured(text) if text.contains("QDRANT_API_KEY")),
            "{error}"
        );
        assert!(!format!("{error:?}").contains("kunci-salah"), "{error:?}");
    }
    config.api_key = Some(Secret::new("kunci-benar"));
    knowledge(&config, Some(&embedder))
        .verify()
        .await
        .expect("it is accepted");
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable_and_used_again_when_it_is_back() {
    let embedder = embedder();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    drop(listener);
    let config = QdrantConfig {
        address: Address::parse(&format!("http://{address}")).expect("an address"),
        api_key: None,
        collection: COLLECTION.into(),
        timeout: Duration::from_secs(5),
    };
    let knowledge = knowledge(&config, Some(&embedder));
    for _ in 0..2 {
        let error = KnowledgeError::from(knowledge.verify().await.expect_err("nobody listens"));
        assert!(
            matches!(error, KnowledgeError::Unavailable { .. }),
            "{error}"
        );
    }
    let qdrant = FakeQdrant::start_at(address).await;
    qdrant.add_langchain_collection(COLLECTION, DIMENSION as u64);
    knowledge.verify().await.expect("it is back");
}

#[tokio::test]
async fn a_slow_server_is_waited_for_no_longer_than_configured() {
    let (qdrant, embedder) = (FakeQdrant::start().await, embedder());
    qdrant.add_langchain_collection(COLLECTION, DIMENSION as u64);
    let config = QdrantConfig {
        timeout: Duration::from_millis(200),
        ..qdrant.config(COLLECTION)
    };
    let knowledge = knowledge(&config, Some(&embedder));
    let asked = queries("asrama mahasiswa");
    knowledge.search(&asked, 5).await.expect("in time");
    qdrant.delay(Duration::from_secs(60));
    let begun = std::time::Instant::now();
    let error = knowledge.search(&asked, 5).await.expect_err("too slow");
    assert!(
        matches!(error, KnowledgeError::Unavailable { .. }),
        "{error}"
    );
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    qdrant.delay(Duration::ZERO);
    knowledge.search(&asked, 5).await.expect("in time again");
}

#[tokio::test]
async fn a_server_that_does_not_encrypt_is_unavailable_over_https() {
    let (qdrant, embedder) = (FakeQdrant::start().await, embedder());
    qdrant.add_langchain_collection(COLLECTION, DIMENSION as u64);
    let url = qdrant.url().replace("http://", "https://");
    let config = QdrantConfig {
        address: Address::parse(&url).expect("an address"),
        ..qdrant.config(COLLECTION)
    };
    let verified = knowledge(&config, Some(&embedder)).verify().await;
    let error = KnowledgeError::from(verified.expect_err("no handshake"));
    assert!(
        matches!(error, KnowledgeError::Unavailable { .. }),
        "{error}"
    );
    assert!(error.to_string().contains(&url), "{error}");
    assert!(qdrant.calls().is_empty());
}
