//! Which names of this server are answered (DNS rebinding).
//!
//! A page of another site can have its own name lead to 127.0.0.1, and so ask a
//! server on its reader's machine as if it were one of its own site's: no rule
//! of CORS applies. The name it asks for is what such a request cannot hide. So
//! while the built-in key is valid, which every page knows, only names of this
//! machine are answered.

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Uri, header, uri::Authority},
    middleware::{Next, from_fn},
    response::Response,
};
use common::callback::is_local_name;

use crate::error::Problem;

/// Written by proxies that put a name of their own into `Host`. A client may
/// write anything there, but only what makes it be refused.
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The names that are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hosts {
    Any,
    /// `localhost`, names below it, and addresses of loopback.
    Loopback,
}

/// `routes` for requests that name one of `hosts`. Others are refused before
/// anything else, preflights too.
pub fn with_hosts<S: Clone + Send + Sync + 'static>(routes: Router<S>, hosts: Hosts) -> Router<S> {
    match hosts {
        Hosts::Any => routes,
        Hosts::Loopback => routes.layer(from_fn(require_loopback)),
    }
}

async fn require_loopback(request: Request, next: Next) -> Result<Response, Problem> {
    if names_loopback(request.uri(), request.headers()) {
        Ok(next.run(request).await)
    } else {
        Err(Problem::misdirected())
    }
}

/// Whether a request names this machine, everywhere where it names one: in its
/// target (`:authority` of HTTP/2 and the absolute form of HTTP/1.1), in `Host`,
/// and as a proxy has heard it.
fn names_loopback(uri: &Uri, headers: &HeaderMap) -> bool {
    let target = uri
        .authority()
        .map(|authority| authority.as_str().as_bytes());
    let hosts = headers
        .get_all(header::HOST)
        .iter()
        .map(HeaderValue::as_bytes);
    let mut named = target.into_iter().chain(hosts).peekable();
    let forwarded = headers.get_all(X_FORWARDED_HOST).iter();
    let forwarded = forwarded.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    named.peek().is_some() && named.chain(forwarded).all(is_loopback)
}

fn is_loopback(authority: &[u8]) -> bool {
    let Ok(authority) = Authority::try_from(authority.trim_ascii()) else {
        return false;
    };
    // `user@host` is no name of a host, and some would read it otherwise.
    if authority.as_str().contains('@') {
        return false;
    }
    let host = authority.host();
    let in_brackets = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    match in_brackets.unwrap_or(host).parse::<std::net::IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => is_local_name(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine_are_told_from_those_that_lead_to_it() {
        for own in [
            "localhost",
            "localhost:8000",
            "LocalHost:8000",
            "localhost.",
            "itb.localhost:8000",
            "127.0.0.1",
            "127.0.0.1:8000",
            "127.255.255.254:1",
            "[::1]",
            "[::1]:8000",
            "[::ffff:127.0.0.1]:8000",
        ] {
            assert!(is_loopback(own.as_bytes()), "{own}");
        }
        for foreign in [
            "",
            "evil.example",
            "evil.example:8000",
            "localhost.evil.example",
            "127.0.0.1.evil.example:8000",
            "evillocalhost",
            "evil.example#localhost",
            "evil.example/localhost",
            "evil.example@localhost",
            "localhost@evil.example",
            "localhost:80@evil.example",
            "localhost evil.example",
            "localhost,evil.example",
            "0.0.0.0:8000",
            "192.168.0.1:8000",
            "128.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "[::]:8000",
            "[::1",
            "::1",
            "[fe80::1%25lo]",
            "[::ffff:10.0.0.1]",
            "\u{ff11}27.0.0.1",
        ] {
            assert!(!is_loopback(foreign.as_bytes()), "{foreign}");
        }
        assert!(!is_loopback(b"localhost\xff"));
    }

    #[test]
    fn a_request_is_for_this_machine_wherever_it_names_one() {
        let names_loopback = |uri: &str, lines: &[(&str, &str)]| {
            let line = |(name, value): &(&str, &str)| {
                let name: HeaderName = name.parse().unwrap();
                (name, value.parse().unwrap())
            };
            names_loopback(&uri.parse().unwrap(), &lines.iter().map(line).collect())
        };
        const LOCAL: (&str, &str) = ("host", "localhost:8000");
        const FOREIGN: (&str, &str) = ("host", "evil.example");
        for (uri, lines, expected) in [
            ("/health", &[LOCAL][..], true),
            ("/health", &[FOREIGN], false),
            // HTTP/1.0 needs no Host; no browser leaves it out.
            ("/health", &[], false),
            ("http://localhost:8000/health", &[], true),
            ("http://evil.example/health", &[], false),
            ("http://evil.example/health", &[LOCAL], false),
            ("http://localhost/health", &[FOREIGN], false),
            ("/health", &[LOCAL, ("x-forwarded-host", "localhost")], true),
            (
                "/health",
                &[LOCAL, ("x-forwarded-host", "itb.example")],
                false,
            ),
            (
                "/health",
                &[LOCAL, ("x-forwarded-host", "localhost, itb.example")],
                false,
            ),
            ("/health", &[("x-forwarded-host", "localhost")], false),
        ] {
            assert_eq!(names_loopback(uri, lines), expected, "{uri} {lines:?}");
        }
    }
}
