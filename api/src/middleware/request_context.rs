//! Names each request, in its answer and in every log line; times it; renders
//! problems.

use std::time::{Duration, Instant};

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use common::ids::RequestId;
use metrics::histogram;
use tracing::{Instrument as _, info, info_span, warn};
use uuid::Uuid;

use crate::error::{Problem, with_body};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Bytes of an address: what RFC 9110, section 4.1, recommends to take.
const LONGEST_URI: usize = 8_000;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// W3C Trace Context, as it came or as we made it.
#[derive(Clone, Debug)]
pub struct TraceParent(pub String);

pub async fn request_context(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let request_id = request_id(request.headers());
    let trace = trace_parent(request.headers());
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map(MatchedPath::as_str);
    let span = info_span!(
        "request",
        request_id = %request_id,
        trace_id = trace.0.get(3..35),
        %method,
        // The route, not the path: paths can hold what callers typed.
        route,
    );
    request.extensions_mut().insert(request_id.clone());
    request.extensions_mut().insert(trace);

    let mut response = match refused(&request) {
        Some(problem) => closing(problem),
        None => next.run(request).instrument(span.clone()).await,
    };
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        response = with_body(response, problem.body(request_id.as_str(), &path));
    }
    if let Ok(value) = HeaderValue::from_str(request_id.as_str()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    let duration = started.elapsed();
    measure(&method, route, response.status(), duration);
    span.in_scope(|| log(response.status(), duration));
    response
}

/// What follows on the same connection may not be what its sender meant.
fn closing(problem: Problem) -> Response {
    let mut response = problem.into_response();
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

/// What is wrong with a request whatever it asks for.
fn refused(request: &Request) -> Option<Problem> {
    let address = request.uri().path_and_query();
    if address.is_some_and(|it| it.as_str().len() > LONGEST_URI) {
        return Some(Problem::uri_too_long(LONGEST_URI));
    }
    // Of two hosts, each server on the way may take another (RFC 9112, section
    // 3.2). HTTP/1.0 needs none, HTTP/2 names it elsewhere.
    let hosts = request.headers().get_all(header::HOST).iter().count();
    let is_missing = hosts == 0 && request.version() == Version::HTTP_11;
    if is_missing || hosts > 1 {
        let detail = "The request must have one header Host.";
        return Some(Problem::malformed("invalid_host", detail));
    }
    // Of `chunked` twice, one server undoes both and another the last alone.
    let mut codings = request.headers().get_all(header::TRANSFER_ENCODING).iter();
    let is_plain = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    if codings.next().is_some_and(|coding| !is_plain(coding)) || codings.next().is_some() {
        return Some(Problem::malformed(
            "invalid_transfer_encoding",
            "The Transfer-Encoding can be chunked alone.",
        ));
    }
    None
}

/// `http_server_request_duration_seconds`, named and labelled by the semantic
/// conventions of OpenTelemetry: to the head of the answer, so that a stream is
/// timed by its beginning.
fn measure(method: &Method, route: Option<&str>, status: StatusCode, duration: Duration) {
    let labels = [
        ("http_request_method", known(method)),
        // What has no route is what anybody made up.
        ("http_route", route.unwrap_or_default().to_owned()),
        ("http_response_status_code", status.as_u16().to_string()),
    ];
    histogram!("http_server_request_duration_seconds", &labels).record(duration);
}

/// The method, if it is one that has a meaning: callers must not make series.
fn known(method: &Method) -> String {
    const KNOWN: [Method; 9] = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::OPTIONS,
        Method::PATCH,
        Method::TRACE,
        Method::CONNECT,
    ];
    match KNOWN.contains(method) {
        true => method.to_string(),
        false => "_OTHER".to_owned(),
    }
}

fn log(status: StatusCode, duration: Duration) {
    let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
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
