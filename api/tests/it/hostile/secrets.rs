//! What nobody may read in a log, however much is logged.

use serde_json::json;
use workers::testing::prosa::recording;

use super::wire::{Ask, exchange};
use crate::{
    deployment::{KEY, OTHER_KEY, client, eventually, form, settings, start_api_logging},
    vendors::{
        in_each_mode,
        running::{Mode, PASSAGES, Running, TRANSCRIPT, Vendors},
    },
};

/// All that our own code says, and as much of others' as anyone would ask for.
const LOUD: &str = "debug,api=trace,workers=trace,common=trace,itb_api=trace,itb_worker=trace";

const MESSAGE: &str = "pesan-rahasia-7d1f syarat lulus sarjana";
const CONVERSATION: &str = "percakapan-rahasia-2c9e";
const IDEMPOTENCY_KEY: &str = "kunci-ulang-rahasia-91aa";
const WRONG_KEY: &str = "kunci-salah-rahasia-03bd";
const CALLBACK_QUERY: &str = "token-rahasia-55fe";
const CALLBACK_PASSWORD: &str = "sandi-rahasia-c0de";
const WEBHOOK_SECRET: &str = "tanda-rahasia-8b12";
const BROKEN_FIELD: &str = "isi-rahasia-f00d";

async fn nothing_that_a_caller_said_is_in_a_log(mode: Mode) {
    let vendors = Vendors::start().await;
    let more = [("RUST_LOG", LOUD), ("WEBHOOK_SECRET", WEBHOOK_SECRET)];
    let running = Running::start(mode, &vendors, &more).await;
    let door = &running.deployment;
    let address = door.urls()[0].trim_start_matches("http://").to_owned();

    let callback = format!("http://nama-yang-tidak-ada.invalid/hook?token={CALLBACK_QUERY}");
    let chat = || {
        let request = door.post_in(CONVERSATION, "/v1/chat");
        request.header("Idempotency-Key", IDEMPOTENCY_KEY)
    };
    let body = json!({ "message": MESSAGE, "callback_url": callback });
    let answer = chat().json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let answer = answer.text().await.unwrap();
    let reused = chat().json(&json!({ "message": "lain" })).send().await;
    assert_eq!(reused.unwrap().status(), 422);
    for path in ["", "/events"] {
        let job: serde_json::Value = serde_json::from_str(&answer).unwrap();
        let path = format!("/v1/jobs/{}{path}", job["job_id"].as_str().unwrap());
        door.get(&path).send().await.unwrap().text().await.unwrap();
    }
    let turns = door.get(&format!("/v1/conversations/{CONVERSATION}"));
    assert_eq!(turns.send().await.unwrap().status(), 200);

    let spoken = form(recording()).text("voice", "id");
    let spoken = door
        .post_in(CONVERSATION, "/v1/audio")
        .multipart(spoken)
        .send();
    assert_eq!(spoken.await.unwrap().status(), 200);

    let with_password = format!("http://a:{CALLBACK_PASSWORD}@example.org/");
    let wrong = [
        json!({ "message": MESSAGE, "callback_url": with_password }).to_string(),
        format!(r#"{{"message":"{MESSAGE}","{BROKEN_FIELD}":1}}"#),
        format!(r#"{{"message":["{BROKEN_FIELD}"]}}"#),
        format!(r#"{{"message":"{BROKEN_FIELD}"#),
        format!("{{\"message\":\"{BROKEN_FIELD}\\u0000\"}}"),
    ];
    for body in wrong {
        let request = door
            .post("/v1/chat")
            .header("Content-Type", "application/json");
        let refused = request.body(body).send().await.unwrap();
        assert!(refused.status().is_client_error());
    }
    let refused = [
        Ask::line("GET /v1/jobs/1 HTTP/1.1")
            .header("Host", "a")
            .header("Connection", "close")
            .header("X-API-Key", WRONG_KEY)
            .end(),
        Ask::get(&format!(
            "/v1/conversations/a/{BROKEN_FIELD}?key={WRONG_KEY}"
        ))
        .end(),
        Ask::get("/health")
            .raw(format!("X-Bad {BROKEN_FIELD}\r\n").as_bytes())
            .end(),
        Ask::get("/health")
            .header("X-Request-Id", &format!("{BROKEN_FIELD}!"))
            .header("traceparent", BROKEN_FIELD)
            .end(),
    ];
    for request in refused {
        exchange(&address, &request).await;
    }
    let health = door
        .get("/health")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();

    // Whoever tells of the end has tried, so all that is logged is there.
    let job: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let path = format!("/v1/jobs/{}", job["job_id"].as_str().unwrap());
    let job = door.job(&path).await;
    let telling = format!("/v1/jobs/{}", job["callback"]["job_id"].as_str().unwrap());
    eventually("told", || async {
        let telling = door.job(&telling).await;
        telling["stages"][0]["attempts"].as_u64() > Some(0)
    })
    .await;
    let texts = [
        KEY,
        OTHER_KEY,
        WRONG_KEY,
        "pesan-rahasia-7d1f",
        CONVERSATION,
        IDEMPOTENCY_KEY,
        CALLBACK_QUERY,
        CALLBACK_PASSWORD,
        WEBHOOK_SECRET,
        BROKEN_FIELD,
        TRANSCRIPT,
        PASSAGES[0].2,
        "Rahasia dapur",
        "paling sedikit 144",
    ];
    running.is_discreet(&texts);
    for text in texts {
        assert!(!health.contains(text), "{text:?} in {health}");
    }
}

in_each_mode!(nothing_that_a_caller_said_is_in_a_log);

/// Servers that are away are spoken of often.
#[tokio::test]
async fn passwords_of_servers_are_neither_in_a_log_nor_in_the_health_of_a_door() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let settings = settings(&[
        ("RUST_LOG", LOUD),
        ("AMQP_URL", "amqp://pengguna:sandi-amqp-11@127.0.0.1:1/%2f"),
        ("REDIS_URL", "redis://pengguna:sandi-redis-22@127.0.0.1:1/0"),
        ("QDRANT_URL", "http://127.0.0.1:1"),
        ("QDRANT_API_KEY", "sandi-qdrant-33"),
    ]);
    let (door, url) = start_api_logging(&settings, log.reopen().unwrap().into());
    let asked = || async { client().get(format!("{url}/health")).send().await };
    eventually("told", || async { asked().await.is_ok() }).await;
    let health = asked().await.unwrap().text().await.unwrap();
    let message = client()
        .post(format!("{url}/v1/chat"))
        .header("X-API-Key", KEY);
    let message = message
        .header("X-Conversation-Id", "a")
        .json(&json!({ "message": "a" }));
    let refused = message.send().await.unwrap();
    assert_eq!(refused.status(), 503);
    let refused = refused.text().await.unwrap();
    drop(door);
    let log = std::fs::read_to_string(log.path()).unwrap();
    assert!(log.contains("WARN") || log.contains("ERROR"), "{log}");
    for said in [&log, &health, &refused] {
        for secret in ["sandi-amqp", "sandi-redis", "sandi-qdrant"] {
            assert!(!said.contains(secret), "{secret} in {said}");
        }
    }
}
