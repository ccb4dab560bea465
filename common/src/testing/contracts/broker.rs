//! The promises of [`crate::broker`].

use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::{
    backends::Backends,
    broker::{Broker, DeadLetterReason, Delivery, Link, dead_letters::HeldLetter},
    envelope::Envelope,
    pipeline::{Route, Stage},
    priority::Priority,
    retry::RETRY_DELAYS,
    testing::fixtures::envelope,
    time::UnixMillis,
};

const SOON: Duration = Duration::from_secs(20);

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(SOON, future).await.expect("not in time")
}

/// Waits until the queue of `stage` holds `expected` messages.
async fn depth_becomes(broker: &dyn Broker, stage: Stage, expected: u64) {
    let reached = async {
        while broker.inspect(stage).await.map(|queues| queues.ready) != Ok(expected) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    within(reached).await;
}

pub async fn a_published_message_is_delivered_once_and_gone_when_acked(backends: Backends) {
    let broker = &backends.broker;
    let sent = envelope(Route::Text);
    broker.publish(&sent).await.unwrap();
    let mut consumer = broker.consume(Stage::Rag, 8).await;
    let delivery = within(consumer.receive()).await;
    assert_eq!(delivery.envelope, sent);
    assert!(!delivery.redelivered);
    delivery.ack().await.unwrap();
    consumer.stop().await;
    depth_becomes(broker.as_ref(), Stage::Rag, 0).await;
}

pub async fn a_delivery_dropped_unsettled_comes_again_marked_so(backends: Backends) {
    let sent = envelope(Route::Text);
    backends.broker.publish(&sent).await.unwrap();
    let mut consumer = backends.broker.consume(Stage::Rag, 8).await;
    drop(within(consumer.receive()).await);
    let again = within(consumer.receive()).await;
    assert_eq!(again.envelope, sent);
    assert!(again.redelivered);
    again.ack().await.unwrap();
    consumer.stop().await;
}

pub async fn stopping_gives_back_what_was_not_received_and_lets_the_rest_settle(
    backends: Backends,
) {
    let broker = &backends.broker;
    for _ in 0..5 {
        broker.publish(&envelope(Route::Text)).await.unwrap();
    }
    let mut consumer = broker.consume(Stage::Rag, 8).await;
    let in_hand = within(consumer.receive()).await;
    within(consumer.stop()).await;
    depth_becomes(broker.as_ref(), Stage::Rag, 4).await;
    in_hand.ack().await.unwrap();

    let mut next = broker.consume(Stage::Rag, 8).await;
    for _ in 0..4 {
        within(next.receive()).await.ack().await.unwrap();
    }
    next.stop().await;
    depth_becomes(broker.as_ref(), Stage::Rag, 0).await;
}

pub async fn competing_consumers_share_the_messages(backends: Backends) {
    let broker = &backends.broker;
    let mut sent = std::collections::HashSet::new();
    let mut one = broker.consume(Stage::Rag, 1).await;
    let mut other = broker.consume(Stage::Rag, 1).await;
    for _ in 0..20 {
        let envelope = envelope(Route::Text);
        sent.insert(envelope.message_id());
        broker.publish(&envelope).await.unwrap();
    }
    let take = |delivery: Delivery| async move {
        let id = delivery.envelope.message_id();
        delivery.ack().await.unwrap();
        id
    };
    for _ in 0..20 {
        let delivery = within(async {
            tokio::select! {
                delivery = one.receive() => delivery,
                delivery = other.receive() => delivery,
            }
        })
        .await;
        assert!(sent.remove(&take(delivery).await), "a message came twice");
    }
    one.stop().await;
    other.stop().await;
}

pub async fn what_is_held_keeps_nothing_from_a_consumer_that_counts_anew(backends: Backends) {
    let broker = &backends.broker;
    let mut consumer = broker.consume(Stage::Rag, 1).await;
    let mut held = Vec::new();
    for _ in 0..5 {
        broker.publish(&envelope(Route::Text)).await.unwrap();
        held.push(within(consumer.receive()).await);
        consumer.renew().await;
    }
    for delivery in held {
        delivery.ack().await.unwrap();
    }
    consumer.stop().await;
    depth_becomes(broker.as_ref(), Stage::Rag, 0).await;
}

pub async fn a_retry_that_is_given_up_gives_the_message_back(backends: Backends) {
    let sent = envelope(Route::Text);
    backends.broker.publish(&sent).await.unwrap();
    let mut consumer = backends.broker.consume(Stage::Rag, 8).await;
    let delivery = within(consumer.receive()).await;
    // Never begun.
    drop(delivery.retry(&sent, RETRY_DELAYS[0]));
    let again = within(consumer.receive()).await;
    assert!(again.redelivered);
    again.ack().await.unwrap();
    consumer.stop().await;
}

pub async fn a_retry_comes_back_after_its_delay_with_the_next_attempt(backends: Backends) {
    let sent = envelope(Route::Text);
    backends.broker.publish(&sent).await.unwrap();
    let mut consumer = backends.broker.consume(Stage::Rag, 8).await;
    let delivery = within(consumer.receive()).await;
    let next = delivery.envelope.retried(UnixMillis::now());
    let before = Instant::now();
    delivery.retry(&next, RETRY_DELAYS[0]).await.unwrap();
    let again = within(consumer.receive()).await;
    assert!(before.elapsed() >= RETRY_DELAYS[0]);
    assert_eq!(again.envelope, next);
    assert_eq!(again.envelope.attempt, 2);
    assert_eq!(again.envelope.message_id(), sent.message_id());
    again.ack().await.unwrap();
    consumer.stop().await;
}

pub async fn a_dead_letter_leaves_the_work_queue_and_is_kept(backends: Backends) {
    let broker = &backends.broker;
    broker.publish(&envelope(Route::Text)).await.unwrap();
    let mut consumer = broker.consume(Stage::Rag, 8).await;
    let delivery = within(consumer.receive()).await;
    let reason = DeadLetterReason {
        code: "test".into(),
        detail: "put aside by a test".into(),
    };
    delivery.dead_letter(&reason).await.unwrap();
    consumer.stop().await;
    depth_becomes(broker.as_ref(), Stage::Rag, 0).await;
    let queues = broker.inspect(Stage::Rag).await.unwrap();
    assert_eq!(queues.dead_letters, 1);
}

/// A message that nobody waits for.
fn batch() -> Envelope {
    let mut envelope = envelope(Route::Text);
    envelope.job.priority = Priority::Batch;
    envelope
}

pub async fn an_interactive_message_waits_for_no_backlog_of_batch_ones(backends: Backends) {
    let broker = &backends.broker;
    for _ in 0..20 {
        broker.publish(&batch()).await.unwrap();
    }
    let mut consumer = broker.consume(Stage::Rag, 1).await;
    let mut in_hand = within(consumer.receive()).await;
    let urgent = envelope(Route::Text);
    broker.publish(&urgent).await.unwrap();
    let mut before_it = 1;
    loop {
        in_hand.ack().await.unwrap();
        in_hand = within(consumer.receive()).await;
        if in_hand.envelope == urgent {
            break;
        }
        before_it += 1;
    }
    assert!(before_it < 20, "it came last");
    in_hand.ack().await.unwrap();
    for _ in before_it..20 {
        within(consumer.receive()).await.ack().await.unwrap();
    }
    consumer.stop().await;
    depth_becomes(broker.as_ref(), Stage::Rag, 0).await;
}

pub async fn a_batch_message_is_tried_again_as_one(backends: Backends) {
    let broker = &backends.broker;
    let sent = batch();
    broker.publish(&sent).await.unwrap();
    let mut consumer = broker.consume(Stage::Rag, 8).await;
    let delivery = within(consumer.receive()).await;
    let next = delivery.envelope.retried(UnixMillis::now());
    delivery.retry(&next, RETRY_DELAYS[0]).await.unwrap();
    let again = within(consumer.receive()).await;
    assert_eq!(again.envelope, next);
    again.ack().await.unwrap();
    consumer.stop().await;
}

/// Puts messages of a text job aside, with these codes.
async fn put_aside(broker: &dyn Broker, codes: &[&str]) -> Vec<Envelope> {
    let mut consumer = broker.consume(Stage::Rag, 1).await;
    let mut sent = Vec::new();
    for code in codes {
        let envelope = envelope(Route::Text);
        broker.publish(&envelope).await.unwrap();
        let delivery = within(consumer.receive()).await;
        let reason = DeadLetterReason {
            code: (*code).into(),
            detail: "put aside by a test".into(),
        };
        delivery.dead_letter(&reason).await.unwrap();
        sent.push(envelope);
    }
    consumer.stop().await;
    sent
}

/// Those of the stage, once there are so many.
async fn dead_letters(broker: &dyn Broker, count: usize) -> Vec<HeldLetter> {
    within(async {
        loop {
            let held = broker.dead_letters(Stage::Rag, 100).await.unwrap();
            if held.len() == count {
                return held;
            }
            for letter in held {
                letter.put_back().await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
}

pub async fn to_look_at_dead_letters_takes_none_away(backends: Backends) {
    let broker = backends.broker.as_ref();
    let sent = put_aside(broker, &["satu", "dua", "tiga"]).await;
    for _ in 0..3 {
        let held = dead_letters(broker, 3).await;
        for ((letter, code), sent) in held.iter().zip(["satu", "dua", "tiga"]).zip(&sent) {
            let letter = &letter.letter;
            assert_eq!(letter.envelope(), Some(sent));
            assert_eq!(letter.id, sent.message_id().as_str());
            assert_eq!(letter.stage, Stage::Rag);
            assert_eq!(letter.reason.code, code);
            assert_eq!(letter.reason.detail, "put aside by a test");
            let age = UnixMillis::now().since(letter.put_aside_at.expect("a time"));
            assert!(age < SOON, "{age:?}");
        }
        // What is held is nobody else's; dropped, it is back.
        let others = broker.dead_letters(Stage::Rag, 100).await.unwrap();
        assert!(others.is_empty());
        drop(held);
    }
    let first = within(async {
        loop {
            let mut held = broker.dead_letters(Stage::Rag, 1).await.unwrap();
            if let Some(first) = held.pop() {
                return first;
            }
        }
    });
    let first = first.await;
    assert_eq!(first.letter.envelope(), Some(&sent[0]), "the oldest first");
    first.put_back().await;
    dead_letters(broker, 3).await;
}

pub async fn a_dead_letter_that_is_removed_is_gone_and_the_others_stay(backends: Backends) {
    let broker = backends.broker.as_ref();
    let sent = put_aside(broker, &["satu", "dua", "tiga"]).await;
    let mut held = dead_letters(broker, 3).await;
    held.remove(1).remove().await.unwrap();
    drop(held);
    let held = dead_letters(broker, 2).await;
    let left = held.iter().map(|held| held.letter.envelope());
    assert_eq!(left.collect::<Vec<_>>(), [Some(&sent[0]), Some(&sent[2])]);
}

pub async fn each_message_goes_to_the_queue_of_its_stage(backends: Backends) {
    let broker = &backends.broker;
    assert_eq!(broker.link(), Link::Up);
    for (route, stage) in [
        (Route::Voice, Stage::Stt),
        (Route::Text, Stage::Rag),
        (Route::Speak, Stage::Tts),
    ] {
        broker.publish(&envelope(route)).await.unwrap();
        depth_becomes(broker.as_ref(), stage, 1).await;
    }
    let queues = broker.inspect(Stage::Emotion).await.unwrap();
    assert_eq!((queues.ready, queues.consumers), (0, 0));
}
