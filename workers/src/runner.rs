//! The loop of one stage: takes a message when there is room, runs its handler
//! within its time, and carries out the settlement.
//!
//! The order of effects is what keeps jobs from being lost: the outcome is
//! recorded in the reply log, the next message is published and confirmed, and
//! only then is this one acknowledged. A crash in between repeats a message;
//! the log then knows that the stage is complete and the handler is not run
//! again.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use common::{
    backends::Backends,
    broker::{Delivery, SettleError},
    envelope::Envelope,
    ids::CorrelationId,
    pipeline::Stage,
    reply::{Appended, Begun, CompletedStage, Event, StageStarted},
    retry::{Backoff, RetryPolicy},
    time::{UnixMillis, whole_millis},
    turn::Turn,
};
use futures::FutureExt as _;
use tokio::{
    sync::{Semaphore, watch},
    time::{Instant, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument as _, debug, error, info, info_span, warn};

use crate::{
    handler::{Admission, Handler, Progress, StageError},
    narration::Narration,
    settlement::{Settlement, postpone, settle},
};

/// How one stage is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageConfig {
    pub stage: Stage,
    /// Messages in work at the same time.
    pub concurrency: u16,
    /// Time for one try.
    pub timeout: Duration,
    pub retries: RetryPolicy,
    /// Time to finish what is in work after the order to stop.
    pub grace: Duration,
}

/// A running stage.
pub struct Running {
    pub stage: Stage,
    pub consuming: watch::Receiver<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    /// Waits until the stage has stopped: after the order, and its grace.
    pub async fn stopped(self) {
        if let Err(error) = self.task.await {
            error!(stage = %self.stage, %error, "the stage did not stop well");
        }
    }
}

/// Starts to work on `config.stage` until `stop`.
pub async fn start(
    config: StageConfig,
    handler: Arc<dyn Handler>,
    backends: Backends,
    stop: CancellationToken,
) -> Running {
    let stage = config.stage;
    let consumer = backends.broker.consume(stage, config.concurrency).await;
    let consuming = consumer.is_consuming();
    let runner = Arc::new(Runner {
        config,
        handler,
        backends,
    });
    Running {
        stage,
        consuming,
        task: tokio::spawn(runner.run(consumer, stop)),
    }
}

struct Runner {
    config: StageConfig,
    handler: Arc<dyn Handler>,
    backends: Backends,
}

impl Runner {
    async fn run(self: Arc<Self>, mut consumer: common::broker::Consumer, stop: CancellationToken) {
        let room = Arc::new(Semaphore::new(self.config.concurrency.into()));
        let in_work = TaskTracker::new();
        loop {
            let next = async {
                let permit = Arc::clone(&room).acquire_owned().await;
                (consumer.receive().await, permit)
            };
            tokio::select! {
                (delivery, permit) = next => {
                    let runner = Arc::clone(&self);
                    in_work.spawn(async move {
                        runner.work_on(delivery).await;
                        drop(permit);
                    });
                }
                () = stop.cancelled() => break,
            }
        }
        consumer.stop().await;
        in_work.close();
        let unfinished = timeout(self.config.grace, in_work.wait()).await.is_err();
        if unfinished {
            warn!(stage = %self.config.stage, jobs = in_work.len(), "stopping with jobs unfinished; they will be taken up again");
        }
        info!(stage = %self.config.stage, "stopped");
    }

    async fn work_on(&self, delivery: Delivery) {
        let envelope = &delivery.envelope;
        let span = info_span!(
            "stage",
            stage = %self.config.stage,
            correlation_id = %envelope.correlation_id(),
            request_id = %envelope.job.request_id,
            attempt = envelope.attempt,
        );
        let settled = async {
            let outcome = self.outcome_of(&delivery.envelope).await;
            self.carry_out(outcome, delivery).await
        };
        if let Err(SettleError(reason)) = settled.instrument(span.clone()).await {
            span.in_scope(|| warn!(reason, "a message could not be settled; it will come again"));
        }
    }

