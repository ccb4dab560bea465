//! Embeddings on the wire.

use std::{num::NonZeroUsize, time::Duration};

use common::config::Secret;
use serde_json::{Value, json};

use super::{
    KEY, Kind, endpoint, judged,
    server::{Request, Server, Step, answer},
};
use crate::providers::{
    Embedder, Purpose, failure,
    openai::{EmbeddingOptions, OpenAiEmbeddings, QueryForm, Sizing, Timeouts, WRONG_DIMENSION},
};

fn options(base_url: &str) -> EmbeddingOptions {
    EmbeddingOptions {
        endpoint: endpoint(base_url),
        ..EmbeddingOptions::custom(base_url, "some/model", 2, None)
    }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

/// The length of each text as its vector, the last one first.
fn lengths(request: &Request) -> Vec<Step> {
    let inputs = request.body["input"].as_array().unwrap();
    let vector = |(index, text): (usize, &Value)| {
        let length = text.as_str().unwrap().chars().count();
        json!({"object": "embedding", "index": index, "embedding": [length, 0.5]})
    };
    let vectors: Vec<Value> = inputs.iter().enumerate().map(vector).rev().collect();
    answer(200, "", &json!({"data": vectors, "usage": {}}).to_string())
}

#[tokio::test]
async fn vectors_come_in_the_order_of_the_texts_over_several_calls() {
    let server = Server::answering(lengths).await;
    let embedder = OpenAiEmbeddings::new(EmbeddingOptions {
        batch_texts: NonZeroUsize::new(3).unwrap(),
        batch_characters: 10,
        ..options(&server.url())
    });
    let texts = texts(&["1", "22", "", "4444", "55555", "666666", "é"]);
    let vectors = embedder
        .unwrap()
        .embed(&texts, Purpose::Passage)
        .await
        .unwrap();
    let lengths: Vec<f32> = vectors.iter().map(|vector| vector[0]).collect();
    assert_eq!(lengths, [1., 2., 1., 4., 5., 6., 1.]);

    let requests = server.requests();
    let sent: Vec<usize> = requests
        .iter()
        .map(|request| request.body["input"].as_array().unwrap().len())
        .collect();
    assert_eq!(sent, [3, 2, 2]);
    let first = &requests[0];
    assert_eq!(first.path, "/v1/embeddings");
    assert!(first.head.contains(&format!("authorization: bearer {KEY}")));
    let expected =
        json!({"model": "some/model", "input": ["1", "22", " "], "encoding_format": "float"});
    assert_eq!(first.body, expected);
}

#[tokio::test]
async fn no_texts_need_no_call() {
    let server = Server::answering(lengths).await;
    let embedder = OpenAiEmbeddings::new(options(&server.url())).unwrap();
    assert_eq!(embedder.embed(&[], Purpose::Query).await, Ok(vec![]));
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn queries_of_qwen3_are_instructed_and_its_passages_plain() {
    let task = "Given a web search query, retrieve relevant passages that answer the query";
    let instructed = format!("Instruct: {task}\nQuery:Apa itu UKT?");
    for (model, purpose, expected) in [
        (
            "qwen/qwen3-embedding-8b",
            Purpose::Query,
            instructed.as_str(),
        ),
        ("Qwen3-Embedding-0.6B", Purpose::Query, &instructed),
        ("qwen/qwen3-embedding-8b", Purpose::Passage, "Apa itu UKT?"),
        ("text-embedding-3-large", Purpose::Query, "Apa itu UKT?"),
    ] {
        let server = Server::answering(lengths).await;
        let embedder = OpenAiEmbeddings::new(options(&server.url()).with_model(model, 2)).unwrap();
        assert_eq!((embedder.model(), embedder.dimension()), (model, 2));
        embedder
            .embed(&texts(&["Apa itu UKT?"]), purpose)
            .await
            .unwrap();
        assert_eq!(
            server.requests()[0].body["input"],
            json!([expected]),
            "{model}"
        );
    }
}

#[tokio::test]
async fn a_dimension_is_asked_for_when_it_is_not_the_models_own() {
    let key = || Secret::new(KEY);
    for (options, dimension, sent) in [
        (EmbeddingOptions::openai(key()), 3_072, Value::Null),
        (EmbeddingOptions::openrouter(key()), 4_096, Value::Null),
        (
            EmbeddingOptions::openai(key()).with_model("text-embedding-3-large", 2),
            2,
            json!(2),
        ),
        (
            EmbeddingOptions::openai(key()).with_model("text-embedding-3-small", 1_536),
            1_536,
            Value::Null,
        ),
        (
            EmbeddingOptions {
                sizing: Sizing::Requested,
                ..options("http://h")
            },
            2,
            json!(2),
        ),
    ] {
        assert!(!format!("{options:?}").contains(KEY));
        assert_eq!(options.dimension, dimension);
        let server = Server::answering(lengths).await;
        let embedder = OpenAiEmbeddings::new(EmbeddingOptions {
            endpoint: endpoint(&server.url()),
            ..options
        });
        // The server answers with two numbers, which is wrong for most.
        let _ = embedder
            .unwrap()
            .embed(&texts(&["x"]), Purpose::Passage)
            .await;
        assert_eq!(server.requests()[0].body["dimensions"], sent);
    }
    assert_eq!(
        QueryForm::of_model("text-embedding-3-large"),
        QueryForm::Plain
    );
}

#[tokio::test]
async fn vectors_that_cannot_be_used_are_refused() {
    let one = |vector: &str| format!(r#"{{"data":[{{"index":0,"embedding":{vector}}}]}}"#);
    let two = |first: &str, second: &str| {
        format!(r#"{{"data":[{{{first}"embedding":[1,2]}},{{{second}"embedding":[3,4]}}]}}"#)
    };
    let unexpected = (failure::UNEXPECTED, Kind::Transient);
    let wrong = (WRONG_DIMENSION, Kind::Permanent);
    for (name, count, body, expected) in [
        ("shorter", 1, one("[1]"), Some(&wrong)),
        ("longer", 1, one("[1,2,3]"), Some(&wrong)),
        (
            "much longer",
            1,
            one(&format!("[{}1]", "0.01234567890123,".repeat(4_095))),
            Some(&wrong),
        ),
        ("empty", 1, one("[]"), Some(&wrong)),
        ("null", 1, one("[1,null]"), Some(&unexpected)),
        ("NaN", 1, one("[1,NaN]"), Some(&unexpected)),
        ("beyond f32", 1, one("[1,1e39]"), Some(&unexpected)),
        ("beyond f64", 1, one("[1,1e999]"), Some(&unexpected)),
        ("base64", 1, one("\"AACAPwAAAEA=\""), Some(&unexpected)),
        ("too few", 2, one("[1,2]"), Some(&unexpected)),
        (
            "too many",
            1,
            two(r#""index":0,"#, r#""index":1,"#),
            Some(&unexpected),
        ),
        (
            "twice the same",
            2,
            two(r#""index":0,"#, r#""index":0,"#),
            Some(&unexpected),
        ),
        (
            "numbered from one",
            2,
            two(r#""index":1,"#, r#""index":2,"#),
            Some(&unexpected),
        ),
        (
            "half numbered",
            2,
            two(r#""index":0,"#, ""),
            Some(&unexpected),
        ),
        ("not numbered", 2, two("", ""), None),
        (
            "numbered backwards",
            2,
            two(r#""index":1,"#, r#""index":0,"#),
            None,
        ),
        ("nothing", 1, String::new(), Some(&unexpected)),
        (
            "cut off",
            1,
            r#"{"data":[{"index":0,"emb"#.to_owned(),
            Some(&unexpected),
        ),
        ("web page", 1, "<html></html>".to_owned(), Some(&unexpected)),
        ("no data", 1, "{}".to_owned(), Some(&unexpected)),
        (
            "rate limit",
            1,
            r#"{"error":{"code":429,"message":"m"}}"#.to_owned(),
            Some(&(failure::RATE_LIMITED, Kind::Transient)),
        ),
        (
            "wrong key",
            1,
            r#"{"error":{"code":401,"message":"m"}}"#.to_owned(),
            Some(&(failure::UNAUTHORIZED, Kind::Permanent)),
        ),
    ] {
        let server = Server::doing(answer(200, "", &body)).await;
        let embedder = OpenAiEmbeddings::new(options(&server.url())).unwrap();
        let result = embedder
            .embed(&texts(&["a", "b"][..count]), Purpose::Passage)
            .await;
        match (&result, expected) {
            (Ok(vectors), None) => assert_eq!(vectors.len(), count, "{name}"),
            (Err(error), Some(expected)) => assert_eq!(&judged(error), expected, "{name}: {error}"),
            _ => panic!("{name}: {result:?}"),
        }
    }
}

#[tokio::test]
async fn failures_of_the_connection_and_of_the_service_may_pass() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"data\"";
    let partial = || Step::Send(head.into());
    for (name, steps, code) in [
        ("hangs", vec![Step::Hang], failure::TIMEOUT),
        (
            "hangs half-way",
            vec![partial(), Step::Hang],
            failure::TIMEOUT,
        ),
        (
            "closes half-way",
            vec![partial(), Step::Close],
            failure::UNREACHABLE,
        ),
        ("resets", vec![Step::Reset], failure::UNREACHABLE),
        ("fails", answer(503, "", ""), failure::FAILED),
        (
            "limits",
            answer(429, "retry-after: 2\r\n", ""),
            failure::RATE_LIMITED,
        ),
    ] {
        let server = Server::doing(steps).await;
        let mut options = options(&server.url());
        options.endpoint.timeouts = Timeouts::patient(Duration::from_millis(500));
        let embedder = OpenAiEmbeddings::new(options).unwrap();
        let error = embedder
            .embed(&texts(&["a"]), Purpose::Query)
            .await
            .unwrap_err();
        assert_eq!(judged(&error), (code, Kind::Transient), "{name}: {error}");
    }
}
