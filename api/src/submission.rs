//! The way of every POST that submits a job: once for its idempotency key, and
//! answered in the manner that its caller prefers.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{FromRef, FromRequestParts},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use common::{
    ids::{ConversationId, CorrelationId},
    job::log::End,
    priority::Priority,
    time::UnixMillis,
};
use serde::Serialize;
use tracing::Instrument as _;
use utoipa::ToSchema;

use crate::{
    accept::Rendering,
    answers,
    byte_budget::TenantBytes,
    error::Problem,
    gateway::{Caller, Gateway, NewTurn, SLACK},
    idempotency::{self, Submitted},
    job::{JobView, Status},
    live::events::EventStream,
    prefer::{PREFERENCE_APPLIED, Preferences},
    render::{self, ResponseFormat},
    state::Heartbeat,
};

/// What the headers of a request say of how its job is to be submitted.
pub struct Submission {
    pub preferences: Preferences,
    rendering: Rendering,
    heartbeat: Heartbeat,
    bytes: TenantBytes,
    key: Option<String>,
    path: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Submission
where
    Heartbeat: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Ok(Self {
            preferences: Preferences::of(&parts.headers),
            rendering: Rendering::from_request_parts(parts, state).await?,
            heartbeat: Heartbeat::from_ref(state),
            bytes: TenantBytes::from_request_parts(parts, state).await?,
            key: idempotency::key_of(&parts.headers)?,
            path: parts.uri.path().to_owned(),
        })
    }
}

/// What a route answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// The result of the job, on the same line unless another way is preferred.
    Result,
    /// The job, to be asked after unless its end is waited for.
    Job,
}

/// What follows for a job from how its caller waits, where the request does not
/// say it.
struct Manner {
    priority: Priority,
    timeout: Option<Duration>,
}

impl Manner {
    fn awaited() -> Self {
        Self {
            priority: Priority::Interactive,
            timeout: None,
        }
    }

    fn fetched() -> Self {
        Self {
            priority: Priority::Batch,
            timeout: None,
        }
    }
}

/// A job that a request stands for.
struct Entered {
    id: CorrelationId,
    conversation_id: Option<ConversationId>,
    /// How long its end may take to be heard of.
    patience: Duration,
    /// As it is now, when an earlier request with the same key submitted it.
    earlier: Option<Box<JobView>>,
    /// Its end, which is yet to come.
    end: Option<End>,
}

impl Submission {
    /// Submits `turn`, and answers for its job.
    pub async fn answer(
        self,
        gateway: &Arc<Gateway>,
        turn: NewTurn,
        caller: Caller,
        body: Body,
    ) -> Result<Response, Problem> {
        match (self.rendering, body) {
            (Rendering::Events, _) => self.stream(gateway, turn, caller).await,
            (Rendering::Json, Body::Result) if !self.preferences.respond_async => {
                self.hold_the_line(gateway, turn, caller).await
            }
            (Rendering::Json, _) => self.let_go(gateway, turn, caller, body).await,
        }
    }

    /// Streams the job from its beginning. Who goes away cancels nothing: the
    /// address of the job leads back to it.
    async fn stream(
        &self,
        gateway: &Arc<Gateway>,
        turn: NewTurn,
        caller: Caller,
    ) -> Result<Response, Problem> {
        let tenant = caller.tenant.clone();
        let awaited = Manner::awaited();
        let entered = self.enter(gateway, turn, caller, awaited).await?;
        let id = entered.id;
        let following = match entered.earlier {
            Some(_) => gateway.follow(&tenant, id).await?,
            None => Some(gateway.follow_new(&tenant, id, entered.patience)),
        };
        let following = following.ok_or_else(Problem::unknown_job)?;
        let location = [(header::LOCATION, render::job_path(id))];
        let events = EventStream::new(following, 0, self.heartbeat.0, self.bytes.clone());
        Ok((location, events).into_response())
    }

    /// Waits for the end of the job. A wait that is preferred is the time that
    /// the job has, unless it is given another; then it is the caller's alone.
    async fn hold_the_line(
        &self,
        gateway: &Arc<Gateway>,
        turn: NewTurn,
        caller: Caller,
    ) -> Result<Response, Problem> {
        let tenant = caller.tenant.clone();
        // No job is done in no time.
        let wait = self.preferences.wait.filter(|wait| !wait.is_zero());
        let patience = wait.filter(|_| turn.timeout.is_some());
        let manner = Manner {
            timeout: wait,
            ..Manner::awaited()
        };
        let entered = self.enter(gateway, turn, caller, manner).await?;
        let view = match entered.earlier {
            Some(view) if view.outcome.is_some() => Some(*view),
            Some(_) => return Err(Problem::first_still_running(entered.id)),
            None => {
                let patience = patience.unwrap_or(entered.patience).min(entered.patience);
                let waited = gateway
                    .wait(&tenant, entered.id, entered.end, patience)
                    .await;
                waited.map_err(|error| Problem::from(error).of_job(entered.id))?
            }
        };
        let result = match view {
            Some(view) => answers::result(gateway, &view, &self.bytes).await,
            None => Err(Problem::still_running(entered.id)),
        };
        let applied = Preferences {
            respond_async: false,
            wait,
        };
        Ok(applying(applied, result.into_response()))
    }

