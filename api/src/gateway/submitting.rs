//! Taking responsibility for a turn: its job is recorded, then queued.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use common::{
    backends::Backends,
    broker::{Link, PublishError},
    callback::CallbackUrl,
    claim_check::Item,
    conversation::{ConversationKey, Place},
    envelope::{Envelope, Job},
    follow_up::FollowUpError,
    ids::{ConversationId, CorrelationId, RequestId, Tenant},
    job::NOT_QUEUED,
    pipeline::Route,
    priority::Priority,
    reply::{Event, Failure, FailureKind, ReplyError, Withdrawn},
    time::UnixMillis,
    turn::{Input, Turn},
};
use tracing::{info, warn};

use super::{Gateway, GatewayError, SLACK};
use crate::{byte_budget::Hold, job_slot::JobSlot};

/// A validated turn, to be submitted.
#[derive(Clone, Debug)]
pub struct NewTurn {
    pub route: Route,
    pub input: NewInput,
    pub conversation_id: ConversationId,
    pub conversation_name: ConversationName,
    pub voice: Option<String>,
    pub response_format: Option<String>,
    /// Without one it follows from how the answer is waited for.
    pub priority: Option<Priority>,
    /// From its acceptance to its end; without one the deadline is as
    /// configured.
    pub timeout: Option<Duration>,
    /// Told of the job's end.
    pub callback: Option<CallbackUrl>,
}

impl NewTurn {
    /// In a conversation that the client has named; asks for nothing else.
    pub fn new(route: Route, input: NewInput, conversation_id: ConversationId) -> Self {
        Self {
            route,
            input,
            conversation_id,
            conversation_name: ConversationName::Given,
            voice: None,
            response_format: None,
            priority: None,
            timeout: None,
            callback: None,
        }
    }
}

/// Where a conversation has its name from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConversationName {
    Given,
    /// By us: the client named none.
    Made,
}

#[derive(Clone)]
pub enum NewInput {
    Text(String),
    Speech(Recording),
}

impl std::fmt::Debug for NewInput {
    /// User text and audio are in no log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Speech(recording) => write!(f, "{recording:?}"),
        }
    }
}

/// A recording until it is checked in.
#[derive(Clone)]
pub struct Recording {
    pub bytes: Bytes,
    /// What the bytes count as. Not attached to them: those that are checked in
    /// may be the same, and are the store's.
    hold: Option<Arc<Hold>>,
}

impl Recording {
    pub fn held(bytes: Bytes, hold: Hold) -> Self {
        Self {
            bytes,
            hold: Some(Arc::new(hold)),
        }
    }
}

/// One that nobody counts.
impl From<Bytes> for Recording {
    fn from(bytes: Bytes) -> Self {
        Self { bytes, hold: None }
    }
}

impl PartialEq for Recording {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl std::fmt::Debug for Recording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Recording({} bytes)", self.bytes.len())
    }
}

/// Who asks, and within which request.
#[derive(Clone, Debug)]
pub struct Caller {
    pub tenant: Tenant,
    pub request_id: RequestId,
    pub traceparent: Option<String>,
    /// For the job that is asked for; `None` when nobody counts them.
    pub slot: Option<Arc<JobSlot>>,
}

impl Caller {
    /// What the job that is asked for is to be called.
    pub fn new_job_id(&self) -> CorrelationId {
        let slot = self.slot.as_ref();
        slot.map_or_else(CorrelationId::new, |slot| slot.job())
    }
}

/// Why a job was not submitted, and what may come of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsubmitted {
    /// Nothing.
    Nothing(GatewayError),
    /// It may be worked on: that could not be found out.
    Maybe(GatewayError),
}

impl Unsubmitted {
    pub fn into_error(self) -> GatewayError {
        match self {
            Self::Nothing(error) | Self::Maybe(error) => error,
        }
    }
}

impl From<GatewayError> for Unsubmitted {
    fn from(error: GatewayError) -> Self {
        Self::Nothing(error)
    }
}

impl Gateway {
    /// How long the end of `new` may take to be heard of.
    pub fn patience(&self, new: &NewTurn) -> Duration {
        new.timeout.unwrap_or(self.terms.deadline) + SLACK
    }

    /// Takes responsibility for a turn. After `Ok` the job reaches an end that
    /// its caller can read.
    pub async fn submit(
        &self,
        new: NewTurn,
        caller: Caller,
    ) -> Result<CorrelationId, GatewayError> {
        let id = caller.new_job_id();
        let submitted = self.submit_as(id, new, caller).await;
        submitted.map(|()| id).map_err(Unsubmitted::into_error)
    }

