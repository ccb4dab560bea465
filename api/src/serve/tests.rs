//! Clients that do not do their part, over real sockets.

use std::time::{Duration, Instant};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request},
    routing::{get, post},
};
use futures::{StreamExt as _, stream};
use http_body_util::BodyExt as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{
    connection::LARGEST_HEAD,
    connections::{ConnectionLimits, serve},
    too_few_files,
    watch::Patience,
};
use crate::client_address::Proxies;

mod http2;

const SHORT: Patience = Patience {
    client: Duration::from_millis(300),
    keep_alive: Duration::from_millis(600),
};

const LARGE: usize = 32 << 20;

/// Bytes of an answer that fits into no window, and into the buffers behind it.
const PIECE: usize = 100_000;

#[test]
fn too_few_files_for_the_connections_are_told_of() {
    for (allowed, is_enough) in [(None, true), (Some(1_256), true), (Some(1_255), false)] {
        let problem = too_few_files(allowed, 1_000);
        assert_eq!(problem.is_none(), is_enough, "{problem:?}");
    }
    let problem = too_few_files(Some(1_024), 8_192).unwrap();
    for part in ["1024", "8192", "MAX_CONNECTIONS", "8448"] {
        assert!(problem.contains(part), "{problem}");
    }
}

struct Server {
    address: String,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(most: usize, patience: Patience) -> Self {
        Self::start_with(ConnectionLimits {
            most,
            per_address: most,
            patience,
        })
        .await
    }

    async fn start_with(limits: ConnectionLimits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let stop = CancellationToken::new();
        let served = serve(listener, app(), limits, Proxies::default(), stop.clone());
        let task = tokio::spawn(served);
        Self {
            address,
            stop,
            task,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).await.unwrap()
    }

