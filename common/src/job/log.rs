//! The log of a job, which is the job as its caller sees it.
//!
//! Stages append events under the correlation id (Enterprise Integration Patterns: *Return Address*, *Correlation
//! Identifier*); the API waits, polls or streams by reading them. Nobody keeps a second account of a job.
//!
//! Promises, held over every store (`testing::contracts::replies`):
//! - Events are numbered 1, 2, 3 … in the order in which they were appended.
//! - Nothing follows a terminal event: a late append answers [`Appended::Closed`]. One thing alone takes a job up again that
//!   has ended, an operator's [`resume`](JobLog::resume) of one that [`can_be_resumed`](crate::reply::can_be_resumed): then
//!   [`Event::Resumed`] follows, and another terminal event after it. The last terminal event is the one that holds.
//! - A job that was resumed has another deadline, and messages with an earlier one are stale: what is left of its life before
//!   neither begins a stage nor ends it.
//! - A stage whose completion was recorded is known to be complete, with the turn it produced, so that a duplicate of its
//!   message repeats no work.
//! - Of several runs of a stage the newest alone writes: an older one that is still alive gets [`Appended::Superseded`] (a
//!   *fencing token*).
//! - Speech of an answer that was begun anew is not recorded after the beginning of another.
//! - An attempt that ends the process of each worker that begins it is begun [`MOST_RUNS`](crate::reply::MOST_RUNS) times and
//!   then answered with [`Begun::CrashesWorkers`].
//! - A follower gets every event after its cursor once and in order, whichever process appended it, also when the store goes
//!   away for a while; its stream ends after the terminal event that holds. Who begins behind that one gets a resumption, if
//!   there is one.
//! - A log vanishes [`Retention`](crate::reply::Retention) after its last event.
//! - The store may come back with less than it had, or without the log. Whoever knows of more begins the log anew, under numbers
//!   that are higher than all before ([`Epoch`]): a follower then gets all that holds, and `answer.restarted` before an answer
//!   that is told again.
//! - A log that was [erased](JobLog::erase) holds one event, which tells that; it is begun again by nothing for as long.
//!
//! A command may be repeated because its answer was lost on the way: what it tells is stored once. A stage that is begun twice
//! is another run of it.

use std::{sync::Arc, time::Duration};

use futures::stream::BoxStream;
use tokio::time::timeout;

use super::{
    state::{Draft, JobState},
    store::{Append, Epoch, FIRST_EPOCH, JobStore, Snapshot, Stored, Version},
    watch::Topic,
};
use crate::{
    envelope::Job,
    ids::{CorrelationId, MessageId},
    pipeline::Stage,
    reply::{
        Appended, Begun, CompletedStage, Ending, Event, Failure, Record, ReplyError, Resumed,
        Resumption, Run, StageStarted, Told, Withdrawn,
    },
    retry::Backoff,
    time::{UnixMillis, whole_millis},
    turn::Turn,
};

pub use end::End;
pub use known::Known;
use loss::{begin_anew, read_on};

mod end;
mod known;
mod loss;

/// Of a log that only notes how a job ended of which nothing else is known.
const UNKNOWN_EPOCH: Epoch = FIRST_EPOCH + 1;

/// How long a follower trusts that no announcement means no news: one can be lost with a connection that dies unnoticed.
const LOOK_ANYWAY: Duration = Duration::from_secs(10);

/// The logs of all jobs.
#[derive(Clone)]
pub struct JobLog {
    store: Arc<dyn JobStore>,
    /// Another one for each process.
    process: Arc<str>,
}

/// By what a command is decided first.
enum Basis {
    /// What the store holds, which is to be no older than this.
    Load(Option<Version>),
    /// What is most likely so.
    Assume(Box<Snapshot>),
    /// There is no log yet.
    Nothing,
}

impl From<Option<Snapshot>> for Basis {
    fn from(known: Option<Snapshot>) -> Self {
        known.map_or(Self::Load(None), |it| Self::Assume(Box::new(it)))
    }
}

impl JobLog {
    pub fn new(store: Arc<dyn JobStore>) -> Self {
        Self {
            store,
            process: uuid::Uuid::now_v7().simple().to_string().into(),
        }
    }

    pub fn store(&self) -> &Arc<dyn JobStore> {
        &self.store
    }

