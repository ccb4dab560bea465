//! How early the first sentence is heard. A measurement, for a machine that does
//! nothing else:
//!
//! `cargo test -p itb-api --test it -- --ignored --nocapture early`

use std::time::Duration;

use common::testing::servers::shared;
use serde_json::{Value, json};

use super::{
    fake::{Mood, Reply, Service},
    prosa,
    running::{Mode, Running, Vendors, result},
};

const HEARING: u64 = 300;
const FEELING: u64 = 100;
const FIRST_TOKEN: u64 = 300;
const TOKEN: u64 = 20;
const SENTENCE: u64 = 200;

const TOKENS: usize = 60;
/// Tokens of a sentence.
const WORDS: usize = 12;

/// Short words, with a full stop after each sentence, or none before the end.
fn answer(sentences: bool) -> Vec<String> {
    let word = |at: usize| match (at + 1) % WORDS {
        0 if sentences => "ya. ",
        1 if sentences => "Ya ",
        _ => "ya ",
    };
    (0..TOKENS).map(|at| word(at).to_owned()).collect()
}

/// Vendors that take their time.
pub(super) async fn paced(sentences: bool, speaks: fn(Duration) -> prosa::Mood) -> Vendors {
    let mut vendors = Vendors::start().await;
    let pieces = answer(sentences);
    vendors.openrouter = Service::start(move |_| {
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        Reply::stream(&pieces)
    })
    .await;
    let hears = Duration::from_millis(HEARING);
    vendors.hearing.is(prosa::Mood::Takes(hears));
    vendors.emotion = Service::start(|_| Reply::json(&json!({ "prediction": "sad" }))).await;
    vendors.emotion.is(Mood::Paced {
        first: Duration::from_millis(FEELING),
        each: Duration::from_millis(1),
    });
    vendors.openrouter.is(Mood::Paced {
        first: Duration::from_millis(FIRST_TOKEN),
        each: Duration::from_millis(TOKEN),
    });
    // A whole answer takes as long to speak as its sentences.
    let parts = if sentences { 1 } else { TOKENS / WORDS };
    let takes = Duration::from_millis(SENTENCE * parts as u64);
    vendors.speaking.is(speaks(takes));
    vendors
}

async fn first_audio(mode: Mode, sentences: bool) -> f64 {
    let vendors = paced(sentences, prosa::Mood::Takes).await;
    let running = Running::start(mode, &vendors, &[]).await;
    let mut times: Vec<f64> = Vec::new();
    for _ in 0..7 {
        let answer: Value = result(running.say().await, "measured").await;
        times.push(answer["first_audio_ms"].as_f64().unwrap());
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

async fn measure(mode: Mode, name: &str) {
    // The sentence is certain with the token after it.
    let must = HEARING + FEELING + FIRST_TOKEN + TOKEN * WORDS as u64 + SENTENCE;
    let (early, whole) = (
        first_audio(mode, true).await,
        first_audio(mode, false).await,
    );
    let over = early / must as f64;
    println!(
        "{name}: first audio after {early} ms, {over:.3} of the {must} ms that must pass; whole answer {whole} ms, {:.2} times as long",
        whole / early
    );
    assert!(over < 1.15, "{early} of {must}");
    assert!(whole / early >= 2.0, "{whole} to {early}");
}

#[tokio::test]
#[ignore = "a measurement"]
async fn embedded() {
    measure(Mode::Embedded, "embedded").await;
}

#[tokio::test]
#[ignore = "a measurement"]
async fn distributed() {
    if let Some(servers) = shared() {
        measure(Mode::Distributed(servers), "distributed").await;
    }
}