    /// With small buffers, so that what is not read soon stands still.
    async fn connect_narrowly(&self) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        let address = self.address.parse().unwrap();
        socket.connect(address).await.unwrap()
    }

    async fn stopped(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

fn app() -> Router {
    let whole = async |request: Request| {
        let read = request.into_body().collect().await;
        read.map_err(|_| "broken off").map(|_| "whole")
    };
    let pieces = || stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b'a'; 8_192]));
    Router::new()
        .route(
            "/",
            get(async |client: ConnectInfo<std::net::SocketAddr>| client.0.ip().to_string()),
        )
        .route("/read", post(whole))
        .route("/large", get(async || Body::from(vec![b'a'; LARGE])))
        .route("/piece", get(async || Body::from(vec![b'a'; PIECE])))
        .route("/endless", get(async move || Body::from_stream(pieces())))
        .route(
            "/quiet",
            get(async || {
                Body::from_stream(
                    stream::once(async { Ok::<_, std::io::Error>("a") }).chain(stream::pending()),
                )
            }),
        )
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// All that comes until the other side ends it.
async fn rest(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset is an end as well.
    let _ = socket.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// One answer with a length.
async fn answer(socket: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut byte = [0];
    while !text.ends_with("\r\n\r\n127.0.0.1") {
        assert_eq!(socket.read(&mut byte).await.unwrap(), 1, "{text}");
        text.push(char::from(byte[0]));
    }
    text
}

#[tokio::test]
async fn a_head_that_does_not_end_ends_the_connection() {
    let server = Server::start(10, SHORT).await;
    for begun in [
        &b""[..],
        b"GET / HT",
        b"GET / HTTP/1.1\r\nHost: a\r\n",
        b"PRI * HTTP/2.0\r\n",
    ] {
        let mut socket = server.connect().await;
        socket.write_all(begun).await.unwrap();
        assert_eq!(rest(&mut socket).await, "", "{begun:?}");
    }
    server.stopped().await;
}

#[tokio::test]
async fn a_head_that_trickles_has_no_more_time() {
    let server = Server::start(10, SHORT).await;
    let (mut reading, mut writing) = server.connect().await.into_split();
    let started = Instant::now();
    let trickle = tokio::spawn(async move {
        let mut clock = tokio::time::interval(Duration::from_millis(20));
        for byte in GET.iter().cycle().filter(|byte| **byte != b'\n') {
            clock.tick().await;
            if writing.write_all(&[*byte]).await.is_err() {
                break;
            }
        }
    });
    let mut unanswered = Vec::new();
    let _ = reading.read_to_end(&mut unanswered).await;
    assert!(unanswered.is_empty() && started.elapsed() >= SHORT.client);
    trickle.abort();
    server.stopped().await;
}

#[tokio::test]
async fn a_connection_may_rest_between_requests_but_not_for_ever() {
    let server = Server::start(10, SHORT).await;
    let mut socket = server.connect().await;
    for _ in 0..3 {
        socket.write_all(GET).await.unwrap();
        assert!(answer(&mut socket).await.starts_with("HTTP/1.1 200"));
    }
    assert_eq!(rest(&mut socket).await, "");
    server.stopped().await;
}

#[tokio::test]
async fn an_answer_that_is_long_in_the_making_is_waited_for() {
    let server = Server::start(10, SHORT).await;
    let mut socket = server.connect().await;
    socket
        .write_all(b"GET /quiet HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    let silence = async {
        let mut piece = [0; 1_024];
        while socket.read(&mut piece).await.unwrap() > 0 {}
    };
    let long = SHORT.keep_alive * 3;
    assert!(
        tokio::time::timeout(long, silence).await.is_err(),
        "it was ended"
    );
    drop(socket);
    server.stop.cancel();
    server.task.abort();
}

#[tokio::test]
async fn a_body_that_stops_coming_is_not_waited_for() {
    let server = Server::start(10, SHORT).await;
    let mut socket = server.connect().await;
    let head = b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc";
    socket.write_all(head).await.unwrap();
    assert!(rest(&mut socket).await.ends_with("broken off"));
    server.stopped().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_loses_its_connection() {
    let server = Server::start(10, SHORT).await;
    for path in ["/large", "/endless"] {
        let mut socket = server.connect_narrowly().await;
        let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        socket.write_all(head.as_bytes()).await.unwrap();
        // Nothing is read until the connection has ended: then less is there
        // than was to be sent.
        let ended = async {
            while socket.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), ended)
            .await
            .unwrap();
        assert!(rest(&mut socket).await.len() < LARGE, "{path}");
    }
    server.stopped().await;
}

#[tokio::test]
async fn a_client_that_reads_slowly_gets_all_of_it() {
    let server = Server::start(10, SHORT).await;
    let mut socket = server.connect().await;
    socket
        .write_all(b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let (mut piece, mut got) = (vec![0; 1 << 20], 0);
    loop {
        // Each pause is within the patience; all of them are far beyond.
        tokio::time::sleep(SHORT.client / 10).await;
        match socket.read(&mut piece).await.unwrap() {
            0 => break,
            bytes => got += bytes,
        }
    }
    assert!(got > LARGE, "{got}");
    server.stopped().await;
}

fn http2() -> reqwest::Client {
    common::telemetry::choose_cryptography();
    reqwest::Client::builder()
        .http2_prior_knowledge()
        .http2_initial_stream_window_size(65_535)
        .http2_initial_connection_window_size(65_535)
        .no_proxy()
        .build()
        .unwrap()
}

#[tokio::test]
async fn http_2_is_spoken_to_who_begins_with_it() {
    let server = Server::start(10, SHORT).await;
    let client = http2();
    for _ in 0..2 {
        let answer = client
            .get(format!("http://{}/", server.address))
            .send()
            .await;
        let answer = answer.unwrap();
        assert_eq!(answer.version(), axum::http::Version::HTTP_2);
        assert_eq!(answer.text().await.unwrap(), "127.0.0.1");
    }
    server.stopped().await;
}

#[tokio::test]
async fn a_stream_of_http_2_that_is_not_read_holds_up_no_order_to_stop() {
    for path in ["large", "endless"] {
        let server = Server::start(10, SHORT).await;
        let client = http2();
        let url = format!("http://{}/{path}", server.address);
        let mut unread = client.get(url).send().await.unwrap();
        // An order to stop waits for all that is being answered.
        let stopped = tokio::time::timeout(Duration::from_secs(60), server.stopped());
        stopped.await.expect("it is given up");
        let mut got = 0;
        while let Ok(Some(piece)) = unread.chunk().await {
            got += piece.len();
        }
        assert!(got < LARGE, "{path}: {got}");
    }
}

#[tokio::test]
async fn beyond_the_most_connections_a_client_is_told_so_at_once() {
    let server = Server::start(2, SHORT).await;
    let mut held = [server.connect().await, server.connect().await];
    for socket in &mut held {
        socket.write_all(GET).await.unwrap();
        answer(socket).await;
    }
    let mut refused = server.connect().await;
    let told = rest(&mut refused).await;
    assert!(
        told.starts_with("HTTP/1.1 503 ") && told.contains("retry-after: 2\r\n"),
        "{told}"
    );
    let (head, body) = told.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("content-length: {}", body.len())));
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["code"], "too_many_connections");
    assert!(head.contains(body["request_id"].as_str().unwrap()));
    // One goes, and there is room.
    drop(held);
    loop {
        let mut socket = server.connect().await;
        let _ = socket.write_all(GET).await;
        let mut start = [0; 12];
        socket.read_exact(&mut start).await.unwrap();
        if &start == b"HTTP/1.1 200" {
            break;
        }
    }
    server.stopped().await;
}

