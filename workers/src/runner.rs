//! The loop of one stage: takes a message when a slot is free, runs its handler
//! within its time, and carries out the settlement.
//!
//! A slot is a message in work. Neither a message whose job is over keeps one, nor one that is done with but for a server
//! that does not take what follows ([`unsettled`]).
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
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use common::{
    backends::Backends,
    broker::{Delivery, Incoming, SettleError},
    envelope::{Envelope, Job},
    pipeline::Stage,
    reply::{Appended, Begun, Event, ReplyError, Retention, Run, StageStarted},
    retry::{Backoff, RetryPolicy},
    time::UnixMillis,
    turn::{Answer, Turn},
};
use futures::FutureExt as _;
use tokio::{
    sync::{SetOnce, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument as _, error, info, info_span, warn};

use company::Seat;
use following::{follower_of, is_of_answer};
use outcome::{Account, Narrated, Outcome, Over, Ran, Tried, crashed_worker, unreadable_log};
use room::{Room, Slot};
use unsettled::Unsettled;

use crate::{
    handler::{Handler, Progress, StageError},
    narration::Narration,
    slots::clock::{Clock, TimedOut},
    telling::{Telling, Tidings},
};

mod company;
mod completing;
mod following;
mod measures;
mod outcome;
mod room;
mod settling;
mod unreadable;
mod unsettled;

/// How one stage is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageConfig {
    pub stage: Stage,
    /// Messages in work at the same time: its slots.
    pub concurrency: u16,
    /// Time for one try, without that in which it waits for a slot of an engine or a provider.
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
        unsettled: Unsettled::beyond(config.concurrency),
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
    /// Messages that are done with but for a server, and have no slot.
    unsettled: Unsettled,
    /// The grace is over: what is in work is given back.
    out_of_time: CancellationToken,
}

/// Time to give back what is still in work after the grace, and to finish what
/// was broken off.
const GIVING_BACK: Duration = Duration::from_secs(2);

