//! The loop of one stage: takes a message when there is room, runs its handler
//! within its time, and carries out the settlement.
//!
//! The order of effects is what keeps jobs from being lost: the outcome is
//! recorded in the reply log, the next message is published and confirmed, and
//! only then is this one acknowledged. A crash in between repeats a message;
//! the log then knows that the stage is complete and the handler is not run
//! again.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use common::{
    backends::Backends,
    broker::{Delivery, Incoming, SettleError},
    envelope::Envelope,
    pipeline::Stage,
    reply::{Appended, Begun, Event, MOST_RUNS, ReplyError, Retention, Run, StageStarted},
    retry::{Backoff, RetryPolicy},
    time::UnixMillis,
    turn::{Answer, Turn},
};
use futures::FutureExt as _;
use tokio::{
    sync::{Semaphore, SetOnce, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument as _, error, info, info_span, warn};

use company::Seat;

use crate::{
    handler::{Admission, Handler, Progress, StageError},
    narration::Narration,
    telling::{Next, Telling, Tidings},
};

mod company;
mod measures;
mod settling;
mod speaking;
mod unreadable;

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
    /// How long a job is kept after its end, and so how long it can be resumed.
    pub retention: Retention,
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
        out_of_time: CancellationToken::new(),
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
    /// The grace is over: what is in work is given back.
    out_of_time: CancellationToken,
}

/// Time to give back what is still in work after the grace, and to finish what
/// was broken off.
const GIVING_BACK: Duration = Duration::from_secs(2);