#[tokio::test]
async fn one_address_has_its_share_of_the_connections_and_no_more() {
    let server = Server::start_with(ConnectionLimits {
        most: 3,
        per_address: 1,
        patience: SHORT,
    })
    .await;
    let mut held = server.connect().await;
    held.write_all(GET).await.unwrap();
    answer(&mut held).await;
    let told = rest(&mut server.connect().await).await;
    assert!(
        told.starts_with("HTTP/1.1 429 Too Many Requests\r\n"),
        "{told}"
    );
    assert!(told.contains("retry-after: 2\r\n"), "{told}");
    assert!(told.contains("too_many_connections_of_address"), "{told}");
    let elsewhere = TcpSocket::new_v4().unwrap();
    elsewhere.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let address = server.address.parse().unwrap();
    let mut other = elsewhere.connect(address).await.unwrap();
    other.write_all(GET).await.unwrap();
    let mut start = [0; 12];
    other.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    server.stopped().await;
}

#[tokio::test]
async fn a_head_is_as_long_as_it_may_be_and_no_longer() {
    let server = Server::start(10, SHORT).await;
    for (length, expected) in [
        (LARGEST_HEAD - 1, "HTTP/1.1 200 OK\r\n"),
        (LARGEST_HEAD + 1, "HTTP/1.1 431 "),
    ] {
        let start = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: ";
        let padding = "a".repeat(length - start.len() - 4);
        let mut socket = server.connect().await;
        let head = format!("{start}{padding}\r\n\r\n");
        socket.write_all(head.as_bytes()).await.unwrap();
        let told = rest(&mut socket).await;
        assert!(told.starts_with(expected), "{length}: {told}");
    }
    server.stopped().await;
}

#[tokio::test]
async fn who_sends_too_much_still_hears_the_answer() {
    let server = Server::start(10, SHORT).await;
    let mut socket = server.connect().await;
    let body = vec![b'a'; 20 << 20];
    let head = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(&body).await.unwrap();
    assert!(rest(&mut socket).await.starts_with("HTTP/1.1 200 "));
    server.stopped().await;
}

#[tokio::test]
async fn an_order_to_stop_ends_what_rests_and_waits_for_what_is_answered() {
    let server = Server::start(10, SHORT).await;
    let (mut resting, mut busy) = (server.connect().await, server.connect().await);
    resting.write_all(GET).await.unwrap();
    answer(&mut resting).await;
    let head = b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab";
    busy.write_all(head).await.unwrap();
    // It has been heard of by the time that a later one is answered.
    let mut later = server.connect().await;
    later.write_all(GET).await.unwrap();
    answer(&mut later).await;
    server.stop.cancel();
    assert_eq!(rest(&mut resting).await, "");
    busy.write_all(b"cd").await.unwrap();
    assert!(rest(&mut busy).await.ends_with("whole"));
    drop((resting, later, busy));
    server.task.await.unwrap();
}
