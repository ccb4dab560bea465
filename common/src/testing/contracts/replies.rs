//! The promises of [`crate::reply`].

use std::time::Duration;

use futures::StreamExt as _;
use tokio::time::timeout;

use crate::{
    backends::Backends,
    envelope::Job,
    pipeline::{Route, Stage},
    reply::{Appended, Begun, CompletedStage, Event, Record, StageStarted},
    testing::fixtures::{answer, job, text_turn},
};

const SOON: Duration = Duration::from_secs(20);

fn delta(text: &str) -> Event {
    Event::AnswerDelta { text: text.into() }
}

fn completed() -> Event {
    Event::Completed {
        turn: Box::new(text_turn("apa?")),
    }
}

fn started(stage: Stage) -> StageStarted {
    StageStarted { stage, attempt: 1 }
}

async fn follow_to_the_end(backends: &Backends, job: &Job, cursor: u64) -> Vec<Record> {
    let records = backends
        .replies
        .follow(job.correlation_id, cursor)
        .map(Result::unwrap)
        .collect();
    timeout(SOON, records).await.expect("not in time")
}

pub async fn events_are_numbered_from_1_in_order(backends: Backends) {
    let job = job(Route::Text);
    let log = &backends.replies;
    log.open(&job).await.unwrap();
    log.append(job.correlation_id, &[delta("a"), delta("b")])
        .await
        .unwrap();
    log.append(job.correlation_id, &[completed()])
        .await
        .unwrap();
    let records = log.read(job.correlation_id, 0).await.unwrap();
    let numbers: Vec<_> = records
        .iter()
        .map(|record| record.sequence_number)
        .collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    assert_eq!(records[0].event, Event::Accepted { job: job.clone() });
    assert_eq!(records[2].event, delta("b"));
    let tail = log.read(job.correlation_id, 3).await.unwrap();
    assert_eq!(tail, records[3..]);
}

pub async fn nothing_follows_a_terminal_event(backends: Backends) {
    let job = job(Route::Text);
    let log = &backends.replies;
    log.open(&job).await.unwrap();
    let id = job.correlation_id;
    let first = log.append(id, &[Event::Cancelled]).await;
    assert_eq!(first, Ok(Appended::Recorded));
    assert_eq!(log.append(id, &[completed()]).await, Ok(Appended::Closed));
    let begun = log.begin_stage(&job, started(Stage::Rag)).await;
    assert_eq!(begun, Ok(Begun::Closed));
    assert_eq!(log.read(id, 0).await.unwrap().len(), 2);
}

pub async fn opening_twice_leaves_one_beginning(backends: Backends) {
    let job = job(Route::Text);
    let log = &backends.replies;
    log.open(&job).await.unwrap();
    log.open(&job).await.unwrap();
    assert_eq!(log.read(job.correlation_id, 0).await.unwrap().len(), 1);
}

pub async fn a_completed_stage_is_known_with_its_turn(backends: Backends) {
    let job = job(Route::Voice);
    let log = &backends.replies;
    log.open(&job).await.unwrap();
    let begun = log.begin_stage(&job, started(Stage::Rag)).await;
    assert_eq!(begun, Ok(Begun::Started));

    let mut turn = text_turn("apa?");
    turn.answer = Some(answer("itu"));
    let done = CompletedStage {
        stage: Stage::Rag,
        turn: &turn,
    };
    log.complete_stage(job.correlation_id, &[delta("itu")], &done)
        .await
        .unwrap();

    let again = log.begin_stage(&job, started(Stage::Rag)).await;
    assert_eq!(again, Ok(Begun::AlreadyCompleted(Box::new(turn))));
    let other = log.begin_stage(&job, started(Stage::Tts)).await;
    assert_eq!(other, Ok(Begun::Started));
}

pub async fn a_log_that_was_lost_is_begun_again_by_its_next_stage(backends: Backends) {
    let job = job(Route::Text);
    let log = &backends.replies;
    let begun = log.begin_stage(&job, started(Stage::Rag)).await;
    assert_eq!(begun, Ok(Begun::Started));
    let records = log.read(job.correlation_id, 0).await.unwrap();
    assert_eq!(records[0].event, Event::Accepted { job: job.clone() });
    assert_eq!(records.len(), 2);
}

pub async fn a_follower_hears_the_past_and_the_future_once_and_in_order(backends: Backends) {
    let job = job(Route::Text);
    let log = backends.replies.clone();
    log.open(&job).await.unwrap();
    let id = job.correlation_id;
    let writer = tokio::spawn(async move {
        for n in 0..200 {
            log.append(id, &[delta(&n.to_string())]).await.unwrap();
        }
        log.append(id, &[completed()]).await.unwrap();
    });
    let (whole, tail) = tokio::join!(
        follow_to_the_end(&backends, &job, 0),
        follow_to_the_end(&backends, &job, 150)
    );
    writer.await.unwrap();
    let expected: Vec<u64> = (1..=202).collect();
    let numbers: Vec<_> = whole.iter().map(|record| record.sequence_number).collect();
    assert_eq!(numbers, expected);
    assert_eq!(tail, whole[150..]);
}

pub async fn many_followers_of_one_log_all_hear_its_end(backends: Backends) {
    let job = job(Route::Text);
    let log = &backends.replies;
    log.open(&job).await.unwrap();
    let followers = (0..50).map(|_| follow_to_the_end(&backends, &job, 0));
    let followers = futures::future::join_all(followers);
    let end = async {
        log.append(job.correlation_id, &[completed()])
            .await
            .unwrap();
    };
    let (heard, ()) = tokio::join!(followers, end);
    assert!(heard.iter().all(|records| records.len() == 2));
}

pub async fn an_unknown_log_is_empty(backends: Backends) {
    let job = job(Route::Text);
    let records = backends.replies.read(job.correlation_id, 0).await;
    assert_eq!(records, Ok(Vec::new()));
    assert_eq!(backends.replies.ping().await, Ok(()));
}
