//! How fast the engines of the house are when many want them at once: embedded, and with one worker for each stage. A
//! measurement, for a machine that does nothing else:
//!
//! `cargo test --workspace --test it -- --ignored --nocapture engines`

use std::time::Instant;

use common::testing::servers::shared;
use futures::future::join_all;
use serde_json::Value;

use crate::{
    deployment::{Deployment, form, start_api, start_worker},
    voice::spoken,
};

const CALLERS: usize = 16;

/// What all of `times` take together, and the middle one.
fn summary(mut times: Vec<f64>) -> String {
    times.sort_by(f64::total_cmp);
    let last = times.last().copied().unwrap_or_default();
    format!("p50 {:.0} ms, all {last:.0} ms", times[times.len() / 2])
}

async fn measure(name: &str, deployment: &Deployment) {
    let question = "Berapa SKS untuk lulus sarjana, dan kapan pembayaran UKT?";
    let Some(question) = spoken(question) else {
        return;
    };
    if !deployment.can_speak().await {
        return;
    }
    let turn = async || {
        let begun = Instant::now();
        let form = form(question.clone()).text("response_format", "base64");
        let answer = deployment.post("/v1/audio").multipart(form).send().await;
        let answer = answer.unwrap().error_for_status().unwrap();
        let answer: Value = answer.json().await.unwrap();
        let of_stage = |stage: &str| answer["exec_time"][stage].as_f64().unwrap() * 1_000.0;
        (
            begun.elapsed().as_secs_f64() * 1_000.0,
            of_stage("speech_to_text"),
            of_stage("text_to_speech"),
        )
    };
    turn().await;
    for round in 1..=3 {
        let turns = join_all((0..CALLERS).map(|_| turn())).await;
        let of = |pick: fn(&(f64, f64, f64)) -> f64| summary(turns.iter().map(pick).collect());
        println!(
            "{name}, round {round}: {CALLERS} spoken turns at once: {}; transcription {}; speech {}",
            of(|it| it.0),
            of(|it| it.1),
            of(|it| it.2),
        );
    }
}

#[tokio::test]
#[ignore = "a measurement"]
async fn embedded() {
    let (program, url) = start_api(&[]);
    let deployment = Deployment::of(vec![url], vec![program]).await;
    measure("embedded", &deployment).await;
}

#[tokio::test]
#[ignore = "a measurement"]
async fn distributed() {
    let Some(servers) = shared() else { return };
    let settings = servers.environment();
    let (door, url) = start_api(&settings);
    let mut programs = vec![door];
    let stages = ["stt", "emotion", "rag", "tts"];
    programs.extend(stages.map(|stage| start_worker(stage, &settings)));
    let deployment = Deployment::of(vec![url], programs).await;
    measure("distributed", &deployment).await;
}