    /// Waits no longer than is preferred; then the caller asks again.
    async fn let_go(
        &self,
        gateway: &Arc<Gateway>,
        turn: NewTurn,
        caller: Caller,
        body: Body,
    ) -> Result<Response, Problem> {
        let tenant = caller.tenant.clone();
        let wait = self.preferences.wait.unwrap_or_default();
        let manner = if wait.is_zero() {
            Manner::fetched()
        } else {
            Manner::awaited()
        };
        let mut entered = self.enter(gateway, turn, caller, manner).await?;
        let view = match wait.min(entered.patience) {
            Duration::ZERO => None,
            // A store that is away now takes nothing from the job.
            patience => gateway
                .wait(&tenant, entered.id, entered.end.take(), patience)
                .await
                .ok()
                .flatten(),
        };
        let Some(view) = view.filter(|view| view.outcome.is_some()) else {
            return Ok(applying(self.preferences, accepted(&entered)));
        };
        let answer = match body {
            Body::Result => {
                let result = answers::result(gateway, &view, &self.bytes).await;
                result.into_response()
            }
            Body::Job => {
                let document = answers::document(gateway, &view, &self.bytes).await;
                document.into_response()
            }
        };
        let applied = Preferences {
            respond_async: false,
            ..self.preferences
        };
        Ok(applying(applied, answer))
    }

    /// Submits `turn`, unless an earlier request with the same key has. To wait
    /// in another manner for the same turn makes no other request.
    async fn enter(
        &self,
        gateway: &Arc<Gateway>,
        mut turn: NewTurn,
        caller: Caller,
        manner: Manner,
    ) -> Result<Entered, Problem> {
        let request = self
            .key
            .clone()
            .map(|key| (key, idempotency::fingerprint(&self.path, &turn)));
        turn.timeout = turn.timeout.or(manner.timeout);
        turn.priority.get_or_insert(manner.priority);
        if self.rendering == Rendering::Events && turn.route.speaks() {
            // The sentences have gone out by the time of the result.
            let by_address = || ResponseFormat::Url.to_string();
            turn.response_format.get_or_insert_with(by_address);
        }
        let conversation_id = turn.conversation_id.clone();
        let patience = gateway.patience(&turn);
        let slot = caller.slot.as_ref();
        let end = slot.map(|slot| gateway.backends().replies.end_of(slot.job()));
        let submitting = submit(Arc::clone(gateway), request, turn, caller);
        // In a task of its own: a client that goes away in the middle of it
        // leaves no half of a job behind.
        let submitted = tokio::spawn(submitting.in_current_span()).await;
        Ok(match submitted.map_err(|_| Problem::internal())?? {
            Submitted::Now(id) => Entered {
                id,
                conversation_id: Some(conversation_id),
                patience,
                earlier: None,
                end: end.filter(|end| end.job() == id),
            },
            Submitted::Before(view) => Entered {
                id: view.job.correlation_id,
                conversation_id: view.job.conversation_id.clone(),
                patience: view.job.time_left(UnixMillis::now()) + SLACK,
                earlier: Some(view),
                end: None,
            },
        })
    }
}

async fn submit(
    gateway: Arc<Gateway>,
    request: Option<(String, common::idempotency::Fingerprint)>,
    turn: NewTurn,
    caller: Caller,
) -> Result<Submitted, Problem> {
    match request {
        Some((key, fingerprint)) => {
            idempotency::submit_once(&gateway, &key, fingerprint, turn, caller).await
        }
        None => Ok(Submitted::Now(gateway.submit(turn, caller).await?)),
    }
}

/// A job that was taken. The same for every request with the same key, so
/// nothing in it changes while the job runs.
#[derive(Serialize, ToSchema)]
pub struct Accepted {
    #[schema(value_type = String, format = "uuid")]
    job_id: CorrelationId,
    /// `queued`, whatever has become of it meanwhile.
    status: Status,
    /// That which was given, or one made for the job.
    #[schema(value_type = Option<String>, required, example = "coba")]
    conversation_id: Option<ConversationId>,
}

fn accepted(entered: &Entered) -> Response {
    let headers = [
        (header::LOCATION, render::job_path(entered.id)),
        (header::RETRY_AFTER, "1".to_owned()),
    ];
    let body = Accepted {
        job_id: entered.id,
        status: Status::Queued,
        conversation_id: entered.conversation_id.clone(),
    };
    (StatusCode::ACCEPTED, headers, Json(body)).into_response()
}

fn applying(preferences: Preferences, mut response: Response) -> Response {
    if let Some(applied) = preferences.applied() {
        response.headers_mut().insert(PREFERENCE_APPLIED, applied);
    }
    response
}
