//! The answer as it is made: `GET /v1/jobs/{id}/events`, and the routes that
//! submit when the client wants `text/event-stream`.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{FromRequestParts, Query, State},
    http::{HeaderMap, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use common::pipeline::Stage;
use serde::Deserialize;

use super::JobId;
use crate::{
    error::Problem,
    gateway::{Caller, Gateway, NewTurn, following::Following},
    live::events::EventStream,
    render::{self, ResponseFormat},
    state::Heartbeat,
};

/// `GET /v1/jobs/{id}/events`.
pub async fn get(
    State(gateway): State<Arc<Gateway>>,
    State(heartbeat): State<Heartbeat>,
    caller: Caller,
    JobId(id): JobId,
    cursor: Cursor,
) -> Result<Response, Problem> {
    let following = gateway.follow(&caller.tenant, id).await?;
    let following = following.ok_or_else(Problem::unknown_job)?;
    let seen = cursor.within(&following)?;
    Ok(streamed(EventStream::new(following, seen, heartbeat.0)))
}

/// Submits, and streams the job from its beginning. Who goes away cancels
/// nothing: the address of the job leads back to it.
pub async fn submit(
    gateway: &Arc<Gateway>,
    heartbeat: Heartbeat,
    mut turn: NewTurn,
    caller: Caller,
) -> Result<Response, Problem> {
    if turn.route.stages().contains(&Stage::Tts) {
        // The sentences have gone out by the time of the result.
        let by_address = || ResponseFormat::Url.to_string();
        turn.response_format.get_or_insert_with(by_address);
    }
    let tenant = caller.tenant.clone();
    let id = gateway.submit(turn, caller).await?;
    let following = gateway.follow_new(&tenant, id);
    let stream = streamed(EventStream::new(following, 0, heartbeat.0));
    Ok(([(header::LOCATION, render::job_path(id))], stream).into_response())
}

fn streamed(events: EventStream) -> Response {
    let headers = [
        (header::CONTENT_TYPE.as_str(), "text/event-stream"),
        (header::CACHE_CONTROL.as_str(), "no-store"),
        // Tells nginx not to collect what it passes on.
        ("x-accel-buffering", "no"),
    ];
    (headers, Body::from_stream(events.into_body())).into_response()
}

/// The number of the last event that the client has seen, as it says.
pub struct Cursor(u64);

#[derive(Deserialize)]
struct Resumption {
    starting_after: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Cursor {
    type Rejection = Problem;

    /// The header goes before the address: a browser comes again to the same
    /// address, with what it has seen meanwhile in the header.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        if let Some(text) = last_event_id(&parts.headers) {
            return Self::parse(text);
        }
        let query = Query::<Resumption>::from_request_parts(parts, state).await;
        match query.map_err(|_| invalid())?.0.starting_after {
            Some(text) => Self::parse(&text),
            None => Ok(Self(0)),
        }
    }
}

/// An empty one is none (WHATWG HTML, *The `Last-Event-ID` header*).
fn last_event_id(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get("last-event-id")?;
    // What is no text is no number either.
    Some(value.to_str().unwrap_or("?")).filter(|text| !text.is_empty())
}

impl Cursor {
    fn parse(text: &str) -> Result<Self, Problem> {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(number) if is_number => Ok(Self(number)),
            _ => Err(invalid()),
        }
    }

    /// The number, if the log has come so far.
    fn within(self, log: &Following) -> Result<u64, Problem> {
        if self.0 <= log.end_of_past() {
            Ok(self.0)
        } else {
            Err(invalid())
        }
    }
}

fn invalid() -> Problem {
    Problem::malformed(
        "invalid_cursor",
        "Last-Event-ID or starting_after must be the number of an event of this job, or 0.",
    )
}