    /// Like [`submit`](Self::submit), for a job that has its name already.
    pub async fn submit_as(
        &self,
        id: CorrelationId,
        new: NewTurn,
        caller: Caller,
    ) -> Result<(), Unsubmitted> {
        self.refuse_when_cut_off()?;
        let slot = caller.slot.clone();
        let job = self.new_job(id, &new, caller);
        let first = self.first_message(&job, new).await?;
        let (recorded, ()) = tokio::join!(self.record(&job), demote(&job, slot.as_deref()));
        if let Err(error) = self.queue(&first, recorded?).await {
            self.take_back(&job, error).await?;
        }
        if let Some(slot) = slot {
            slot.keep(job.deadline).await;
        }
        info!(correlation_id = %id, route = %job.route, "job accepted");
        Ok(())
    }

    /// Goes on with a submission that a process may have left when it died. All
    /// that it does may have been done before, and does no harm twice. `false`
    /// when the job is over: whoever began with it has withdrawn it.
    pub async fn resume(&self, job: Job, new: NewTurn) -> Result<bool, GatewayError> {
        if !self.backends.replies.resubmit(job.correlation_id).await? {
            return Ok(false);
        }
        let first = self.first_message(&job, new).await?;
        let recorded = self.record(&job).await;
        let place = recorded.map_err(Unsubmitted::into_error)?;
        self.queue(&first, place).await?;
        info!(correlation_id = %job.correlation_id, "queued a job that was left half submitted");
        Ok(true)
    }

    /// Checks the input in.
    async fn first_message(&self, job: &Job, new: NewTurn) -> Result<Envelope, GatewayError> {
        let turn = self.turn(job, new).await?;
        Ok(Envelope::first(job.clone(), turn, UnixMillis::now()))
    }

    /// The promise of a callback first: once the job is accepted, no crash loses
    /// it.
    async fn queue(&self, first: &Envelope, place: Place) -> Result<(), GatewayError> {
        self.backends.promise_callback(&first.job).await?;
        let sent = self.backends.send_first(first, place).await;
        sent.map_err(|error| match error {
            FollowUpError::Publish(PublishError::Full) => GatewayError::Overloaded {
                retry_after: self.backlog.drained_in(first.job.priority),
            },
            other => other.into(),
        })
    }

    /// Saves the work of storing anything for a job that cannot be queued.
    fn refuse_when_cut_off(&self) -> Result<(), GatewayError> {
        match self.backends.broker.link() {
            Link::Up => Ok(()),
            link => Err(GatewayError::Unavailable(format!("the broker is {link:?}"))),
        }
    }

    fn new_job(&self, id: CorrelationId, new: &NewTurn, caller: Caller) -> Job {
        let now = UnixMillis::now();
        Job {
            correlation_id: id,
            request_id: caller.request_id,
            tenant: caller.tenant,
            route: new.route,
            priority: self.priority(new, caller.slot.as_deref()),
            accepted_at: now,
            deadline: now.after(new.timeout.unwrap_or(self.terms.deadline)),
            traceparent: caller.traceparent,
            conversation_id: Some(new.conversation_id.clone()),
            response_format: new.response_format.clone(),
            callback: new.callback.as_ref().map(|_| CorrelationId::new()),
            callback_url: new.callback.clone(),
            callback_of: None,
        }
    }

    fn priority(&self, new: &NewTurn, slot: Option<&JobSlot>) -> Priority {
        let asked_for = new.priority.unwrap_or_default();
        match slot {
            Some(slot) if slot.interactive_jobs() > self.terms.fair_share => Priority::Batch,
            _ => asked_for,
        }
    }

    async fn turn(&self, job: &Job, new: NewTurn) -> Result<Turn, GatewayError> {
        let input = match new.input {
            NewInput::Text(text) => Input::Text { text },
            NewInput::Speech(Recording { bytes, hold }) => {
                // Needed until the deadline; a little longer for a late retry.
                let keep = job.deadline.since(job.accepted_at) * 2;
                let (claims, id) = (&self.backends.claims, job.correlation_id);
                let ticket = claims.check_in(id, Item::Input, bytes, keep).await?;
                drop(hold);
                Input::Speech { ticket }
            }
        };
        let mut turn = Turn::new(input);
        turn.voice = new.voice;
        Ok(turn)
    }

