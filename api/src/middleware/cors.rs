//! Which pages of other sites may ask (WHATWG Fetch, *CORS protocol*).
//!
//! Credentials in the sense of that protocol, cookies and the like, are never
//! allowed: the session of our own page is of no use to others, they have to
//! send a key.

use std::time::Duration;

use axum::{
    Router,
    http::{HeaderName, HeaderValue, Method, Uri, header},
};
use common::config::{ConfigError, Environment};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// How long a browser may keep the answer to a preflight.
const MAX_AGE: Duration = Duration::from_secs(3_600);

const METHODS: [Method; 4] = [Method::GET, Method::HEAD, Method::POST, Method::DELETE];

/// What a page may send.
const ASKED_WITH: [HeaderName; 15] = [
    header::ACCEPT,
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    header::CONTENT_TYPE,
    header::IF_NONE_MATCH,
    header::IF_RANGE,
    header::RANGE,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("last-event-id"),
    HeaderName::from_static("prefer"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-conversation-id"),
    HeaderName::from_static("x-request-id"),
];

/// What a page may read of an answer, beside what it always may.
const ANSWERED_WITH: [HeaderName; 11] = [
    header::ACCEPT_RANGES,
    header::ALLOW,
    header::CONTENT_RANGE,
    header::ETAG,
    header::LOCATION,
    header::RETRY_AFTER,
    header::WWW_AUTHENTICATE,
    HeaderName::from_static("preference-applied"),
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
    HeaderName::from_static("x-request-id"),
];

/// The pages, by the sites that they come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    None,
    Any,
    Of(Vec<HeaderValue>),
}

impl Origins {
    /// `CORS_ORIGINS`: `*`, or origins separated by commas.
    pub fn from_environment(env: &Environment) -> Result<Self, ConfigError> {
        let text = match env.text("CORS_ORIGINS") {
            None => return Ok(Self::None),
            Some("*") => return Ok(Self::Any),
            Some(text) => text,
        };
        let origin = |text: &str| {
            origin(text.trim()).ok_or_else(|| {
                let expected = "* or origins such as https://example.org:8443, separated by commas";
                ConfigError::wrong("CORS_ORIGINS", text.trim(), expected)
            })
        };
        text.split(',')
            .map(origin)
            .collect::<Result<_, _>>()
            .map(Self::Of)
    }

    fn allowed(&self) -> Option<AllowOrigin> {
        match self {
            Self::None => None,
            Self::Any => Some(AllowOrigin::any()),
            Self::Of(origins) => Some(AllowOrigin::list(origins.iter().cloned())),
        }
    }
}

/// As a browser writes it: a scheme, a host, and no port that goes without
/// saying. Anything else would never match.
fn origin(text: &str) -> Option<HeaderValue> {
    let uri: Uri = text.parse().ok()?;
    let default_port = match uri.scheme_str()? {
        "https" => 443,
        "http" => 80,
        _ => return None,
    };
    let authority = uri.authority()?.as_str();
    let is_plain = text == format!("{}://{authority}", uri.scheme_str()?)
        && text == text.to_ascii_lowercase()
        && !authority.contains(['@', '*'])
        && uri.port_u16() != Some(default_port);
    if is_plain { text.parse().ok() } else { None }
}

/// `routes` for pages of `origins` too. A preflight is answered before anything
/// asks for a key.
pub fn with_cors<S: Clone + Send + Sync + 'static>(
    routes: Router<S>,
    origins: &Origins,
) -> Router<S> {
    match origins.allowed() {
        None => routes,
        Some(origins) => routes.layer(
            CorsLayer::new()
                .allow_origin(origins)
                .allow_methods(METHODS)
                .allow_headers(ASKED_WITH)
                .expose_headers(ANSWERED_WITH)
                .max_age(MAX_AGE),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(text: &str) -> Result<Origins, ConfigError> {
        Origins::from_environment(&[("CORS_ORIGINS", text)].into_iter().collect())
    }

    #[test]
    fn origins_are_listed_as_browsers_write_them() {
        assert_eq!(origins(""), Ok(Origins::None));
        assert_eq!(origins("*"), Ok(Origins::Any));
        let two = ["https://example.org", "http://localhost:5173"];
        let parsed = two.map(HeaderValue::from_static).to_vec();
        assert_eq!(origins(&two.join(" , ")), Ok(Origins::Of(parsed)));
        for wrong in [
            "example.org",
            "https://example.org/",
            "https://example.org/page",
            "https://Example.org",
            "https://example.org:443",
            "https://*.example.org",
            "https://a@example.org",
            "ftp://example.org",
            "null",
            "*,https://example.org",
            "https://example.org,",
        ] {
            let error = origins(wrong).unwrap_err();
            assert_eq!(error.variable, "CORS_ORIGINS", "{wrong}");
        }
    }
}
