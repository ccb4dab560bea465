//! A job that failed and is resumed, for who listens and who asks.

use std::time::Duration;

use common::{
    pipeline::{Route, Stage},
    reply::{Event, Failure, FailureKind, StageStarted},
};
use serde_json::Value;

use super::{
    doors::{Doors, first_events, path, wav, without_comments},
    with_doors,
};

fn failed() -> Event {
    let error = Failure {
        code: "provider_failed".into(),
        message: "…".into(),
        kind: FailureKind::Unavailable,
        stage: Some(Stage::Tts),
    };
    Event::Failed { error }
}

fn started(stage: Stage) -> Event {
    Event::StageStarted(StageStarted { stage, attempt: 1 })
}

/// The number and the name of each event.
fn told(stream: &str) -> Vec<(u64, String)> {
    let data = stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "));
    let event = |data: &str| {
        let event: Value = serde_json::from_str(data).unwrap();
        let name = event["type"].as_str().unwrap().to_owned();
        (event["sequence_number"].as_u64().unwrap(), name)
    };
    data.map(event).collect()
}

async fn who_has_heard_that_a_job_failed_hears_that_it_goes_on(doors: Doors) {
    let job = doors.accept(Route::Text).await;
    doors.append(&job, &[started(Stage::Rag), failed()]).await;
    let address = path(&job, "/events");
    let whole = async |door| doors.get(door, &address).send().await.unwrap().text().await;
    let first_life = whole(0).await.unwrap();
    assert_eq!(told(&first_life).len(), 3, "{first_life}");

    let at_the_end = doors.get(1, &address).header("Last-Event-ID", "3");
    let mut listening = at_the_end.send().await.unwrap();
    // It is kept on the line.
    let comment = first_events(&mut listening, 1).await;
    assert!(comment.starts_with(':'), "{comment}");
    doors.resume(&job).await;
    doors.append(&job, &[started(Stage::Rag)]).await;
    doors.append(&job, &[Event::Cancelled]).await;
    let heard = without_comments(&listening.text().await.unwrap());
    let names = told(&heard);
    let expected = [
        (4, "job.resumed".to_owned()),
        (5, "stage.started".to_owned()),
        (6, "job.cancelled".to_owned()),
    ];
    assert_eq!(names, expected);
    for door in [0, 1] {
        assert_eq!(whole(door).await.unwrap(), format!("{first_life}{heard}"));
    }
}

async fn who_asks_for_a_job_that_goes_on_waits_for_its_next_end(doors: Doors) {
    let job = doors.accept(Route::Text).await;
    doors.append(&job, &[started(Stage::Rag), failed()]).await;
    let status = async |query: &str| {
        let asked = doors.get(1, &path(&job, query)).send().await.unwrap();
        let view: Value = asked.json().await.unwrap();
        view["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(status("?wait=30").await, "failed");
    doors.resume(&job).await;
    assert_eq!(status("").await, "running");
    let end = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        doors.append(&job, &[Event::Cancelled]).await;
    };
    let (waited, ()) = tokio::join!(status("?wait=30"), end);
    assert_eq!(waited, "cancelled");
}

/// It has what was said in its first life, and the rest.
async fn the_speech_of_a_job_that_goes_on_is_streamed_to_its_end(doors: Doors) {
    let job = doors.accept(Route::Voice).await;
    let first = doors.sentence(&job, 1, wav(16_000, 800, 1)).await;
    doors
        .append(&job, &[started(Stage::Tts), first, failed()])
        .await;
    let address = path(&job, "/audio");
    let over = doors.get(0, &address).send().await.unwrap();
    assert_eq!(over.status(), 404);

    doors.resume(&job).await;
    let mut streamed = doors.get(1, &address).send().await.unwrap();
    let mut speech = streamed.chunk().await.unwrap().unwrap().to_vec();
    let second = doors.sentence(&job, 2, wav(16_000, 400, 2)).await;
    let end = doors.completed(&job, wav(16_000, 1_200, 3)).await;
    doors.append(&job, &[second, end]).await;
    speech.extend(streamed.bytes().await.unwrap());
    let samples = [vec![1; 1_600], vec![2; 800]].concat();
    assert!(speech.ends_with(&samples), "{} bytes", speech.len());
}

/// The store has lost the events that its client has seen.
async fn who_comes_again_with_what_was_lost_hears_it_all(doors: Doors) {
    let job = doors.accept(Route::Text).await;
    doors.append(&job, &[started(Stage::Rag)]).await;
    let address = path(&job, "/events");
    let lost = doors.get(1, &address).header("Last-Event-ID", "57");
    let listening = lost.send().await.unwrap();
    assert_eq!(listening.status(), 200);
    doors.append(&job, &[Event::Cancelled]).await;
    let heard = without_comments(&listening.text().await.unwrap());
    assert!(heard.starts_with("event: answer.restarted\n"), "{heard}");
    let expected = [
        (0, "answer.restarted"),
        (1, "job.accepted"),
        (2, "stage.started"),
        (3, "job.cancelled"),
    ];
    let expected = expected.map(|(number, name)| (number, name.to_owned()));
    assert_eq!(told(&heard), expected);
}

with_doors!(
    who_comes_again_with_what_was_lost_hears_it_all,
    who_has_heard_that_a_job_failed_hears_that_it_goes_on,
    who_asks_for_a_job_that_goes_on_waits_for_its_next_end,
    the_speech_of_a_job_that_goes_on_is_streamed_to_its_end,
);