    /// Opens the log of `job` and gives it its place in its conversation, both
    /// at once. Before its message is published: a worker must find them.
    async fn record(&self, job: &Job) -> Result<Place, Unsubmitted> {
        let Backends {
            replies,
            conversations,
            ..
        } = &self.backends;
        let accept = async {
            match ConversationKey::of(job) {
                Some(key) => {
                    let id = job.correlation_id;
                    conversations.accept(&key, id, job.deadline).await
                }
                None => Ok(Place::Next),
            }
        };
        let half_done = match tokio::join!(replies.open(job), accept) {
            (Ok(()), Ok(place)) => return Ok(place),
            // The store is away: to tell it of the end as well would only keep
            // the caller waiting.
            (Err(error), Err(_)) => return Err(Unsubmitted::Maybe(error.into())),
            (Err(error), Ok(_)) => GatewayError::from(error),
            (Ok(()), Err(error)) => GatewayError::from(error),
        };
        Err(match self.withdraw(job, &half_done).await {
            Ok(Withdrawn::Ended) => {
                self.backends.after_withdrawal(job).await;
                Unsubmitted::Nothing(half_done)
            }
            // Another process submits it, or that could not be found out.
            Ok(Withdrawn::Begun | Withdrawn::Resubmitted) | Err(_) => Unsubmitted::Maybe(half_done),
        })
    }

    /// For a job that could not be queued, as far as is known. Its message may
    /// have been stored all the same and be worked on: then it was accepted.
    async fn take_back(&self, job: &Job, error: GatewayError) -> Result<(), Unsubmitted> {
        match self.withdraw(job, &error).await {
            Ok(Withdrawn::Begun) => {
                info!(correlation_id = %job.correlation_id, "a job is worked on whose message was not confirmed");
                Ok(())
            }
            Ok(Withdrawn::Ended) => {
                self.backends.after_withdrawal(job).await;
                Err(Unsubmitted::Nothing(error))
            }
            Ok(Withdrawn::Resubmitted) | Err(_) => Err(Unsubmitted::Maybe(error)),
        }
    }

    /// The caller is told that nothing was accepted, so nothing must come of it:
    /// should the message of `job` have been stored after all, its worker finds
    /// the job over.
    async fn withdraw(
        &self,
        job: &Job,
        error: &impl std::fmt::Display,
    ) -> Result<Withdrawn, ReplyError> {
        let id = job.correlation_id;
        warn!(correlation_id = %id, %error, "a job could not be queued");
        let error = Failure {
            code: NOT_QUEUED.into(),
            message: "The job could not be queued.".into(),
            kind: FailureKind::Unavailable,
            stage: None,
        };
        let end = Event::Failed { error };
        let withdrawn = self.backends.replies.withdraw(id, &end).await;
        if let Err(error) = &withdrawn {
            warn!(correlation_id = %id, %error, "its log could not be closed");
        }
        withdrawn
    }
}

/// A batch job takes nothing of its tenant's share of the interactive ones.
async fn demote(job: &Job, slot: Option<&JobSlot>) {
    if let (Priority::Batch, Some(slot)) = (job.priority, slot) {
        slot.demote().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use common::{
        backends::{BackendConfig, connect},
        broker::memory::MemoryBroker,
    };

    use super::*;
    use crate::gateway::Terms;

    #[tokio::test]
    async fn a_job_that_could_not_be_queued_holds_up_none_behind_it() {
        let config = BackendConfig::from_environment(&Default::default(), "test").unwrap();
        let backends = Backends {
            broker: Arc::new(MemoryBroker::new(1)),
            ..connect(&config).await.unwrap()
        };
        let terms = Terms {
            deadline: Duration::from_secs(60),
            retention: Duration::from_secs(60),
            fair_share: 1,
        };
        let gateway = Gateway::new(backends, terms);
        let caller = Caller {
            tenant: Tenant::default(),
            request_id: RequestId::new(),
            traceparent: None,
            slot: None,
        };
        let text = NewInput::Text("apa?".into());
        let new = NewTurn::new(Route::Text, text, "a".parse().unwrap());
        let submit = |new: &NewTurn| gateway.submit(new.clone(), caller.clone());
        let elsewhere = NewTurn {
            conversation_id: "b".parse().unwrap(),
            ..new.clone()
        };
        submit(&elsewhere).await.unwrap();
        let refused = submit(&new).await;
        assert!(matches!(refused, Err(GatewayError::Overloaded { .. })));

        let key = ConversationKey {
            tenant: Tenant::default(),
            id: new.conversation_id.clone(),
        };
        let conversations = &gateway.backends().conversations;
        let third = CorrelationId::new();
        let deadline = UnixMillis::now().after(Duration::from_secs(60));
        let place = conversations.accept(&key, third, deadline).await;
        assert_eq!(place, Ok(Place::Next));
    }
}
