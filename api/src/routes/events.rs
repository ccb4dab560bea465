//! `GET /v1/jobs/{id}/events`: the answer as it is made.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Query, State},
    http::{HeaderMap, StatusCode, request::Parts},
    response::{IntoResponse as _, Response},
};
use common::job::store::epoch_of;
use serde::Deserialize;
use utoipa::openapi::{HttpMethod, PathItem};

use super::JobId;
use crate::{
    byte_budget::TenantBytes,
    error::Problem,
    gateway::{Caller, Gateway, following::Following},
    live::events::EventStream,
    openapi::{Group, answers, operation::Title, parameters},
    state::Heartbeat,
};

/// `GET /v1/jobs/{id}/events`.
pub async fn get(
    State(gateway): State<Arc<Gateway>>,
    State(heartbeat): State<Heartbeat>,
    caller: Caller,
    bytes: TenantBytes,
    JobId(id): JobId,
    cursor: Cursor,
) -> Result<Response, Problem> {
    let following = gateway.follow(&caller.tenant, id).await?;
    let mut following = following.ok_or_else(Problem::unknown_job)?;
    let seen = cursor.within(&following)?;
    if seen > following.end_of_past() {
        return Ok(EventStream::anew(following, heartbeat.0, bytes).into_response());
    }
    if seen == following.end_of_past() {
        if following.is_over() {
            // A client that comes again by itself stops at this (WHATWG HTML,
            // *Server-sent events*).
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        following.wait_for_a_resumption();
    }
    Ok(EventStream::new(following, seen, heartbeat.0, bytes).into_response())
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
    /// address, with what it has seen meanwhile in the header. Both must be
    /// right all the same.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<Resumption>::from_request_parts(parts, state).await;
        let address = query.map_err(|_| invalid())?.0.starting_after;
        let address = address.as_deref().map(Self::parse).transpose()?;
        let header = last_event_id(&parts.headers).map(Self::parse).transpose()?;
        Ok(header.or(address).unwrap_or(Self(0)))
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

    /// The number, if the log has come so far, or may have before its store lost the rest.
    fn within(self, log: &Following) -> Result<u64, Problem> {
        let end = log.end_of_past();
        if self.0 <= end || (!log.is_over() && epoch_of(self.0) == epoch_of(end)) {
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

pub fn described() -> PathItem {
    let title = Title {
        id: "getJobEvents",
        group: Group::Jobs,
        summary: "Follow a job",
        description: "Server-Sent Events, from the first or after the one that is named, at any front door, with nothing lost or told twice. Ends after the job's last event.",
    };
    title
        .keyed()
        .parameter(parameters::job_id())
        .parameter(parameters::last_event_id())
        .parameter(parameters::starting_after())
        .answer(200, answers::events())
        .answer(
            204,
            answers::empty("All events have been seen, and no more come."),
        )
        .problems(&["invalid_cursor", "unknown_job", "job_erased"])
        .on(HttpMethod::Get)
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    #[tokio::test]
    async fn the_header_goes_before_the_address_and_both_must_be_numbers() {
        for (query, header, expected) in [
            ("", None, Some(0)),
            ("?starting_after=3", None, Some(3)),
            ("?starting_after=3", Some("5"), Some(5)),
            ("?starting_after=3", Some(""), Some(3)),
            ("", Some("5"), Some(5)),
            ("?starting_after=-1", None, None),
            ("?starting_after=-1", Some("0"), None),
            ("?starting_after=1&starting_after=1", None, None),
            ("?starting_after=3", Some("x"), None),
        ] {
            let mut request = Request::get(format!("/{query}"));
            if let Some(value) = header {
                request = request.header("last-event-id", value);
            }
            let (mut parts, ()) = request.body(()).unwrap().into_parts();
            let cursor = Cursor::from_request_parts(&mut parts, &()).await;
            assert_eq!(cursor.ok().map(|it| it.0), expected, "{query} {header:?}");
        }
    }
}
