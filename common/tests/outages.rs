//! What RabbitMQ and Redis do when they are full, short of memory, set up
//! otherwise, killed and started again. Each test has servers of its own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::HashSet, sync::Arc, time::Duration};

use common::{
    backends::{BackendConfig, Backends, ConnectError, connect},
    broker::{Broker, Link, PublishError},
    claim_check::Item,
    config::Environment,
    pipeline::{Route, Stage},
    priority::Priority,
    reply::{Begun, Event, MOST_RUNS, StageStarted},
    retry::RETRY_DELAYS,
    testing::{
        fixtures::{envelope, job, text_turn},
        servers::{RabbitServer, RedisServer, environment, shared, skipped},
    },
    time::UnixMillis,
};
use futures::StreamExt as _;
use tokio::time::{Instant, timeout};

#[path = "outages/far.rs"]
mod far;
#[path = "outages/less.rs"]
mod less;
#[path = "outages/redis.rs"]
mod redis_elsewhere;

const SOON: Duration = Duration::from_secs(60);

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(SOON, future).await.expect("not in time")
}

struct Own {
    rabbitmq: RabbitServer,
    redis: RedisServer,
    settings: Vec<(String, String)>,
}

impl Own {
    fn start() -> Option<Self> {
        let started = RabbitServer::start().zip(RedisServer::start());
        let Some((rabbitmq, redis)) = started else {
            skipped("needs the programs rabbitmq-server and redis-server");
            return None;
        };
        let settings = environment(&rabbitmq.url(), &redis.url());
        Some(Self {
            rabbitmq,
            redis,
            settings,
        })
    }

    async fn connect(&self) -> Backends {
        connect_with(&self.settings, &[]).await.expect("connects")
    }

    /// Has the broker short of memory, and waits until `broker` knows.
    async fn alarm(&self, broker: &Arc<dyn Broker>) {
        self.rabbitmq
            .ctl(&["set_vm_memory_high_watermark", "absolute", "1MB"]);
        // The broker blocks a connection when it next publishes.
        let blocked = async {
            while broker.link() != Link::Blocked {
                let started = Instant::now();
                let _ = broker.publish(&envelope(Route::Voice)).await;
                assert!(started.elapsed() < Duration::from_secs(2));
            }
        };
        within(blocked).await;
    }

    async fn end_alarm(&self, broker: &Arc<dyn Broker>) {
        self.rabbitmq
            .ctl(&["set_vm_memory_high_watermark", "absolute", "2GB"]);
        link_becomes(broker, Link::Up).await;
    }

    fn queue(&self, name: &str) -> String {
        let prefix = self.settings.iter().find(|(n, _)| n == "AMQP_QUEUE_PREFIX");
        format!("{}.{name}", prefix.expect("set").1)
    }
}

async fn connect_with(
    settings: &[(String, String)],
    more: &[(&str, &str)],
) -> Result<Backends, ConnectError> {
    let more = more.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
    let env: Environment = settings.iter().cloned().chain(more).collect();
    connect(&BackendConfig::from_environment(&env, "outages").expect("valid")).await
}

async fn link_becomes(broker: &Arc<dyn Broker>, expected: Link) {
    let reached = async {
        while broker.link() != expected {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within(reached).await;
}

/// lapin can hand a confirm to the wrong one of several tasks that publish on
/// one channel; then a refused message counts as stored, and is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_full_queue_exactly_the_confirmed_messages_are_there() {
    let Some(servers) = shared() else { return };
    let bound = [("AMQP_QUEUE_MAX_LENGTH", "300")];
    let backends = connect_with(&servers.environment(), &bound).await.unwrap();
    let mut publishing = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let broker = Arc::clone(&backends.broker);
        publishing.spawn(async move {
            let mut stored = Vec::new();
            let mut refused = 0;
            for _ in 0..20 {
                let envelope = envelope(Route::Text);
                match broker.publish(&envelope).await {
                    Ok(()) => stored.push(envelope.message_id()),
                    Err(PublishError::Full) => refused += 1,
                    Err(error) => panic!("{error}"),
                }
            }
            (stored, refused)
        });
    }
    let mut confirmed = HashSet::new();
    let mut refused = 0;
    while let Some(task) = publishing.join_next().await {
        let (stored, full) = task.unwrap();
        confirmed.extend(stored);
        refused += full;
    }
    assert!(refused > 0, "the queue was never full");

    let mut found = HashSet::new();
    let mut consumer = backends.broker.consume(Stage::Rag, 64).await;
    for _ in 0..confirmed.len() {
        let delivery = within(consumer.receive()).await;
        found.insert(delivery.envelope.message_id());
        delivery.ack().await.unwrap();
    }
    consumer.stop().await;
    assert_eq!(found, confirmed);
    let left = backends.broker.inspect(Stage::Rag).await.unwrap();
    assert_eq!(left.ready, 0);
}

