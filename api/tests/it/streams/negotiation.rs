//! The same question, answered whole or as it is made.

use reqwest::Response;
use serde_json::{Value, json};

use crate::deployment::{Deployment, conversation, problem};

async fn ask(deployment: &Deployment, path: &str, accept: Option<&str>) -> Response {
    let body = match path {
        "/v1/chat" => json!({ "message": "Apa itu ITB?" }),
        _ => json!({ "kind": "chat", "message": "Apa itu ITB?" }),
    };
    let mut request = deployment.post_in(&conversation(), path).json(&body);
    if let Some(accept) = accept {
        request = request.header("Accept", accept);
    }
    request.send().await.unwrap()
}

async fn the_header_accept_chooses_the_rendering(deployment: &Deployment) {
    let (json, events) = ("application/json", "text/event-stream");
    for (accept, expected) in [
        (None, json),
        (Some("*/*"), json),
        (Some("application/json, text/event-stream"), json),
        (Some("text/event-stream;q=0.5, */*"), json),
        (Some("text/event-stream"), events),
        (
            Some("application/json;q=0.5, text/event-stream;q=0.6"),
            events,
        ),
    ] {
        for path in ["/v1/chat", "/v1/jobs"] {
            let answer = ask(deployment, path, accept).await;
            let status = match (path, expected == json) {
                ("/v1/jobs", true) => 202,
                _ => 200,
            };
            assert_eq!(answer.status(), status, "{path} {accept:?}");
            assert_eq!(
                answer.headers()["content-type"],
                expected,
                "{path} {accept:?}"
            );
        }
    }
}

async fn who_accepts_neither_is_told_before_anything_is_done(deployment: &Deployment) {
    for accept in ["text/html", "application/json;q=0", "image/*, text/plain"] {
        for path in ["/v1/chat", "/v1/jobs", "/v1/audio"] {
            let body = problem(ask(deployment, path, Some(accept)).await, 406, accept).await;
            assert_eq!(body["code"], "not_acceptable");
        }
    }
}

async fn a_bad_request_is_a_problem_also_for_who_wants_a_stream(deployment: &Deployment) {
    let request = deployment.post("/v1/chat").json(&json!({ "message": "" }));
    let answer = request.header("Accept", "text/event-stream").send().await;
    problem(answer.unwrap(), 422, "empty").await;
}

async fn a_client_that_goes_away_cancels_nothing(deployment: &Deployment) {
    let answer = ask(deployment, "/v1/chat", Some("text/event-stream")).await;
    let job = answer.headers()["location"].to_str().unwrap().to_owned();
    drop(answer);
    let polled = deployment.get(&format!("{job}?wait=30")).send().await;
    let polled: Value = polled.unwrap().json().await.unwrap();
    assert_eq!(polled["status"], "succeeded", "{polled}");
}

crate::in_both_modes!(
    the_header_accept_chooses_the_rendering,
    who_accepts_neither_is_told_before_anything_is_done,
    a_bad_request_is_a_problem_also_for_who_wants_a_stream,
    a_client_that_goes_away_cancels_nothing,
);