    /// Has `rule` decide, and stores what follows; decides again when the log was changed in between. Gives the answer, and the
    /// log as it is then.
    async fn decide<T>(
        &self,
        id: CorrelationId,
        basis: Basis,
        new_epoch: Epoch,
        rule: impl Fn(&mut Draft) -> T,
    ) -> Result<(T, Option<Snapshot>), ReplyError> {
        let (mut before, mut is_assumed) = match basis {
            Basis::Load(seen) => {
                let found = self.store.load(id).await?;
                (self.with_all_that_was(id, seen, found).await?, false)
            }
            Basis::Assume(snapshot) => (Some(*snapshot), true),
            Basis::Nothing => (None, true),
        };
        loop {
            let expected = before.as_ref().map(|it| it.version);
            let epoch = expected.map_or(new_epoch, |it| it.epoch);
            let mut draft = Draft::of(epoch, before.as_ref().map(|it| it.state.clone()));
            let answer = rule(&mut draft);
            let Some(append) = append_of(draft, before.as_ref()) else {
                if !is_assumed {
                    return Ok((answer, before));
                }
                let found = self.store.load(id).await?;
                before = self.with_all_that_was(id, expected, found).await?;
                is_assumed = false;
                continue;
            };
            match self.store.append_if(id, expected, &append).await? {
                Stored::Appended => return Ok((answer, Some(append.snapshot))),
                Stored::Conflict(found) => {
                    let found = found.map(|it| *it);
                    before = self.with_all_that_was(id, expected, found).await?;
                    is_assumed = false;
                }
            }
        }
    }

    /// What the store has `found`, unless that is older than the version that was `seen`: then as it is when it was begun anew.
    async fn with_all_that_was(
        &self,
        id: CorrelationId,
        seen: Option<Version>,
        mut found: Option<Snapshot>,
    ) -> Result<Option<Snapshot>, ReplyError> {
        let Some(seen) = seen else {
            return Ok(found);
        };
        let has_less = |found: &Snapshot| found.version.is_less_than(seen);
        // Of a log that is over nothing is missing that counts.
        while let Some(less) = found.take_if(|it| has_less(it) && !it.state.is_terminal()) {
            found = begin_anew(self.store.as_ref(), id, less, seen.epoch).await?;
        }
        Ok(found)
    }

    async fn decided<T>(
        &self,
        id: CorrelationId,
        rule: impl Fn(&mut Draft) -> T,
    ) -> Result<T, ReplyError> {
        let decided = self
            .decide(id, Basis::Load(None), UNKNOWN_EPOCH, rule)
            .await?;
        Ok(decided.0)
    }

    /// As [`decided`](Self::decided), where `job` begins the log if it is gone.
    async fn decided_for<T>(
        &self,
        job: &Job,
        rule: impl Fn(&mut Draft) -> T,
    ) -> Result<T, ReplyError> {
        let (id, epoch) = (job.correlation_id, epoch_now(job));
        let decided = self.decide(id, Basis::Load(None), epoch, rule).await?;
        Ok(decided.0)
    }

    /// As [`decided`](Self::decided), on what `run` knows of the log.
    async fn decided_by<T>(
        &self,
        id: CorrelationId,
        run: Option<&Run>,
        rule: impl Fn(&mut Draft) -> T,
    ) -> Result<T, ReplyError> {
        let Some(run) = run else {
            return self.decided(id, rule).await;
        };
        let basis = Basis::from(run.known.get());
        let (answer, known) = self.decide(id, basis, UNKNOWN_EPOCH, rule).await?;
        run.known.set(known);
        Ok(answer)
    }

    /// Begins the log of `job` with its [`Event::Accepted`].
    pub async fn open(&self, job: &Job) -> Result<(), ReplyError> {
        let (id, open) = (job.correlation_id, |draft: &mut Draft| draft.open(job));
        self.decide(id, Basis::Nothing, FIRST_EPOCH, open).await?;
        Ok(())
    }

    /// Records that a stage begins, unless the job is over or the stage has been completed before.
    ///
    /// Should the log be gone (the store lost its data), it is begun again with `job`, so that the caller can still be
    /// answered.
    pub async fn begin_stage(&self, job: &Job, started: StageStarted) -> Result<Begun, ReplyError> {
        self.begin_stage_after(job, started, None).await
    }

    /// As [`begin_stage`](Self::begin_stage), on a log that was at the version `seen` when its message was sent.
    pub async fn begin_stage_after(
        &self,
        job: &Job,
        started: StageStarted,
        seen: Option<Version>,
    ) -> Result<Begun, ReplyError> {
        let id = job.correlation_id;
        let basis = first_look(job, &started, seen);
        let start = |draft: &mut Draft| draft.start_stage(job, started.clone(), &self.process);
        let (begun, known) = self.decide(id, basis, epoch_now(job), start).await?;
        let Begun::Started(mut run) = begun else {
            return Ok(begun);
        };
        if run.number > 1 || run.epoch != FIRST_EPOCH {
            let records = self.store.read(id, 0).await?.records;
            run.told = Told::by(records.iter().map(|record| &record.event));
        }
        run.known.set(known);
        Ok(Begun::Started(run))
    }

