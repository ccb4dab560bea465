//! Inputs made up by chance and thrown at a reader of other people's bytes.
//!
//! With `FUZZ_SECONDS` set each target runs for so long, with other inputs each
//! time; `ops/fuzz` does that. Without it each runs the same inputs every time,
//! as many as a test may.

use std::time::{Duration, Instant};

use proptest::{
    strategy::Strategy,
    test_runner::{Config, RngAlgorithm, TestCaseResult, TestRng, TestRunner},
};

/// Inputs of a run in CI, and between two looks at the clock.
const BATCH: u32 = 256;

/// Gives `target` inputs of `strategy`. Fails with the smallest input found that
/// the target does not stand.
pub fn explore<S: Strategy>(strategy: &S, target: impl Fn(S::Value) -> TestCaseResult) {
    let config = Config {
        cases: BATCH,
        failure_persistence: None,
        ..Config::default()
    };
    let Some(time) = time() else {
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        return run(TestRunner::new_with_rng(config, rng), strategy, &target);
    };
    let (started, mut inputs) = (Instant::now(), 0);
    while started.elapsed() < time {
        run(TestRunner::new(config.clone()), strategy, &target);
        inputs += BATCH;
    }
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("fuzz");
    println!(
        "{name}: {inputs} inputs in {} s",
        started.elapsed().as_secs()
    );
}

fn time() -> Option<Duration> {
    let seconds = std::env::var("FUZZ_SECONDS").ok()?;
    let seconds = seconds.parse().expect("FUZZ_SECONDS is a number");
    Some(Duration::from_secs(seconds))
}

fn run<S: Strategy>(
    mut runner: TestRunner,
    strategy: &S,
    target: &impl Fn(S::Value) -> TestCaseResult,
) {
    if let Err(failure) = runner.run(strategy, target) {
        panic!("{failure}");
    }
}