impl Runner {
    async fn run(self: Arc<Self>, mut consumer: common::broker::Consumer, stop: CancellationToken) {
        let room = Arc::new(Semaphore::new(self.config.concurrency.into()));
        let in_work = TaskTracker::new();
        loop {
            let next = async {
                let permit = Arc::clone(&room).acquire_owned().await;
                (consumer.next().await, permit)
            };
            tokio::select! {
                (incoming, permit) = next => {
                    let runner = Arc::clone(&self);
                    in_work.spawn(async move {
                        match incoming {
                            Incoming::Message(delivery) => runner.work_on(*delivery).await,
                            Incoming::Unreadable(unreadable) => runner.give_up(unreadable).await,
                        }
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
            self.out_of_time.cancel();
            // What is not given back by then comes back with the connection.
            let _ = timeout(GIVING_BACK, in_work.wait()).await;
        }
        let _ = timeout(GIVING_BACK, self.handler.finish()).await;
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
        let (id, message) = (envelope.correlation_id(), envelope.message_id());
        let settled = async {
            let outcome = self.outcome_of(&delivery).await;
            self.carry_out(outcome, delivery).await
        };
        let settled = async {
            tokio::select! {
                settled = settled => settled,
                // The delivery is dropped, and with that given back.
                () = self.out_of_time.cancelled() => {
                    self.let_go(id, &message).await;
                    Ok(())
                }
            }
        };
        if let Err(SettleError(reason)) = settled.instrument(span.clone()).await {
            span.in_scope(|| warn!(reason, "a message could not be settled; it will come again"));
        }
    }

    async fn outcome_of(&self, delivery: &Delivery) -> Outcome {
        let envelope = &delivery.envelope;
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
        let mut seat = Seat::shared().await;
        loop {
            let tried = match &envelope.turn.sentence {
                Some(sentence) => {
                    self.speak(envelope, sentence, started.clone(), queued, &seat)
                        .await
                }
                None => self.begin(delivery, started.clone(), queued, &seat).await,
            };
            match tried {
                Tried::Outcome(outcome) => return outcome,
                Tried::InCompany => {
                    info!("the message was in processes that ended; it is taken up alone");
                    // The others are not to be blamed for what it does, nor is it for what they do.
                    let (id, message) = (envelope.correlation_id(), envelope.message_id());
                    self.let_go(id, &message).await;
                    drop(seat);
                    seat = Seat::alone().await;
                }
            }
        }
    }

    async fn begin(
        &self,
        delivery: &Delivery,
        started: StageStarted,
        queued: Duration,
        seat: &Seat,
    ) -> Tried {
        let envelope = &delivery.envelope;
        let replies = &self.backends.replies;
        let begun = until_there("reply log", async || {
            // Who has it now is not to be superseded by who has it no more.
            if !delivery.is_held() {
                return Ok(None);
            }
            readable(replies.begin_stage(&envelope.job, started.clone()).await).map(Some)
        });
        let Some(begun) = begun.await else {
            return Outcome::NotRecorded(Appended::Lost).into();
        };
        match begun {
            None => Outcome::failed(envelope, unreadable_log()),
            Some(Begun::Closed) => Outcome::NotRecorded(Appended::Closed),
            Some(Begun::AlreadyCompleted { turn, take }) => Outcome::CompletedBefore { turn, take },
            Some(Begun::CrashesWorkers) => Outcome::failed(envelope, crashed_worker()),
            Some(Begun::Started(run)) if seat.is_too_shared_for(run.crashes) => {
                return Tried::InCompany;
            }
            Some(Begun::Started(run)) => self.run_stage(envelope, run, queued).await,
        }
        .into()
    }

    async fn run_stage(&self, envelope: &Envelope, run: Run, queued: Duration) -> Outcome {
        let begun = Instant::now();
        let telling = Mutex::new(Telling::new(run.told.clone(), next_of(envelope)));
        let narrated = self.handle_and_narrate(envelope, &run, &telling);
        let (result, told) = match narrated.await {
            Ok(narrated) => narrated,
            Err(why) => return Outcome::NotRecorded(why),
        };
        if result.is_err() && envelope.job.is_expired(UnixMillis::now()) {
            return Outcome::Expired;
        }
        let mut telling = telling.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut last = telling.tell(told);
        if let Some(answer) = written(envelope, &result) {
            last.extend(telling.finish(&answer.text));
        }
        let account = Account {
            run: Some(run),
            tidings: last,
            duration: begun.elapsed(),
            queued,
        };
        Outcome::Ran(Box::new(Ran { result, account }))
    }

    /// Runs the handler while what it tells is recorded and its sentences are
    /// sent on; gives what it told at the very end beside its result, or why it
    /// need not go on: the job is over, or another run has taken over.
    async fn handle_and_narrate(
        &self,
        envelope: &Envelope,
        run: &Run,
        telling: &Mutex<Telling>,
    ) -> Result<(Result<Turn, StageError>, Vec<Event>), Appended> {
        let narration = Narration::default();
        let needless = SetOnce::new();
        let steps = AtomicU32::new(0);
        let record = async |events: Vec<Event>| {
            let tidings = tell(telling, events);
            let step = steps.fetch_add(1, Ordering::Relaxed) + 1;
            match self.narrate(envelope, run, step, &tidings.events).await {
                Appended::Recorded => {
                    measures::first_token(&envelope.job, &tidings);
                    self.send_sentences(envelope, tidings.sentences).await;
                }
                why => {
                    // Once is enough.
                    let _ = needless.set(why);
                }
            }
        };
        let work = self.unless_interrupted(envelope, self.handle(envelope, &narration));
        tokio::select! {
            (result, told) = narration.during(work, record) => {
                Ok((result.ok_or(Appended::Closed)?, told))
            }
            why = needless.wait() => Err(*why),
        }
    }

    /// `None` when the job was ended from elsewhere before `work` was done,
    /// which is dropped then.
    async fn unless_interrupted<T>(
        &self,
        envelope: &Envelope,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let interrupted = async {
            // Most work is done sooner, and worth no subscription.
            sleep(SHORT_WORK).await;
            let id = envelope.correlation_id();
            self.backends.replies.ended(id).await;
        };
        tokio::select! {
            biased;
            done = work => Some(done),
            () = interrupted => None,
        }
    }

    async fn handle(
        &self,
        envelope: &Envelope,
        progress: &dyn Progress,
    ) -> Result<Turn, StageError> {
        let turn = envelope.turn.clone();
        let work = self.handler.handle(turn, &envelope.job, progress);
        self.within_time(envelope, work).await
    }

    /// The handler's work within its time; a panic is a failure of this job,
    /// not of the worker.
    async fn within_time(
        &self,
        envelope: &Envelope,
        work: impl Future<Output = Result<Turn, StageError>>,
    ) -> Result<Turn, StageError> {
        let left = envelope.job.time_left(UnixMillis::now());
        let time = self.config.timeout.min(left);
        match timeout(time, AssertUnwindSafe(work).catch_unwind()).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(StageError::internal("panicked", "the handler panicked")),
            Err(_) => Err(StageError::transient(
                "stage_timeout",
                format!("not done within {time:?}"),
            )),
        }
    }
}

/// What became of taking a message up.
enum Tried {
    Outcome(Outcome),
    /// Nothing was done: it is to be taken up alone.
    InCompany,
}

impl From<Outcome> for Tried {
    fn from(outcome: Outcome) -> Self {
        Self::Outcome(outcome)
    }
}

/// What became of one try.
enum Outcome {
    /// Nothing was done, or nothing that counts.
    NotRecorded(Appended),
    Expired,
    /// Something else has to happen before the stage may begin.
    NotYet,
    /// The stage had been completed before, with this turn.
    CompletedBefore {
        turn: Box<Turn>,
        take: u32,
    },
    /// A sentence of the answer is spoken, and others are missing.
    Spoken,
    Ran(Box<Ran>),
}

impl Outcome {
    fn failed(envelope: &Envelope, error: StageError) -> Self {
        if envelope.job.is_expired(UnixMillis::now()) {
            return Self::Expired;
        }
        Self::Ran(Box::new(Ran {
            result: Err(error),
            account: Account::default(),
        }))
    }
}

struct Ran {
    result: Result<Turn, StageError>,
    account: Account,
}

/// What is told of a try beside its result.
#[derive(Default)]
struct Account {
    /// That of a stage which is run as a whole.
    run: Option<Run>,
    /// What the log and the next stage do not have yet.
    tidings: Tidings,
    duration: Duration,
    queued: Duration,
}

fn crashed_worker() -> StageError {
    StageError::internal(
        "crashed_worker",
        format!("{MOST_RUNS} workers have ended while they worked on this try"),
    )
}

fn unreadable_log() -> StageError {
    StageError::internal(
        "unknown_version",
        "the reply log was written by another version",
    )
}

/// `None` for a log that another version wrote: to ask again is no use.
fn readable<T>(answer: Result<T, ReplyError>) -> Result<Option<T>, ReplyError> {
    match answer {
        Err(error @ ReplyError::Unreadable(_)) => {
            warn!(%error, "another version has to work on this job");
            Ok(None)
        }
        answer => answer.map(Some),
    }
}

/// The lock is held for no longer than this, and by one at a time.
fn tell(telling: &Mutex<Telling>, events: Vec<Event>) -> Tidings {
    let mut telling = telling.lock().unwrap_or_else(PoisonError::into_inner);
    telling.tell(events)
}

/// Work that is done within this time is not worth interrupting.
const SHORT_WORK: Duration = Duration::from_millis(20);

fn next_of(envelope: &Envelope) -> Next {
    match (envelope.stage(), envelope.slip.next()) {
        (Stage::Rag, Some(Stage::Tts)) => Next::Speaks,
        _ => Next::DoesNotSpeak,
    }
}

/// The answer, if it is this stage that wrote it.
fn written<'a>(envelope: &Envelope, result: &'a Result<Turn, StageError>) -> Option<&'a Answer> {
    let answer = result.as_ref().ok()?.answer.as_ref();
    answer.filter(|_| envelope.turn.answer.is_none())
}

fn in_millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

fn from_millis(millis: f64) -> Duration {
    Duration::try_from_secs_f64(millis / 1000.0).unwrap_or_default()
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

#[cfg(test)]
mod tests;
