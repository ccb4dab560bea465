//! Jobs that fail for good, what an operator sees of them, and what becomes of
//! them when the cause is mended.

use std::{
    process::{Command, Output},
    time::Duration,
};

use common::{
    backends::{BackendConfig, Backends, connect},
    envelope::Envelope,
    pipeline::{Route, Stage},
    reply::{Event, Failure, FailureKind, Resumption, StageStarted},
    testing::{fixtures, servers::Shared},
    time::UnixMillis,
};
use reqwest::Response;
use serde_json::{Value, json};

use super::{
    callbacks::{SETTINGS as CALLBACKS, target, url, verified},
    fake::Mood,
    in_each_mode,
    prosa::{self, recording},
    running::{Mode, Running, Vendors},
};
use crate::deployment::{Deployment, conversation, eventually, form, ops_program};

const QUESTION: &str = "Berapa SKS untuk lulus sarjana?";

pub(super) async fn submit(deployment: &Deployment, conversation: &str, more: Value) -> String {
    let mut job = json!({ "kind": "chat", "message": QUESTION });
    for (name, value) in more.as_object().unwrap() {
        job[name] = value.clone();
    }
    let request = deployment.post_in(conversation, "/v1/jobs").json(&job);
    accepted(request.send().await.unwrap()).await
}

async fn accepted(answer: Response) -> String {
    let status = answer.status();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(status, 202, "{body}");
    body["job_id"].as_str().unwrap().to_owned()
}

async fn look(deployment: &Deployment, id: &str, query: &str) -> Value {
    deployment.job(&format!("/v1/jobs/{id}{query}")).await
}

pub(super) async fn ended(deployment: &Deployment, id: &str, status: &str) -> Value {
    let view = look(deployment, id, "?wait=60").await;
    assert_eq!(view["status"], status, "{view}");
    view
}

/// The events of a stream that is over.
fn events(stream: &str) -> Vec<Value> {
    let data = stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

fn types(events: &[Value]) -> Vec<&str> {
    let types = events.iter().map(|event| event["type"].as_str().unwrap());
    types.collect()
}

/// An operator at a terminal.
pub(super) struct Operator<'a> {
    pub(super) settings: &'a [(String, String)],
}

impl Operator<'_> {
    pub(super) async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(ops_program());
        command
            .arg("dead-letters")
            .args(arguments)
            .env_clear()
            .env("RUST_LOG", "warn")
            .envs(self.settings.iter().cloned());
        tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap()
    }

    /// What a command prints that does all it is asked for.
    pub(super) async fn read(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments).await;
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {told}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    pub(super) async fn list(&self) -> Vec<Value> {
        let listed = self.read(&["list", "--json"]).await;
        listed.as_array().unwrap().clone()
    }

    /// The only one, once it is there: the job fails a moment before.
    pub(super) async fn the_one(&self) -> Value {
        eventually("put aside", || async { self.list().await.len() == 1 }).await;
        self.list().await.remove(0)
    }
}

pub(super) async fn backends(running: &Running) -> Backends {
    let env = running.settings.iter().cloned().collect();
    let config = BackendConfig::from_environment(&env, "test").unwrap();
    connect(&config).await.unwrap()
}

