use std::sync::Arc;

use axum::http::HeaderValue;
use bytes::Bytes;
use common::{
    backends::{BackendConfig, Backends, connect},
    broker::{
        Broker, Consumer, Link, PublishError, StageQueues,
        dead_letters::{HeldLetter, Meant, Swept},
        memory::MemoryBroker,
    },
    callback::{CallbackUrl, Reach},
    envelope::{Envelope, Job},
    ids::RequestId,
    job::log::JobLog,
    pipeline::{Route, Stage},
    reply::{Event, StageStarted, Withdrawn},
    testing::fixtures,
};

use super::*;
use crate::gateway::Terms;

fn key(lines: &[&str]) -> Result<Option<String>, axum::http::StatusCode> {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(HEADER, HeaderValue::from_bytes(line.as_bytes()).unwrap());
    }
    key_of(&headers).map_err(|problem| problem.status())
}

#[test]
fn a_key_is_1_to_255_printable_characters_with_or_without_quotes() {
    let longest = "k".repeat(255);
    let quoted = format!("\"{longest}\"");
    for (line, expected) in [
        ("abc", "abc"),
        ("\"abc\"", "abc"),
        (" \"a b\" ", "a b"),
        (r#""a\"b\\c""#, r#"a"b\c"#),
        ("a\"b", "a\"b"),
        (
            "8e03978e-40d5-43dd-bc93-6894a57f9324",
            "8e03978e-40d5-43dd-bc93-6894a57f9324",
        ),
        (&longest, &longest),
        (&quoted, &longest),
    ] {
        assert_eq!(key(&[line]), Ok(Some(expected.to_owned())), "{line}");
    }
    assert_eq!(key(&[]), Ok(None));
    let too_long = "k".repeat(256);
    for bad in [
        "", "\"\"", "\"abc", "\"abc\"d", "\"a\\b\"", "kunci é", "a\tb", &too_long,
    ] {
        assert_eq!(key(&[bad]).unwrap_err(), 400, "{bad:?}");
    }
    assert_eq!(key(&["a", "a"]).unwrap_err(), 400);
}

fn new(text: &str) -> NewTurn {
    let text = NewInput::Text(text.into());
    NewTurn::new(Route::Text, text, "a".parse().unwrap())
}

#[test]
fn a_fingerprint_tells_every_part_of_a_request_apart() {
    let first = || new("apa?");
    let changed = |change: fn(&mut NewTurn)| {
        let mut turn = first();
        change(&mut turn);
        fingerprint("/v1/chat", &turn)
    };
    let all = [
        fingerprint("/v1/chat", &first()),
        fingerprint("/v1/jobs", &first()),
        changed(|turn| turn.input = NewInput::Text("apa".into())),
        changed(|turn| turn.input = NewInput::Speech(Bytes::from_static(b"apa?").into())),
        changed(|turn| turn.route = Route::Voice),
        changed(|turn| turn.conversation_id = "b".parse().unwrap()),
        changed(|turn| turn.conversation_name = ConversationName::Made),
        changed(|turn| turn.voice = Some("x".into())),
        changed(|turn| turn.response_format = Some("x".into())),
        changed(|turn| turn.callback = CallbackUrl::parse("http://a.b/", Reach::Any).ok()),
        changed(|turn| turn.timeout = Some(Duration::from_secs(5))),
    ];
    for (at, one) in all.iter().enumerate() {
        for other in &all[at + 1..] {
            assert_ne!(one, other, "{at}");
        }
    }
    assert_eq!(all[0], fingerprint("/v1/chat", &first()));
}

#[test]
fn a_name_that_we_made_makes_no_other_request() {
    let made = |name: &str| {
        let mut turn = new("apa?");
        turn.conversation_id = name.parse().unwrap();
        turn.conversation_name = ConversationName::Made;
        fingerprint("/v1/jobs", &turn)
    };
    assert_eq!(made("a"), made("b"));
}

/// A gateway whose queue takes `capacity` jobs.
async fn gateway(capacity: usize) -> Gateway {
    let config = BackendConfig::from_environment(&Default::default(), "test").unwrap();
    let backends = Backends {
        broker: Arc::new(MemoryBroker::new(capacity)),
        ..connect(&config).await.unwrap()
    };
    Gateway::new(backends, terms())
}

fn terms() -> Terms {
    Terms {
        deadline: Duration::from_secs(60),
        retention: Duration::from_secs(60),
        fair_share: 1,
    }
}

fn caller() -> Caller {
    Caller {
        tenant: Tenant::default(),
        request_id: RequestId::new(),
        traceparent: None,
        slot: None,
    }
}

async fn submit(gateway: &Gateway, turn: NewTurn) -> Result<CorrelationId, Problem> {
    let fingerprint = fingerprint("/v1/chat", &turn);
    match submit_once(gateway, "k", fingerprint, turn, caller()).await? {
        Submitted::Now(id) => Ok(id),
        Submitted::Before(view) => Ok(view.job.correlation_id),
    }
}

#[tokio::test]
async fn what_was_not_accepted_does_not_burn_the_key() {
    let gateway = gateway(1).await;
    let elsewhere = NewTurn {
        conversation_id: "lain".parse().unwrap(),
        ..new("lain")
    };
    gateway.submit(elsewhere, caller()).await.unwrap();
    assert_eq!(
        submit(&gateway, new("apa?")).await.unwrap_err().status(),
        503
    );
    let mut consumer = gateway
        .backends()
        .broker
        .consume(common::pipeline::Stage::Rag, 1)
        .await;
    consumer.receive().await.ack().await.unwrap();
    // With another body: the first was never a request that counts.
    let id = submit(&gateway, new("siapa?")).await.unwrap();
    assert_eq!(submit(&gateway, new("siapa?")).await.unwrap(), id);
    assert_eq!(
        submit(&gateway, new("apa?")).await.unwrap_err().status(),
        422
    );
}

/// As a process leaves it that dies between its claim and its job.
async fn left_behind(gateway: &Gateway, age: Duration) -> Claim {
    let now = UnixMillis::now();
    let claim = Claim {
        job: CorrelationId::new(),
        fingerprint: fingerprint("/v1/chat", &new("apa?")),
        at: UnixMillis(now.0 - common::time::whole_millis(age)),
        queued: false,
    };
    let key = IdempotencyKey::of(&Tenant::default(), "k");
    let claimed = gateway.backends().idempotency.claim(&key, &claim).await;
    assert_eq!(claimed, Ok(Claimed::Now));
    claim
}

#[tokio::test]
async fn a_claim_without_a_job_blocks_the_key_for_a_short_while_only() {
    for (age, expected) in [
        (Duration::ZERO, Some(409)),
        (LEFT - Duration::from_secs(2), Some(409)),
        (LEFT, None),
    ] {
        let gateway = gateway(10).await;
        left_behind(&gateway, age).await;
        let submitted = submit(&gateway, new("apa?")).await;
        let refused = submitted.err().map(|problem| problem.status().as_u16());
        assert_eq!(refused, expected, "{age:?}");
    }
}

/// Whoever began with it may still be at it.
#[tokio::test]
async fn a_job_that_is_submitted_twice_is_withdrawn_by_neither() {
    let gateway = gateway(10).await;
    let turn = new("apa?");
    let claim = left_behind(&gateway, Duration::ZERO).await;
    recorded(&gateway, &claim, &turn).await;
    assert_eq!(submit(&gateway, turn).await.unwrap(), claim.job);
    assert_eq!(queued(&gateway).await, [claim.job]);
    let replies = &gateway.backends().replies;
    let withdrawn = replies.withdraw(claim.job, &Event::Cancelled).await;
    assert_eq!(withdrawn, Ok(Withdrawn::Resubmitted));
}

/// The log of the job of `claim` is open.
async fn recorded(gateway: &Gateway, claim: &Claim, turn: &NewTurn) {
    let job = Job {
        correlation_id: claim.job,
        conversation_id: Some(turn.conversation_id.clone()),
        ..fixtures::job(Route::Text)
    };
    gateway.backends().replies.open(&job).await.unwrap();
}

/// The jobs whose messages are in the queue.
async fn queued(gateway: &Gateway) -> Vec<CorrelationId> {
    let broker = &gateway.backends().broker;
    let stage = common::pipeline::Stage::Rag;
    let mut jobs = Vec::new();
    let mut consumer = broker.consume(stage, 10).await;
    for _ in 0..broker.inspect(stage).await.unwrap().ready {
        let delivery = consumer.receive().await;
        jobs.push(delivery.envelope.correlation_id());
        delivery.ack().await.unwrap();
    }
    consumer.stop().await;
    jobs
}

/// As a process leaves it that dies between a job's log and its message.
#[tokio::test]
async fn the_same_request_again_queues_a_job_whose_message_never_was() {
    let gateway = gateway(10).await;
    let turn = new("apa?");
    let claim = left_behind(&gateway, LEFT).await;
    recorded(&gateway, &claim, &turn).await;
    assert_eq!(submit(&gateway, turn.clone()).await.unwrap(), claim.job);
    assert_eq!(queued(&gateway).await, [claim.job]);
    // It is known to be queued now.
    assert_eq!(submit(&gateway, turn).await.unwrap(), claim.job);
    assert_eq!(queued(&gateway).await, []);
}

#[tokio::test]
async fn the_same_request_again_leaves_a_job_alone_that_is_queued() {
    let gateway = gateway(10).await;
    let id = submit(&gateway, new("apa?")).await.unwrap();
    assert_eq!(submit(&gateway, new("apa?")).await.unwrap(), id);
    assert_eq!(queued(&gateway).await, [id]);
}

/// Confirms nothing, and hands each job to a worker at once, if it has one.
struct Unconfirming {
    worker: Option<JobLog>,
    broker: MemoryBroker,
}

#[async_trait::async_trait]
impl Broker for Unconfirming {
    async fn publish(&self, envelope: &Envelope) -> Result<(), PublishError> {
        if let Some(replies) = &self.worker {
            let started = StageStarted {
                stage: envelope.stage(),
                attempt: 1,
            };
            replies.begin_stage(&envelope.job, started).await.unwrap();
        }
        Err(PublishError::Unconfirmed)
    }

    async fn consume(&self, stage: Stage, prefetch: u16) -> Consumer {
        self.broker.consume(stage, prefetch).await
    }

    fn link(&self) -> Link {
        self.broker.link()
    }

    async fn inspect(&self, stage: Stage) -> Result<StageQueues, PublishError> {
        self.broker.inspect(stage).await
    }

    async fn dead_letters(
        &self,
        stage: Stage,
        limit: usize,
    ) -> Result<Vec<HeldLetter>, PublishError> {
        self.broker.dead_letters(stage, limit).await
    }

    async fn sweep(&self, stage: Stage, meant: &Meant<'_>) -> Result<Swept, PublishError> {
        self.broker.sweep(stage, meant).await
    }
}

#[tokio::test]
async fn a_job_that_is_worked_on_was_accepted_though_its_message_was_not_confirmed() {
    let backends = gateway(10).await.backends().clone();
    for (worker, accepted) in [(None, false), (Some(backends.replies.clone()), true)] {
        let broker = Arc::new(Unconfirming {
            worker,
            broker: MemoryBroker::new(10),
        });
        let backends = Backends {
            broker,
            ..backends.clone()
        };
        let gateway = Gateway::new(backends, terms());
        let submitted = submit(&gateway, new("apa?")).await;
        assert_eq!(submitted.is_ok(), accepted);
        if let Ok(id) = submitted {
            assert_eq!(submit(&gateway, new("apa?")).await.unwrap(), id);
        }
    }
}
