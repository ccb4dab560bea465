//! One tenant sends what is expensive to decode as fast as it may; another talks.
//! A measurement, for a machine that does nothing else:
//!
//! `cargo test --workspace --test it -- --ignored --nocapture neighbours`

use std::{
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::{Client, StatusCode};
use workers::testing::forged;

use super::House;
use crate::{
    deployment::{OTHER_KEY, client, conversation, form},
    vendors::running::Mode,
};

const UPLOADS: usize = 200;
const SENDERS: usize = 8;
const TURNS: usize = 100;

/// Twenty kinds of uploads that nothing comes of.
fn hostile() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = forged::recordings().into_iter().map(|(_, it)| it).collect();
    let whole = spoken("Apa itu ITB?");
    all.extend([
        forged::huge_packets(1 << 24),
        forged::huge_packets(1 << 31),
        forged::large_codebooks(128),
        forged::table_of_moments(300_000),
        whole[..whole.len().min(60)].to_vec(),
        b"fLaC\0\0\0\x22".to_vec(),
        b"\x1a\x45\xdf\xa3".to_vec(),
        b"\xff\xfb\x90\x64".repeat(50_000),
        b"OggS\0\x02".repeat(100_000),
        b"\0\0\0\x20ftypM4A ".repeat(100_000),
        b"\x89PNG\r\n\x1a\n".repeat(10_000),
        b"PK\x03\x04".repeat(10_000),
        vec![0; 2_000_000],
        b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0".to_vec(),
    ]);
    all
}

fn spoken(text: &str) -> Vec<u8> {
    let arguments = ["-v", "id", "-s", "140", "--stdout", text];
    let output = Command::new("espeak-ng").args(arguments).output();
    output.expect("espeak-ng speaks").stdout
}

async fn one_who_harms_costs_another_little(mode: Mode) {
    let house = House::start(mode, &[("MAX_CONCURRENT_JOBS", "100")]).await;
    if !house.deployment.can_speak().await {
        return;
    }
    // The engine is loaded by the first that is heard.
    turns(&house, 3).await;
    let alone = turns(&house, TURNS).await;
    let url = house.deployment.urls()[0].clone();
    let uploads = tokio::spawn(send(url, Arc::new(hostile())));
    let beside = turns(&house, TURNS).await;
    let refused = uploads.await.unwrap();
    let ratio = beside.as_secs_f64() / alone.as_secs_f64();
    println!(
        "p95 of {TURNS} turns: {alone:?} alone, {beside:?} beside {UPLOADS} hostile uploads ({refused} times told to \
         come later): {ratio:.2} times"
    );
    assert!(ratio <= 1.5, "{ratio}");
}

/// The 95th percentile of the times of so many spoken turns, one after another.
async fn turns(house: &House, count: usize) -> Duration {
    let recording = spoken("Apa saja fakultas di ITB?");
    let mut times = Vec::new();
    for _ in 0..count {
        let started = Instant::now();
        let request = house.deployment.post("/v1/audio");
        let answer = request.multipart(form(recording.clone())).send().await;
        assert_eq!(answer.unwrap().status(), 200);
        times.push(started.elapsed());
    }
    times.sort();
    times[(count * 95 / 100).min(count - 1)]
}

/// All uploads, by several senders; how often they were told to come later.
async fn send(url: String, files: Arc<Vec<Vec<u8>>>) -> usize {
    let senders = (0..SENDERS).map(|sender| {
        let (url, files, client) = (url.clone(), Arc::clone(&files), client());
        tokio::spawn(async move {
            let mut refused = 0;
            for number in (sender..UPLOADS).step_by(SENDERS) {
                let file = &files[number % files.len()];
                refused += upload(&client, &url, file).await;
            }
            refused
        })
    });
    let senders: Vec<_> = senders.collect();
    let mut refused = 0;
    for sender in senders {
        refused += sender.await.unwrap();
    }
    refused
}

async fn upload(client: &Client, url: &str, file: &[u8]) -> usize {
    let mut refused = 0;
    loop {
        let form = form(file.to_vec()).text("kind", "audio");
        let request = client.post(format!("{url}/v1/jobs"));
        let request = request.header("X-API-Key", OTHER_KEY);
        let request = request.header("X-Conversation-Id", conversation());
        let answer = request.multipart(form).send().await.unwrap();
        match answer.status() {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => refused += 1,
            _ => return refused,
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

mod measured {
    use super::*;

    #[tokio::test]
    #[ignore = "a measurement"]
    async fn embedded() {
        one_who_harms_costs_another_little(Mode::Embedded).await;
    }

    #[tokio::test]
    #[ignore = "a measurement"]
    async fn distributed() {
        let Some(servers) = common::testing::servers::shared() else {
            return;
        };
        one_who_harms_costs_another_little(Mode::Distributed(servers)).await;
    }
}
