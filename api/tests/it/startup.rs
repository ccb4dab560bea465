//! Starting and stopping.

use std::process::{Command, Stdio};

use common::testing::servers::{free_port, shared};
use serde_json::json;

use crate::deployment::{
    Deployment, api_program, client, eventually, settings, start_api, start_worker, worker_program,
};

/// What a program says when it does not start.
fn refusal(program: std::path::PathBuf, settings: &[(&str, &str)]) -> String {
    refusal_of(program, &[], settings)
}

fn refusal_of(
    program: std::path::PathBuf,
    arguments: &[&str],
    settings: &[(&str, &str)],
) -> String {
    let output = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("HOME", "/nonexistent")
        .envs(settings.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("our program starts");
    assert!(!output.status.success(), "{settings:?} must not start");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_wrong_setting_stops_the_start_and_is_named() {
    for (wrong, named) in [
        (("HOST", "0.0.0.0"), "API_KEY"),
        (("HOST", "somewhere"), "HOST"),
        (("PORT", "99999"), "PORT"),
        (("JOB_DEADLINE", "0"), "JOB_DEADLINE"),
        (("AMQP_URL", "amqp://localhost"), "REDIS_URL"),
        (("REDIS_HOST", "localhost"), "AMQP_URL"),
        (("STT_MODEL", "huge"), "STT_MODEL"),
        (("LOG_FORMAT", "xml"), "LOG_FORMAT"),
        (("RAG_CONCURRENCY", "many"), "RAG_CONCURRENCY"),
        (("API_KEYS", "web:k,app:k"), "API_KEYS"),
        (("CORS_ORIGINS", "*"), "CORS_ORIGINS"),
        (("WEBHOOK_SECRETS", "web:a,app:a"), "WEBHOOK_SECRETS"),
        (("WEBHOOK_SECRETS", "web:a,web:b,web:c"), "WEBHOOK_SECRETS"),
        (("RATE_LIMIT_PER_HOUR", "0"), "RATE_LIMIT_PER_HOUR"),
        (("TRUSTED_PROXIES", "proxy"), "TRUSTED_PROXIES"),
    ] {
        let said = refusal(api_program(), &[wrong]);
        assert!(said.contains(named), "{wrong:?}: {said}");
    }
}

/// By every way in which a key comes to the program.
#[test]
fn keys_that_others_could_guess_are_refused_where_they_can_reach_the_program() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "dev\n").unwrap();
    let path = file.path().to_str().unwrap();
    let hashed = format!("web:{}", common::api_key::KeyDigest::of("dev"));
    let good = ("API_KEY", "kunci-panjang-yang-acak");
    for keys in [
        &[("API_KEY", "dev")][..],
        &[("API_KEY_FILE", path)],
        &[good, ("API_KEYS", "web:dev")],
        &[good, ("API_KEYS", &hashed)],
        &[good, ("API_KEYS", "web:rahasia")],
        &[("API_KEY", "rahasia")],
        &[],
    ] {
        for arguments in [&[][..], &["health"]] {
            let mut settings = keys.to_vec();
            settings.push(("HOST", "0.0.0.0"));
            let said = refusal_of(api_program(), arguments, &settings);
            assert!(
                said.contains("API_KEY") && said.contains("itb-ops keys new"),
                "{said}"
            );
            assert!(
                !said.contains("rahasia") && !said.contains("\"dev\""),
                "{said}"
            );
        }
    }
}

#[test]
fn a_worker_without_servers_does_not_start() {
    let said = refusal(worker_program(), &[]);
    assert!(said.contains("AMQP_URL"), "{said}");
    let said = refusal(worker_program(), &[("WORKER_STAGES", "stt,llm")]);
    assert!(said.contains("WORKER_STAGES"), "{said}");
}

#[tokio::test]
async fn without_a_key_the_development_key_is_taken_on_loopback() {
    let port = free_port().to_string();
    let settings = settings(&[("PORT", &port), ("API_KEY", "")]);
    let program = crate::deployment::Program::start(&api_program(), &[], &settings);
    let client = client();
    let ask = || {
        let request = client.post(format!("http://127.0.0.1:{port}/v1/chat"));
        let request = request.header("X-API-Key", "dev");
        request
            .header("X-Conversation-Id", "a")
            .json(&json!({ "message": "Apa itu ITB?" }))
            .send()
    };
    eventually("answering", || async {
        ask().await.is_ok_and(|answer| answer.status() == 200)
    })
    .await;
    assert!(program.terminate(), "SIGTERM ends it in order");
}

#[tokio::test]
async fn the_health_check_of_the_program_tells_whether_it_serves() {
    let (mut program, url) = start_api(&[]);
    let port = url.rsplit(':').next().unwrap().to_owned();
    let check = || {
        let checked = Command::new(api_program())
            .arg("health")
            .env("PORT", &port)
            // There is no proxy, and none is needed to ask oneself.
            .env("HTTP_PROXY", "http://127.0.0.1:9")
            .env("http_proxy", "http://127.0.0.1:9")
            .stderr(Stdio::null())
            .status();
        checked.expect("our program starts").success()
    };
    eventually("healthy", || async { check() }).await;
    program.kill();
    assert!(!check());
}

/// A rolling restart: every job that was accepted is answered.
#[tokio::test]
async fn a_worker_that_is_terminated_hands_back_what_it_does_not_finish() {
    let Some(servers) = shared() else { return };
    let settings = servers.environment();
    let (door, url) = start_api(&settings);
    let first = start_worker("rag", &settings);
    let deployment = Deployment::of(vec![url], vec![door]).await;
    let asking = (0..100).map(|_| deployment.chat("Apa itu ITB?"));
    let restart = async {
        let second = start_worker("rag", &settings);
        let ended = tokio::task::spawn_blocking(move || first.terminate()).await;
        assert!(ended.unwrap(), "SIGTERM ends it in order");
        second
    };
    let (answers, _second) = tokio::join!(futures::future::join_all(asking), restart);
    assert_eq!(answers.len(), 100);
}