    /// Appends `events` at once; a terminal one, if any, comes last. Never begins a log: one without its [`Event::Accepted`]
    /// could be read by nobody.
    pub async fn append(
        &self,
        id: CorrelationId,
        events: &[Event],
    ) -> Result<Appended, ReplyError> {
        self.decided(id, |draft| draft.append(events)).await
    }

    /// Says that another process submits the job as well, one that may have been left half submitted: whoever began with it
    /// does not withdraw it any more. `false` when the job is over, so that there is nothing to submit.
    pub async fn resubmit(&self, id: CorrelationId) -> Result<bool, ReplyError> {
        self.decided(id, Draft::mark_resubmitted).await
    }

    /// Ends a job with `end`, unless a stage has begun on it: then it is under way, or was.
    pub async fn withdraw(&self, id: CorrelationId, end: &Event) -> Result<Withdrawn, ReplyError> {
        self.decided(id, |draft| draft.rollback_submit(end)).await
    }

    /// Like [`append`](Self::append), for what `run` tells while it works. `step` counts up from 1 with each call; to repeat
    /// one whose answer was lost tells nothing twice.
    pub async fn narrate(
        &self,
        id: CorrelationId,
        run: &Run,
        step: u32,
        events: &[Event],
    ) -> Result<Appended, ReplyError> {
        let append = |draft: &mut Draft| draft.append_progress(run, step, events);
        self.decided_by(id, Some(run), append).await
    }

    /// Like [`append`](Self::append), and records with it that `completed` is done. May be repeated, as
    /// [`narrate`](Self::narrate).
    pub async fn complete_stage(
        &self,
        id: CorrelationId,
        events: &[Event],
        completed: &CompletedStage<'_>,
    ) -> Result<Appended, ReplyError> {
        let complete = |draft: &mut Draft| draft.complete_stage(events, completed);
        self.decided_by(id, Some(completed.run), complete).await
    }

    /// Tells what was [withheld](CompletedStage::withheld) of the outcome of `stage`, and then `last`. By the `run` that
    /// made it, or by who found it complete. To repeat it tells nothing of the outcome twice.
    pub async fn release_stage(
        &self,
        id: CorrelationId,
        stage: Stage,
        run: Option<&Run>,
        last: &[Event],
    ) -> Result<Appended, ReplyError> {
        let release = |draft: &mut Draft| draft.release_stage(stage, run, last);
        self.decided_by(id, run, release).await
    }

    /// What `stage` made, once it is complete and while the job is not over.
    pub async fn outcome(
        &self,
        id: CorrelationId,
        stage: Stage,
    ) -> Result<Option<Turn>, ReplyError> {
        let snapshot = self.store.load(id).await?;
        Ok(snapshot.and_then(|it| it.state.outcome(stage).cloned()))
    }

    /// Ends the job as failed by `message`, which is about to be dead-lettered, and keeps in mind which it was, unless nobody
    /// can resume what ends so. Of a `run` that was superseded nothing is recorded. Begins a log that is gone as [`begin_stage`](Self::begin_stage) does.
    pub async fn fail(
        &self,
        job: &Job,
        message: &MessageId,
        run: Option<&Run>,
        failure: &Failure,
    ) -> Result<Appended, ReplyError> {
        self.decided_for(job, |draft| draft.fail(job, message, run, failure))
            .await
    }

    /// How the job ended; `None` while it is not over.
    pub async fn ending(&self, id: CorrelationId) -> Result<Option<Ending>, ReplyError> {
        let snapshot = self.store.load(id).await?;
        Ok(snapshot.and_then(|it| it.state.ending()))
    }

    /// Ends the job as expired, by the deadline that `job` has. Begins a log that is gone as [`begin_stage`](Self::begin_stage)
    /// does.
    pub async fn expire(&self, job: &Job) -> Result<Appended, ReplyError> {
        self.decided_for(job, |draft| draft.expire(job)).await
    }

    /// Takes a job up again that failed, until `resumption.deadline`. May be repeated: a job that goes on is told with the
    /// deadline that it has, unless that has passed and nothing came of it. Nor did anything come of it where the job expired
    /// without having begun.
    pub async fn resume(
        &self,
        id: CorrelationId,
        resumption: &Resumption,
    ) -> Result<Resumed, ReplyError> {
        let now = UnixMillis::now();
        self.decided(id, |draft| draft.resume(resumption, now))
            .await
    }

