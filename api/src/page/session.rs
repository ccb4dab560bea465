//! Sessions of the page: a signed cookie, which is no API key, and is known to every front door with the same keys.
//!
//! `{id}.{expires}.{signature}`: 32 hexadecimal digits, seconds since the Unix epoch, and HMAC-SHA256 over the two before it
//! in hexadecimal digits.

use std::{fmt, net::IpAddr, str::FromStr, time::Duration};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use common::time::UnixMillis;
use ring::hmac;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::config::keys::NamedKey;

/// How long a session lasts. Another one is begun after it by itself: nothing that is kept depends on it.
const LASTS: Duration = Duration::from_secs(12 * 3_600);

const COOKIE: &str = "itb_session";

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// One browser, until its session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionId(Uuid);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.simple())
    }
}

/// A request of the page.
#[derive(Clone, Copy, Debug)]
pub struct Visitor {
    pub session: SessionId,
    pub address: IpAddr,
}

/// What the cookie of a request says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented {
    Session(SessionId),
    /// None, or one that is over or not ours.
    Nothing,
    /// Another site has the browser send the request.
    CrossSite,
}

pub struct Sessions(hmac::Key);

impl Sessions {
    pub fn new(keys: &[NamedKey]) -> Self {
        let mut digests: Vec<_> = keys.iter().map(|key| *key.digest.as_bytes()).collect();
        digests.sort_unstable();
        let mut secret = Sha256::new_with_prefix("sessions of the page, 1");
        digests.iter().for_each(|digest| secret.update(digest));
        Self(hmac::Key::new(hmac::HMAC_SHA256, &secret.finalize()))
    }

    /// The header `Set-Cookie` of a session that begins at `now`.
    pub fn begin(&self, now: UnixMillis) -> HeaderValue {
        let id = SessionId(Uuid::now_v7());
        let signed = format!("{id}.{}", now.after(LASTS).as_secs());
        let signature = hex::encode(hmac::sign(&self.0, signed.as_bytes()));
        let age = LASTS.as_secs();
        let cookie = format!(
            "{COOKIE}={signed}.{signature}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict"
        );
        HeaderValue::from_str(&cookie).expect("it holds letters and digits")
    }

    /// The session of a request with this method and these headers.
    pub fn presented(&self, method: &Method, headers: &HeaderMap, now: UnixMillis) -> Presented {
        let found = cookies(headers).find_map(|cookie| self.verified(cookie, now));
        let Some(session) = found else {
            return Presented::Nothing;
        };
        match method.is_safe() || is_same_origin(headers) {
            true => Presented::Session(session),
            false => Presented::CrossSite,
        }
    }

    fn verified(&self, cookie: &str, now: UnixMillis) -> Option<SessionId> {
        let (signed, signature) = cookie.rsplit_once('.')?;
        let signature = hex::decode(signature).ok()?;
        hmac::verify(&self.0, signed.as_bytes(), &signature).ok()?;
        let (id, expires) = signed.split_once('.')?;
        let is_over = u64::from_str(expires).ok()? <= now.as_secs();
        let id = Uuid::from_str(id).ok()?;
        (!is_over).then_some(SessionId(id))
    }
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(header::COOKIE).iter();
    let pairs = lines.filter_map(|line| line.to_str().ok());
    let pairs = pairs.flat_map(|line| line.split(';'));
    pairs.filter_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// Whether a browser says that another site has it ask.
pub fn is_cross_site(headers: &HeaderMap) -> bool {
    headers
        .get(SEC_FETCH_SITE)
        .is_some_and(|site| site != "same-origin")
}

/// Whether the page of this server asks, and no other one (*Fetch Metadata*; on a line without TLS a browser says it by
/// `Origin` alone).
fn is_same_origin(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get(SEC_FETCH_SITE) {
        return site == "same-origin";
    }
    let text = |name| headers.get(name).and_then(|it| it.to_str().ok());
    let origin = text(header::ORIGIN).and_then(|it| it.split_once("://"));
    origin.is_some_and(|(_, host)| Some(host) == text(header::HOST))
}

#[cfg(test)]
mod tests {
    use common::api_key::KeyDigest;

    use super::*;

    fn sessions(keys: &[&str]) -> Sessions {
        let keys = keys.iter().map(|key| NamedKey {
            tenant: "web".parse().unwrap(),
            digest: KeyDigest::of(key),
        });
        Sessions::new(&keys.collect::<Vec<_>>())
    }

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), value.parse().unwrap())
        };
        lines.iter().map(line).collect()
    }

    const NOW: UnixMillis = UnixMillis(1_000_000_000);

    /// The cookie as a browser sends it back.
    fn begun(sessions: &Sessions) -> String {
        let set = sessions.begin(NOW);
        set.to_str().unwrap().split(';').next().unwrap().to_owned()
    }

    #[test]
    fn a_session_is_known_to_all_with_the_same_keys_until_it_is_over() {
        let cookie = begun(&sessions(&["a", "b"]));
        let presented = |sessions: &Sessions, cookie: &str, now| {
            let headers = headers(&[("cookie", cookie)]);
            sessions.presented(&Method::GET, &headers, now)
        };
        let other_order = sessions(&["b", "a"]);
        let known = presented(&other_order, &cookie, NOW);
        assert!(matches!(known, Presented::Session(_)));
        let among_others = format!("x=1; {cookie}; itb_session_old=2");
        assert_eq!(presented(&other_order, &among_others, NOW), known);
        let over = NOW.after(LASTS);
        assert_eq!(presented(&other_order, &cookie, over), Presented::Nothing);
        let other_keys = sessions(&["a"]);
        assert_eq!(presented(&other_keys, &cookie, NOW), Presented::Nothing);
        let (id, rest) = cookie.split_once('.').unwrap();
        let later = format!("{id}.9{rest}");
        for wrong in ["", "itb_session=", "itb_session=a.b.c", "x=1", &later] {
            let found = presented(&other_order, wrong, NOW);
            assert_eq!(found, Presented::Nothing, "{wrong}");
        }
    }

    #[test]
    fn what_changes_something_is_taken_from_the_page_alone() {
        let sessions = sessions(&["a"]);
        let cookie = begun(&sessions);
        let host = ("host", "itb.example:8000");
        for (more, is_taken) in [
            (&[("sec-fetch-site", "same-origin")][..], true),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("origin", "http://itb.example:8000")], true),
            (&[("origin", "http://evil.example")], false),
            (&[("origin", "null")], false),
            (&[], false),
            (
                &[
                    ("sec-fetch-site", "cross-site"),
                    ("origin", "http://itb.example:8000"),
                ],
                false,
            ),
        ] {
            let lines = [&[("cookie", cookie.as_str()), host][..], more].concat();
            let headers = headers(&lines);
            for method in [Method::POST, Method::DELETE] {
                let found = sessions.presented(&method, &headers, NOW);
                let found = matches!(found, Presented::Session(_));
                assert_eq!(found, is_taken, "{method} {more:?}");
            }
            let read = sessions.presented(&Method::GET, &headers, NOW);
            assert!(matches!(read, Presented::Session(_)));
        }
    }

    #[test]
    fn the_cookie_is_for_this_server_alone_and_for_no_script() {
        let set = sessions(&["a"]).begin(NOW);
        let set = set.to_str().unwrap();
        for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
            assert!(set.contains(part), "{set}");
        }
    }
}