#[tokio::test]
async fn a_flood_of_batch_messages_takes_no_room_of_the_interactive_ones() {
    let Some(servers) = shared() else { return };
    let bound = [("AMQP_QUEUE_MAX_LENGTH", "10")];
    let backends = connect_with(&servers.environment(), &bound).await.unwrap();
    let broker = &backends.broker;
    let mut flood = envelope(Route::Text);
    flood.job.priority = Priority::Batch;
    let full = async { while broker.publish(&flood).await != Err(PublishError::Full) {} };
    within(full).await;
    broker.publish(&envelope(Route::Text)).await.unwrap();
}

#[tokio::test]
async fn queues_of_other_arguments_stop_the_start_and_are_named() {
    let Some(servers) = shared() else { return };
    let settings = servers.environment();
    connect_with(&settings, &[]).await.unwrap();
    let other = [("AMQP_QUEUE_MAX_LENGTH", "77")];
    let Err(ConnectError::Topology(mismatch)) = connect_with(&settings, &other).await else {
        panic!("must not connect")
    };
    let text = mismatch.to_string();
    assert!(text.contains("x-max-length"), "{text}");
    assert!(text.contains(".stt'"), "{text}");
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_put_aside_and_the_next_one_delivered() {
    let Some(servers) = shared() else { return };
    let settings = servers.environment();
    let backends = connect_with(&settings, &[]).await.unwrap();
    let prefix = &settings[2].1;
    let connection = lapin::Connection::connect(&servers.amqp_url, Default::default());
    let connection = connection.await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    for body in ["garbage", r#"{"version":99}"#] {
        let queue = format!("{prefix}.rag");
        let options = lapin::options::BasicPublishOptions::default();
        let properties = lapin::BasicProperties::default();
        let body = body.as_bytes();
        let sent = channel.basic_publish("".into(), queue.into(), options, body, properties);
        sent.await.unwrap();
    }
    let sent = envelope(Route::Text);
    backends.broker.publish(&sent).await.unwrap();
    let mut consumer = backends.broker.consume(Stage::Rag, 1).await;
    let delivery = within(consumer.receive()).await;
    assert_eq!(delivery.envelope, sent);
    delivery.ack().await.unwrap();
    let put_aside = async {
        while backends
            .broker
            .inspect(Stage::Rag)
            .await
            .map(|it| it.dead_letters)
            != Ok(2)
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    // A slow broker may be asked more than once.
    within(async {
        tokio::select! {
            () = put_aside => {}
            again = consumer.receive() => panic!("{again:?}"),
        }
    })
    .await;
    consumer.stop().await;
}

#[tokio::test]
async fn a_killed_broker_refuses_at_once_and_everything_comes_back_with_it() {
    let Some(mut own) = Own::start() else { return };
    let backends = own.connect().await;
    let broker = &backends.broker;
    let mut consumer = broker.consume(Stage::Rag, 4).await;
    let unsettled = envelope(Route::Text);
    broker.publish(&unsettled).await.unwrap();
    let in_hand = within(consumer.receive()).await;

    own.rabbitmq.kill();
    link_becomes(broker, Link::Down).await;
    let before = Instant::now();
    let refused = broker.publish(&envelope(Route::Text)).await;
    assert!(matches!(refused, Err(PublishError::Unavailable(_))));
    assert!(before.elapsed() < Duration::from_secs(1));
    // A settlement that did not reach the broker says so.
    assert!(in_hand.ack().await.is_err());

    own.rabbitmq.start_again();
    link_becomes(broker, Link::Up).await;
    let again = within(consumer.receive()).await;
    assert_eq!(again.envelope, unsettled);
    assert!(again.redelivered);
    again.ack().await.unwrap();
    let next = envelope(Route::Text);
    broker.publish(&next).await.unwrap();
    let delivery = within(consumer.receive()).await;
    assert_eq!(delivery.envelope, next);
    delivery.ack().await.unwrap();
    consumer.stop().await;
}

#[tokio::test]
async fn under_a_memory_alarm_publishes_are_refused_and_consumers_go_on() {
    let Some(own) = Own::start() else { return };
    let backends = own.connect().await;
    let broker = &backends.broker;
    broker.publish(&envelope(Route::Text)).await.unwrap();
    broker.publish(&envelope(Route::Text)).await.unwrap();
    let mut consumer = broker.consume(Stage::Rag, 1).await;
    let first = within(consumer.receive()).await;
    own.alarm(broker).await;
    let refused = broker.publish(&envelope(Route::Voice)).await;
    assert!(matches!(refused, Err(PublishError::Unavailable(_))));
    first.ack().await.unwrap();
    within(consumer.receive()).await.ack().await.unwrap();

    own.end_alarm(broker).await;
    broker.publish(&envelope(Route::Text)).await.unwrap();
    within(consumer.receive()).await.ack().await.unwrap();
    consumer.stop().await;
}

#[tokio::test]
async fn a_message_to_be_tried_again_is_held_until_the_broker_stores_it() {
    let Some(own) = Own::start() else { return };
    let backends = own.connect().await;
    let broker = &backends.broker;
    let sent = envelope(Route::Text);
    broker.publish(&sent).await.unwrap();
    let mut consumer = broker.consume(Stage::Rag, 1).await;
    let delivery = within(consumer.receive()).await;
    own.alarm(broker).await;
    let next = sent.retried(sent.published_at);
    let mut retrying = std::pin::pin!(delivery.retry(&next, RETRY_DELAYS[0]));
    let given_up = timeout(Duration::from_secs(1), &mut retrying).await;
    assert!(given_up.is_err(), "{given_up:?}");
    own.end_alarm(broker).await;
    assert_eq!(within(retrying).await, Ok(()));
    let again = within(consumer.receive()).await;
    assert_eq!((again.envelope.attempt, again.redelivered), (2, false));
    again.ack().await.unwrap();
    consumer.stop().await;
}

#[tokio::test]
async fn a_queue_that_was_deleted_is_unroutable_not_lost() {
    let Some(own) = Own::start() else { return };
    let backends = own.connect().await;
    own.rabbitmq.ctl(&["delete_queue", &own.queue("tts")]);
    let published = backends.broker.publish(&envelope(Route::Speak)).await;
    assert_eq!(published, Err(PublishError::Unroutable));
}

#[tokio::test]
async fn a_follower_misses_nothing_while_redis_is_killed_and_started_again() {
    let Some(mut own) = Own::start() else { return };
    let backends = own.connect().await;
    let job = job(Route::Text);
    let log = &backends.replies;
    log.open(&job).await.unwrap();
    let mut events = log.follow(job.correlation_id, 0);
    let first = within(events.next()).await.unwrap().unwrap();
    assert_eq!(first.sequence_number, 1);
    let claims = &backends.claims;
    let bytes = bytes::Bytes::from_static(b"RIFF");
    let kept = claims.check_in(job.correlation_id, Item::Input, bytes.clone(), SOON);
    let ticket = kept.await.unwrap();

    own.redis.kill();
    let before = Instant::now();
    assert!(log.append(job.correlation_id, &[]).await.is_err());
    assert!(before.elapsed() < Duration::from_secs(2));

    own.redis.start_again();
    let end = Event::Completed {
        turn: Box::new(text_turn("apa?")),
    };
    let appended = async {
        while log
            .append(job.correlation_id, std::slice::from_ref(&end))
            .await
            .is_err()
        {}
    };
    within(appended).await;
    let heard = within(async {
        loop {
            if let Some(Ok(record)) = events.next().await {
                return record;
            }
        }
    });
    assert_eq!(heard.await.event, end);
    assert_eq!(claims.redeem(&ticket).await, Ok(bytes));
}

#[tokio::test]
async fn a_backlog_survives_a_restart_of_the_broker() {
    let Some(mut own) = Own::start() else { return };
    let backends = own.connect().await;
    let mut expected = HashSet::new();
    for _ in 0..50 {
        let envelope = envelope(Route::Text);
        backends.broker.publish(&envelope).await.unwrap();
        expected.insert(envelope.message_id());
    }
    own.rabbitmq.kill();
    own.rabbitmq.start_again();
    let mut consumer = backends.broker.consume(Stage::Rag, 8).await;
    while !expected.is_empty() {
        let delivery = within(consumer.receive()).await;
        expected.remove(&delivery.envelope.message_id());
        delivery.ack().await.unwrap();
    }
    consumer.stop().await;
}

/// Each connects as another process.
async fn processes<const N: usize>(settings: &[(String, String)]) -> [Backends; N] {
    let mut all = Vec::new();
    for _ in 0..N {
        all.push(connect_with(settings, &[]).await.expect("connects"));
    }
    all.try_into().map_err(|_| "as many").expect("as many")
}

#[tokio::test]
async fn a_try_that_ends_process_after_process_is_not_begun_for_ever() {
    let Some(servers) = shared() else { return };
    let processes = processes::<{ MOST_RUNS as usize + 1 }>(&servers.environment()).await;
    let job = job(Route::Voice);
    let begins = async |process: &Backends, attempt| {
        let stage = Stage::Rag;
        let started = StageStarted { stage, attempt };
        let begun = process.replies.begin_stage(&job, started);
        begun.await.unwrap() != Begun::CrashesWorkers
    };
    let (last, crashing) = processes.split_last().unwrap();
    last.replies.open(&job).await.unwrap();
    for process in crashing {
        // To be given the message again by a broker that was away is no crash.
        for _ in 0..10 {
            assert!(begins(process, 1).await);
        }
    }
    assert!(!begins(last, 1).await);
    // A worker that stops in order lets go of it.
    let released = last.replies.let_go(job.correlation_id, Stage::Rag).await;
    assert_eq!(released, Ok(()));
    assert!(begins(last, 1).await);
    // The next try is another one.
    for process in &processes[..MOST_RUNS as usize] {
        assert!(begins(process, 2).await);
    }
    assert!(!begins(last, 2).await);
}

#[tokio::test]
async fn what_rabbitmq_gives_up_is_a_dead_letter_with_its_reason() {
    let Some(servers) = shared() else { return };
    let backends = connect_with(&servers.environment(), &[]).await.unwrap();
    let sent = envelope(Route::Text);
    backends.broker.publish(&sent).await.unwrap();
    let mut consumer = backends.broker.consume(Stage::Rag, 1).await;
    let given_up = async {
        loop {
            let dead = backends.broker.inspect(Stage::Rag).await.unwrap();
            if dead.dead_letters == 1 {
                return;
            }
            // Dropped unsettled.
            let _ = timeout(Duration::from_millis(100), consumer.receive()).await;
        }
    };
    within(given_up).await;
    consumer.stop().await;
    let held = backends.broker.dead_letters(Stage::Rag, 10).await.unwrap();
    let letter = &held[0].letter;
    assert_eq!(letter.reason.code, "delivery_limit");
    assert_eq!(letter.envelope(), Some(&sent));
    let age = UnixMillis::now().since(letter.put_aside_at.expect("a time"));
    assert!(age < SOON, "{age:?}");
}
