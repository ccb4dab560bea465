//! The header `Prefer` (RFC 7240): whether a caller waits for the end of its
//! job, and for how long.
//!
//! What is not understood is ignored, as section 2 has it: an unknown
//! preference, a malformed one, a value that is none. Of a preference that is
//! there more than once the first counts, on whichever line it stands.

use std::{convert::Infallible, fmt, time::Duration};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, HeaderValue, request::Parts},
};

const PREFER: HeaderName = HeaderName::from_static("prefer");
pub const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// The longest that anybody waits, in seconds; a longer wait counts as this.
const LONGEST_WAIT: u64 = 3_600;

/// The preferences that are known here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preferences {
    pub respond_async: bool,
    pub wait: Option<Duration>,
}

impl Preferences {
    pub fn of(headers: &HeaderMap) -> Self {
        let mut named = Vec::new();
        for line in headers.get_all(PREFER) {
            named.extend(preferences(line.as_bytes()));
        }
        let first = |name: &str| {
            let mut all = named.iter();
            all.find(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes()))
                .map(|(_, value)| value.as_slice())
        };
        Self {
            // An empty value is none (section 2).
            respond_async: first("respond-async").is_some_and(<[u8]>::is_empty),
            wait: first("wait").and_then(seconds),
        }
    }

    /// As `Preference-Applied` names them; `None` when there are none.
    pub fn applied(self) -> Option<HeaderValue> {
        let text = self.to_string();
        (!text.is_empty())
            .then(|| HeaderValue::from_str(&text).ok())
            .flatten()
    }
}

impl fmt::Display for Preferences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            respond_async,
            wait,
        } = self;
        if *respond_async {
            f.write_str("respond-async")?;
        }
        if let Some(wait) = wait {
            let comma = if *respond_async { ", " } else { "" };
            write!(f, "{comma}wait={}", wait.as_secs())?;
        }
        Ok(())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Preferences {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

/// `delay-seconds`: digits alone (section 4.3). So many that they are no number
/// are a long time all the same.
fn seconds(value: &[u8]) -> Option<Duration> {
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let text = is_number
        .then(|| std::str::from_utf8(value).ok())
        .flatten()?;
    let seconds = text.parse().unwrap_or(u64::MAX).min(LONGEST_WAIT);
    Some(Duration::from_secs(seconds))
}

type Named = (Vec<u8>, Vec<u8>);

/// The well-formed ones of a line, with their values.
fn preferences(line: &[u8]) -> Vec<Named> {
    split_unquoted(line, b',')
        .into_iter()
        .filter_map(preference)
        .collect()
}

/// `token [ BWS "=" BWS word ] *( OWS ";" [ OWS parameter ] )`
fn preference(text: &[u8]) -> Option<Named> {
    let mut parts = split_unquoted(text, b';').into_iter();
    let named = pair(parts.next()?)?;
    let parameters_are_well_formed = parts.all(|part| {
        let part = part.trim_ascii();
        part.is_empty() || pair(part).is_some()
    });
    parameters_are_well_formed.then_some(named)
}

/// `token [ BWS "=" BWS word ]`
fn pair(text: &[u8]) -> Option<Named> {
    let (name, value) = match text.iter().position(|byte| *byte == b'=') {
        Some(at) => (&text[..at], word(text[at + 1..].trim_ascii())?),
        None => (text, Vec::new()),
    };
    let name = name.trim_ascii();
    is_token(name).then(|| (name.to_vec(), value))
}

/// A token, or what a quoted string holds.
fn word(text: &[u8]) -> Option<Vec<u8>> {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        return is_token(text).then(|| text.to_vec());
    };
    let mut value = Vec::new();
    let mut bytes = quoted.iter();
    loop {
        match bytes.next()? {
            b'"' => return bytes.as_slice().is_empty().then_some(value),
            b'\\' => value.push(*bytes.next()?),
            byte => value.push(*byte),
        }
    }
}

fn is_token(text: &[u8]) -> bool {
    let is_tchar = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(is_tchar)
}

/// The parts of `text` between separators that stand outside of quotes.
fn split_unquoted(text: &[u8], separator: u8) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            byte if *byte == separator && !quoted => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&str]) -> String {
        let lines = lines
            .iter()
            .map(|line| (PREFER, HeaderValue::from_bytes(line.as_bytes()).unwrap()));
        // What is applied is what was understood.
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, value);
        }
        Preferences::of(&headers).to_string()
    }

    #[test]
    fn what_is_understood_is_taken_and_the_rest_ignored() {
        let rows: &[(&[&str], &str)] = &[
            (&[], ""),
            (&[""], ""),
            (&["respond-async"], "respond-async"),
            (&["Respond-ASYNC , WAIT=10"], "respond-async, wait=10"),
            (&["wait=5, respond-async"], "respond-async, wait=5"),
            (&["respond-async", "wait=5"], "respond-async, wait=5"),
            (&["wait=5", "wait=9"], "wait=5"),
            (&["wait=5, wait=9"], "wait=5"),
            (&["wait = \"7\""], "wait=7"),
            (&["wait=\"\\7\""], "wait=7"),
            (&["wait=0"], "wait=0"),
            (&["wait=007"], "wait=7"),
            (&["wait=99999999999999999999999"], "wait=3600"),
            (&["respond-async=\"\""], "respond-async"),
            (&["respond-async; foo=bar; baz"], "respond-async"),
            (&["respond-async;, wait=1;"], "respond-async, wait=1"),
            // Unknown ones, also such as hold what is known.
            (&["handling=lenient, foo; wait=3"], ""),
            (&["foo=\"a, wait=3\", wait=4"], "wait=4"),
            (&["foo=\"a\\\", wait=3\", wait=4"], "wait=4"),
            // Malformed ones, alone.
            (&["wait=, respond-async"], "respond-async"),
            (&["wait=-1"], ""),
            (&["wait=1.5"], ""),
            (&["wait=ten, wait=10"], ""),
            (&["wait"], ""),
            (&["=5, , ;, respond-async"], "respond-async"),
            (&["respond async, wait=2"], "wait=2"),
            (&["wait=\"3"], ""),
            (&["wait=\"3\"4, respond-async"], "respond-async"),
            (&["respond-async=yes"], ""),
            (&["résumé, wait=2"], "wait=2"),
            (&["foo; ü, respond-async"], "respond-async"),
        ];
        for (lines, expected) in rows {
            assert_eq!(of(lines), *expected, "{lines:?}");
        }
    }
}