async fn a_job_shows_why_its_stage_waits_and_when_it_goes_on(mode: Mode) {
    let vendors = Vendors::start().await;
    let running = Running::start(mode, &vendors, &[("JOB_DEADLINE", "170")]).await;
    let door = &running.deployment;
    vendors.openrouter.is(Mood::Status(503));
    let id = submit(door, &conversation(), json!({})).await;
    let waiting = async || {
        let stage = look(door, &id, "").await["stages"][0].clone();
        (stage["status"] == "retrying").then_some(stage)
    };
    eventually("waiting", || async { waiting().await.is_some() }).await;
    vendors.openrouter.is(Mood::Well);
    let view = ended(door, &id, "succeeded").await;
    let stage = &view["stages"][0];
    assert_eq!(stage["status"], "completed");
    assert_eq!(stage.get("reason"), None, "{stage}");
    assert_eq!(stage.get("next_attempt_at"), None, "{stage}");
    let failures = stage["failures"].as_array().unwrap();
    let first = &failures[0];
    assert_eq!(first["attempt"], 1);
    assert_eq!(first["reason"], "provider_failed");
    assert_eq!(first["next_in_ms"], 1_000);
    let attempts = stage["attempts"].as_u64().unwrap();
    assert_eq!(failures.len() as u64, attempts - 1, "{stage}");

    // While it waits: one whose next try is half a minute away.
    vendors.openrouter.is(Mood::TooMany(25));
    let id = submit(door, &conversation(), json!({})).await;
    eventually("waiting", || async {
        look(door, &id, "").await["stages"][0]["status"] == "retrying"
    })
    .await;
    let view = look(door, &id, "").await;
    let stage = &view["stages"][0];
    assert_eq!(view["status"], "running");
    assert_eq!(stage["reason"], stage["failures"][0]["reason"]);
    let [at, next] = [&stage["failures"][0]["at"], &stage["next_attempt_at"]]
        .map(|time| humantime_of(time.as_str().unwrap()));
    assert_eq!(next - at, 30_000, "{stage}");
}

/// Milliseconds within its day, of a time as bodies have it.
fn humantime_of(time: &str) -> i64 {
    let clock = time.split_once('T').unwrap().1.trim_end_matches('Z');
    let parts = clock.split([':', '.']).map(|part| part.parse::<i64>());
    let parts: Vec<i64> = parts.map(Result::unwrap).collect();
    ((parts[0] * 60 + parts[1]) * 60 + parts[2]) * 1_000 + parts[3]
}

in_each_mode!(a_job_shows_why_its_stage_waits_and_when_it_goes_on);

/// Each failure is the last.
pub(super) const ONE_TRY: [(&str, &str); 1] = [("MAX_ATTEMPTS", "1")];

pub(super) fn servers() -> Option<&'static Shared> {
    common::testing::servers::shared()
}

#[tokio::test]
async fn a_replay_goes_on_with_the_job_and_who_listens_hears_it() {
    let Some(servers) = servers() else { return };
    let vendors = Vendors::start().await;
    let running = Running::start(Mode::Distributed(servers), &vendors, &ONE_TRY).await;
    let (door, settings) = (&running.deployment, &running.settings);
    let operator = Operator { settings };
    let conversation = conversation();
    vendors.openrouter.is(Mood::Status(503));
    let id = submit(door, &conversation, json!({})).await;
    let failed = ended(door, &id, "failed").await;
    assert_eq!(failed["error"]["code"], "provider_failed");
    assert_eq!(failed["stages"][0]["status"], "failed");

    // To look takes nothing away, and shows nothing that a user said.
    let letter = operator.the_one().await;
    assert_eq!(letter["job_id"], *id);
    assert_eq!(letter["id"], format!("{id}/rag"));
    assert_eq!(letter["stage"], "rag");
    assert_eq!(letter["reason"], "provider_failed");
    assert_eq!(letter["readable"], true);
    let shown = operator.read(&["show", &id]).await.to_string();
    assert!(!shown.contains(QUESTION), "{shown}");
    let shown = operator.read(&["show", &id, "--text"]).await;
    let input = &shown[0]["envelope"]["turn"]["input"];
    assert_eq!(input["text"], QUESTION);
    let table = operator.run(&["list", "--reason", "provider_failed"]).await;
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(
        table.contains(&id) && table.ends_with("1 dead letter\n"),
        "{table}"
    );

    // A listener at the end of the job stays.
    let address = format!("/v1/jobs/{id}/events");
    let past = door.get(&address).send().await.unwrap();
    let past = events(&past.text().await.unwrap());
    assert_eq!(types(&past).last(), Some(&"job.failed"));
    let listening = format!("{address}?starting_after={}", past.len());
    let mut listening = door.get(&listening).send().await.unwrap();
    vendors.openrouter.is(Mood::Well);
    let replayed = operator.read(&["replay", &id, "--json"]).await;
    assert_eq!(replayed[0]["outcome"], "resumed");
    let mut heard = String::new();
    while let Some(piece) = listening.chunk().await.unwrap() {
        heard.push_str(std::str::from_utf8(&piece).unwrap());
    }
    let heard = events(&heard);
    assert_eq!(types(&heard)[..2], ["job.resumed", "stage.started"]);
    assert_eq!(heard[1]["attempt"], 1);
    assert_eq!(types(&heard).last(), Some(&"job.completed"));
    let numbers = heard.iter().map(|event| event["sequence_number"].as_u64());
    assert!(numbers.eq((past.len() as u64 + 1..).take(heard.len()).map(Some)));

    // From the beginning it is one story, and the job tells both lives.
    let whole = door.get(&address).send().await.unwrap().text().await;
    let whole = events(&whole.unwrap());
    assert_eq!(whole, [past, heard].concat());
    let view = ended(door, &id, "succeeded").await;
    assert!(view["result"]["answer"].as_str().unwrap().contains("144"));
    assert!(view["resumed_at"].is_string() && view.get("error").is_none());
    assert!(view["deadline"].as_str() > failed["deadline"].as_str());
    let stage = &view["stages"][0];
    assert_eq!(
        (&stage["attempts"], &stage["status"]),
        (&json!(1), &json!("completed"))
    );
    assert_eq!(stage["failures"][0]["reason"], "provider_failed");
    let turns = door.job(&format!("/v1/conversations/{conversation}")).await;
    assert_eq!(turns["turns"].as_array().unwrap().len(), 1, "{turns}");
    assert!(operator.list().await.is_empty());
}

