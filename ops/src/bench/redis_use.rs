//! What a question asks of Redis, and leaves there.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use futures::StreamExt as _;
use tokio::{sync::Mutex, time::sleep};

use super::load::Target;

/// Lines of `MONITOR` that are no command of a job.
const OTHERS: [&str; 6] = [
    "lua]",
    "\"PING\"",
    "itb:probe",
    "\"INFO\"",
    "bench:",
    "outbox:",
];

/// Until the last of a job is done.
const QUIET: Duration = Duration::from_millis(500);

/// Kept jobs of which the size is asked.
const SAMPLE: usize = 200;

/// Commands of our programs for one question, by Redis' own account (`MONITOR`).
pub async fn commands(url: &str, target: &Target) -> anyhow::Result<usize> {
    // Scripts and subscriptions are there after the first.
    target.ask().await?;
    sleep(QUIET).await;
    let client = redis::Client::open(url)?;
    let monitor = client.get_async_monitor().await?;
    let lines = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&lines);
    let listening = tokio::spawn(async move {
        let mut stream = monitor.into_on_message::<String>();
        while let Some(line) = stream.next().await {
            heard.lock().await.push(line);
        }
    });
    target.ask().await?;
    sleep(QUIET).await;
    listening.abort();
    let lines = lines.lock().await;
    let is_of_a_job = |line: &&String| !OTHERS.iter().any(|other| line.contains(other));
    Ok(lines.iter().filter(is_of_a_job).count())
}

/// The mean over some kept jobs.
pub async fn bytes_of_a_job(url: &str) -> anyhow::Result<f64> {
    let client = redis::Client::open(url)?;
    let mut redis = client.get_multiplexed_async_connection().await?;
    let mut scan = redis::cmd("SCAN");
    scan.arg(0)
        .arg("MATCH")
        .arg("job:*")
        .arg("COUNT")
        .arg(5_000);
    let (_, names): (u64, Vec<String>) = scan.query_async(&mut redis).await?;
    let mut sizes = Vec::new();
    for name in names.iter().take(SAMPLE) {
        let mut usage = redis::cmd("MEMORY");
        usage.arg("USAGE").arg(name);
        let size: Option<u64> = usage.query_async(&mut redis).await?;
        sizes.extend(size);
    }
    let count = sizes.len();
    let sum: u64 = sizes.iter().sum();
    (count > 0)
        .then(|| sum as f64 / count as f64)
        .context("no job is kept")
}
