//! Services that are silent for too long, or never come to an end.

use std::time::{Duration, Instant};

use tokio::net::TcpListener;

use super::{
    Kind,
    completions::{chat, delta, finish, options, read},
    judged,
    server::{Server, Step, piece, stream_head},
};
use crate::providers::{
    failure,
    openai::{OpenAiChat, Timeouts},
};

/// Above what any of these may take, and below what would be a hang.
const SOON: Duration = Duration::from_secs(8);

const IDLE: Duration = Duration::from_millis(300);

fn impatient(base_url: &str, timeouts: Timeouts) -> OpenAiChat {
    let mut options = options(base_url);
    options.endpoint.timeouts = timeouts;
    OpenAiChat::new(options).unwrap()
}

async fn assert_timeout(chat: &OpenAiChat, at_least: Duration, name: &str) -> Vec<String> {
    let begun = Instant::now();
    let (texts, _, error) = read(chat).await;
    let error = error.expect("the completion failed");
    assert_eq!(
        judged(&error),
        (failure::TIMEOUT, Kind::Transient),
        "{name}: {error}"
    );
    let took = begun.elapsed();
    assert!(at_least <= took && took < SOON, "{name}: {took:?}");
    texts
}

#[tokio::test]
async fn silence_is_not_borne_for_longer_than_the_idle_time() {
    let timeouts = Timeouts {
        connect: Duration::from_millis(300),
        idle: IDLE,
        whole: Duration::from_secs(60),
    };
    for (name, steps, text) in [
        ("before the answer", vec![Step::Hang], ""),
        (
            "in the head",
            vec![Step::Send("HTTP/1.1 200 OK\r\nx".into()), Step::Hang],
            "",
        ),
        ("after the head", vec![stream_head(), Step::Hang], ""),
        (
            "after a piece",
            vec![stream_head(), piece(delta("Ya, ")), Step::Hang],
            "Ya, ",
        ),
        (
            "in a piece",
            vec![stream_head(), piece("data: {"), Step::Hang],
            "",
        ),
    ] {
        let server = Server::doing(steps).await;
        let chat = impatient(&server.url(), timeouts);
        assert_eq!(assert_timeout(&chat, IDLE, name).await.concat(), text);
    }
}

#[tokio::test]
async fn a_call_does_not_last_longer_than_its_whole_time() {
    let timeouts = Timeouts {
        connect: Duration::from_secs(30),
        idle: Duration::from_secs(30),
        whole: Duration::from_millis(500),
    };
    let drip = Step::Repeat(b"2\r\n:\n\r\n".into(), Duration::from_millis(20));
    for (name, steps) in [
        ("before the answer", vec![Step::Hang]),
        ("after the head", vec![stream_head(), Step::Hang]),
        ("comments without end", vec![stream_head(), drip]),
    ] {
        let server = Server::doing(steps).await;
        let chat = impatient(&server.url(), timeouts);
        assert_timeout(&chat, timeouts.whole, name).await;
    }
}

#[tokio::test]
async fn a_handshake_does_not_last_longer_than_the_time_to_connect() {
    // Accepted by the system, and never answered: TLS waits for a greeting.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/v1", listener.local_addr().unwrap());
    let timeouts = Timeouts {
        connect: Duration::from_millis(300),
        idle: Duration::from_secs(30),
        whole: Duration::from_secs(60),
    };
    assert_timeout(&impatient(&url, timeouts), timeouts.connect, "TLS").await;
}

#[tokio::test]
async fn the_body_of_an_error_is_not_waited_for() {
    let head = b"HTTP/1.1 503 X\r\ncontent-length: 100\r\n\r\n{";
    let steps = vec![Step::Send(head.into()), Step::Hang];
    let server = Server::doing(steps).await;
    let begun = Instant::now();
    let (_, _, error) = read(&chat(&server.url())).await;
    assert_eq!(judged(&error.unwrap()), (failure::FAILED, Kind::Transient));
    assert!(begun.elapsed() < SOON);
}

#[tokio::test]
async fn a_whole_answer_does_not_wait_for_an_end_that_does_not_come() {
    for end in [finish("stop"), finish("stop") + "data: [DONE]\n\n"] {
        let steps = vec![stream_head(), piece(delta("Ya.") + &end), Step::Hang];
        let server = Server::doing(steps).await;
        let begun = Instant::now();
        let (texts, _, error) = read(&chat(&server.url())).await;
        assert_eq!((texts.concat().as_str(), error), ("Ya.", None));
        assert!(begun.elapsed() < SOON);
    }
}
