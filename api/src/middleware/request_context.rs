//! Names each request, in its answer and in every log line; renders problems;
//! turns a panic into one.

use std::{panic::AssertUnwindSafe, time::Instant};

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use common::ids::RequestId;
use futures::FutureExt as _;
use tracing::{Instrument as _, error, info, info_span, warn};
use uuid::Uuid;

use crate::error::{Problem, with_body};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// W3C Trace Context, as it came or as we made it.
#[derive(Clone, Debug)]
pub struct TraceParent(pub String);

pub async fn request_context(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let request_id = request_id(request.headers());
    let trace = trace_parent(request.headers());
    let path = request.uri().path().to_owned();
    let span = info_span!(
        "request",
        request_id = %request_id,
        trace_id = trace.0.get(3..35),
        method = %request.method(),
        // The route, not the path: paths can hold what callers typed.
        route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str),
    );
    request.extensions_mut().insert(request_id.clone());
    request.extensions_mut().insert(trace);

    let mut response = AssertUnwindSafe(next.run(request).instrument(span.clone()))
        .catch_unwind()
        .await
        .unwrap_or_else(|_| {
            span.in_scope(|| error!("a handler panicked"));
            Problem::internal().into_response()
        });
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        response = with_body(response, problem.body(request_id.as_str(), &path));
    }
    if let Ok(value) = HeaderValue::from_str(request_id.as_str()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    span.in_scope(|| log(&response, started));
    response
}

fn log(response: &Response, started: Instant) {
    let status = response.status();
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    if status.is_server_error() && status != StatusCode::GATEWAY_TIMEOUT {
        warn!(status = status.as_u16(), duration_ms, "answered");
    } else {
        info!(status = status.as_u16(), duration_ms, "answered");
    }
}

/// The client's, when it is well formed.
fn request_id(headers: &HeaderMap) -> RequestId {
    headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

/// The client's, when it is well formed.
fn trace_parent(headers: &HeaderMap) -> TraceParent {
    let given = headers
        .get(TRACEPARENT)
        .and_then(|value| value.to_str().ok())
        .filter(|text| is_trace_parent(text));
    match given {
        Some(text) => TraceParent(text.to_owned()),
        None => {
            let trace = Uuid::now_v7().simple().to_string();
            let span = Uuid::now_v7().simple().to_string();
            // The last half of a UUIDv7 is its random one.
            TraceParent(format!("00-{trace}-{}-01", &span[16..]))
        }
    }
}

/// `00-{32 hex}-{16 hex}-{2 hex}`, neither id all zeros (W3C Trace Context,
/// version 00).
fn is_trace_parent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_hex = |part: &str, length: usize| {
        part.len() == length
            && part
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_zero = |part: &str| part.bytes().all(|byte| byte == b'0');
    match parts[..] {
        [version, trace, span, flags] => {
            version == "00"
                && is_hex(trace, 32)
                && is_hex(span, 16)
                && is_hex(flags, 2)
                && !is_zero(trace)
                && !is_zero(span)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_well_formed_trace_parent_is_taken() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert!(is_trace_parent(good));
        assert!(is_trace_parent(&trace_parent(&HeaderMap::new()).0));
        for bad in [
            "",
            "00-0-0-01",
            &good.to_uppercase(),
            &good.replace("00-0af", "ff-0af"),
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            &format!("{good}-x"),
        ] {
            assert!(!is_trace_parent(bad), "{bad}");
        }
    }
}