    /// The worker lets go of an attempt of `stage` that it has begun: that it did not end is nothing to hold against it.
    pub async fn let_go(&self, id: CorrelationId, stage: Stage) -> Result<(), ReplyError> {
        self.decided(id, |draft| draft.release_attempt(stage, &self.process))
            .await
    }

    /// Returns when the job is over, however it ended; waits for the log of one that is not known. Costs nothing while the log
    /// grows.
    pub async fn ended(&self, id: CorrelationId) {
        let mut end = self.end_of(id);
        if !end.is_there().await {
            end.comes().await;
        }
    }

    /// The end of a job that is not over, to be waited for.
    pub fn end_of(&self, id: CorrelationId) -> End {
        End {
            watch: self.store.watch(Topic::End(id)),
            log: self.clone(),
            id,
        }
    }

    /// Leaves [`Event::Erased`] alone of the log of `job`, with all that was decided by; ends the job with that, if nothing
    /// has. May be repeated. Does nothing where there is no log.
    pub async fn erase(&self, job: &Job) -> Result<(), ReplyError> {
        self.decided(job.correlation_id, |draft| draft.erase(job))
            .await
    }

    /// Every job that has a log and is not erased, in no order; one whose log is begun or vanishes meanwhile may be missing.
    /// Looks through the whole store: for operators.
    pub fn jobs(&self) -> BoxStream<'static, Result<Job, ReplyError>> {
        self.store.jobs()
    }

    /// The events after `cursor` (0 for all) that exist now; empty also when there is no such log.
    pub async fn read(&self, id: CorrelationId, cursor: u64) -> Result<Vec<Record>, ReplyError> {
        Ok(self.store.read(id, cursor).await?.records)
    }

    /// The events after `cursor`, those to come included. The stream of a log that does not exist waits for its first event.
    pub fn follow(
        &self,
        id: CorrelationId,
        mut cursor: u64,
    ) -> BoxStream<'static, Result<Record, ReplyError>> {
        let store = Arc::clone(&self.store);
        Box::pin(async_stream::stream! {
            let mut growth = store.watch(Topic::Growth(id));
            let mut backoff = Backoff::reconnecting();
            // What a caller claims to have seen is not known.
            let mut has_seen = false;
            loop {
                let news = match has_seen {
                    true => read_on(store.as_ref(), id, cursor).await,
                    false => store.read(id, cursor).await.map(|reading| reading.records),
                };
                match news {
                    Ok(news) => {
                        has_seen |= !news.is_empty();
                        backoff.reset();
                        let is_over = news.last().is_some_and(|last| last.event.is_terminal());
                        for record in news {
                            cursor = record.sequence_number;
                            yield Ok(record);
                        }
                        if is_over {
                            return;
                        }
                        let _ = timeout(LOOK_ANYWAY, growth.changed()).await;
                    }
                    Err(error) => {
                        yield Err(error);
                        backoff.wait().await;
                    }
                }
            }
        })
    }

    /// Whether the store answers.
    pub async fn ping(&self) -> Result<(), ReplyError> {
        self.store.ping().await
    }
}

/// What `draft` adds to the log as it was `before`; `None` when that is nothing.
fn append_of(draft: Draft, before: Option<&Snapshot>) -> Option<Append> {
    let Draft {
        epoch,
        state,
        events,
        erases,
    } = draft;
    let state = state?;
    if events.is_empty() && before.is_some_and(|it| it.state == state) {
        return None;
    }
    let at = UnixMillis::now();
    let first = state.last + 1 - events.len() as u64;
    let records = (first..)
        .zip(events)
        .map(|(sequence_number, event)| Record {
            sequence_number,
            at,
            event,
        });
    Some(Append {
        records: records.collect(),
        snapshot: Snapshot {
            version: match before {
                Some(before) => before.version.next(epoch),
                None => Version::first_of(epoch),
            },
            state,
        },
        erases,
    })
}

/// A message that comes for the first time to the first stage of its job finds the log as it was opened.
fn first_look(job: &Job, started: &StageStarted, seen: Option<Version>) -> Basis {
    let is_first = job.route.stages().first() == Some(&started.stage) && started.attempt == 1;
    if !is_first {
        return Basis::Load(seen);
    }
    Basis::Assume(Box::new(Snapshot {
        version: Version::FIRST,
        state: JobState::accepted(),
    }))
}

/// That of a log which begins now, and not with the submission of `job`.
fn epoch_now(job: &Job) -> Epoch {
    whole_millis(UnixMillis::now().since(job.accepted_at)).max(FIRST_EPOCH + 1)
}
