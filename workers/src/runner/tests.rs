use common::{
    backends::{BackendConfig, connect},
    pipeline::Route,
    testing::fixtures,
};
use tokio::sync::{Semaphore, mpsc};

use super::*;

mod committing;
mod following;
mod full_queue;

const TIME: Duration = Duration::from_millis(300);

/// Says when it begins, and ends when it is told to.
struct Held {
    begun: mpsc::UnboundedSender<()>,
    may_end: Semaphore,
}

#[async_trait::async_trait]
impl Handler for Held {
    async fn handle(
        &self,
        mut turn: Turn,
        _: &common::envelope::Job,
        _: &dyn Progress,
    ) -> Result<Turn, StageError> {
        self.begun.send(()).unwrap();
        self.may_end.acquire().await.unwrap().forget();
        turn.answer = Some(fixtures::answer("Itu."));
        Ok(turn)
    }

    fn events(&self, _: &Turn) -> Vec<Event> {
        Vec::new()
    }
}

/// A job on which two runs of its stage have begun: the older one, with the
/// message, by a runner; the newer one elsewhere.
struct Scene {
    backends: Backends,
    handler: Arc<Held>,
    begun: mpsc::UnboundedReceiver<()>,
    envelope: Envelope,
    newer: Run,
}

impl Scene {
    async fn new() -> Self {
        let config = BackendConfig::from_environment(&Default::default(), "test").unwrap();
        let backends = connect(&config).await.unwrap();
        let (sender, mut begun) = mpsc::unbounded_channel();
        let handler = Arc::new(Held {
            begun: sender,
            may_end: Semaphore::new(0),
        });
        let config = StageConfig {
            stage: Stage::Rag,
            concurrency: 1,
            timeout: TIME,
            retries: RetryPolicy::default(),
            grace: Duration::ZERO,
            retention: Retention::default(),
        };
        let stop = CancellationToken::new();
        start(config, handler.clone(), backends.clone(), stop).await;
        let envelope = fixtures::envelope(Route::Text);
        backends.replies.open(&envelope.job).await.unwrap();
        backends.broker.publish(&envelope).await.unwrap();
        begun.recv().await.unwrap();
        let started = StageStarted {
            stage: Stage::Rag,
            attempt: 1,
        };
        let newer = backends.replies.begin_stage(&envelope.job, started).await;
        let Ok(Begun::Started(newer)) = newer else {
            panic!("{newer:?}")
        };
        // The older one comes to its end, and hears of it.
        handler.may_end.add_permits(1);
        Self {
            backends,
            handler,
            begun,
            envelope,
            newer,
        }
    }

    async fn ended(&self) {
        self.backends
            .replies
            .ended(self.envelope.correlation_id())
            .await;
    }
}

/// Its process had lost its delivery, to the one that it then superseded.
#[tokio::test]
async fn a_job_whose_newest_run_vanishes_without_a_message_is_done_all_the_same() {
    let mut scene = Scene::new().await;
    timeout(10 * TIME, scene.begun.recv()).await.unwrap();
    scene.handler.may_end.add_permits(1);
    timeout(10 * TIME, scene.ended()).await.unwrap();
}

#[tokio::test]
async fn what_the_newest_run_completes_is_not_done_again() {
    let mut scene = Scene::new().await;
    let turn = &scene.envelope.turn;
    let completed = common::reply::CompletedStage {
        stage: Stage::Rag,
        run: &scene.newer,
        turn,
        withheld: None,
    };
    let events = [
        Event::StageCompleted {
            stage: Stage::Rag,
            duration_ms: 1.0,
            queued_ms: 1.0,
        },
        Event::Completed {
            turn: Box::new(turn.clone()),
        },
    ];
    let id = scene.envelope.correlation_id();
    let replies = &scene.backends.replies;
    let done = replies.complete_stage(id, &events, &completed).await;
    assert_eq!(done, Ok(Appended::Recorded));
    let again = timeout(3 * TIME, scene.begun.recv()).await;
    assert!(again.is_err(), "begun again");
}
