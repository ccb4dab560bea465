//! Request and reply over the pipeline, without HTTP: submit a turn, wait for
//! its job, look at it.

use std::time::Duration;

use common::{
    backends::Backends,
    claim_check::ClaimError,
    conversation::{ConversationError, ConversationKey, PastTurn},
    feedback::Feedback,
    follow_up::FollowUpError,
    idempotency::IdempotencyError,
    ids::{ConversationId, CorrelationId, Tenant},
    job::log::End,
    reply::{Appended, Event, ReplyError},
    retry::Backoff,
    time::UnixMillis,
};
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use crate::job::JobView;
use backlog::Backlog;
use erasing::LastSweep;
pub use submitting::{Caller, ConversationName, NewInput, NewTurn, Recording, Unsubmitted};

mod backlog;
mod erasing;
pub mod following;
mod submitting;

/// Time beyond a job's deadline for its last event to arrive.
pub const SLACK: Duration = Duration::from_secs(2);

pub struct Gateway {
    backends: Backends,
    backlog: Backlog,
    terms: Terms,
    last_sweep: LastSweep,
}

/// What a job gets that asks for nothing else.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// From its acceptance to its deadline.
    pub deadline: Duration,
    /// Jobs of a tenant that may be interactive at the same time; those beyond
    /// wait with the batch jobs, so that they do not hold up those of others.
    pub fair_share: u32,
    /// How long it is kept after its end.
    pub retention: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// Nothing was accepted: too much is waiting already.
    #[error("the queue is full; there may be room in {retry_after:?}")]
    Overloaded { retry_after: Duration },
    /// Nothing was accepted, or nothing can be read: a server is away.
    #[error("{0}")]
    Unavailable(String),
    /// There is nothing to read of the job: its data were erased.
    #[error("the data of job {0} were erased")]
    Erased(CorrelationId),
}

impl From<ReplyError> for GatewayError {
    fn from(error: ReplyError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<ClaimError> for GatewayError {
    fn from(error: ClaimError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<IdempotencyError> for GatewayError {
    fn from(error: IdempotencyError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<FollowUpError> for GatewayError {
    fn from(error: FollowUpError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<ConversationError> for GatewayError {
    fn from(error: ConversationError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl Gateway {
    pub fn new(backends: Backends, terms: Terms) -> Self {
        Self {
            backends,
            backlog: Backlog::default(),
            terms,
            last_sweep: LastSweep::default(),
        }
    }

    pub fn backends(&self) -> &Backends {
        &self.backends
    }

    /// The turns of a conversation, the oldest first; empty when `tenant` has
    /// no such conversation.
    pub async fn conversation(
        &self,
        tenant: Tenant,
        id: ConversationId,
    ) -> Result<Vec<PastTurn>, GatewayError> {
        let key = ConversationKey { tenant, id };
        Ok(self.backends.conversations.history(&key).await?)
    }

    /// The job as it is now, or `None` when `tenant` has no such job.
    pub async fn look(
        &self,
        tenant: &Tenant,
        id: CorrelationId,
    ) -> Result<Option<JobView>, GatewayError> {
        let records = self.backends.replies.read(id, 0).await?;
        let view = JobView::of(records.iter()).filter(|view| view.belongs_to(tenant));
        match view {
            Some(view) if view.is_overdue(UnixMillis::now()) => self.expire(view).await.map(Some),
            view => Ok(view.inspect(|view| self.backlog.learn_from(view))),
        }
    }

    /// Ends a job that no worker has taken up within its time.
    async fn expire(&self, view: JobView) -> Result<JobView, GatewayError> {
        let id = view.job.correlation_id;
        self.backends.expire(&view.job).await?;
        // Its stage may have ended it in the same moment.
        let records = self.backends.replies.read(id, 0).await?;
        Ok(JobView::of(records.iter()).unwrap_or(view))
    }

    /// Ends the job, unless it is over already, and gives it as it then is;
    /// `None` when `tenant` has no such job. Its stage at work hears of it by
    /// the log.
    pub async fn cancel(
        &self,
        tenant: &Tenant,
        id: CorrelationId,
    ) -> Result<Option<JobView>, GatewayError> {
        let Some(view) = self.look(tenant, id).await? else {
            return Ok(None);
        };
        if view.outcome.is_some() {
            return Ok(Some(view));
        }
        let appended = self
            .backends
            .replies
            .append(id, &[Event::Cancelled])
            .await?;
        if appended == Appended::Recorded {
            info!(correlation_id = %id, "job cancelled");
            tokio::join!(
                self.backends.free_slot(&view.job),
                self.backends.try_after_end(&view.job)
            );
        }
        self.look(tenant, id).await
    }

    /// Keeps what was said of a job; `false` when `tenant` has no such job.
    pub async fn keep_feedback(
        &self,
        tenant: &Tenant,
        id: CorrelationId,
        feedback: &Feedback,
    ) -> Result<bool, GatewayError> {
        if self.look(tenant, id).await?.is_none() {
            return Ok(false);
        }
        let keep = self.terms.retention;
        match self.backends.keep_feedback(id, feedback, keep).await {
            Err(ClaimError::Gone) => Err(GatewayError::Erased(id)),
            kept => Ok(kept.map(|()| true)?),
        }
    }

    /// The job at its end, or as it is after `patience`. A store that is away
    /// for a while only costs time. `end` is there for a job that was submitted
    /// after it was made.
    pub async fn wait(
        &self,
        tenant: &Tenant,
        id: CorrelationId,
        end: Option<End>,
        patience: Duration,
    ) -> Result<Option<JobView>, GatewayError> {
        let until = Instant::now() + patience;
        let mut backoff = Backoff::reconnecting();
        let mut may_be_over = end.is_none();
        let mut end = end.unwrap_or_else(|| self.backends.replies.end_of(id));
        while may_be_over || timeout_at(until, end.comes()).await.is_ok() {
            match self.look(tenant, id).await {
                // Resumed in the same moment.
                Ok(Some(view)) if view.outcome.is_none() => may_be_over = false,
                Err(error) => {
                    warn!(correlation_id = %id, %error, "waiting for the reply log");
                    may_be_over = timeout_at(until, backoff.wait()).await.is_ok();
                }
                settled => return settled,
            }
        }
        self.look(tenant, id).await
    }
}
