//! Servers and workers that die in the middle of things.

use std::time::{Duration, Instant};

use common::testing::servers::{RabbitServer, RedisServer, environment, skipped};
use reqwest::Response;
use serde_json::{Value, json};

use crate::deployment::{Deployment, eventually, form, problem, start_api, start_worker};

struct Own {
    rabbitmq: RabbitServer,
    redis: RedisServer,
    settings: Vec<(String, String)>,
    deployment: Deployment,
}

impl Own {
    async fn start() -> Option<Self> {
        let started = RabbitServer::start().zip(RedisServer::start());
        let Some((rabbitmq, redis)) = started else {
            skipped("needs the programs rabbitmq-server and redis-server");
            return None;
        };
        let settings = environment(&rabbitmq.url(), &redis.url());
        let (door, url) = start_api(&settings);
        let worker = start_worker("rag", &settings);
        let deployment = Deployment::of(vec![url], vec![door, worker]).await;
        Some(Self {
            rabbitmq,
            redis,
            settings,
            deployment,
        })
    }

    async fn ask(&self) -> Response {
        let body = json!({ "message": "Apa itu ITB?" });
        self.deployment
            .post("/v1/chat")
            .json(&body)
            .send()
            .await
            .unwrap()
    }

    async fn is_refused_soon(&self, case: &str) {
        for _ in 0..3 {
            let before = Instant::now();
            let answer = self.ask().await;
            assert!(before.elapsed() < Duration::from_secs(2), "{case}");
            assert!(answer.headers().contains_key("retry-after"), "{case}");
            problem(answer, 503, case).await;
        }
        let health = self.deployment.get("/health").send().await.unwrap();
        assert_eq!(health.status(), 503, "{case}");
        let ready = self.deployment.get("/ready").send().await.unwrap();
        assert_eq!(ready.status(), 503, "{case}");
    }

    async fn answers_again(&self) {
        eventually("answering again", || async {
            self.ask().await.status() == 200
        })
        .await;
    }
}

#[tokio::test]
async fn a_dead_server_is_503_within_two_seconds_and_recovery_needs_no_restart() {
    let Some(mut own) = Own::start().await else {
        return;
    };
    own.answers_again().await;
    own.rabbitmq.kill();
    own.is_refused_soon("RabbitMQ is dead").await;
    own.rabbitmq.start_again();
    own.answers_again().await;
    own.redis.kill();
    own.is_refused_soon("Redis is dead").await;
    own.redis.start_again();
    own.answers_again().await;
}

#[tokio::test]
async fn a_worker_killed_in_the_middle_of_a_job_costs_nobody_an_answer() {
    let Some(own) = Own::start().await else {
        return;
    };
    let Some(question) = crate::voice::spoken("Apa saja fakultas di ITB?") else {
        return;
    };
    if !own.deployment.can_speak().await {
        return;
    }
    let _others = start_worker("emotion,tts", &own.settings);
    let mut first = start_worker("stt", &own.settings);
    let job = form(question).text("kind", "audio");
    let accepted = own.deployment.post("/v1/jobs").multipart(job);
    let accepted: Value = accepted.send().await.unwrap().json().await.unwrap();
    let path = format!("/v1/jobs/{}", accepted["job_id"].as_str().unwrap());
    eventually("hearing", || async {
        own.deployment.job(&path).await["stages"][0]["stage"] == "stt"
    })
    .await;
    first.kill();
    let _second = start_worker("stt", &own.settings);
    let waiting = format!("{path}?wait=60");
    let mut job = own.deployment.job(&waiting).await;
    while job["status"] == "running" {
        job = own.deployment.job(&waiting).await;
    }
    assert_eq!(job["status"], "succeeded", "{job}");
    assert!(job["result"]["audio"].is_string());
    for stage in ["stt", "emotion", "rag", "tts"] {
        let settings: Vec<_> = own.settings.clone();
        let env = settings.into_iter().collect();
        let config = common::backends::BackendConfig::from_environment(&env, "test").unwrap();
        let backends = common::backends::connect(&config).await.unwrap();
        let queues = backends.broker.inspect(stage.parse().unwrap()).await;
        let queues = queues.unwrap();
        assert_eq!((queues.ready, queues.dead_letters), (0, 0), "{stage}");
    }
}

#[tokio::test]
async fn a_job_that_no_worker_takes_expires_for_its_caller() {
    let Some(servers) = common::testing::servers::shared() else {
        return;
    };
    let mut settings = servers.environment();
    settings.push(("JOB_DEADLINE".to_owned(), "1".to_owned()));
    let (door, url) = start_api(&settings);
    // Ready means that somebody works; then nobody does.
    let worker = start_worker("rag", &settings);
    let deployment = Deployment::of(vec![url], vec![door]).await;
    assert!(worker.terminate());
    let body = json!({ "message": "Apa itu ITB?" });
    let answer = deployment.post("/v1/chat").json(&body).send().await;
    let body = problem(answer.unwrap(), 504, "no worker").await;
    assert_eq!(body["code"], "job_expired");
    let path = format!("/v1/jobs/{}", body["job_id"].as_str().unwrap());
    assert_eq!(deployment.job(&path).await["status"], "expired");
}
