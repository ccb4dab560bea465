//! Secrets that sign callbacks: each tenant's own.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::Response;
use serde_json::{Value, json};

use super::{
    callbacks::{signature, target, url},
    fake::{Request, Service},
    in_each_mode,
    running::{Mode, Running, Vendors},
};
use crate::deployment::{
    Deployment, KEY, OTHER_KEY, conversation, eventually, problem, start_api, start_worker,
};

const QUESTION: &str = "Apa syarat lulus sarjana?";

/// Of the tenant `default`, whose key is [`KEY`].
const DEFAULT: &[u8] = b"rahasia-milik-tenant-default";
/// Of the tenant `other`, whose key is [`OTHER_KEY`], before and after.
const OLD: &[u8] = b"rahasia-lama-milik-tenant-other";
const NEW: &[u8] = b"rahasia-baru-milik-tenant-other";

fn written(key: &[u8]) -> String {
    format!("whsec_{}", STANDARD.encode(key))
}

/// `WEBHOOK_SECRET` and `WEBHOOK_SECRETS`, with these of `other`.
fn secrets(of_other: &[&[u8]]) -> Vec<(&'static str, String)> {
    let entries = of_other.iter().map(|key| format!("other:{}", written(key)));
    let entries: Vec<_> = entries.collect();
    vec![
        ("WEBHOOK_SECRET", written(DEFAULT)),
        ("WEBHOOK_SECRETS", entries.join(",")),
        ("WEBHOOK_ALLOW_PRIVATE", "true".to_owned()),
    ]
}

async fn start(mode: Mode, vendors: &Vendors, secrets: &[(&'static str, String)]) -> Running {
    let settings: Vec<_> = secrets
        .iter()
        .map(|(name, it)| (*name, it.as_str()))
        .collect();
    Running::start(mode, vendors, &settings).await
}

async fn submit(deployment: &Deployment, key: &str, callback_url: &str) -> Response {
    let job = json!({ "kind": "chat", "message": QUESTION, "callback_url": callback_url });
    let request = deployment.post_bare("/v1/jobs").header("X-API-Key", key);
    let request = request.header("X-Conversation-Id", conversation());
    request.json(&job).send().await.unwrap()
}

/// The one that `target` is sent.
async fn told(deployment: &Deployment, key: &str, target: &Service) -> Request {
    let before = target.calls();
    let answer = submit(deployment, key, &url(target)).await;
    assert_eq!(answer.status(), 202);
    eventually("told", || async { target.calls() > before }).await;
    target.requests()[before].clone()
}

fn signatures(request: &Request) -> Vec<String> {
    let header = request.header("webhook-signature");
    header.split(' ').map(str::to_owned).collect()
}

async fn a_callback_names_its_tenant_and_is_signed_by_all_of_its_secrets_alone(mode: Mode) {
    let vendors = Vendors::start().await;
    let running = start(mode, &vendors, &secrets(&[OLD, NEW])).await;
    let door = &running.deployment;
    let (mine, theirs) = (target().await, target().await);

    let told_me = told(door, KEY, &mine).await;
    assert_eq!(told_me.json()["tenant"], "default");
    assert_eq!(signatures(&told_me), [signature(&told_me, DEFAULT)]);

    // While the secret is replaced, a receiver with either of the two takes it.
    let told_them = told(door, OTHER_KEY, &theirs).await;
    assert_eq!(told_them.json()["tenant"], "other");
    let both = [OLD, NEW].map(|key| signature(&told_them, key));
    assert_eq!(signatures(&told_them), both);

    // The tenant `default` has the receiver of `other` called.
    let forged = told(door, KEY, &theirs).await;
    assert_eq!(forged.json()["tenant"], "default");
    for key in [OLD, NEW] {
        assert!(!signatures(&forged).contains(&signature(&forged, key)));
    }
    let written = [DEFAULT, OLD, NEW].map(written);
    running.is_discreet(&written.each_ref().map(String::as_str));
}

async fn a_tenant_without_a_secret_has_no_callbacks(mode: Mode) {
    let vendors = Vendors::start().await;
    let running = start(mode, &vendors, &secrets(&[])).await;
    let door = &running.deployment;
    let target = target().await;
    let refused = submit(door, OTHER_KEY, &url(&target)).await;
    let body = problem(refused, 422, "no secret of its own").await;
    assert_eq!(body["code"], "callbacks_not_configured");
    assert!(body["detail"].as_str().unwrap().contains("WEBHOOK_SECRETS"));
    let request = told(door, KEY, &target).await;
    assert_eq!(signatures(&request), [signature(&request, DEFAULT)]);
    assert_eq!(target.calls(), 1);
}

in_each_mode!(
    a_callback_names_its_tenant_and_is_signed_by_all_of_its_secrets_alone,
    a_tenant_without_a_secret_has_no_callbacks,
);

/// A worker that is started without a tenant's secret keeps its callbacks for
/// one that has it.
#[tokio::test]
async fn a_callback_that_a_worker_cannot_sign_waits_for_one_that_can() {
    let Some(servers) = common::testing::servers::shared() else {
        return;
    };
    let vendors = Vendors::start().await;
    let of_all = vendors.settings_with(Mode::Distributed(servers), &[]);
    let settings = |of_other: &[&[u8]]| -> Vec<_> {
        let secrets = secrets(of_other).into_iter();
        let secrets = secrets.map(|(name, secret)| (name.to_owned(), secret));
        of_all.iter().cloned().chain(secrets).collect()
    };
    let unable = start_worker("rag,webhook", &settings(&[]));
    let (door, address) = start_api(&settings(&[NEW]));
    let deployment = Deployment::of(vec![address], vec![door]).await;
    let target = target().await;
    let accepted = submit(&deployment, OTHER_KEY, &url(&target)).await;
    let accepted: Value = accepted.json().await.unwrap();
    let view = async |id: &Value| -> Value {
        let path = format!("/v1/jobs/{}", id.as_str().unwrap());
        let mut request = deployment.get(&path).build().unwrap();
        let headers = request.headers_mut();
        headers.insert("x-api-key", OTHER_KEY.parse().unwrap());
        let answer = crate::deployment::client().execute(request).await;
        answer.unwrap().json().await.unwrap()
    };
    let telling = view(&accepted["job_id"]).await["callback"]["job_id"].clone();
    eventually("tried", || async {
        view(&telling).await["stages"][0]["failures"][0]["reason"] == "callback_unsigned"
    })
    .await;
    assert_eq!(target.calls(), 0);
    drop(unable);
    let _able = start_worker("rag,webhook", &settings(&[NEW]));
    eventually("told", || async { target.calls() == 1 }).await;
    let request = target.requests()[0].clone();
    assert_eq!(signatures(&request), [signature(&request, NEW)]);
}