    async fn outcome_of(&self, envelope: &Envelope) -> Outcome {
        let now = UnixMillis::now();
        if envelope.job.is_expired(now) {
            return Outcome::Expired;
        }
        if self.handler.admit(&envelope.job).await == Admission::Later {
            return Outcome::NotYet;
        }
        let queued = UnixMillis::now().since(envelope.published_at);
        let started = StageStarted {
            stage: self.config.stage,
            attempt: envelope.attempt,
        };
        let replies = &self.backends.replies;
        match until_there("reply log", || {
            replies.begin_stage(&envelope.job, started.clone())
        })
        .await
        {
            Begun::Closed => return Outcome::AlreadyOver,
            Begun::AlreadyCompleted(turn) => return Outcome::CompletedBefore(turn),
            Begun::Started => {}
        }
        let begun = Instant::now();
        let (result, told) = self.handle_and_narrate(envelope).await;
        if result.is_err() && envelope.job.is_expired(UnixMillis::now()) {
            return Outcome::Expired;
        }
        let account = Account {
            told,
            duration: begun.elapsed(),
            queued,
        };
        Outcome::Ran(Box::new(Ran { result, account }))
    }

    /// Runs the handler while what it tells is recorded; gives what it told at
    /// the very end beside its result.
    async fn handle_and_narrate(
        &self,
        envelope: &Envelope,
    ) -> (Result<Turn, StageError>, Vec<Event>) {
        let narration = Narration::default();
        let record = async |events: Vec<Event>| {
            self.append(envelope.correlation_id(), &events).await;
        };
        narration
            .during(self.handle(envelope, &narration), record)
            .await
    }

