//! `GET /v1/jobs/{id}/events`: the answer as it is made.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Query, State},
    http::{HeaderMap, request::Parts},
};
use serde::Deserialize;

use super::JobId;
use crate::{
    error::Problem,
    gateway::{Caller, Gateway, following::Following},
    live::events::EventStream,
    state::Heartbeat,
};

/// `GET /v1/jobs/{id}/events`.
pub async fn get(
    State(gateway): State<Arc<Gateway>>,
    State(heartbeat): State<Heartbeat>,
    caller: Caller,
    JobId(id): JobId,
    cursor: Cursor,
) -> Result<EventStream, Problem> {
    let following = gateway.follow(&caller.tenant, id).await?;
    let mut following = following.ok_or_else(Problem::unknown_job)?;
    let seen = cursor.within(&following)?;
    if seen == following.end_of_past() {
        following.wait_for_a_resumption();
    }
    Ok(EventStream::new(following, seen, heartbeat.0))
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

#[cfg(test)]
mod fuzz;
