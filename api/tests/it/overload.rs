//! More work than there is room for, or than is fair.

use std::time::{Duration, Instant, SystemTime};

use common::testing::servers::{RabbitServer, RedisServer, environment, shared, skipped};
use reqwest::Response;
use serde_json::{Value, json};

use crate::{
    deployment::{
        Deployment, conversation, eventually, form, problem, settings, start_api, start_worker,
    },
    vendors::{
        prosa,
        running::{Mode, Vendors},
    },
};

fn chat() -> Value {
    json!({ "message": "Apa itu ITB?" })
}

/// Tells how long the queue took, and takes no more until there is room.
#[tokio::test]
async fn a_full_queue_is_503_at_once_with_an_estimate() {
    let Some(servers) = shared() else { return };
    let mut all = servers.environment();
    all.extend(settings(&[("AMQP_QUEUE_MAX_LENGTH", "3")]));
    let deployment = door_without_worker(&all).await;
    let fetched = json!({ "kind": "chat", "message": "Apa itu ITB?", "priority": "interactive" });
    let mut accepted = Vec::new();
    let refused = loop {
        let begun = Instant::now();
        let answer = deployment.post("/v1/jobs").json(&fetched).send().await;
        let answer = answer.unwrap();
        if answer.status() != 202 {
            assert!(begun.elapsed() < Duration::from_secs(2));
            break answer;
        }
        let job: Value = answer.json().await.unwrap();
        accepted.push(job["job_id"].as_str().unwrap().to_owned());
        assert!(accepted.len() < 100, "the queue has a bound");
    };
    let retry_after = refused.headers()["retry-after"].to_str().unwrap();
    assert!(retry_after.parse::<u64>().unwrap() >= 1);
    let body = problem(refused, 503, "full").await;
    assert_eq!(body["code"], "overloaded");

    // What was accepted is answered all the same.
    let _worker = start_worker("rag", &all);
    for job in accepted {
        let job = deployment.job(&format!("/v1/jobs/{job}?wait=30")).await;
        assert_eq!(job["status"], "succeeded", "{job}");
    }
}

/// When the job of this answer was done.
async fn answered(deployment: &Deployment, answer: Response) -> SystemTime {
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.unwrap();
    let path = format!("/v1/jobs/{}", answer["job_id"].as_str().unwrap());
    done(&deployment.job(&path).await)
}

/// When the first stage of a job was done.
fn done(job: &Value) -> SystemTime {
    let accepted = humantime::parse_rfc3339(job["accepted_at"].as_str().unwrap()).unwrap();
    let times = ["queued_ms", "duration_ms"];
    let millis = times.map(|time| job["stages"][0][time].as_f64().unwrap());
    accepted + Duration::from_secs_f64(millis.iter().sum::<f64>() / 1_000.0)
}

/// Ready means that somebody works; then nobody does.
async fn door_without_worker(all: &[(String, String)]) -> Deployment {
    let (door, url) = start_api(all);
    let worker = start_worker("rag", all);
    let deployment = Deployment::of(vec![url], vec![door]).await;
    assert!(worker.terminate());
    deployment
}

/// Short of memory, RabbitMQ reads nothing from who publishes.
#[tokio::test]
async fn under_a_memory_alarm_the_door_says_503_and_what_was_accepted_is_answered() {
    let started = RabbitServer::start().zip(RedisServer::start());
    let Some((rabbitmq, redis)) = started else {
        skipped("needs the programs rabbitmq-server and redis-server");
        return;
    };
    let all = environment(&rabbitmq.url(), &redis.url());
    let deployment = door_without_worker(&all).await;
    let body = json!({ "kind": "chat", "message": "Apa itu ITB?" });
    let accepted = deployment.post("/v1/jobs").json(&body).send().await;
    let accepted: Value = accepted.unwrap().json().await.unwrap();

    rabbitmq.ctl(&["set_vm_memory_high_watermark", "absolute", "1MB"]);
    for _ in 0..3 {
        let begun = Instant::now();
        let answer = deployment.post("/v1/chat").json(&chat()).send().await;
        let answer = answer.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(2));
        assert!(answer.headers().contains_key("retry-after"));
        problem(answer, 503, "memory alarm").await;
    }
    let _worker = start_worker("rag", &all);
    let path = format!("/v1/jobs/{}?wait=60", accepted["job_id"].as_str().unwrap());
    assert_eq!(deployment.job(&path).await["status"], "succeeded");

    rabbitmq.ctl(&["set_vm_memory_high_watermark", "absolute", "2GB"]);
    eventually("taking jobs again", || async {
        let answer = deployment.post("/v1/chat").json(&chat()).send().await;
        answer.is_ok_and(|answer| answer.status() == 200)
    })
    .await;
}