    /// Runs the handler within its time; a panic is a failure of this job, not
    /// of the worker.
    async fn handle(
        &self,
        envelope: &Envelope,
        progress: &dyn Progress,
    ) -> Result<Turn, StageError> {
        let left = envelope.job.time_left(UnixMillis::now());
        let time = self.config.timeout.min(left);
        let turn = envelope.turn.clone();
        let work = self.handler.handle(turn, &envelope.job, progress);
        match timeout(time, AssertUnwindSafe(work).catch_unwind()).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(StageError::internal("panicked", "the handler panicked")),
            Err(_) => Err(StageError::transient(
                "stage_timeout",
                format!("not done within {time:?}"),
            )),
        }
    }

    async fn carry_out(&self, outcome: Outcome, delivery: Delivery) -> Result<(), SettleError> {
        match outcome {
            Outcome::AlreadyOver => {
                info!("the job is over; nothing to do");
                delivery.ack().await
            }
            Outcome::Expired => {
                info!("the job has expired");
                self.append(delivery.envelope.correlation_id(), &[Event::Expired])
                    .await;
                delivery.ack().await
            }
            Outcome::NotYet => {
                debug!("the job has to wait; it will be taken up again");
                let settlement = postpone(&delivery.envelope);
                self.carry_out_settlement(settlement, delivery, Account::default())
                    .await
            }
            Outcome::CompletedBefore(turn) => {
                info!("the stage was completed before; passing its outcome on");
                if let Some(next) = delivery.envelope.forwarded(*turn, UnixMillis::now()) {
                    self.publish(&next).await;
                }
                delivery.ack().await
            }
            Outcome::Ran(ran) => {
                let Ran { result, account } = *ran;
                if let Err(failed) = &result {
                    warn!(error = %failed, "the stage failed");
                }
                let now = UnixMillis::now();
                let settlement = settle(result, &delivery.envelope, &self.config.retries, now);
                self.carry_out_settlement(settlement, delivery, account)
                    .await
            }
        }
    }

    async fn carry_out_settlement(
        &self,
        settlement: Settlement,
        delivery: Delivery,
        account: Account,
    ) -> Result<(), SettleError> {
        let id = delivery.envelope.correlation_id();
        match settlement {
            Settlement::Forward { next } => {
                let last = None;
                let appended = self.record_completion(id, &next.turn, last, account).await;
                if appended == Appended::Recorded {
                    self.publish(&next).await;
                }
                delivery.ack().await
            }
            Settlement::Complete { turn } => {
                let last = Some(Event::Completed {
                    turn: Box::new(turn.clone()),
                });
                self.record_completion(id, &turn, last, account).await;
                delivery.ack().await
            }
            Settlement::Retry {
                next,
                delay,
                reason,
            } => {
                let retrying = Event::StageRetrying {
                    stage: self.config.stage,
                    attempt: delivery.envelope.attempt,
                    in_ms: whole_millis(delay),
                    reason: reason.to_owned(),
                };
                match self.append(id, &[retrying]).await {
                    Appended::Recorded => delivery.retry(&next, delay).await,
                    Appended::Closed => delivery.ack().await,
                }
            }
            Settlement::Postpone { next, delay } => delivery.retry(&next, delay).await,
            Settlement::Refuse { failure } => {
                self.append(id, &[Event::Failed { error: failure }]).await;
                delivery.ack().await
            }
            Settlement::DeadLetter { failure, reason } => {
                // The caller first: should the process end between the two,
                // the message comes again and is found to be over.
                self.append(id, &[Event::Failed { error: failure }]).await;
                error!(
                    code = reason.code,
                    detail = reason.detail,
                    "the job failed for good; its message is put aside"
                );
                delivery.dead_letter(&reason).await
            }
        }
    }

    async fn record_completion(
        &self,
        id: CorrelationId,
        turn: &Turn,
        last: Option<Event>,
        account: Account,
    ) -> Appended {
        let Account {
            told: mut events,
            duration,
            queued,
        } = account;
        events.extend(self.handler.events(turn));
        events.push(Event::StageCompleted {
            stage: self.config.stage,
            duration_ms: in_millis(duration),
            queued_ms: in_millis(queued),
        });
        events.extend(last);
        let completed = CompletedStage {
            stage: self.config.stage,
            turn,
        };
        let replies = &self.backends.replies;
        let appended = until_there("reply log", || {
            replies.complete_stage(id, &events, &completed)
        })
        .await;
        info!(
            duration_ms = in_millis(duration),
            queued_ms = in_millis(queued),
            "stage completed"
        );
        appended
    }

    async fn append(&self, id: CorrelationId, events: &[Event]) -> Appended {
        let replies = &self.backends.replies;
        until_there("reply log", || replies.append(id, events)).await
    }

    /// Publishes until the broker has it: a queue that is full drains, a broker
    /// that is away comes back, and the same message twice does no harm.
    async fn publish(&self, envelope: &Envelope) {
        let broker = &self.backends.broker;
        until_there("broker", || broker.publish(envelope)).await;
    }
}

/// What became of one try.
enum Outcome {
    /// The job had ended before.
    AlreadyOver,
    Expired,
    /// Something else has to happen before the stage may begin.
    NotYet,
    /// The stage had been completed before, with this turn.
    CompletedBefore(Box<Turn>),
    Ran(Box<Ran>),
}

struct Ran {
    result: Result<Turn, StageError>,
    account: Account,
}

/// What is told of a try beside its result.
#[derive(Default)]
struct Account {
    /// What the log does not have yet.
    told: Vec<Event>,
    duration: Duration,
    queued: Duration,
}

fn in_millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

/// Asks a shared store until it answers, for as long as the message is in hand:
/// giving the message back instead would only hand it to a worker that cannot
/// reach the store either, and count against its delivery limit.
async fn until_there<T, E, F>(store: &str, mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, E>>,
    E: std::fmt::Display,
{
    let mut backoff = Backoff::reconnecting();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => warn!(store, %error, "waiting for a store"),
        }
        backoff.wait().await;
    }
}
