//! A rolling restart under load: every program is ended in order and started
//! anew, one after the other.

use std::sync::atomic::{AtomicBool, Ordering};

use common::testing::servers::shared;
use serde_json::{Value, json};

use crate::deployment::{Deployment, Program, start_api, start_worker};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_loses_no_job_and_the_door_that_stays_refuses_nobody() {
    let Some(servers) = shared() else { return };
    let settings = servers.environment();
    let workers = [
        start_worker("rag", &settings),
        start_worker("rag", &settings),
    ];
    let (staying, staying_url) = start_api(&settings);
    let (restarted, restarted_url) = start_api(&settings);
    let staying = Deployment::of(vec![staying_url], vec![staying]).await;
    let restarted = {
        let other = Deployment::of(vec![restarted_url], vec![restarted]).await;
        let accepted = accepted_by(&other).await;
        (other, accepted)
    };

    let over = AtomicBool::new(false);
    let callers = (0..8).map(|_| ask_until(&staying, &over));
    let restart = async {
        let (door, accepted) = restarted;
        end(door.into_programs().remove(0)).await;
        let mut anew = Vec::new();
        for worker in workers {
            end(worker).await;
            anew.push(start_worker("rag", &settings));
        }
        let (door, url) = start_api(&settings);
        anew.push(door);
        let back = Deployment::of(vec![url], anew).await;
        over.store(true, Ordering::Relaxed);
        (back, accepted)
    };
    let (statuses, (_back, accepted)) = tokio::join!(futures::future::join_all(callers), restart);
    let statuses: Vec<u16> = statuses.into_iter().flatten().collect();
    assert!(statuses.len() >= 8);
    let refused: Vec<_> = statuses.iter().filter(|status| **status != 200).collect();
    assert!(refused.is_empty(), "{refused:?} of {}", statuses.len());
    for job in accepted {
        let job = staying.job(&format!("/v1/jobs/{job}?wait=30")).await;
        assert_eq!(job["status"], "succeeded", "{job}");
    }
}

fn question() -> Value {
    json!({ "message": "Apa itu ITB?" })
}

async fn ask_until(deployment: &Deployment, over: &AtomicBool) -> Vec<u16> {
    let mut statuses = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let answer = deployment.post("/v1/chat").json(&question()).send().await;
        statuses.push(answer.unwrap().status().as_u16());
    }
    statuses
}

/// Jobs that a door has accepted and nobody waits for.
async fn accepted_by(door: &Deployment) -> Vec<String> {
    let mut jobs = Vec::new();
    for _ in 0..20 {
        let body = json!({ "kind": "chat", "message": "Apa itu ITB?" });
        let accepted = door.post("/v1/jobs").json(&body).send().await.unwrap();
        assert_eq!(accepted.status(), 202);
        let accepted: Value = accepted.json().await.unwrap();
        jobs.push(accepted["job_id"].as_str().unwrap().to_owned());
    }
    jobs
}

async fn end(program: Program) {
    let ended = tokio::task::spawn_blocking(move || program.terminate()).await;
    assert!(ended.unwrap(), "SIGTERM ends it in order");
}
