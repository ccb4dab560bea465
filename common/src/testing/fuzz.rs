//! Inputs made up by chance and thrown at a reader of other people's bytes.
//!
//! With `FUZZ_SECONDS` set each target runs for so long, with other inputs each
//! time; `ops/fuzz` does that. Without it each runs the same inputs every time,
//! as many as a test may.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use proptest::{
    strategy::Strategy,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestCaseResult, TestRng, TestRunner},
};

use super::mutate::{Kind, plans};

/// Inputs of a run in CI, and between two looks at the clock.
const BATCH: u32 = 256;

/// Time to look for a smaller input that shows a finding. Each can take seconds itself.
const SHRINKING: Duration = Duration::from_secs(120);

/// Bytes by which this process may grow while others read its files.
const GROWTH: usize = 64 << 20;

/// Gives `target` inputs of `strategy`. Fails with the smallest input found that
/// the target does not stand.
pub fn explore<S: Strategy>(strategy: &S, target: impl Fn(S::Value) -> TestCaseResult) {
    explore_by(BATCH, strategy, target);
}

/// [`explore`] with another number of inputs, for targets that take longer.
pub fn explore_by<S: Strategy>(
    batch: u32,
    strategy: &S,
    target: impl Fn(S::Value) -> TestCaseResult,
) {
    let config = Config {
        cases: batch,
        failure_persistence: None,
        max_shrink_iters: 1_024,
        max_shrink_time: SHRINKING.as_millis() as u32,
        ..Config::default()
    };
    let Some(time) = time() else {
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        return run(TestRunner::new_with_rng(config, rng), strategy, &target);
    };
    let (started, mut inputs) = (Instant::now(), 0);
    while started.elapsed() < time {
        run(TestRunner::new(config.clone()), strategy, &target);
        inputs += batch;
    }
    println!(
        "{}: {inputs} inputs in {} s",
        name(),
        started.elapsed().as_secs()
    );
}

/// What became of files.
#[derive(Default)]
struct Tally {
    /// How often each happened.
    outcomes: BTreeMap<&'static str, u32>,
    slowest: Duration,
}

/// Gives `target` files of a kind, made of `good` and of `forged` ones, and prints how often each of its outcomes came up.
///
/// # Panics
///
/// When the outcome of a good file is not `read`, when the target does not stand a file, which is then kept in the
/// folder for temporary files, and when this process has grown, where it does nothing else.
pub fn explore_files(
    batch: u32,
    kind: &Kind,
    good: &[Vec<u8>],
    forged: &[Vec<u8>],
    target: impl Fn(&[u8]) -> Result<&'static str, String>,
) {
    for (number, file) in (1..).zip(good) {
        assert_eq!(target(file), Ok("read"), "good file {number}");
    }
    let seeds = [good, forged].concat();
    let tally = RefCell::new(Tally::default());
    let before = resident();
    explore_by(batch, &plans(kind), |plan| {
        let file = plan.file(kind, &seeds);
        let started = Instant::now();
        let outcome = target(&file).map_err(|what| finding(&file, &what))?;
        let mut tally = tally.borrow_mut();
        *tally.outcomes.entry(outcome).or_default() += 1;
        tally.slowest = tally.slowest.max(started.elapsed());
        Ok(())
    });
    let Tally { outcomes, slowest } = tally.into_inner();
    println!("{}: {outcomes:?}, at most {slowest:?}", name());
    // Other tests of the same process take memory of their own.
    let grown = resident().saturating_sub(before);
    assert!(time().is_none() || grown < GROWTH, "grown by {grown} bytes");
}

fn finding(file: &[u8], what: &str) -> TestCaseError {
    let kept: PathBuf = std::env::temp_dir().join(format!("fuzz-{}", name().replace("::", "-")));
    let kept = match std::fs::write(&kept, file) {
        Ok(()) => kept.display().to_string(),
        Err(error) => error.to_string(),
    };
    TestCaseError::fail(format!("{what} ({} bytes, kept: {kept})", file.len()))
}

/// Bytes of memory that this process holds; `proc_pid_status(5)`. None where there is no such file.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let held = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    let kibibytes: usize = held.and_then(|held| held.parse().ok()).unwrap_or(0);
    kibibytes * 1024
}

/// Of the target that runs.
fn name() -> String {
    let thread = std::thread::current();
    thread.name().unwrap_or("fuzz").to_owned()
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