impl Runner {
    async fn run(self: Arc<Self>, mut consumer: common::broker::Consumer, stop: CancellationToken) {
        let room = Room::of(self.config.concurrency);
        let in_work = TaskTracker::new();
        loop {
            tokio::select! {
                (incoming, slot) = room.next(&mut consumer) => {
                    let runner = Arc::clone(&self);
                    in_work.spawn(async move {
                        match incoming {
                            Incoming::Message(delivery) => runner.work_on(*delivery, slot).await,
                            Incoming::Unreadable(unreadable) => {
                                let given_up = runner.give_up(unreadable);
                                runner.unsettled.during(given_up, slot).await;
                            }
                        }
                    });
                }
                // The broker would count them among those that it has handed out.
                () = self.unsettled.are_many() => consumer.renew().await,
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

    async fn work_on(&self, delivery: Delivery, slot: Slot) {
        let envelope = &delivery.envelope;
        let span = info_span!(
            "stage",
            stage = %self.config.stage,
            correlation_id = %envelope.correlation_id(),
            request_id = %envelope.job.request_id,
            attempt = envelope.attempt,
        );
        let id = envelope.correlation_id();
        let settled = async {
            let outcome = self.outcome_of(&delivery).await;
            let settled = self.carry_out(outcome, delivery);
            self.unsettled.during(settled, slot).await
        };
        let settled = async {
            tokio::select! {
                settled = settled => settled,
                // The delivery is dropped, and with that given back.
                () = self.out_of_time.cancelled() => {
                    self.let_go(id).await;
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
        let queued = UnixMillis::now().since(envelope.published_at);
        let started = StageStarted {
            stage: self.config.stage,
            attempt: envelope.attempt,
        };
        let mut seat = match self
            .while_under_way(&envelope.job, Seat::shared(self.config.stage))
            .await
        {
            Ok(seat) => seat,
            Err(over) => return over.into(),
        };
        loop {
            match self.begin(delivery, started.clone(), queued, &seat).await {
                Tried::Outcome(outcome) => return outcome,
                Tried::InCompany => {
                    info!("the message was in processes that ended; it is taken up alone");
                    // The others are not to be blamed for what it does, nor is it for what they do.
                    self.let_go(envelope.correlation_id()).await;
                    drop(seat);
                    seat = match self
                        .while_under_way(&envelope.job, Seat::alone(self.config.stage))
                        .await
                    {
                        Ok(seat) => seat,
                        Err(over) => return over.into(),
                    };
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
            let (job, seen) = (&envelope.job, envelope.log_seen);
            readable(replies.begin_stage_after(job, started.clone(), seen).await).map(Some)
        });
        let Some(begun) = begun.await else {
            return Outcome::NotRecorded(Appended::Lost).into();
        };
        match begun {
            None => Outcome::failed(envelope, unreadable_log()),
            Some(Begun::Closed) => Outcome::NotRecorded(Appended::Closed),
            Some(Begun::AlreadyCompleted { turn, begun }) => {
                Outcome::CompletedBefore { turn, begun }
            }
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
        let telling = Mutex::new(Telling::new(run.told.clone()));
        let clock = Clock::start();
        let narrated = async {
            self.have_the_followed_begin(envelope, &run).await?;
            self.handle_and_narrate(envelope, &run, &telling, &clock)
                .await
        };
        let Narrated {
            result,
            told,
            owes_follower,
        } = match narrated.await {
            Ok(narrated) => narrated,
            Err(outcome) => return outcome,
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
            owes_follower,
            duration: begun.elapsed().saturating_sub(clock.waited()),
            queued: queued + clock.waited(),
        };
        Outcome::Ran(Box::new(Ran { result, account }))
    }

    /// Runs the handler while what it tells is recorded, and has the stage that
    /// follows this one begin with the first piece of the answer; gives what is
    /// left to do of that beside its result, or why it need not go on: the job
    /// is over, or another run has taken over.
    async fn handle_and_narrate(
        &self,
        envelope: &Envelope,
        run: &Run,
        telling: &Mutex<Telling>,
        clock: &Arc<Clock>,
    ) -> Result<Narrated, Outcome> {
        let narration = Narration::default();
        let needless = SetOnce::new();
        let steps = AtomicU32::new(0);
        let owes_follower =
            AtomicBool::new(follower_of(envelope).is_some_and(|stage| !run.has_begun(stage)));
        // Where it is not confirmed in time it may be there all the same: once more is enough.
        let has_tried = AtomicBool::new(false);
        let record = async |events: Vec<Event>| {
            let tidings = tell(telling, events);
            match self.narrate(envelope, run, &steps, &tidings.events).await {
                Appended::Recorded => {
                    measures::told(&envelope.job, &tidings);
                    if owes_follower.load(Ordering::Relaxed)
                        && tidings.events.iter().any(is_of_answer)
                        && !has_tried.swap(true, Ordering::Relaxed)
                        && self.sends_to_follower(envelope, run).await
                    {
                        owes_follower.store(false, Ordering::Relaxed);
                    }
                }
                why => {
                    // Once is enough.
                    let _ = needless.set(why);
                }
            }
        };
        let work = self.handle(envelope, &narration, clock);
        let work = self.while_under_way(&envelope.job, work);
        let (result, told) = tokio::select! {
            // What was told last may have been refused as the work came to its end.
            biased;
            why = needless.wait() => return Err(Outcome::NotRecorded(*why)),
            (result, told) = narration.during(work, record) => (result?, told),
        };
        if let Some(why) = needless.get() {
            return Err(Outcome::NotRecorded(*why));
        }
        Ok(Narrated {
            result,
            told,
            owes_follower: owes_follower.into_inner(),
        })
    }

    /// Drops `work` when the job is over before it is done.
    async fn while_under_way<T>(
        &self,
        job: &Job,
        work: impl Future<Output = T>,
    ) -> Result<T, Over> {
        let mut end = self.backends.replies.end_of(job.correlation_id);
        let ended = async {
            // Most work is done sooner, and worth no look.
            sleep(SHORT_WORK).await;
            end.comes().await;
        };
        tokio::select! {
            biased;
            done = work => Ok(done),
            () = ended => Err(Over::Ended),
            () = sleep(job.time_left(UnixMillis::now())) => Err(Over::Expired),
        }
    }

    async fn handle(
        &self,
        envelope: &Envelope,
        progress: &dyn Progress,
        clock: &Arc<Clock>,
    ) -> Result<Turn, StageError> {
        let turn = envelope.turn.clone();
        let work = self.handler.handle(turn, &envelope.job, progress);
        self.within_time(work, clock).await
    }

    /// The handler's work within its time; a panic is a failure of this job,
    /// not of the worker.
    async fn within_time(
        &self,
        work: impl Future<Output = Result<Turn, StageError>>,
        clock: &Arc<Clock>,
    ) -> Result<Turn, StageError> {
        let time = self.config.timeout;
        let work = AssertUnwindSafe(work).catch_unwind();
        match clock.within(time, work).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(StageError::internal("panicked", "the handler panicked")),
            Err(TimedOut) => Err(StageError::transient(
                "stage_timeout",
                format!("not done within {time:?}"),
            )),
        }
    }
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

/// The answer, if it is this stage that wrote it.
fn written<'a>(envelope: &Envelope, result: &'a Result<Turn, StageError>) -> Option<&'a Answer> {
    let answer = result.as_ref().ok()?.answer.as_ref();
    let (route, stage) = (envelope.job.route, envelope.stage());
    answer.filter(|_| envelope.turn.answer.is_none() && !route.follows_at(stage))
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

#[cfg(test)]
mod tests;
