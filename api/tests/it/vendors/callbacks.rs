//! Callbacks: what an address is told, and what it may do without harm.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::Response;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use super::{
    fake::{Mood, Reply, Request, Service},
    in_each_mode,
    prosa::recording,
    running::{Mode, Running, Vendors, result},
};
use crate::deployment::{
    Deployment, client, conversation, eventually, form, problem, start_api, start_worker,
};

const QUESTION: &str = "Apa syarat lulus sarjana?";

/// Base64 of the bytes `rahasia-untuk-uji-tanda-tangan`.
const SECRET: &str = "whsec_cmFoYXNpYS11bnR1ay11amktdGFuZGEtdGFuZ2Fu";
const SECRET_BYTES: &[u8] = b"rahasia-untuk-uji-tanda-tangan";

pub const SETTINGS: [(&str, &str); 2] = [
    ("WEBHOOK_SECRET", SECRET),
    ("WEBHOOK_ALLOW_PRIVATE", "true"),
];

/// HMAC as RFC 2104 has it, computed here without the code under test.
fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    assert!(key.len() <= 64);
    let padded = |pad: u8| {
        let mut block = [pad; 64];
        block
            .iter_mut()
            .zip(key)
            .for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = Sha256::new()
        .chain_update(padded(0x36))
        .chain_update(message)
        .finalize();
    let outer = Sha256::new().chain_update(padded(0x5c)).chain_update(inner);
    outer.finalize().to_vec()
}

/// The signature that `key` makes of `request`, as a receiver computes it.
pub fn signature(request: &Request, key: &[u8]) -> String {
    let [id, timestamp] = ["webhook-id", "webhook-timestamp"].map(|name| request.header(name));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let age = now.unwrap().as_secs().abs_diff(timestamp.parse().unwrap());
    assert!(age < 120, "{timestamp}");
    let mut message = format!("{id}.{timestamp}.").into_bytes();
    message.extend_from_slice(&request.body);
    format!("v1,{}", STANDARD.encode(hmac_sha256(key, &message)))
}

/// What was told, when it is signed as it should be.
pub fn verified(request: &Request) -> Value {
    let signature = signature(request, SECRET_BYTES);
    assert_eq!(request.header("webhook-signature"), signature);
    assert!(
        request.head.starts_with("POST /hook?token=s3cret "),
        "{}",
        request.head
    );
    assert_eq!(request.header("content-type"), "application/json");
    let body = request.json();
    assert_eq!(body["tenant"], "default");
    body
}

pub async fn target() -> Service {
    Service::start(|_| Reply::json(&json!({}))).await
}

pub fn url(target: &Service) -> String {
    target.url("/hook?token=s3cret")
}

async fn submit(running: &Running, callback_url: &str) -> String {
    let job = json!({ "kind": "chat", "message": QUESTION, "callback_url": callback_url });
    let answer = running
        .deployment
        .post("/v1/jobs")
        .json(&job)
        .send()
        .await
        .unwrap();
    accepted(answer).await
}

async fn accepted(answer: Response) -> String {
    let status = answer.status();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(status, 202, "{body}");
    format!("/v1/jobs/{}", body["job_id"].as_str().unwrap())
}

async fn view(deployment: &Deployment, path: &str) -> Value {
    let answer = deployment.get(path).send().await.unwrap();
    result(answer, path).await
}

/// The job that tells of the end of the one at `path`.
async fn telling(deployment: &Deployment, path: &str) -> String {
    let view = view(deployment, path).await;
    format!("/v1/jobs/{}", view["callback"]["job_id"].as_str().unwrap())
}

