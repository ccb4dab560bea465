//! Failures that services report, or show by what they answer.

use std::time::Duration;

use super::{
    Kind,
    completions::{chat, delta, finish, read},
    judged,
    server::{Server, Step, answer, piece, stream_end, stream_head, stream_of},
};
use crate::{handler::StageError, providers::failure};

const JSON: &str = "content-type: application/json\r\n";

async fn failure_of(steps: Vec<Step>) -> (Vec<String>, StageError) {
    let server = Server::doing(steps).await;
    let (texts, _, error) = read(&chat(&server.url())).await;
    (texts, error.expect("the completion failed"))
}

#[tokio::test]
async fn a_status_is_told_as_what_may_pass_or_what_stays_wrong() {
    let body = r#"{"error":{"message":"the reason","code":null,"type":"x"}}"#;
    for (status, code, kind) in [
        (301, failure::REFUSED, Kind::Permanent),
        (400, failure::REFUSED, Kind::Permanent),
        (401, failure::UNAUTHORIZED, Kind::Permanent),
        (404, failure::REFUSED, Kind::Permanent),
        (408, failure::FAILED, Kind::Transient),
        (429, failure::RATE_LIMITED, Kind::Transient),
        (500, failure::FAILED, Kind::Transient),
        (503, failure::FAILED, Kind::Transient),
    ] {
        let (_, error) = failure_of(answer(status, JSON, body)).await;
        assert_eq!(judged(&error), (code, kind), "{status}");
        let text = error.to_string();
        assert!(
            text.contains(&status.to_string()) && text.ends_with(": the reason"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_wait_that_is_asked_for_is_kept() {
    for (steps, seconds) in [
        (answer(429, "retry-after: 7\r\n", "slow down"), Some(7)),
        (answer(503, "retry-after: 3\r\n", ""), Some(3)),
        (answer(429, "", ""), None),
        (
            answer(
                200,
                "retry-after: 5\r\n",
                r#"{"error":{"code":429,"message":"m"}}"#,
            ),
            Some(5),
        ),
    ] {
        let (_, error) = failure_of(steps).await;
        let StageError::Transient { retry_after, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(retry_after, seconds.map(Duration::from_secs));
    }
}

#[tokio::test]
async fn an_error_in_the_clothes_of_a_success_is_an_error() {
    let event = |data: &str| stream_of(format!("data: {data}\n\n"));
    for (name, steps, code, kind) in [
        (
            "json",
            answer(200, JSON, r#"{"error":{"message":"m","code":429}}"#),
            failure::RATE_LIMITED,
            Kind::Transient,
        ),
        (
            "json",
            answer(200, JSON, r#"{"error":{"message":"m","code":401}}"#),
            failure::UNAUTHORIZED,
            Kind::Permanent,
        ),
        (
            "json",
            answer(200, JSON, r#"{"error":{"message":"m","code":502}}"#),
            failure::FAILED,
            Kind::Transient,
        ),
        (
            "event",
            event(r#"{"error":{"message":"m","code":400}}"#),
            failure::REFUSED,
            Kind::Permanent,
        ),
        (
            "event",
            event(
                r#"{"error":{"message":"m","code":"server_error"},"choices":[{"delta":{"content":""},"finish_reason":"error"}]}"#,
            ),
            failure::FAILED,
            Kind::Transient,
        ),
        (
            "reason",
            event(r#"{"choices":[{"delta":{},"finish_reason":"error"}]}"#),
            failure::FAILED,
            Kind::Transient,
        ),
        (
            "named event",
            stream_of("event: error\ndata: {\"message\":\"m\",\"code\":503}\n\n"),
            failure::FAILED,
            Kind::Transient,
        ),
        (
            "field",
            stream_of("error: {\"message\":\"m\",\"code\":401}\n\n"),
            failure::UNAUTHORIZED,
            Kind::Permanent,
        ),
        (
            "overlong prompt",
            answer(
                500,
                JSON,
                r#"{"error":{"message":"m","code":500,"type":"exceed_context_size_error"}}"#,
            ),
            failure::REFUSED,
            Kind::Permanent,
        ),
        (
            "overlong prompt",
            answer(
                400,
                JSON,
                r#"{"error":{"message":"m","code":"context_length_exceeded"}}"#,
            ),
            failure::REFUSED,
            Kind::Permanent,
        ),
        (
            "filter",
            event(r#"{"choices":[{"delta":{},"finish_reason":"content_filter"}]}"#),
            failure::REFUSED,
            Kind::Permanent,
        ),
    ] {
        let (_, error) = failure_of(steps).await;
        assert_eq!(judged(&error), (code, kind), "{name}: {error}");
    }
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_may_pass() {
    let html = "<!DOCTYPE html><html><body>Gateway</body></html>";
    for (name, steps) in [
        ("web page", answer(200, "content-type: text/html\r\n", html)),
        ("web page as a stream", stream_of(html)),
        ("nothing", answer(200, JSON, "")),
        ("an empty stream", vec![stream_head(), stream_end()]),
        ("no text", stream_of(finish("stop") + "data: [DONE]\n\n")),
        ("only [DONE]", stream_of("data: [DONE]\n\n")),
        ("only comments", stream_of(": OPENROUTER PROCESSING\n\n")),
        (
            "only white space",
            stream_of(delta(" \n") + &finish("stop")),
        ),
        (
            "only thoughts",
            stream_of(delta("<think>hm") + &finish("length")),
        ),
        ("no choices", answer(200, JSON, r#"{"choices":[]}"#)),
        ("null choices", answer(200, JSON, r#"{"choices":null}"#)),
        (
            "null content",
            answer(
                200,
                JSON,
                r#"{"choices":[{"message":{"content":null},"finish_reason":"stop"}]}"#,
            ),
        ),
        (
            "cut-off JSON",
            answer(200, JSON, r#"{"choices":[{"message":{"content":"Ya"#),
        ),
        ("cut-off event", stream_of("data: {\"choices\":[{\"del\n\n")),
        ("an array", answer(200, JSON, "[]")),
        ("other JSON", answer(200, JSON, r#"{"choices":"x"}"#)),
        ("words", answer(200, "content-type: text/plain\r\n", "ok")),
        ("a line without end", {
            let mut steps = vec![stream_head(), piece("data: ")];
            steps.push(Step::Repeat(chunk_of(65_536), Duration::ZERO));
            steps
        }),
        ("a document without end", {
            let mut steps = vec![stream_head(), piece("{\"choices\": \"")];
            steps.push(Step::Repeat(chunk_of(65_536), Duration::ZERO));
            steps
        }),
    ] {
        let (texts, error) = failure_of(steps).await;
        assert_eq!(
            judged(&error),
            (failure::UNEXPECTED, Kind::Transient),
            "{name}"
        );
        assert!(texts.is_empty(), "{name}");
    }
}

fn chunk_of(bytes: usize) -> Vec<u8> {
    match piece(vec![b'x'; bytes]) {
        Step::Send(bytes) => bytes,
        _ => unreachable!("a piece is sent"),
    }
}

#[tokio::test]
async fn what_came_before_a_failure_is_handed_on_and_the_failure_follows() {
    let error_event = "data: {\"error\":{\"message\":\"m\",\"code\":502}}\n\n";
    for (name, steps, code) in [
        ("cut off", stream_of(delta("Ya, ")), failure::UNEXPECTED),
        (
            "error event",
            stream_of(delta("Ya, ") + error_event),
            failure::FAILED,
        ),
        (
            "malformed event",
            stream_of(delta("Ya, ") + "data: {x\n\n"),
            failure::UNEXPECTED,
        ),
        (
            "closed",
            vec![stream_head(), piece(delta("Ya, ")), Step::Close],
            failure::UNREACHABLE,
        ),
        (
            "closed by length",
            {
                let head = "HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n";
                vec![
                    Step::Send((head.to_owned() + &delta("Ya, ")).into()),
                    Step::Close,
                ]
            },
            failure::UNREACHABLE,
        ),
    ] {
        let (texts, error) = failure_of(steps).await;
        assert_eq!(texts, ["Ya, "], "{name}");
        assert_eq!(judged(&error), (code, Kind::Transient), "{name}: {error}");
    }
}

#[tokio::test]
async fn a_broken_connection_may_pass() {
    for (name, steps) in [
        ("before the answer", vec![Step::Reset]),
        ("closed before the answer", vec![Step::Close]),
        ("after the head", vec![stream_head(), Step::Reset]),
        (
            "in a piece",
            vec![stream_head(), Step::Send("ff\r\ndata".into()), Step::Reset],
        ),
    ] {
        let (_, error) = failure_of(steps).await;
        assert_eq!(
            judged(&error),
            (failure::UNREACHABLE, Kind::Transient),
            "{name}"
        );
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}/v1", listener.local_addr().unwrap());
    drop(listener);
    let (_, _, error) = read(&chat(&nobody)).await;
    assert_eq!(
        judged(&error.unwrap()),
        (failure::UNREACHABLE, Kind::Transient)
    );
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_answer_breaks_nothing() {
    for end in [Step::Close, Step::Reset] {
        let steps = vec![stream_head(), piece(delta("Ya.") + &finish("stop")), end];
        let server = Server::doing(steps).await;
        let (texts, _, error) = read(&chat(&server.url())).await;
        assert_eq!((texts.concat().as_str(), error), ("Ya.", None));
    }
}

#[tokio::test]
async fn an_error_shows_neither_the_key_nor_the_question() {
    for message in [
        format!("Incorrect API key provided: {}", super::KEY),
        "the input 'Berapa biaya UKT?' is bad".to_owned(),
        "x".repeat(100_000),
    ] {
        let body = serde_json::json!({"error": {"message": message, "code": 400}}).to_string();
        for status in [200, 400, 500] {
            let (_, error) = failure_of(answer(status, JSON, &body)).await;
            judged(&error);
            assert!(!error.to_string().contains("UKT"), "{error}");
        }
    }
}
