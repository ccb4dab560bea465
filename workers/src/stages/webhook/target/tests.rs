use std::future::Future;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

fn target(reach: Reach) -> Target {
    common::telemetry::choose_cryptography();
    Target::new(reach, Duration::from_millis(500)).unwrap()
}

fn letter() -> Letter {
    Letter {
        id: "a".into(),
        timestamp: 1,
        signature: "v1,a".into(),
        body: b"{}".to_vec(),
    }
}

async fn told(target: &Target, url: &str) -> Result<(), StageError> {
    let url = CallbackUrl::parse(url, Reach::Any).unwrap();
    target.tell(&url, letter()).await
}

fn word(result: Result<(), StageError>) -> String {
    match result {
        Ok(()) => "taken".into(),
        Err(StageError::Transient {
            code, retry_after, ..
        }) => match retry_after {
            Some(after) => format!("{code} for {}s", after.as_secs()),
            None => code.into(),
        },
        Err(StageError::Permanent { code, kind, .. }) => format!("{code} {kind:?}"),
    }
}

/// The address of a server that answers one request with `answer`, and then
/// keeps the connection open.
async fn answering(answer: &'static str) -> (String, impl Future<Output = ()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let serving = async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(answer.as_bytes()).await;
        std::future::pending().await
    };
    (url, serving)
}

#[tokio::test]
async fn each_answer_has_its_meaning() {
    let target = target(Reach::Any);
    for (answer, expected) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "taken"),
        ("HTTP/1.1 204 X\r\n\r\n", "taken"),
        // A body without an end is not waited for.
        (
            "HTTP/1.1 202 X\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
            "taken",
        ),
        (
            "HTTP/1.1 302 X\r\nlocation: http://127.0.0.1:1/\r\n\r\n",
            "callback_redirected",
        ),
        ("HTTP/1.1 410 X\r\n\r\n", "callback_gone Unavailable"),
        ("HTTP/1.1 404 X\r\n\r\n", "callback_not_taken"),
        ("HTTP/1.1 500 X\r\n\r\n", "callback_not_taken"),
        (
            "HTTP/1.1 429 X\r\nretry-after: 40\r\n\r\n",
            "callback_put_off for 40s",
        ),
        ("HTTP/1.1 503 X\r\n\r\n", "callback_put_off"),
        ("rubbish\r\n\r\n", "callback_unreachable"),
        ("", "callback_timeout"),
    ] {
        let (url, serving) = answering(answer).await;
        tokio::select! {
            result = told(&target, &url) => assert_eq!(word(result), expected, "{answer:?}"),
            () = serving => {}
        }
    }
    assert_eq!(
        word(told(&target, "http://127.0.0.1:1/").await),
        "callback_unreachable"
    );
}

#[tokio::test]
async fn what_is_private_is_not_called_however_it_is_named() {
    let target = target(Reach::Public);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    for name in ["127.0.0.1", "localhost", "2130706433", host.trim()] {
        // Not every machine knows its own name.
        if tokio::net::lookup_host((name, port)).await.is_err() {
            continue;
        }
        let told = word(told(&target, &format!("http://{name}:{port}/")).await);
        assert_eq!(told, "callback_refused UnprocessableInput", "{name}");
    }
    let called = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(called.is_err());
}

#[tokio::test]
async fn a_name_resolves_to_what_may_be_called_alone() {
    // The one name that every machine knows, and it is its own.
    let resolve = |reach| Names { reach }.resolve("localhost".parse().unwrap());
    let all: Vec<_> = resolve(Reach::Any).await.unwrap().collect();
    assert!(!all.is_empty() && all.iter().all(|address| address.ip().is_loopback()));
    let none = resolve(Reach::Public).await.err().unwrap();
    assert!(none.is::<OutOfReach>());
}
