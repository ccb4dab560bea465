//! What follows from a try, in the order that keeps jobs from being lost.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use common::{
    broker::{DeadLetterReason, Delivery, SettleError},
    claim_check::Ticket,
    envelope::{Envelope, Job},
    erasure::sweep_erased,
    ids::CorrelationId,
    job::state::LAST_STEP,
    pipeline::Stage,
    reply::{Appended, Ending, Event, Failure, Run},
    time::{UnixMillis, whole_millis},
    turn::{Input, Turn},
};
use futures::StreamExt as _;
use tokio::time::timeout;
use tracing::{error, info, warn};

use super::{
    Account, Outcome, Over, Ran, Runner,
    following::{follower_of, for_follower},
    measures, readable, until_there,
};
use crate::settlement::{Settlement, settle};

/// The end of a job of which no stage is `next`.
fn end_with(turn: &Turn, next: Option<&Envelope>) -> Option<Event> {
    let turn = Box::new(turn.clone());
    next.is_none().then_some(Event::Completed { turn })
}

/// Time for the outcome of a stage that is complete to be taken up.
const PASSING_ON: Duration = Duration::from_secs(2);

impl Runner {
    pub(super) async fn carry_out(
        &self,
        outcome: Outcome,
        delivery: Delivery,
    ) -> Result<(), SettleError> {
        match outcome {
            Outcome::NotRecorded(why) => self.leave_off(why, delivery, None).await,
            Outcome::Expired => self.expire(delivery).await,
            Outcome::CompletedBefore { turn, begun } => {
                info!("the stage was completed before; passing its outcome on");
                self.pass_on(delivery, *turn, &begun).await
            }
            Outcome::Ran(ran) => {
                let Ran { result, account } = *ran;
                if let Err(failed) = &result {
                    warn!(error = %failed, "the stage failed");
                    measures::failed(self.config.stage, failed.code());
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
        let job = &delivery.envelope.job;
        let id = job.correlation_id;
        match settlement {
            Settlement::Forward { next } => {
                let turn = next.turn.clone();
                self.finish_stage(delivery, turn, Some(next), account).await
            }
            Settlement::Complete { turn } => self.finish_stage(delivery, turn, None, account).await,
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
                match self.append_last(id, &account, retrying).await {
                    Appended::Recorded => self.retry(delivery, &next, delay).await,
                    why => self.leave_off(why, delivery, None).await,
                }
            }
            Settlement::Refuse { failure } => {
                match self.fail(&delivery.envelope, &account, failure).await {
                    Appended::Recorded => {
                        measures::ended(job, "failed");
                        self.after_end(job).await;
                        delivery.ack().await
                    }
                    why => self.leave_off(why, delivery, None).await,
                }
            }
            Settlement::DeadLetter { failure, reason } => {
                // The caller first: should the process end between the two,
                // the message comes again and the log tells that it is the one.
                match self.fail(&delivery.envelope, &account, failure).await {
                    Appended::Recorded => {
                        measures::ended(job, "failed");
                        self.after_end(job).await;
                        self.put_aside(delivery, &reason).await
                    }
                    why => self.leave_off(why, delivery, Some(reason)).await,
                }
            }
        }
    }

    /// Records that the stage is complete with `turn`, and sends the job on with `next`, or has it end.
    async fn finish_stage(
        &self,
        delivery: Delivery,
        turn: Turn,
        next: Option<Envelope>,
        account: Account,
    ) -> Result<(), SettleError> {
        let envelope = &delivery.envelope;
        let Some(run) = account.run.clone() else {
            // Without one nothing is made.
            return self.leave_off(Appended::Lost, delivery, None).await;
        };
        let end = end_with(&turn, next.as_ref());
        let next = match follower_of(envelope) {
            Some(follower) if !account.owes_follower || run.has_begun(follower) => None,
            Some(_) => for_follower(envelope),
            None => next,
        };
        let is_over = end.is_some();
        let completed = self.complete(&envelope.job, &run, &turn, end, account);
        let completed = completed.await;
        let next = next.map(|next| Envelope {
            log_seen: run.log_seen(),
            ..next
        });
        self.go_on(completed, delivery, next, is_over).await
    }

    /// As [`finish_stage`](Self::finish_stage), of one that was complete before, with the stages that have `begun` since.
    async fn pass_on(
        &self,
        delivery: Delivery,
        turn: Turn,
        begun: &[Stage],
    ) -> Result<(), SettleError> {
        let envelope = &delivery.envelope;
        let next = envelope.forwarded(turn.clone(), UnixMillis::now());
        let end = end_with(&turn, next.as_ref());
        let next = match follower_of(envelope) {
            Some(follower) if begun.contains(&follower) => None,
            Some(_) => for_follower(envelope),
            None => next,
        };
        let is_over = end.is_some();
        let released = self.commit_and_release(&envelope.job, None, &turn, end);
        let released = released.await;
        self.go_on(released, delivery, next, is_over).await
    }

    async fn go_on(
        &self,
        completed: Result<Appended, Over>,
        delivery: Delivery,
        next: Option<Envelope>,
        is_over: bool,
    ) -> Result<(), SettleError> {
        let job = &delivery.envelope.job;
        match completed {
            Err(over) => self.leave_over(over, delivery).await,
            Ok(Appended::Recorded) if is_over => {
                measures::ended(job, "completed");
                // Its turn is added where there is one.
                until_there("what follows", || self.backends.tell_end(job)).await;
                self.backends.discard_recording(job).await;
                delivery.ack().await
            }
            Ok(Appended::Recorded) => match next {
                Some(next) => self.forward(delivery, &next).await,
                None => delivery.ack().await,
            },
            Ok(why) => self.leave_off(why, delivery, None).await,
        }
    }

    async fn leave_over(&self, over: Over, delivery: Delivery) -> Result<(), SettleError> {
        match over {
            Over::Expired => self.expire(delivery).await,
            Over::Ended => self.leave(delivery, None).await,
        }
    }

    async fn put_aside(
        &self,
        delivery: Delivery,
        reason: &DeadLetterReason,
    ) -> Result<(), SettleError> {
        error!(
            code = reason.code,
            detail = reason.detail,
            "the job failed for good; its message is put aside"
        );
        if let Input::Speech { ticket } = &delivery.envelope.turn.input {
            self.keep_recording(ticket).await;
        }
        let id = delivery.envelope.correlation_id();
        delivery.dead_letter(reason).await?;
        self.sweep_if_erased(id).await;
        Ok(())
    }

    /// Its job may have been erased after it failed, and before its message was
    /// among the dead letters: then whoever erased it has not found it there.
    pub(super) async fn sweep_if_erased(&self, id: CorrelationId) {
        let stage = self.config.stage;
        match sweep_erased(&self.backends, stage, vec![id]).await {
            Ok(0) => {}
            Ok(_) => info!("the job was erased meanwhile, and now its message"),
            Err(error) => warn!(%error, "it is not known whether the job was erased meanwhile"),
        }
    }

    /// For as long as its job can be resumed.
    pub(super) async fn keep_recording(&self, ticket: &Ticket) {
        let kept = self.backends.claims.keep(ticket, self.config.retention.0);
        if let Err(error) = kept.await {
            warn!(%error, "the job cannot be resumed for as long as it is kept");
        }
    }

    /// What becomes of a message whose outcome does not count, by `why` that is.
    pub(super) async fn leave_off(
        &self,
        why: Appended,
        delivery: Delivery,
        reason: Option<DeadLetterReason>,
    ) -> Result<(), SettleError> {
        match why {
            Appended::Recorded => unreachable!("what is recorded counts"),
            Appended::Closed => self.leave(delivery, reason).await,
            Appended::Superseded => self.stand_by(delivery).await,
            Appended::Void => {
                info!("the job was resumed since this message");
                delivery.ack().await
            }
            Appended::Lost => {
                info!("the message comes again, here or elsewhere");
                drop(delivery);
                Ok(())
            }
        }
    }

    /// Keeps a message until the run that has taken over is done, and its outcome
    /// with whom it belongs: the other process may hold a delivery that RabbitMQ
    /// has taken from it and given to us, so that this one is all there is. Where
    /// that cannot be told, or nothing more comes of the run, the message is given
    /// back; when it comes again, what was left undone is done.
    async fn stand_by(&self, delivery: Delivery) -> Result<(), SettleError> {
        if !delivery.is_held() {
            info!("another worker has been given the message, and has taken over");
            return Ok(());
        }
        info!("another worker has taken over; standing by");
        let job = &delivery.envelope.job;
        let mut log = self.backends.replies.follow(job.correlation_id, 0);
        let (mut is_complete, mut next_has_begun) = (false, false);
        loop {
            let patience = if is_complete {
                PASSING_ON
            } else {
                // Enough is to be left for another try.
                let left = job.time_left(UnixMillis::now());
                self.config.timeout.min(left / 2)
            };
            let Ok(Some(record)) = timeout(patience, log.next()).await else {
                break;
            };
            match record.map(|record| record.event) {
                Ok(Event::StageCompleted { stage, .. }) if stage == self.config.stage => {
                    is_complete = true;
                }
                Ok(Event::StageStarted(next))
                    if Some(next.stage) == delivery.envelope.slip.next() =>
                {
                    next_has_begun = true;
                }
                Ok(Event::Completed { .. }) => return delivery.ack().await,
                Ok(Event::Resumed(_)) => (is_complete, next_has_begun) = (false, false),
                // A store that is away only costs time.
                _ => {}
            }
            if is_complete && next_has_begun {
                return delivery.ack().await;
            }
        }
        info!("the message comes again");
        drop(delivery);
        Ok(())
    }

    /// Leaves a job alone that is over, or that this message is void of. The one by which it failed is put
    /// aside: its worker may have died after the one and before the other.
    async fn leave(
        &self,
        delivery: Delivery,
        reason: Option<DeadLetterReason>,
    ) -> Result<(), SettleError> {
        let replies = &self.backends.replies;
        let id = delivery.envelope.correlation_id();
        let ending = async || readable(replies.ending(id).await);
        let ending = until_there("reply log", ending).await.flatten();
        let Some(Ending { failed_by, .. }) = ending else {
            info!("the message is left over; nothing to do");
            return delivery.ack().await;
        };
        let job = &delivery.envelope.job;
        self.backends.free_slot(job).await;
        self.after_end_by_another(job).await;
        match failed_by.filter(|by| by.message == delivery.envelope.message_id()) {
            Some(by) => {
                let reason = reason.unwrap_or_else(|| DeadLetterReason {
                    code: by.code,
                    detail: "its worker ended before it was put aside".into(),
                });
                self.put_aside(delivery, &reason).await
            }
            None => {
                info!("the job is over; nothing to do");
                delivery.ack().await
            }
        }
    }

    async fn expire(&self, delivery: Delivery) -> Result<(), SettleError> {
        let replies = &self.backends.replies;
        let job = &delivery.envelope.job;
        self.backends.free_slot(job).await;
        let expire = async || readable(replies.expire(job).await);
        let expired = until_there("reply log", expire).await;
        match expired.unwrap_or(Appended::Closed) {
            Appended::Recorded => {
                info!("the job has expired");
                measures::ended(job, "expired");
                self.after_end(job).await;
                delivery.ack().await
            }
            why => self.leave_off(why, delivery, None).await,
        }
    }

    /// Best effort: what is not heard of counts as a crash, of which some are
    /// allowed.
    pub(super) async fn let_go(&self, id: CorrelationId) {
        let stage = self.config.stage;
        if let Err(error) = self.backends.replies.let_go(id, stage).await {
            warn!(%error, "a message that is given back may be taken for a crash");
        }
    }

    async fn fail(&self, envelope: &Envelope, account: &Account, failure: Failure) -> Appended {
        self.backends.free_slot(&envelope.job).await;
        let replies = &self.backends.replies;
        let (job, message) = (&envelope.job, envelope.message_id());
        let run = account.run.as_ref();
        let fail = async || readable(replies.fail(job, &message, run, &failure).await);
        // What another version has written is not for this one to end; its message is put aside all the same.
        let failed = until_there("reply log", fail).await;
        failed.unwrap_or(Appended::Recorded)
    }

    /// The last that a try tells which was not completed. Of a run that was
    /// superseded nobody hears: the newer one may do better.
    async fn append_last(&self, id: CorrelationId, account: &Account, last: Event) -> Appended {
        let Some(run) = &account.run else {
            return self.append(id, &[last]).await;
        };
        let replies = &self.backends.replies;
        let last = [last];
        until_there("reply log", || replies.narrate(id, run, LAST_STEP, &last)).await
    }

    /// Does what follows from the end of `job` outside of its log.
    pub(super) async fn after_end(&self, job: &Job) {
        until_there("what follows", || self.backends.after_end(job)).await;
    }

    pub(super) async fn after_end_by_another(&self, job: &Job) {
        until_there("what follows", || self.backends.after_end_by_another(job)).await;
    }

    async fn append(&self, id: CorrelationId, events: &[Event]) -> Appended {
        let replies = &self.backends.replies;
        until_there("reply log", || replies.append(id, events)).await
    }

    pub(super) async fn narrate(
        &self,
        envelope: &Envelope,
        run: &Run,
        steps: &AtomicU32,
        events: &[Event],
    ) -> Appended {
        if events.is_empty() {
            return Appended::Recorded;
        }
        // Without a gap: a step that is missing is one that the store has lost.
        let step = steps.fetch_add(1, Ordering::Relaxed) + 1;
        let replies = &self.backends.replies;
        let id = envelope.correlation_id();
        until_there("reply log", || replies.narrate(id, run, step, events)).await
    }

    /// Sends `next` on until the broker has it (a queue that is full drains, a broker that is away comes back, and the same
    /// message twice does no harm), and is done with `delivery`. Of a job that is over meanwhile nothing is sent any more.
    async fn forward(&self, delivery: Delivery, next: &Envelope) -> Result<(), SettleError> {
        let sent = until_there("broker", || self.backends.send(next));
        match self.while_under_way(&delivery.envelope.job, sent).await {
            Ok(()) => delivery.ack().await,
            Err(over) => self.leave_over(over, delivery).await,
        }
    }

    /// A message of a job that is over before RabbitMQ takes it is given back. It comes again at once, and then tells what
    /// its job has come to.
    async fn retry(
        &self,
        delivery: Delivery,
        next: &Envelope,
        delay: Duration,
    ) -> Result<(), SettleError> {
        let retried = self.while_under_way(&next.job, delivery.retry(next, delay));
        retried.await.unwrap_or(Ok(()))
    }
}
