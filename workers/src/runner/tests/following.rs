//! A stage that follows another one has one message, as soon as there is something to follow.

use common::{broker::Consumer, pipeline::RoutingSlip};
use futures::StreamExt as _;

use super::*;

/// Tells a piece of the answer, and ends when it is told to.
struct Writes {
    may_end: Semaphore,
}

#[async_trait::async_trait]
impl Handler for Writes {
    async fn handle(
        &self,
        mut turn: Turn,
        _: &Job,
        progress: &dyn Progress,
    ) -> Result<Turn, StageError> {
        progress.tell(Event::AnswerDelta { text: "Itu".into() });
        self.may_end.acquire().await.unwrap().forget();
        turn.answer = Some(fixtures::answer("Itu."));
        Ok(turn)
    }

    fn events(&self, _: &Turn) -> Vec<Event> {
        Vec::new()
    }
}

fn started(stage: Stage) -> StageStarted {
    StageStarted { stage, attempt: 1 }
}

fn at(stage: Stage) -> Envelope {
    let mut envelope = fixtures::envelope(Route::Voice);
    while envelope.stage() != stage {
        envelope.slip = envelope.slip.advanced().unwrap();
    }
    envelope
}

/// A worker of `stage` that is given one message.
async fn worker(stage: Stage) -> (Backends, Arc<Writes>, Envelope) {
    let config = BackendConfig::from_environment(&Default::default(), "test").unwrap();
    let backends = connect(&config).await.unwrap();
    let handler = Arc::new(Writes {
        may_end: Semaphore::new(0),
    });
    let config = StageConfig {
        stage,
        concurrency: 1,
        timeout: 10 * TIME,
        retries: RetryPolicy::default(),
        grace: Duration::ZERO,
        retention: Retention::default(),
    };
    start(
        config,
        handler.clone(),
        backends.clone(),
        CancellationToken::new(),
    )
    .await;
    let envelope = at(stage);
    backends.replies.open(&envelope.job).await.unwrap();
    (backends, handler, envelope)
}

async fn message(consumer: &mut Consumer) -> Option<Envelope> {
    let delivery = timeout(3 * TIME, consumer.receive()).await.ok()?;
    let envelope = delivery.envelope.clone();
    delivery.ack().await.unwrap();
    Some(envelope)
}

async fn is_complete(backends: &Backends, envelope: &Envelope, stage: Stage) {
    let mut log = backends.replies.follow(envelope.correlation_id(), 0);
    let done = async {
        loop {
            let record = log.next().await.unwrap().unwrap();
            if matches!(record.event, Event::StageCompleted { stage: done, .. } if done == stage) {
                return;
            }
        }
    };
    timeout(10 * TIME, done).await.expect("it is complete");
}

#[tokio::test]
async fn it_begins_with_the_first_piece_and_only_once() {
    let (backends, handler, envelope) = worker(Stage::Rag).await;
    let mut tts = backends.broker.consume(Stage::Tts, 1).await;
    backends.broker.publish(&envelope).await.unwrap();
    let early = message(&mut tts)
        .await
        .expect("while the answer is written");
    assert_eq!(early.turn, envelope.turn);
    assert!(early.log_seen.is_some());
    handler.may_end.add_permits(1);
    is_complete(&backends, &envelope, Stage::Rag).await;
    assert_eq!(message(&mut tts).await, None);
}

#[tokio::test]
async fn another_run_of_what_it_follows_sends_no_other_message() {
    let (backends, handler, envelope) = worker(Stage::Rag).await;
    let replies = &backends.replies;
    for stage in [Stage::Rag, Stage::Tts] {
        let begun = replies.begin_stage(&envelope.job, started(stage)).await;
        assert!(matches!(begun, Ok(Begun::Started(_))), "{begun:?}");
    }
    let mut tts = backends.broker.consume(Stage::Tts, 1).await;
    for _ in 0..2 {
        // The second finds it complete.
        backends.broker.publish(&envelope).await.unwrap();
        handler.may_end.add_permits(1);
        is_complete(&backends, &envelope, Stage::Rag).await;
        assert_eq!(message(&mut tts).await, None);
    }
}

#[tokio::test]
async fn what_it_follows_begins_again_where_nothing_tells_that_it_has() {
    for is_under_way in [false, true] {
        let (backends, _, envelope) = worker(Stage::Tts).await;
        let mut rag = backends.broker.consume(Stage::Rag, 1).await;
        if is_under_way {
            let begun = started(Stage::Rag);
            let begun = backends.replies.begin_stage(&envelope.job, begun).await;
            assert!(matches!(begun, Ok(Begun::Started(_))), "{begun:?}");
        }
        backends.broker.publish(&envelope).await.unwrap();
        let again = message(&mut rag).await;
        assert_eq!(again.is_none(), is_under_way);
        if let Some(again) = again {
            let expected: RoutingSlip = vec![Stage::Rag, Stage::Tts].try_into().unwrap();
            assert_eq!((again.slip, again.turn), (expected, envelope.turn));
        }
    }
}

/// Its worker ended, or its job, before it had told that it is complete.
#[tokio::test]
async fn what_it_follows_is_asked_once_more_for_what_it_withheld() {
    let (backends, _, envelope) = worker(Stage::Tts).await;
    let (replies, id) = (&backends.replies, envelope.correlation_id());
    let begun = replies
        .begin_stage(&envelope.job, started(Stage::Rag))
        .await;
    let Ok(Begun::Started(run)) = begun else {
        panic!("it begins: {begun:?}")
    };
    let mut turn = envelope.turn.clone();
    turn.answer = Some(fixtures::answer("Itu."));
    let completed = common::reply::CompletedStage {
        stage: Stage::Rag,
        run: &run,
        turn: &turn,
        withheld: Some(Event::StageCompleted {
            stage: Stage::Rag,
            duration_ms: 1.0,
            queued_ms: 0.0,
        }),
    };
    replies.complete_stage(id, &[], &completed).await.unwrap();
    let failure = common::reply::Failure {
        code: "vendor_away".into(),
        message: "…".into(),
        kind: common::reply::FailureKind::Unavailable,
        stage: Some(Stage::Tts),
    };
    let message = envelope.message_id();
    let failed = replies.fail(&envelope.job, &message, None, &failure).await;
    assert_eq!(failed, Ok(Appended::Recorded));
    let resumption = common::reply::Resumption {
        deadline: envelope.job.deadline.after(TIME),
        callback: None,
    };
    replies.resume(id, &resumption).await.unwrap();
    let job = Job {
        deadline: resumption.deadline,
        ..envelope.job.clone()
    };
    let mut rag = backends.broker.consume(Stage::Rag, 1).await;
    let again = envelope.resumed(job, UnixMillis::now());
    backends.broker.publish(&again).await.unwrap();
    assert_eq!(message_of(&mut rag).await, Some(Stage::Rag));
}

async fn message_of(consumer: &mut Consumer) -> Option<Stage> {
    message(consumer).await.map(|it| it.stage())
}
