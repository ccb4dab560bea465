//! The routes, and what they pass through.

use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRequestParts, Path},
    http::request::Parts,
    middleware::{from_fn, from_fn_with_state},
    routing::{delete, get, post},
};
use common::ids::CorrelationId;
use utoipa::openapi::Paths;

use crate::{
    error::Problem,
    gateway::GatewayError,
    middleware::{
        authentication::require_key, cors::with_cors, hosts::with_hosts, limits::limit,
        panics::catch_panics, request_context::request_context, security_headers::security_headers,
    },
    openapi::Described,
    state::{AppState, Speech},
};

mod audio;
mod chat;
mod conversations;
mod docs;
mod events;
mod feedback;
mod health;
mod jobs;
mod page;
mod speech;

pub use conversations::Conversation;
pub use feedback::FeedbackBody;
pub use health::{Health, Readiness};

pub fn router(state: AppState) -> Router {
    let keyed = keyed()
        .router
        // Each reader has a bound of its own; axum's would come before it.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(state.clone(), limit))
        .layer(from_fn_with_state(state.clone(), require_key));
    let (origins, hosts) = (state.origins.clone(), state.hosts);
    let page = state.page.as_ref().map(page::routes);
    let routes = Router::new()
        .merge(keyed)
        .merge(open().router)
        .merge(page.unwrap_or_default())
        .fallback(async || Problem::not_found())
        .layer(from_fn(catch_panics));
    with_hosts(with_cors(routes, &origins), hosts)
        .layer(from_fn(security_headers))
        .layer(from_fn(request_context))
        .with_state(state)
}

/// What the OpenAPI document says of all of them.
pub fn paths() -> Paths {
    let mut paths = keyed().paths;
    paths.merge(open().paths);
    paths
}

/// The routes under a key.
fn keyed() -> Described {
    Described::default()
        .route("/v1/chat", post(chat::post), chat::described())
        .route("/v1/audio", post(audio::post), audio::described())
        .route("/v1/jobs", post(jobs::post), jobs::described())
        .route(
            "/v1/jobs/{id}",
            get(jobs::get).delete(jobs::cancel),
            jobs::one_described(),
        )
        .route(
            "/v1/jobs/{id}/feedback",
            post(feedback::post),
            feedback::described(),
        )
        .route(
            "/v1/jobs/{id}/data",
            delete(jobs::erase),
            jobs::data_described(),
        )
        .route(
            "/v1/jobs/{id}/events",
            get(events::get),
            events::described(),
        )
        .route("/v1/jobs/{id}/audio", get(speech::get), speech::described())
        .route(
            "/v1/conversations/{id}",
            get(conversations::get).delete(conversations::delete),
            conversations::described(),
        )
}

fn open() -> Described {
    Described::default()
        .route("/health", get(health::health), health::described())
        .route("/ready", get(health::ready), health::readiness_described())
        .route(
            "/openapi.json",
            get(docs::document),
            docs::document_described(),
        )
        .route("/docs", get(docs::page), docs::page_described())
        .route("/docs/{file}", get(docs::file), docs::file_described())
}

/// Speech is taken once it can be worked with.
fn refuse_until_ready(speech: &dyn Speech) -> Result<(), Problem> {
    match speech.not_ready() {
        None => Ok(()),
        Some((why, after)) => Err(Problem::unavailable("speech_not_ready", why, after)),
    }
}

/// The job that the path names.
struct JobId(CorrelationId);

impl<S: Send + Sync> FromRequestParts<S> for JobId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // What is no id names no job.
        let unknown = |_| Problem::unknown_job();
        let Path(id) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::unknown_job())?;
        id.parse().map(Self).map_err(unknown)
    }
}

impl From<GatewayError> for Problem {
    fn from(error: GatewayError) -> Self {
        if !matches!(error, GatewayError::Erased(_)) {
            tracing::warn!(%error, "a request cannot be served");
        }
        match error {
            GatewayError::Erased(job) => Self::erased(job),
            GatewayError::Overloaded { retry_after } => Self::overloaded(retry_after),
            GatewayError::Unavailable(_) => Self::dependency_away(),
        }
    }
}
