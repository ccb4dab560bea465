//! Many callers that wait at once on one front door. A measurement, for a machine
//! that does nothing else:
//!
//! `cargo test -p itb-api --test it -- --ignored --nocapture waiting`
//!
//! `WAITERS` (5000) callers come within `WAITERS_RAMP` (10) seconds, and the
//! model takes `WAITERS_MODEL` (2) seconds: with 12 they all wait at once.
//! Callers, model, front door, workers and servers share the machine.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use common::testing::servers::shared;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

use super::{
    fake::{Mood, Reply, Service},
    running::SECRETS,
};
use crate::deployment::{Deployment, KEY, conversation, settings, start_api, start_worker};

fn setting(name: &str, default: u32) -> u32 {
    let given = std::env::var(name).ok();
    given.map_or(default, |text| text.parse().expect("a number"))
}

/// Asks, and waits for the answer on the line; how long beyond the model's time,
/// or what came instead.
async fn ask(address: String, model: Duration) -> Result<Duration, String> {
    let body = r#"{"message":"Apa syarat lulus sarjana?"}"#;
    let request = format!(
        "POST /v1/chat HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\nX-Conversation-Id: {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        conversation(),
        body.len()
    );
    let begun = Instant::now();
    let mut answer = String::new();
    let asked = async {
        let mut socket = TcpStream::connect(&address).await?;
        socket.write_all(request.as_bytes()).await?;
        socket.read_to_string(&mut answer).await
    };
    asked.await.map_err(|error| error.to_string())?;
    let took = begun.elapsed();
    if answer.starts_with("HTTP/1.1 200") && answer.contains("\"answer\":") {
        return Ok(took.saturating_sub(model));
    }
    let code = answer.split("\"code\":\"").nth(1);
    let code = code.and_then(|rest| rest.split('"').next());
    Err(code.unwrap_or("no answer").to_owned())
}

/// The most memory that the process ever had, in MB (`VmHWM`, proc(5)).
fn most_memory(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
    kilobytes
        .and_then(|text| text.parse::<u64>().ok())
        .unwrap_or_default()
        / 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn on_one_front_door() {
    let Some(servers) = shared() else { return };
    let (callers, ramp) = (setting("WAITERS", 5_000), setting("WAITERS_RAMP", 10));
    let thinks = Duration::from_secs(setting("WAITERS_MODEL", 2).into());
    let model = Service::start(|_| Reply::stream(&["Paling sedikit 144 SKS [1]."])).await;
    model.is(Mood::Paced {
        first: thinks,
        each: Duration::from_millis(1),
    });
    let mut all = servers.environment();
    all.extend(settings(&[
        ("LLM_PROVIDERS", "openrouter"),
        ("OPENROUTER_API_KEY", SECRETS[2]),
        ("OPENROUTER_BASE_URL", &model.url("/v1")),
        ("RAG_CONCURRENCY", "1024"),
        ("RATE_LIMIT_ENABLED", "false"),
    ]));
    let (door, url) = start_api(&all);
    let id = door.id();
    let workers = (0..5).map(|_| start_worker("rag", &all));
    let programs = std::iter::once(door).chain(workers).collect();
    let _deployment = Deployment::of(vec![url.clone()], programs).await;
    let address = url.trim_start_matches("http://").to_owned();
    assert!(ask(address.clone(), thinks).await.is_ok(), "a first one");

    let mut waiting = JoinSet::new();
    let mut clock = tokio::time::interval(Duration::from_secs(ramp.into()) / callers);
    let begun = Instant::now();
    for _ in 0..callers {
        clock.tick().await;
        waiting.spawn(ask(address.clone(), thinks));
    }
    let answers = waiting.join_all().await;
    let took = begun.elapsed();
    let mut refused = BTreeMap::new();
    for reason in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        *refused.entry(reason.clone()).or_insert(0) += 1;
    }
    let mut added: Vec<Duration> = answers.into_iter().flatten().collect();
    added.sort_unstable();
    let at = |share: f64| added[((added.len() - 1) as f64 * share) as usize];
    println!(
        "{callers} callers within {ramp} s, {} answered in {took:.1?}; added p50 {:.0?}, p99 {:.0?}; \
         the front door took at most {} MB",
        added.len(),
        at(0.5),
        at(0.99),
        most_memory(id),
    );
    assert!(refused.is_empty(), "{refused:?}");
}