async fn an_address_is_told_of_each_end(mode: Mode) {
    let vendors = Vendors::start().await;
    let running = Running::start(mode, &vendors, &SETTINGS).await;
    let door = &running.deployment;
    let target = target().await;

    let path = submit(&running, &url(&target)).await;
    eventually("told", || async { target.calls() == 1 }).await;
    let told = verified(&target.requests()[0]);
    let shown = view(door, &path).await;
    let mut expected = shown.clone();
    expected["type"] = json!("job.completed");
    expected["tenant"] = json!("default");
    assert_eq!(told, expected);
    let child = telling(door, &path).await;
    let telling_view = view(door, &format!("{child}?wait=10")).await;
    assert_eq!(telling_view["status"], "succeeded", "{telling_view}");
    assert_eq!(telling_view["kind"], "callback");
    assert_eq!(telling_view["callback_of"]["job_id"], shown["job_id"]);
    let id = telling_view["job_id"].as_str().unwrap();
    assert_eq!(target.requests()[0].header("webhook-id"), id);

    // In speech: an address in place of the bytes.
    let request = door
        .post("/v1/audio")
        .header("Prefer", "respond-async, wait=60");
    let request = request.multipart(form(recording()).text("callback_url", url(&target)));
    let answer = result(request.send().await.unwrap(), "spoken").await;
    eventually("told", || async { target.calls() == 2 }).await;
    let told = verified(&target.requests()[1]);
    let audio = format!("/v1/jobs/{}/audio", answer["job_id"].as_str().unwrap());
    assert_eq!(told["result"]["audio"], audio);

    // A job called off, one whose time is up, and a failure.
    let _permits = stall(&vendors);
    let cancelled = submit(&running, &url(&target)).await;
    let mut request = door.get(&cancelled).build().unwrap();
    *request.method_mut() = reqwest::Method::DELETE;
    client().execute(request).await.unwrap();
    eventually("told", || async { target.calls() == 3 }).await;
    assert_eq!(verified(&target.requests()[2])["type"], "job.cancelled");

    let job = json!({ "message": QUESTION, "callback_url": url(&target), "timeout": 1 });
    let request = door.post("/v1/chat").header("Prefer", "respond-async");
    accepted(request.json(&job).send().await.unwrap()).await;
    eventually("told", || async { target.calls() == 4 }).await;
    assert_eq!(verified(&target.requests()[3])["type"], "job.expired");

    vendors.openrouter.is(Mood::Status(401));
    let failed = submit(&running, &url(&target)).await;
    eventually("told", || async { target.calls() == 5 }).await;
    let told = verified(&target.requests()[4]);
    assert_eq!(
        (&told["type"], &told["status"]),
        (&json!("job.failed"), &json!("failed"))
    );
    assert_eq!(told["error"], view(door, &failed).await["error"]);
    running.is_discreet(&["s3cret", SECRET]);
}

fn stall(vendors: &Vendors) -> Arc<Semaphore> {
    let permits = Arc::new(Semaphore::new(0));
    vendors.openrouter.is(Mood::Waits(Arc::clone(&permits)));
    permits
}

async fn a_target_that_fails_is_told_again(mode: Mode) {
    let vendors = Vendors::start().await;
    let running = Running::start(mode, &vendors, &SETTINGS).await;
    let target = target().await;
    target.is(Mood::Status(500));
    let path = submit(&running, &url(&target)).await;
    eventually("told", || async { target.calls() == 1 }).await;
    let begun = Instant::now();
    eventually("told again", || async { target.calls() == 2 }).await;
    assert!(begun.elapsed() > Duration::from_secs(4));
    target.is(Mood::Well);
    eventually("told a third time", || async { target.calls() == 3 }).await;
    assert!(begun.elapsed() > Duration::from_secs(33));

    let requests = target.requests();
    let bodies: Vec<_> = requests.iter().map(verified).collect();
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    let ids: Vec<_> = requests.iter().map(|it| it.header("webhook-id")).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let door = &running.deployment;
    let child = telling(door, &path).await;
    let child = view(door, &format!("{child}?wait=10")).await;
    assert_eq!(child["status"], "succeeded");
    assert_eq!(child["stages"][0]["attempts"], 3);
}

/// Hanging and redirecting are failures of the telling alone, and are seen.
async fn what_a_target_does_is_not_the_affair_of_the_job(mode: Mode) {
    let vendors = Vendors::start().await;
    let mut settings = SETTINGS.to_vec();
    settings.extend([("WEBHOOK_TIMEOUT", "1"), ("WEBHOOK_ATTEMPTS", "2")]);
    let running = Running::start(mode, &vendors, &settings).await;
    let door = &running.deployment;
    let elsewhere = target().await;
    let [hanging, redirecting, gone, breaking] = [
        target().await,
        target().await,
        target().await,
        target().await,
    ];
    hanging.is(Mood::Hangs);
    redirecting.is(Mood::Redirects(elsewhere.url("/hook?token=s3cret")));
    gone.is(Mood::Status(410));
    breaking.is(Mood::Breaks);
    let mut paths = Vec::new();
    for target in [&hanging, &redirecting, &gone, &breaking] {
        paths.push(submit(&running, &url(target)).await);
    }
    for (path, target, code, attempts) in [
        (&paths[0], &hanging, "callback_timeout", 2),
        (&paths[1], &redirecting, "callback_redirected", 2),
        (&paths[2], &gone, "callback_gone", 1),
        (&paths[3], &breaking, "callback_unreachable", 2),
    ] {
        let job = view(door, &format!("{path}?wait=30")).await;
        assert_eq!(job["status"], "succeeded", "{code}: {job}");
        let child = telling(door, path).await;
        let child = view(door, &format!("{child}?wait=30")).await;
        assert_eq!(child["status"], "failed", "{code}: {child}");
        assert_eq!(child["error"]["code"], code);
        assert_eq!(child["stages"][0]["attempts"], attempts, "{code}");
        assert_eq!(target.calls(), attempts, "{code}");
    }
    assert_eq!(elsewhere.calls(), 0);
    if let Mode::Distributed(_) = mode {
        let env = running.settings.iter().cloned().collect();
        let config = common::backends::BackendConfig::from_environment(&env, "test").unwrap();
        let backends = common::backends::connect(&config).await.unwrap();
        eventually("put aside", || async {
            let stage = common::pipeline::Stage::Webhook;
            backends.broker.inspect(stage).await.unwrap().dead_letters == 4
        })
        .await;
    }
}

