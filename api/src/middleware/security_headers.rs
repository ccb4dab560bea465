//! Headers that tell a browser to do nothing with an answer but give it to the
//! program that asked.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::Response,
};

/// A route that shows a page sets its own policy: what is set already stays.
///
/// No `Strict-Transport-Security`: it is for who ends TLS to say, which is not
/// us, and for all hosts of a name at once.
const HEADERS: [(HeaderName, &str); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    ),
];

pub async fn security_headers(request: Request, next: Next) -> Response {
    let is_private = request.uri().path().starts_with("/v1");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        set_default(headers, name, value);
    }
    if is_private {
        set_default(headers, header::CACHE_CONTROL, "no-store");
    }
    response
}

fn set_default(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    let entry = headers.entry(name);
    entry.or_insert(HeaderValue::from_static(value));
}
