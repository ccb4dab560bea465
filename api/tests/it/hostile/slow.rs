//! Slow and many, at a front door with its settings.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    House,
    wire::{Ask, exchange},
};
use crate::vendors::running::Mode;

#[tokio::test]
async fn a_slow_client_is_told_so_and_a_silent_one_is_left() {
    let house = House::start(Mode::Embedded, &[("CLIENT_TIMEOUT", "1")]).await;
    let typed = Ask::post("/v1/chat").header("Content-Type", "application/json");
    let half = typed
        .header("Content-Length", "100")
        .raw(b"\r\n{\"message\":");
    let answers = exchange(&house.address, &half.unended()).await;
    assert_eq!(answers[0].told(), "408 body_too_slow");
    let form = Ask::post("/v1/audio").header("Content-Type", "multipart/form-data; boundary=b");
    let half = form
        .header("Content-Length", "100")
        .raw(b"\r\n--b\r\nContent-Disp");
    let answers = exchange(&house.address, &half.unended()).await;
    assert_eq!(answers[0].told(), "408 body_too_slow");
    let silent = exchange(&house.address, b"GET /health HTTP/1.1\r\nHost:").await;
    assert!(silent.is_empty(), "{silent:?}");
}

#[tokio::test]
async fn connections_beyond_the_most_are_refused_and_counted() {
    let port = common::testing::servers::free_port();
    let metrics = format!("127.0.0.1:{port}");
    let settings = [
        ("MAX_CONNECTIONS", "3"),
        ("METRICS_ADDRESS", metrics.as_str()),
    ];
    let house = House::start(Mode::Embedded, &settings).await;
    let mut held = Vec::new();
    while held.len() < 3 {
        let mut socket = TcpStream::connect(&house.address).await.unwrap();
        socket
            .write_all(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        let mut start = [0; 12];
        socket.read_exact(&mut start).await.unwrap();
        if &start == b"HTTP/1.1 200" {
            held.push(socket);
        }
    }
    let refused = refusal(&house.address).await.unwrap();
    assert_eq!(refused, "503 too_many_connections");
    let counted = crate::deployment::client().get(format!("http://{metrics}/metrics"));
    let counted = counted.send().await.unwrap().text().await.unwrap();
    for line in [
        "itb_http_connections 3",
        r#"itb_http_connections_refused_total{bound="all"} "#,
        r#"http_server_request_duration_seconds_count{http_request_method="GET",http_route="/health",http_response_status_code="200"}"#,
    ] {
        assert!(counted.contains(line), "{line} in {counted}");
    }
}

async fn refusal(address: &str) -> Option<String> {
    let answers = exchange(address, &Ask::get("/health").end()).await;
    Some(answers[0].told()).filter(|told| told != "200")
}