#[tokio::test]
async fn a_job_that_failed_while_it_was_spoken_is_spoken_to_its_end() {
    let Some(servers) = servers() else { return };
    let vendors = Vendors::start().await;
    let running = Running::start(Mode::Distributed(servers), &vendors, &ONE_TRY).await;
    let (door, settings) = (&running.deployment, &running.settings);
    let operator = Operator { settings };
    vendors.speaking.is(prosa::Mood::Babbles);
    let request = door.post("/v1/audio").header("Prefer", "respond-async");
    let request = request.multipart(form(recording()));
    let id = accepted(request.send().await.unwrap()).await;
    let failed = ended(door, &id, "failed").await;
    assert_eq!(failed["error"]["stage"], "tts", "{failed}");
    eventually("put aside", || async { !operator.list().await.is_empty() }).await;
    let heard = vendors.hearing.calls().len();
    let answered = failed["stages"].as_array().unwrap().iter();
    let answered = answered
        .filter(|stage| stage["stage"] == "rag" && stage["status"] == "completed")
        .count();
    let asked = vendors.openrouter.calls();

    vendors.speaking.is(prosa::Mood::Well);
    let replayed = operator.read(&["replay", "--stage", "tts", "--json"]).await;
    assert_eq!(replayed[0]["outcome"], "resumed");
    let view = ended(door, &id, "succeeded").await;
    assert!(view["result"]["audio"].is_string());
    // What was complete has been done once.
    assert_eq!(vendors.hearing.calls().len(), heard);
    assert_eq!(vendors.emotion.calls(), 1);
    if answered == 1 {
        assert_eq!(vendors.openrouter.calls(), asked);
    }
    let stages = view["stages"].as_array().unwrap().iter();
    let all = stages.map(|stage| (&stage["stage"], &stage["status"]));
    for (stage, status) in all {
        assert_eq!(status, "completed", "{stage}");
    }
}

