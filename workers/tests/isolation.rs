//! Recordings that are expensive to decode, in the process that is made for them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use sandbox::Sandbox;
use workers::{
    audio::{
        DecodeError, Limits,
        isolated::{DecodeRecording, IsolatedError, decode_isolated},
        wav::{self, Format},
    },
    testing::forged,
};

fn sandbox() -> Sandbox<DecodeRecording> {
    Sandbox::of_program(env!("CARGO_BIN_EXE_itb-worker").into())
}

#[tokio::test]
async fn what_is_expensive_to_decode_is_refused_for_what_it_is() {
    let sandbox = sandbox();
    for (name, file) in forged::recordings() {
        let decoded = decode_isolated(&sandbox, &file, &Limits::default()).await;
        assert!(
            matches!(
                decoded,
                Err(IsolatedError::File(
                    DecodeError::TooCostly | DecodeError::Damaged { .. }
                ))
            ),
            "{name}, {} bytes: {decoded:?}",
            file.len()
        );
        println!("{name}, {} bytes: {}", file.len(), decoded.unwrap_err());
    }
}

#[tokio::test]
async fn a_recording_comes_out_as_if_it_were_decoded_here() {
    let samples: Vec<u8> = (0..=255).cycle().take(4_000_000).collect();
    let file = wav::write(Format::mono16(16_000), &samples);
    let here = workers::audio::decode(&file, &Limits::default(), &Default::default());
    let apart = decode_isolated(&sandbox(), &file, &Limits::default()).await;
    assert!(apart.unwrap() == here.unwrap());
}

/// What the process of its own costs a spoken turn, against the same work here, by
/// turns. A measurement, for a machine that does nothing else:
///
/// `cargo test --workspace --test isolation -- --ignored --nocapture cost`
#[tokio::test]
#[ignore = "a measurement"]
async fn cost_of_a_process_of_its_own() {
    const ROUNDS: usize = 101;
    let sandbox = sandbox();
    let limits = Limits::default();
    for seconds in [2, 5, 30] {
        let samples = vec![1; seconds * 2 * 16_000];
        let file = wav::write(Format::mono16(16_000), &samples);
        let (mut here, mut apart) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let started = Instant::now();
            workers::audio::decode(&file, &limits, &Default::default()).unwrap();
            here.push(started.elapsed());
            let started = Instant::now();
            decode_isolated(&sandbox, &file, &limits).await.unwrap();
            apart.push(started.elapsed());
            // A caller comes now and then, and not as soon as the last one is done.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let (here, apart) = (median(here), median(apart));
        let more = apart.saturating_sub(here);
        println!("{seconds} s of sound: {here:?} here, {apart:?} apart, {more:?} more");
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