/// With one worker that does one thing at a time, and tenants of whom no other
/// test has jobs under way.
#[tokio::test]
async fn the_flood_of_one_tenant_does_not_hold_up_another() {
    let Some(servers) = shared() else { return };
    let (flooding, polite) = (conversation(), conversation());
    let keys = format!("{flooding}:{flooding},{polite}:{polite}");
    let mut all = servers.environment();
    all.extend(settings(&[
        ("API_KEYS", &keys),
        ("RAG_CONCURRENCY", "1"),
        ("FAIR_SHARE_JOBS", "4"),
    ]));
    let deployment = door_without_worker(&all).await;
    let submit = async |key: &str| {
        let body = json!({ "kind": "chat", "message": "Fakultas apa saja di ITB?", "priority": "interactive" });
        let request = deployment.post_bare("/v1/jobs").header("X-API-Key", key);
        let accepted = request.json(&body).send().await.unwrap();
        assert_eq!(accepted.status(), 202);
        let accepted: Value = accepted.json().await.unwrap();
        format!("/v1/jobs/{}", accepted["job_id"].as_str().unwrap())
    };
    let ended = async |key: &str, path: &str| {
        let request = deployment.get_bare(&format!("{path}?wait=60"));
        let answer = request.header("X-API-Key", key).send().await.unwrap();
        let job: Value = answer.json().await.unwrap();
        assert_eq!(job["status"], "succeeded", "{job}");
        done(&job)
    };
    let mut flood = Vec::new();
    for _ in 0..60 {
        flood.push(submit(&flooding).await);
    }
    let asked = submit(&polite).await;
    let _worker = start_worker("rag", &all);
    let answered = ended(&polite, &asked).await;
    let mut last = answered;
    for job in &flood {
        last = last.max(ended(&flooding, job).await);
    }
    assert!(answered < last, "the flood went first");
}

/// With one worker that does one thing at a time.
#[tokio::test]
async fn who_waits_for_an_answer_waits_for_no_backlog_of_batch_jobs() {
    let Some(servers) = shared() else { return };
    let mut all = servers.environment();
    all.extend(settings(&[("RAG_CONCURRENCY", "1")]));
    let deployment = door_without_worker(&all).await;
    let mut backlog = Vec::new();
    for _ in 0..60 {
        let body = json!({ "kind": "chat", "message": "Fakultas apa saja di ITB?" });
        let accepted = deployment.post("/v1/jobs").json(&body).send().await;
        let accepted: Value = accepted.unwrap().json().await.unwrap();
        backlog.push(format!("/v1/jobs/{}", accepted["job_id"].as_str().unwrap()));
    }
    let asking = deployment.post("/v1/chat").json(&chat()).send();
    let working = async { start_worker("rag", &all) };
    let (answer, _worker) = tokio::join!(asking, working);
    let awaited = answered(&deployment, answer.unwrap()).await;
    let mut last = awaited;
    for job in backlog {
        let job = deployment.job(&format!("{job}?wait=60")).await;
        assert_eq!(job["status"], "succeeded", "{job}");
        last = last.max(done(&job));
    }
    assert!(awaited < last, "the backlog went first");
}

/// Submits a recording; `None` when it is refused for want of room.
async fn submit_recording(deployment: &Deployment) -> Option<String> {
    let form = form(prosa::recording()).text("kind", "audio");
    let request = deployment.post("/v1/jobs").multipart(form);
    let answer = request.send().await.unwrap();
    if answer.status() == 503 {
        return None;
    }
    let job: Value = answer.json().await.unwrap();
    Some(format!("/v1/jobs/{}", job["job_id"].as_str().unwrap()))
}

