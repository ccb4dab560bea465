//! What a stage leaves behind is what the caller was told, whoever died in between.

use std::sync::atomic::Ordering;

use common::{reply::CompletedStage, turn::Answer};

use super::*;

/// Answers differently each time, and keeps what it is to leave behind.
#[derive(Default)]
struct Fickle {
    runs: AtomicU32,
    committed: Mutex<Vec<Answer>>,
    /// So many commits fail.
    refuses: AtomicU32,
}

#[async_trait::async_trait]
impl Handler for Fickle {
    async fn handle(&self, mut turn: Turn, _: &Job, _: &dyn Progress) -> Result<Turn, StageError> {
        let run = self.runs.fetch_add(1, Ordering::Relaxed);
        turn.answer = Some(fixtures::answer(&format!("Jawaban {run}.")));
        Ok(turn)
    }

    fn events(&self, _: &Turn) -> Vec<Event> {
        Vec::new()
    }

    fn commits(&self, _: &Job) -> bool {
        true
    }

    async fn commit(&self, turn: &Turn, _: &Job) -> Result<(), StageError> {
        let refuse = |left: u32| left.checked_sub(1);
        let refused = self
            .refuses
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, refuse);
        if refused.is_ok() {
            return Err(StageError::transient("away", "the store is away"));
        }
        self.committed.lock().unwrap().extend(turn.answer.clone());
        Ok(())
    }
}

async fn backends() -> Backends {
    let config = BackendConfig::from_environment(&Default::default(), "test").unwrap();
    connect(&config).await.unwrap()
}

/// Has `envelope` worked on, and gives the answer that its caller gets.
async fn answered(backends: &Backends, handler: Arc<Fickle>, envelope: &Envelope) -> Answer {
    let config = StageConfig {
        stage: Stage::Rag,
        concurrency: 1,
        timeout: TIME,
        retries: RetryPolicy::default(),
        grace: Duration::ZERO,
        retention: Retention::default(),
    };
    start(config, handler, backends.clone(), CancellationToken::new()).await;
    backends.broker.publish(envelope).await.unwrap();
    let id = envelope.correlation_id();
    timeout(20 * TIME, backends.replies.ended(id))
        .await
        .unwrap();
    let records = backends.replies.read(id, 0).await.unwrap();
    let Event::Completed { turn } = &records.last().unwrap().event else {
        panic!("completed: {records:?}")
    };
    turn.answer.clone().unwrap()
}

#[tokio::test]
async fn what_is_left_behind_is_what_the_caller_gets_also_when_the_store_was_away() {
    let backends = backends().await;
    let handler = Arc::new(Fickle::default());
    handler.refuses.store(2, Ordering::Relaxed);
    let envelope = fixtures::envelope(Route::Text);
    backends.replies.open(&envelope.job).await.unwrap();
    let answer = answered(&backends, handler.clone(), &envelope).await;
    assert_eq!(*handler.committed.lock().unwrap(), [answer]);
    assert_eq!(handler.runs.load(Ordering::Relaxed), 1);
}

/// Another worker had recorded its answer, and died.
#[tokio::test]
async fn after_a_crash_what_was_recorded_is_left_behind_and_told() {
    let backends = backends().await;
    let envelope = fixtures::envelope(Route::Text);
    let (replies, id) = (&backends.replies, envelope.correlation_id());
    replies.open(&envelope.job).await.unwrap();
    let started = StageStarted {
        stage: Stage::Rag,
        attempt: 1,
    };
    let Ok(Begun::Started(run)) = replies.begin_stage(&envelope.job, started).await else {
        panic!("it begins")
    };
    let mut turn = envelope.turn.clone();
    turn.answer = Some(fixtures::answer("Jawaban yang tercatat."));
    let completed = CompletedStage {
        stage: Stage::Rag,
        run: &run,
        turn: &turn,
        withheld: None,
    };
    let recorded = replies.complete_stage(id, &[], &completed).await;
    assert_eq!(recorded, Ok(Appended::Recorded));

    let handler = Arc::new(Fickle::default());
    let answer = answered(&backends, handler.clone(), &envelope).await;
    assert_eq!(Some(&answer), turn.answer.as_ref());
    assert_eq!(*handler.committed.lock().unwrap(), [answer]);
    assert_eq!(handler.runs.load(Ordering::Relaxed), 0);
}
