//! Messages that are done with, while the queue of the next stage is full.

use common::broker::memory::MemoryBroker;

use super::*;

/// Says which jobs it begins, and is done at once.
struct Prompt(mpsc::UnboundedSender<common::ids::CorrelationId>);

#[async_trait::async_trait]
impl Handler for Prompt {
    async fn handle(
        &self,
        turn: Turn,
        job: &common::envelope::Job,
        _: &dyn Progress,
    ) -> Result<Turn, StageError> {
        self.0.send(job.correlation_id).unwrap();
        Ok(turn)
    }

    fn events(&self, _: &Turn) -> Vec<Event> {
        Vec::new()
    }
}

/// A stage of one slot, behind whose queue there is no room for another message.
struct Scene {
    backends: Backends,
    begun: mpsc::UnboundedReceiver<common::ids::CorrelationId>,
}

const SOON: Duration = Duration::from_secs(20);

impl Scene {
    async fn new() -> Self {
        let config = BackendConfig::from_environment(&Default::default(), "test").unwrap();
        let mut backends = connect(&config).await.unwrap();
        backends.broker = Arc::new(MemoryBroker::new(1));
        let envelope = fixtures::envelope(Route::Voice);
        let turn = envelope.turn.clone();
        let next = envelope.forwarded(turn, UnixMillis::now()).unwrap();
        backends.broker.publish(&next).await.unwrap();
        let (sender, begun) = mpsc::unbounded_channel();
        let config = StageConfig {
            stage: Stage::Stt,
            concurrency: 1,
            timeout: SOON,
            retries: RetryPolicy::default(),
            grace: Duration::ZERO,
            retention: Retention::default(),
        };
        let stop = CancellationToken::new();
        start(config, Arc::new(Prompt(sender)), backends.clone(), stop).await;
        Self { backends, begun }
    }

    /// A job that has so long; returns when it is begun.
    async fn job(&mut self, time: Duration) -> common::ids::CorrelationId {
        let mut envelope = fixtures::envelope(Route::Voice);
        envelope.job.deadline = UnixMillis::now().after(time);
        self.backends.replies.open(&envelope.job).await.unwrap();
        self.backends.broker.publish(&envelope).await.unwrap();
        let begun = timeout(SOON, self.begun.recv()).await;
        let begun = begun.expect("a slot is free").unwrap();
        assert_eq!(begun, envelope.correlation_id());
        begun
    }

    /// The jobs whose messages come on, when there is room.
    async fn come_on(&self, stage: Stage) -> Vec<common::ids::CorrelationId> {
        let mut consumer = self.backends.broker.consume(stage, 1).await;
        consumer.receive().await.ack().await.unwrap();
        let mut jobs = Vec::new();
        while let Ok(delivery) = timeout(10 * TIME, consumer.receive()).await {
            jobs.push(delivery.envelope.correlation_id());
            delivery.ack().await.unwrap();
        }
        jobs
    }
}

#[tokio::test]
async fn they_keep_no_slot_and_come_on_when_there_is_room() {
    let mut scene = Scene::new().await;
    let mut jobs = Vec::new();
    for _ in 0..3 {
        jobs.push(scene.job(SOON).await);
    }
    let mut come = scene.come_on(Stage::Emotion).await;
    come.sort();
    jobs.sort();
    assert_eq!(come, jobs);
}

#[tokio::test]
async fn one_whose_job_expires_is_done_with() {
    let mut scene = Scene::new().await;
    let id = scene.job(TIME).await;
    timeout(SOON, scene.backends.replies.ended(id))
        .await
        .expect("it expires");
    let log = scene.backends.replies.read(id, 0).await.unwrap();
    assert_eq!(log.last().unwrap().event, Event::Expired);
    assert_eq!(scene.come_on(Stage::Emotion).await, []);
}

#[tokio::test]
async fn one_whose_job_is_cancelled_is_done_with() {
    let mut scene = Scene::new().await;
    let id = scene.job(SOON).await;
    let cancelled = [Event::Cancelled];
    let replies = &scene.backends.replies;
    replies.append(id, &cancelled).await.unwrap();
    // Until it is heard of.
    sleep(TIME).await;
    assert_eq!(scene.come_on(Stage::Emotion).await, []);
}
