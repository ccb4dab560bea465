//! Submitting now and asking later.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::deployment::{Deployment, OTHER_KEY, problem};

async fn submit(deployment: &Deployment) -> (String, Value) {
    let body = json!({ "kind": "chat", "message": "Apa itu ITB?" });
    let answer = deployment
        .post("/v1/jobs")
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 202);
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(
        location,
        format!("/v1/jobs/{}", body["job_id"].as_str().unwrap())
    );
    (location, body)
}

async fn a_job_is_accepted_at_once_and_polled_to_its_result(deployment: &Deployment) {
    let (location, accepted) = submit(deployment).await;
    assert_eq!(accepted["status"], "queued");
    let job = deployment.job(&format!("{location}?wait=30")).await;
    assert_eq!(job["status"], "succeeded", "{job}");
    assert_eq!(job["kind"], "chat");
    assert_eq!(job["stages"][0]["stage"], "rag");
    assert_eq!(job["stages"][0]["attempts"], 1);
    assert!(job["result"]["answer"].is_string(), "{job}");
    assert_eq!(job["conversation_id"], accepted["conversation_id"]);
}

async fn the_result_of_a_synchronous_call_can_be_read_again(deployment: &Deployment) {
    let answer = deployment.chat("Apa itu ITB?").await;
    let path = format!("/v1/jobs/{}", answer["job_id"].as_str().unwrap());
    assert_eq!(deployment.job(&path).await["result"], answer);
}

async fn a_job_of_another_tenant_does_not_exist(deployment: &Deployment) {
    let (location, _) = submit(deployment).await;
    let mut request = deployment.get(&location).build().unwrap();
    request
        .headers_mut()
        .insert("x-api-key", OTHER_KEY.parse().unwrap());
    let answer = reqwest::Client::new().execute(request).await.unwrap();
    let body = problem(answer, 404, "another tenant").await;
    assert_eq!(body["code"], "unknown_job");
}

async fn waiting_for_a_job_that_is_done_takes_no_time(deployment: &Deployment) {
    let (location, _) = submit(deployment).await;
    let poll = || deployment.get(&format!("{location}?wait=20")).send();
    poll().await.unwrap();
    let before = Instant::now();
    poll().await.unwrap();
    assert!(before.elapsed() < Duration::from_secs(5));
}

async fn jobs_are_checked(deployment: &Deployment) {
    let post = |body: Value| deployment.post("/v1/jobs").json(&body);
    for (case, request, status) in [
        ("no kind", post(json!({ "message": "a" })), 422),
        (
            "unknown kind",
            post(json!({ "kind": "x", "message": "a" })),
            422,
        ),
        ("empty", post(json!({ "kind": "chat", "message": "" })), 422),
        ("bad wait", deployment.get("/v1/jobs/1?wait=x"), 404),
    ] {
        problem(request.send().await.unwrap(), status, case).await;
    }
    let (location, _) = submit(deployment).await;
    let bad_wait = deployment.get(&format!("{location}?wait=soon"));
    problem(bad_wait.send().await.unwrap(), 400, "bad wait").await;
}

crate::in_both_modes!(
    a_job_is_accepted_at_once_and_polled_to_its_result,
    the_result_of_a_synchronous_call_can_be_read_again,
    a_job_of_another_tenant_does_not_exist,
    waiting_for_a_job_that_is_done_takes_no_time,
    jobs_are_checked,
);
