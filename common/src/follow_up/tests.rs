use tokio::time::timeout;

use super::*;
use crate::{
    backends::{BackendConfig, connect},
    broker::{Consumer, memory::MemoryBroker},
    pipeline::{Route, Stage},
    reply::Event,
    testing::fixtures,
};

async fn backends() -> Backends {
    let config = BackendConfig::from_environment(&Default::default(), "test").unwrap();
    connect(&config).await.unwrap()
}

fn job_of(conversation: &str, time: Duration) -> Job {
    Job {
        conversation_id: conversation.parse().ok(),
        deadline: UnixMillis::now().after(time),
        ..fixtures::job(Route::Text)
    }
}

/// A job that is accepted, and whose end is promised to be told.
async fn promised(backends: &Backends, deadline: UnixMillis) -> Job {
    let url = serde_json::from_str(r#""https://example.org/""#).unwrap();
    let job = Job {
        deadline,
        callback: Some(CorrelationId::new()),
        callback_url: Some(url),
        ..fixtures::job(Route::Text)
    };
    backends.replies.open(&job).await.unwrap();
    backends.promise_callback(&job).await.unwrap();
    job
}

/// Has the relay look at `job` now.
async fn relay(backends: &Backends, job: &Job) {
    let entry = Entry::Callback {
        job: job.correlation_id,
        callback: job.callback.unwrap(),
    };
    backends.outbox.note(&entry, UnixMillis(0)).await.unwrap();
    relay_all(backends).await;
}

async fn relay_all(backends: &Backends) {
    let lease = Duration::from_secs(60);
    for taken in backends.outbox.take(10, lease).await.unwrap() {
        backends.relay(&taken).await.unwrap();
    }
}

async fn next(consumer: &mut Consumer) -> Option<Job> {
    let delivery = timeout(Duration::from_millis(100), consumer.receive()).await;
    let delivery = delivery.ok()?;
    let job = delivery.envelope.job.clone();
    delivery.ack().await.unwrap();
    Some(job)
}

fn an_hour_ago() -> UnixMillis {
    UnixMillis(UnixMillis::now().0 - 3_600_000)
}

fn in_an_hour() -> UnixMillis {
    UnixMillis::now().after(Duration::from_secs(3_600))
}

#[tokio::test]
async fn the_relay_tells_the_end_that_nobody_has_told() {
    let backends = backends().await;
    let mut webhook = backends.broker.consume(Stage::Webhook, 1).await;
    let job = promised(&backends, in_an_hour()).await;
    let end = [Event::Cancelled];
    let id = job.correlation_id;
    backends.replies.append(id, &end).await.unwrap();
    relay(&backends, &job).await;
    let telling = next(&mut webhook).await.expect("its end is told");
    assert_eq!(telling.callback_of, Some(id));
    relay_all(&backends).await;
    assert_eq!(next(&mut webhook).await, None);
}

#[tokio::test]
async fn who_finds_the_end_of_another_does_not_tell_it_as_well() {
    let backends = backends().await;
    let mut webhook = backends.broker.consume(Stage::Webhook, 1).await;
    let job = promised(&backends, in_an_hour()).await;
    let id = job.correlation_id;
    backends
        .replies
        .append(id, &[Event::Cancelled])
        .await
        .unwrap();
    backends.after_end_by_another(&job).await.unwrap();
    assert_eq!(next(&mut webhook).await, None);
    backends.after_end(&job).await.unwrap();
    assert!(next(&mut webhook).await.is_some());
    backends.after_end_by_another(&job).await.unwrap();
    let lease = Duration::from_secs(60);
    assert_eq!(backends.outbox.take(10, lease).await, Ok(vec![]));
    assert_eq!(next(&mut webhook).await, None);
}

#[tokio::test]
async fn a_job_that_nobody_ends_is_ended_at_its_deadline_and_told() {
    let backends = backends().await;
    let mut webhook = backends.broker.consume(Stage::Webhook, 1).await;
    let job = promised(&backends, an_hour_ago()).await;
    relay_all(&backends).await;
    let telling = next(&mut webhook).await.expect("its end is told");
    assert_eq!(Some(telling.correlation_id), job.callback);
    let records = backends.replies.read(job.correlation_id, 0).await.unwrap();
    assert_eq!(records.last().unwrap().event, Event::Expired);
}

#[tokio::test]
async fn a_job_that_has_time_left_is_looked_at_later() {
    let backends = backends().await;
    let mut webhook = backends.broker.consume(Stage::Webhook, 1).await;
    let job = promised(&backends, in_an_hour()).await;
    relay(&backends, &job).await;
    assert_eq!(next(&mut webhook).await, None);
    let lease = Duration::from_secs(60);
    assert_eq!(backends.outbox.take(10, lease).await, Ok(vec![]));
}

#[tokio::test]
async fn what_is_erased_or_was_never_accepted_is_not_told() {
    let backends = backends().await;
    let mut webhook = backends.broker.consume(Stage::Webhook, 1).await;
    let erased = promised(&backends, in_an_hour()).await;
    backends.replies.erase(&erased).await.unwrap();
    relay(&backends, &erased).await;
    let withdrawn = promised(&backends, an_hour_ago()).await;
    backends.after_withdrawal(&withdrawn).await;
    relay_all(&backends).await;
    assert_eq!(next(&mut webhook).await, None);
}

#[tokio::test]
async fn a_message_is_held_until_the_turn_before_it_is_there() {
    let minute = Duration::from_secs(60);
    for process_ends in [false, true] {
        let backends = backends().await;
        let mut rag = backends.broker.consume(Stage::Rag, 1).await;
        let jobs = [
            job_of("a", minute),
            job_of("a", minute),
            job_of("b", minute),
        ];
        let [first, second, other] = &jobs;
        for job in &jobs {
            let key = ConversationKey::of(job).unwrap();
            let conversations = &backends.conversations;
            let place = conversations.accept(&key, job.correlation_id, job.deadline);
            let place = place.await.unwrap();
            let turn = fixtures::text_turn("apa?");
            let message = Envelope::first(job.clone(), turn, UnixMillis::now());
            backends.send_first(&message, place).await.unwrap();
        }
        assert_eq!(next(&mut rag).await.as_ref(), Some(first));
        assert_eq!(next(&mut rag).await.as_ref(), Some(other));
        assert_eq!(next(&mut rag).await, None);
        let key = ConversationKey::of(first).unwrap();
        let turn = PastTurn {
            job: first.correlation_id,
            at: UnixMillis::now(),
            user: "apa?".into(),
            assistant: "itu".into(),
        };
        if process_ends {
            backends.conversations.append(&key, turn).await.unwrap();
            assert_eq!(next(&mut rag).await, None);
            let entry = Entry::Turns(key);
            backends.outbox.note(&entry, UnixMillis(0)).await.unwrap();
            relay_all(&backends).await;
        } else {
            backends.add_turn(&key, turn).await.unwrap();
        }
        assert_eq!(next(&mut rag).await.as_ref(), Some(second));
    }
}

/// With RabbitMQ taking one message of a stage, and no more.
async fn full_behind_one() -> Backends {
    Backends {
        broker: std::sync::Arc::new(MemoryBroker::new(1)),
        ..backends().await
    }
}

#[tokio::test]
async fn a_turn_is_added_though_the_next_cannot_be_sent_on() {
    let backends = full_behind_one().await;
    let minute = Duration::from_secs(60);
    let (first, second) = (job_of("a", minute), job_of("a", minute));
    let key = ConversationKey::of(&first).unwrap();
    for job in [&first, &second] {
        let accept = backends
            .conversations
            .accept(&key, job.correlation_id, job.deadline);
        let place = accept.await.unwrap();
        let turn = fixtures::text_turn("apa?");
        let message = Envelope::first(job.clone(), turn, UnixMillis::now());
        backends.send_first(&message, place).await.unwrap();
    }
    // The message of the first fills the queue.
    backends.leave_conversation(&first).await.unwrap();
    let mut rag = backends.broker.consume(Stage::Rag, 1).await;
    assert_eq!(next(&mut rag).await.as_ref(), Some(&first));
    let entry = Entry::Turns(key);
    backends.outbox.note(&entry, UnixMillis(0)).await.unwrap();
    relay_all(&backends).await;
    assert_eq!(next(&mut rag).await.as_ref(), Some(&second));
}

#[tokio::test]
async fn an_end_that_cannot_be_told_now_is_told_by_the_relay() {
    let backends = full_behind_one().await;
    let jobs = [
        promised(&backends, in_an_hour()).await,
        promised(&backends, in_an_hour()).await,
    ];
    for job in &jobs {
        let end = [Event::Cancelled];
        let id = job.correlation_id;
        backends.replies.append(id, &end).await.unwrap();
        backends.after_end(job).await.unwrap();
    }
    let mut webhook = backends.broker.consume(Stage::Webhook, 1).await;
    let telling = next(&mut webhook).await.unwrap();
    assert_eq!(telling.callback_of, Some(jobs[0].correlation_id));
    relay(&backends, &jobs[1]).await;
    let telling = next(&mut webhook).await.unwrap();
    assert_eq!(telling.callback_of, Some(jobs[1].correlation_id));
}