async fn an_address_that_may_not_be_called_is_refused(mode: Mode) {
    let vendors = Vendors::start().await;
    let secret = [("WEBHOOK_SECRET", SECRET), ("WEBHOOK_ATTEMPTS", "1")];
    let running = Running::start(mode, &vendors, &secret).await;
    let door = &running.deployment;
    let chat = |url: &str| json!({ "message": QUESTION, "callback_url": url });
    for bad in [
        "http://127.0.0.1:9/",
        "http://localhost/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "http://[::ffff:192.168.0.1]/",
        "http://2130706433/",
        "https://a:b@example.org/",
        "ftp://example.org/",
        "hook",
        "",
    ] {
        let request = door.post("/v1/chat").header("Prefer", "respond-async");
        let body = problem(request.json(&chat(bad)).send().await.unwrap(), 422, bad).await;
        assert_eq!(body["code"], "invalid_callback_url", "{bad}");
    }
    let request = form(recording()).text("callback_url", "http://10.0.0.1/");
    let request = door.post("/v1/audio").multipart(request).send().await;
    problem(request.unwrap(), 422, "a form").await;

    // The name of this machine is no name of the public internet.
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    if tokio::net::lookup_host((host.trim(), 9)).await.is_err() {
        return;
    }
    let path = submit(&running, &format!("http://{}:9/", host.trim())).await;
    let child = telling(door, &path).await;
    let child = view(door, &format!("{child}?wait=30")).await;
    assert_eq!(child["status"], "failed", "{child}");
    assert_eq!(child["error"]["code"], "callback_refused", "{child}");
}

async fn without_a_secret_no_callback_is_taken(mode: Mode) {
    let vendors = Vendors::start().await;
    let running = Running::start(mode, &vendors, &[]).await;
    let job = json!({ "kind": "chat", "message": "a", "callback_url": "https://example.org/" });
    let answer = running.deployment.post("/v1/jobs").json(&job).send().await;
    let body = problem(answer.unwrap(), 422, "no secret").await;
    assert_eq!(body["code"], "callbacks_not_configured");
    assert!(body["detail"].as_str().unwrap().contains("WEBHOOK_SECRET"));
}

in_each_mode!(
    an_address_is_told_of_each_end,
    a_target_that_fails_is_told_again,
    what_a_target_does_is_not_the_affair_of_the_job,
    an_address_that_may_not_be_called_is_refused,
    without_a_secret_no_callback_is_taken,
);

/// The front door dies right after it has accepted a job.
#[tokio::test]
async fn a_dead_front_door_costs_no_callback() {
    let Some(servers) = common::testing::servers::shared() else {
        return;
    };
    let vendors = Vendors::start().await;
    let settings = vendors.settings_with(Mode::Distributed(servers), &SETTINGS);
    let _worker = start_worker("rag,webhook", &settings);
    let (mut door, url_of_door) = start_api(&settings);
    let target = target().await;
    let permits = stall(&vendors);
    let deployment = Deployment::of(vec![url_of_door], Vec::new()).await;
    let job = json!({ "kind": "chat", "message": QUESTION, "callback_url": url(&target) });
    let request = deployment.post_in(&conversation(), "/v1/jobs").json(&job);
    let path = accepted(request.send().await.unwrap()).await;
    door.kill();
    eventually("asked", || async { vendors.openrouter.calls() == 1 }).await;
    assert_eq!(target.calls(), 0);
    permits.add_permits(100);
    eventually("told", || async { target.calls() == 1 }).await;
    let told = verified(&target.requests()[0]);
    assert_eq!(told["type"], "job.completed");
    assert!(path.ends_with(told["job_id"].as_str().unwrap()));
}
