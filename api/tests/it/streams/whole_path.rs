//! Streams of real answers, by real workers, through front doors that are
//! processes of their own.

use serde_json::{Value, json};

use super::doors::{first_events, without_comments};
use crate::deployment::{Deployment, form};

fn data(stream: &str) -> Vec<Value> {
    let lines = stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "));
    lines
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

fn texts(events: &[Value], of: &str) -> String {
    let events = events.iter().filter(|event| event["type"] == of);
    events
        .map(|event| event["text"].as_str().unwrap())
        .collect()
}

async fn the_stream_of_a_chat_is_the_same_from_every_door(deployment: &Deployment) {
    let body = json!({ "message": "Berapa SKS untuk lulus sarjana?" });
    let request = deployment.post("/v1/chat").json(&body);
    let answer = request.header("Accept", "text/event-stream").send().await;
    let answer = answer.unwrap();
    let job = answer.headers()["location"].to_str().unwrap().to_owned();
    let whole = without_comments(&answer.text().await.unwrap());
    let events = data(&whole);
    let names: Vec<_> = events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!((names[0], names[1]), ("job.accepted", "stage.started"));
    assert_eq!(names.last(), Some(&"job.completed"));
    let result = &events.last().unwrap()["result"];
    assert_eq!(
        texts(&events, "answer.delta"),
        result["answer"].as_str().unwrap()
    );
    assert!(result["first_token_ms"].is_u64(), "{result}");

    for count in 0..=events.len() {
        let events = deployment.get(&format!("{job}/events"));
        let mut first = events.send().await.unwrap();
        let seen = first_events(&mut first, count).await;
        drop(first);
        let events = deployment.get(&format!("{job}/events"));
        let resumed = events.header("Last-Event-ID", count.to_string());
        let rest = resumed.send().await.unwrap().text().await.unwrap();
        assert!(seen + &rest == whole, "cut after {count}");
    }
}

async fn a_spoken_answer_that_is_streamed_is_linked_in_its_result(deployment: &Deployment) {
    let Some(question) = crate::voice::spoken("Berapa SKS untuk lulus sarjana?") else {
        return;
    };
    if !deployment.can_speak().await {
        return;
    }
    let request = deployment.post("/v1/audio").multipart(form(question));
    let answer = request.header("Accept", "text/event-stream").send().await;
    let answer = answer.unwrap();
    let job = answer.headers()["location"].to_str().unwrap().to_owned();
    let live = deployment.get(&format!("{job}/audio")).send();
    let (events, live) = tokio::join!(answer.text(), live);
    let events = data(&events.unwrap());
    let result = &events.last().unwrap()["result"];
    assert_eq!(result["audio"], format!("{job}/audio"));
    let live = live.unwrap().bytes().await.unwrap();
    assert!(live.starts_with(b"RIFF") && live.len() > 10_000);
}

crate::in_both_modes!(
    the_stream_of_a_chat_is_the_same_from_every_door,
    a_spoken_answer_that_is_streamed_is_linked_in_its_result,
);
