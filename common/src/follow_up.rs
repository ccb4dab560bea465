//! What follows from a job outside of its log: the next job of its conversation goes on, the address that its client named is
//! told of its end, its recording goes.
//!
//! All of it may be repeated. Who records the end of a job does it at once, and who has a message of the job, before that is
//! acknowledged. For one that does not live to do it there is the [outbox](crate::outbox).

use std::time::Duration;

use tracing::{debug, warn};

use crate::{
    backends::Backends,
    broker::PublishError,
    callback,
    claim_check::Ticket,
    conversation::{ConversationError, ConversationKey, PastTurn, Place},
    envelope::{Envelope, Job},
    ids::CorrelationId,
    job::{JobView, overdue_from},
    outbox::{Entry, OutboxError, Taken},
    reply::{Appended, ReplyError},
    time::UnixMillis,
};

/// Until the relay looks at what was not done at once. At the messages that a conversation holds it looks again and again:
/// needed only after a process that was to send one on has ended, or when a job expires without a worker.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// It was not done, or is not known to be; ask again later.
#[derive(Debug, thiserror::Error)]
pub enum FollowUpError {
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error(transparent)]
    Conversation(#[from] ConversationError),
    #[error(transparent)]
    Reply(#[from] ReplyError),
    #[error(transparent)]
    Outbox(#[from] OutboxError),
}

/// The conversation in which `message` waits for its turn.
fn order_of(message: &Envelope) -> Option<ConversationKey> {
    let key = ConversationKey::of(&message.job)?;
    message.stage().takes_turns().then_some(key)
}

impl Backends {
    /// Publishes `message`; or has it held until the turn of its job comes, at a stage that takes turns.
    pub async fn send(&self, message: &Envelope) -> Result<(), FollowUpError> {
        if let Some(key) = order_of(message)
            && self.conversations.hold(&key, message).await? == Place::Behind
        {
            let soon = UnixMillis::now().after(LOOK_AGAIN);
            return Ok(self.outbox.note(&Entry::Turns(key), soon).await?);
        }
        Ok(self.broker.publish(message).await?)
    }

    /// As [`send`](Self::send), of a job that was [accepted](crate::conversation::Conversations::accept) at `place`.
    pub async fn send_first(&self, message: &Envelope, place: Place) -> Result<(), FollowUpError> {
        match place {
            Place::Next => Ok(self.broker.publish(message).await?),
            Place::Behind => self.send(message).await,
        }
    }

    /// Adds a turn to its conversation, and sends the next one on.
    pub async fn add_turn(
        &self,
        key: &ConversationKey,
        turn: PastTurn,
    ) -> Result<(), FollowUpError> {
        let next = self.conversations.append(key, turn).await?;
        self.try_release(key, next).await;
        Ok(())
    }

    /// The jobs behind `job`, which is over or never began, need not wait for it.
    pub async fn leave_conversation(&self, job: &Job) -> Result<(), FollowUpError> {
        let Some(key) = ConversationKey::of(job) else {
            return Ok(());
        };
        let conversations = &self.conversations;
        let next = conversations.remove_from_order(&key, job.correlation_id);
        self.try_release(&key, next.await?).await;
        Ok(())
    }

    /// What cannot be published now is so by the relay: nobody is held up by the job behind.
    async fn try_release(&self, key: &ConversationKey, message: Option<Envelope>) {
        if let Err(error) = self.release(key, message).await {
            debug!(%error, "the next turn of a conversation is sent on later");
        }
    }

    async fn release(
        &self,
        key: &ConversationKey,
        message: impl IntoIterator<Item = Envelope>,
    ) -> Result<(), FollowUpError> {
        for message in message {
            self.broker.publish(&message).await?;
            let job = message.correlation_id();
            self.conversations.published(key, job).await?;
        }
        Ok(())
    }

    /// Promises that the end of `job` is told to the address that it names.
    pub async fn promise_callback(&self, job: &Job) -> Result<(), FollowUpError> {
        if let Some(telling) = callback::telling(job, UnixMillis::now()) {
            let entry = entry_of(job, &telling);
            self.replies.open(&telling.job).await?;
            self.outbox.note(&entry, overdue_from(job.deadline)).await?;
        }
        Ok(())
    }

    /// What follows for a job that was withdrawn before it was accepted: nobody is told of it, or waits for it.
    pub async fn after_withdrawal(&self, job: &Job) {
        let withdrawn = async {
            if let Some(telling) = callback::telling(job, UnixMillis::now()) {
                self.outbox.strike(&entry_of(job, &telling)).await?;
                self.replies.erase(&telling.job).await?;
            }
            self.leave_conversation(job).await
        };
        if let Err(error) = withdrawn.await {
            let id = job.correlation_id;
            warn!(correlation_id = %id, %error, "its conversation waits for it until its deadline");
        }
        self.discard_recording(job).await;
    }

    /// Has the end of `job` be told to the address that it names; by the relay, where RabbitMQ does not take that now.
    pub async fn tell_end(&self, job: &Job) -> Result<(), FollowUpError> {
        let now = UnixMillis::now();
        let Some(telling) = callback::telling(job, now) else {
            return Ok(());
        };
        let entry = entry_of(job, &telling);
        match self.broker.publish(&telling).await {
            Ok(()) => Ok(self.outbox.strike(&entry).await?),
            Err(error) => {
                debug!(%error, "an end is told later");
                Ok(self.outbox.note(&entry, now.after(LOOK_AGAIN)).await?)
            }
        }
    }

    /// All that follows from the end of `job`, which has added no turn or is not known to.
    pub async fn after_end(&self, job: &Job) -> Result<(), FollowUpError> {
        self.leave_conversation(job).await?;
        self.tell_end(job).await?;
        self.discard_recording(job).await;
        Ok(())
    }

    /// What follows from the end of `job` for who finds that another has recorded it: that one tells of it, or the relay soon.
    pub async fn after_end_by_another(&self, job: &Job) -> Result<(), FollowUpError> {
        self.leave_conversation(job).await?;
        if let Some(telling) = callback::telling(job, UnixMillis::now()) {
            let soon = UnixMillis::now().after(LOOK_AGAIN);
            self.outbox.hasten(&entry_of(job, &telling), soon).await?;
        }
        self.discard_recording(job).await;
        Ok(())
    }

    /// As [`after_end`](Self::after_end), for a process that has no message of the job: what it cannot do now is done by a
    /// worker later.
    pub async fn try_after_end(&self, job: &Job) {
        if let Err(error) = self.after_end(job).await {
            warn!(correlation_id = %job.correlation_id, %error, "what follows from the end of a job comes later");
        }
    }

    /// Ends a job that no worker has taken up within its time.
    pub async fn expire(&self, job: &Job) -> Result<(), ReplyError> {
        let expired = self.replies.expire(job).await?;
        self.free_slot(job).await;
        if expired == Appended::Recorded {
            self.try_after_end(job).await;
        }
        Ok(())
    }

    /// A job that ends counts no more among those of its tenant. A slot that cannot be freed now is free at the job's deadline.
    pub async fn free_slot(&self, job: &Job) {
        // Nobody asked for a callback's job, so it has no slot.
        if job.callback_of.is_some() {
            return;
        }
        let id = job.correlation_id;
        if let Err(error) = self.quotas.leave(&job.tenant, id).await {
            warn!(correlation_id = %id, %error, "the job keeps its slot until its deadline");
        }
    }

    /// The recording of a job that is over is kept no longer, unless an operator may take the job up again. What cannot be
    /// discarded now goes when its time is up.
    pub async fn discard_recording(&self, job: &Job) {
        if !job.route.takes_recording() {
            return;
        }
        let id = job.correlation_id;
        let discard = async {
            let ending = self.replies.ending(id).await;
            let ending = ending.map_err(|error| error.to_string())?;
            if ending.is_none_or(|ending| ending.can_be_resumed) {
                return Ok(());
            }
            let discarded = self.claims.discard(&Ticket::of_input(id)).await;
            discarded.map_err(|error| error.to_string())
        };
        let discarded: Result<(), String> = discard.await;
        if let Err(error) = discarded {
            debug!(correlation_id = %id, error, "a recording stays until its time is up");
        }
    }

    /// Does what an entry of the outbox stands for, as far as its time has come.
    pub async fn relay(&self, taken: &Taken) -> Result<(), FollowUpError> {
        match &taken.entry {
            Entry::Turns(key) => {
                let ready = self.conversations.ready(key).await?;
                self.release(key, ready.messages).await?;
                if ready.holds_more {
                    return Ok(());
                }
                self.outbox.settle(taken, None).await?;
                // One may have been held since.
                if self.conversations.ready(key).await?.holds_more {
                    let soon = UnixMillis::now().after(LOOK_AGAIN);
                    self.outbox.note(&taken.entry, soon).await?;
                }
                Ok(())
            }
            Entry::Callback { job, callback } => self.relay_callback(taken, *job, *callback).await,
        }
    }

    async fn relay_callback(
        &self,
        taken: &Taken,
        id: CorrelationId,
        callback: CorrelationId,
    ) -> Result<(), FollowUpError> {
        let mut records = self.replies.read(id, 0).await?;
        let view = JobView::of(&records);
        if let Some(view) = view.filter(|it| it.is_overdue(UnixMillis::now())) {
            self.expire(&view.job).await?;
            records = self.replies.read(id, 0).await?;
        }
        if let Some(ended) = JobView::at_end_told_by(&records, callback) {
            self.tell_end(&ended.job).await?;
            return Ok(self.outbox.settle(taken, None).await?);
        }
        match JobView::of(&records) {
            Some(view) if view.outcome.is_none() && view.job.callback == Some(callback) => {
                let later = overdue_from(view.job.deadline);
                Ok(self.outbox.settle(taken, Some(later)).await?)
            }
            // Another tells of its end, or a log that was lost is begun again by its message, and the end told by that.
            _ => Ok(self.outbox.settle(taken, None).await?),
        }
    }
}

fn entry_of(job: &Job, telling: &Envelope) -> Entry {
    Entry::Callback {
        job: job.correlation_id,
        callback: telling.correlation_id(),
    }
}

#[cfg(test)]
mod tests;
