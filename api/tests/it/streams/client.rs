//! The client in Python's standard library, over a line that keeps breaking.

use std::{
    path::Path,
    process::{Command, Output},
};

use common::testing::servers::{find, skipped};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf},
};

use crate::deployment::{Deployment, KEY};

/// Passes everything on to `server`, and answers only up to so many bytes, a
/// few more on each connection.
async fn breaking_line(server: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for limit in (700..).step_by(450) {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(&server).await.unwrap();
            let (from_client, mut to_client) = client.into_split();
            let (from_server, mut to_server) = server.into_split();
            tokio::spawn(async move {
                let mut asking = from_client;
                tokio::io::copy(&mut asking, &mut to_server).await
            });
            let mut cut: tokio::io::Take<OwnedReadHalf> = from_server.take(limit);
            tokio::spawn(async move {
                let _ = tokio::io::copy(&mut cut, &mut to_client).await;
                to_client.shutdown().await
            });
        }
    });
    format!("http://{address}")
}

async fn run(url: String, key: &str, arguments: &[&str]) -> Output {
    run_script("stream.py", url, key, arguments).await
}

async fn run_script(script: &str, url: String, key: &str, arguments: &[&str]) -> Output {
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ops/clients");
    let mut client = Command::new("python3");
    client.arg(clients.join(script)).args(arguments);
    client.env("ITB_URL", url).env("ITB_API_KEY", key);
    tokio::task::spawn_blocking(move || client.output())
        .await
        .unwrap()
        .unwrap()
}

async fn the_client_takes_a_broken_stream_up_again(deployment: &Deployment) {
    if find("python3").is_none() {
        return skipped("needs the program python3");
    }
    let question = "Berapa SKS untuk lulus sarjana?";
    let url = deployment.urls()[0].clone();
    let over_a_good_line = run(url.clone(), KEY, &[question]).await;
    assert!(over_a_good_line.status.success());
    let server = url.strip_prefix("http://").unwrap().to_owned();
    let cut = run(breaking_line(server).await, KEY, &[question]).await;
    let told = String::from_utf8_lossy(&cut.stderr);
    assert!(cut.status.success(), "{told}");
    let is_resumed = |event| told.contains(&format!("going on after event {event}"));
    assert!((1..9).any(is_resumed), "{told}");
    assert_eq!(cut.stdout, over_a_good_line.stdout);
    assert!(String::from_utf8_lossy(&cut.stdout).contains("144"));
}

async fn the_client_says_why_it_was_refused(deployment: &Deployment) {
    if find("python3").is_none() {
        return skipped("needs the program python3");
    }
    let url = deployment.urls()[0].clone();
    for (key, arguments, said) in [
        ("wrong", ["--conversation=a", "apa?"], "(unauthorized)"),
        (
            KEY,
            ["--conversation=a b", "apa?"],
            "(invalid_conversation_id)",
        ),
        (KEY, ["--job", "nobodys"], "(unknown_job)"),
    ] {
        let refused = run(url.clone(), key, &arguments).await;
        let told = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && told.contains(said), "{told}");
        assert!(!told.contains("Traceback"), "{told}");
    }
}

/// Through all front doors in turn, with a spoken question where that can be
/// worked with.
async fn every_route_answers_a_client_in_another_language(deployment: &Deployment) {
    if find("python3").is_none() {
        return skipped("needs the program python3");
    }
    let folder = tempfile::tempdir().unwrap();
    let recording = folder.path().join("question.wav");
    let recording = recording.to_str().unwrap();
    let mut arguments = Vec::new();
    if let Some(question) = crate::voice::spoken("Berapa SKS untuk lulus sarjana?")
        && deployment.can_speak().await
    {
        std::fs::write(recording, question).unwrap();
        arguments = vec!["--audio", recording];
    }
    let urls = deployment.urls().join(",");
    let visit = run_script("routes.py", urls, KEY, &arguments).await;
    let (seen, told) = (&visit.stdout, &visit.stderr);
    let seen = String::from_utf8_lossy(seen);
    let told = String::from_utf8_lossy(told);
    assert!(visit.status.success(), "{seen}{told}");
    assert_eq!(seen.contains("/v1/audio"), !arguments.is_empty(), "{seen}");
}

crate::in_both_modes!(
    every_route_answers_a_client_in_another_language,
    the_client_takes_a_broken_stream_up_again,
    the_client_says_why_it_was_refused,
);
