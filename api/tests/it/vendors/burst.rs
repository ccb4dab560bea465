//! How early the first sentence is heard when many ask at once, with one worker for each stage. A measurement, for a
//! machine that does nothing else:
//!
//! `cargo test --workspace --test it -- --ignored --nocapture burst`

use std::time::{Duration, Instant};

use common::testing::servers::shared;
use futures::future::join_all;
use serde_json::Value;

use super::{
    early::paced,
    prosa,
    running::{Mode, Vendors},
};
use crate::deployment::{Deployment, form, start_api, start_worker};

const CALLERS: usize = 16;

/// Of each caller.
const TURNS: usize = 3;

async fn start(mode: Mode, vendors: &Vendors) -> Deployment {
    let settings = vendors.settings_with(mode, &[]);
    let (door, url) = start_api(&settings);
    let mut programs = vec![door];
    if let Mode::Distributed(_) = mode {
        let stages = ["stt", "emotion", "rag", "tts"];
        programs.extend(stages.map(|stage| start_worker(stage, &settings)));
    }
    let deployment = Deployment::of(vec![url], programs).await;
    deployment.engines_are_there().await;
    deployment
}

/// When the first sentence was heard, in milliseconds; `None` when the turn came to nothing.
async fn turn(deployment: &Deployment) -> Option<f64> {
    let form = form(prosa::recording()).text("response_format", "base64");
    let answer = deployment.post("/v1/audio").multipart(form).send().await;
    let answer: Value = answer.ok()?.error_for_status().ok()?.json().await.ok()?;
    answer["first_audio_ms"].as_f64()
}

async fn turns(deployment: &Deployment, number: usize) -> Vec<Option<f64>> {
    let mut times = Vec::new();
    for _ in 0..number {
        times.push(turn(deployment).await);
    }
    times
}

/// Of those that came to something, how many did not, and the middle one.
fn median(times: &[Option<f64>]) -> (usize, f64) {
    let mut good: Vec<f64> = times.iter().flatten().copied().collect();
    good.sort_by(f64::total_cmp);
    let middle = good.get(good.len() / 2).copied();
    (times.len() - good.len(), middle.unwrap_or(f64::INFINITY))
}

/// Whether it is as it must be.
async fn measure(mode: Mode, name: &str, speaks: fn(Duration) -> prosa::Mood) -> bool {
    let vendors = paced(true, speaks).await;
    let deployment = start(mode, &vendors).await;
    // Connections are there, and programs are read.
    turn(&deployment).await;
    let (_, alone) = median(&turns(&deployment, 7).await);
    let begun = Instant::now();
    let all = join_all((0..CALLERS).map(|_| turns(&deployment, TURNS))).await;
    let rate = (CALLERS * TURNS) as f64 / begun.elapsed().as_secs_f64();
    let (failed, together) = median(&all.concat());
    println!(
        "{name}: first audio p50 after {alone:.0} ms with one caller, {together:.0} ms with {CALLERS}: {:.2} times; {rate:.1} turns/s, {failed} of {} failed",
        together / alone,
        CALLERS * TURNS,
    );
    failed == 0 && together / alone <= 1.3 && rate >= 5.0
}

async fn measure_both(mode: Mode, name: &str) {
    let closes = format!("{name}, the vendor closes");
    let closes = measure(mode, &closes, prosa::Mood::Takes).await;
    let stays = format!("{name}, the vendor stays open");
    let stays = measure(mode, &stays, prosa::Mood::StaysOpen).await;
    assert!(closes && stays);
}

#[tokio::test]
#[ignore = "a measurement"]
async fn embedded() {
    measure_both(Mode::Embedded, "embedded").await;
}

#[tokio::test]
#[ignore = "a measurement"]
async fn distributed() {
    if let Some(servers) = shared() {
        measure_both(Mode::Distributed(servers), "distributed").await;
    }
}