/// The stage of a job that has been completed last.
async fn stages_done(deployment: &Deployment, job: &str) -> usize {
    let job = deployment.job(job).await;
    job["stages"].as_array().map_or(0, Vec::len)
}

/// Nobody speaks, and more jobs than there are slots wait for room in the queue of who would.
#[tokio::test]
async fn a_full_queue_of_the_stage_that_speaks_holds_up_no_chat_and_no_cancelled_job() {
    let Some(servers) = shared() else { return };
    let vendors = Vendors::start().await;
    let more = [("AMQP_QUEUE_MAX_LENGTH", "2"), ("RAG_CONCURRENCY", "2")];
    let all = vendors.settings_with(Mode::Distributed(servers), &more);
    let (door, url) = start_api(&all);
    let worker = start_worker("stt,emotion,rag", &all);
    let speaks = start_worker("tts", &all);
    let deployment = Deployment::of(vec![url], vec![door, worker]).await;
    assert!(speaks.terminate());
    let mut jobs = Vec::new();
    while jobs.len() < 8 {
        match submit_recording(&deployment).await {
            Some(job) => jobs.push(job),
            None => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    for job in &jobs {
        eventually("answered", || async {
            stages_done(&deployment, job).await == 3
        })
        .await;
    }
    deployment.chat("Berapa SKS untuk lulus sarjana?").await;

    let (cancelled, others) = jobs.split_at(4);
    for job in cancelled {
        let job: Value = deployment
            .delete(job)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(job["status"], "cancelled", "{job}");
    }
    deployment.chat("Berapa SKS untuk lulus magister?").await;
    let _speaks = start_worker("tts", &all);
    for job in others {
        let job = deployment.job(&format!("{job}?wait=60")).await;
        assert_eq!(job["status"], "succeeded", "{job}");
    }
}

/// RabbitMQ takes no message on: what has to be passed on waits, and what is done where it is goes on.
#[tokio::test]
async fn under_a_memory_alarm_who_must_pass_on_holds_up_nobody_who_need_not() {
    let started = RabbitServer::start().zip(RedisServer::start());
    let Some((rabbitmq, redis)) = started else {
        skipped("needs the programs rabbitmq-server and redis-server");
        return;
    };
    let vendors = Vendors::start().await;
    let mut all = vendors.settings_with(Mode::Embedded, &[("RAG_CONCURRENCY", "2")]);
    all.extend(environment(&rabbitmq.url(), &redis.url()));
    let (door, url) = start_api(&all);
    let hears = start_worker("stt,emotion", &all);
    let others = start_worker("rag,tts", &all);
    let deployment = Deployment::of(vec![url], vec![door, hears]).await;
    assert!(others.terminate());
    let mut spoken = Vec::new();
    for _ in 0..8 {
        spoken.extend(submit_recording(&deployment).await);
    }
    for job in &spoken {
        eventually("felt", || async {
            stages_done(&deployment, job).await == 2
        })
        .await;
    }
    let mut written = Vec::new();
    for _ in 0..4 {
        let body = json!({ "kind": "chat", "message": "Berapa SKS untuk lulus sarjana?" });
        let accepted = deployment.post("/v1/jobs").json(&body).send().await;
        let accepted: Value = accepted.unwrap().json().await.unwrap();
        written.push(format!("/v1/jobs/{}", accepted["job_id"].as_str().unwrap()));
    }
    rabbitmq.ctl(&["set_vm_memory_high_watermark", "absolute", "1MB"]);
    let _others = start_worker("rag,tts", &all);
    for job in &written {
        let job = deployment.job(&format!("{job}?wait=60")).await;
        assert_eq!(job["status"], "succeeded", "{job}");
    }
    rabbitmq.ctl(&["set_vm_memory_high_watermark", "absolute", "2GB"]);
    for job in &spoken {
        let job = deployment.job(&format!("{job}?wait=60")).await;
        assert_eq!(job["status"], "succeeded", "{job}");
    }
}