#[tokio::test]
async fn each_end_of_a_job_is_told_to_its_callback_once() {
    let Some(servers) = servers() else { return };
    let vendors = Vendors::start().await;
    let more = [&CALLBACKS[..], &ONE_TRY[..]].concat();
    let running = Running::start(Mode::Distributed(servers), &vendors, &more).await;
    let (door, settings) = (&running.deployment, &running.settings);
    let operator = Operator { settings };
    let target = target().await;
    vendors.openrouter.is(Mood::Status(503));
    let callback = json!({ "callback_url": url(&target) });
    let id = submit(door, &conversation(), callback).await;
    let failed = ended(door, &id, "failed").await;
    eventually("told", || async { target.calls() == 1 }).await;
    let told = verified(&target.requests()[0]);
    assert_eq!(
        (&told["type"], &told["job_id"]),
        (&json!("job.failed"), &json!(id))
    );

    operator.the_one().await;
    vendors.openrouter.is(Mood::Well);
    operator.read(&["replay", "--all", "--json"]).await;
    let completed = ended(door, &id, "succeeded").await;
    eventually("told again", || async { target.calls() == 2 }).await;
    let requests = target.requests();
    let told = verified(&requests[1]);
    assert_eq!(
        (&told["type"], &told["job_id"]),
        (&json!("job.completed"), &json!(id))
    );
    let [first, second] = [0, 1].map(|n| requests[n].header("webhook-id").to_owned());
    assert_ne!(first, second);
    assert_eq!(failed["callback"]["job_id"], *first);
    assert_eq!(completed["callback"]["job_id"], *second);
    let telling = ended(door, &second, "succeeded").await;
    assert_eq!(telling["callback_of"]["job_id"], *id);
    assert_eq!(target.calls(), 2);
}

/// What another process would have left behind that died at that moment.
#[tokio::test]
async fn whatever_dies_between_two_steps_the_job_is_put_aside_and_goes_on() {
    let Some(servers) = servers() else { return };
    let vendors = Vendors::start().await;
    let running = Running::start(Mode::Distributed(servers), &vendors, &ONE_TRY).await;
    let (door, settings) = (&running.deployment, &running.settings);
    let operator = Operator { settings };
    let backends = backends(&running).await;
    let log = &backends.replies;

    // A worker, after it told that the job failed.
    let job = fixtures::job(Route::Text);
    let id = job.correlation_id;
    let message = Envelope::first(
        job.clone(),
        fixtures::text_turn(QUESTION),
        UnixMillis::now(),
    );
    let failure = Failure {
        code: "vendor_away".into(),
        message: "…".into(),
        kind: FailureKind::Unavailable,
        stage: Some(Stage::Rag),
    };
    log.open(&job).await.unwrap();
    let by = message.message_id();
    log.fail(&job, &by, None, &failure).await.unwrap();
    backends.broker.publish(&message).await.unwrap();
    let letter = operator.the_one().await;
    assert_eq!(letter["reason"], "vendor_away");
    assert_eq!(letter["job_id"], id.to_string());

    // An operator's program, after it reopened the log.
    let resumption = Resumption {
        deadline: job.deadline.after(Duration::from_secs(60)),
        callback: None,
    };
    log.resume(id, &resumption).await.unwrap();
    let replayed = operator.read(&["replay", &id.to_string(), "--json"]).await;
    assert_eq!(replayed[0]["outcome"], "under_way");
    ended(door, &id.to_string(), "succeeded").await;
    let records = log.read(id, 0).await.unwrap();
    let resumed = records
        .iter()
        .filter(|record| matches!(record.event, Event::Resumed(_)));
    assert_eq!(resumed.count(), 1);

    // The same, after it published: the letter is still there.
    backends.broker.publish(&message).await.unwrap();
    ended(door, &id.to_string(), "succeeded").await;
    let begun = |record: &&common::reply::Record| {
        matches!(record.event, Event::StageStarted(StageStarted { .. }))
    };
    eventually("gone", || async {
        let queues = backends.broker.inspect(Stage::Rag).await.unwrap();
        queues.ready == 0
    })
    .await;
    let records = log.read(id, 0).await.unwrap();
    assert_eq!(records.iter().filter(begun).count(), 1);
    assert!(operator.list().await.is_empty());
}

#[tokio::test]
async fn without_servers_the_operator_is_told_what_is_missing() {
    let operator = Operator { settings: &[] };
    let told = operator.run(&["list"]).await;
    assert_eq!(told.status.code(), Some(1));
    let told = String::from_utf8_lossy(&told.stderr);
    assert!(
        told.contains("AMQP_URL") && told.contains("REDIS_URL"),
        "{told}"
    );
}
