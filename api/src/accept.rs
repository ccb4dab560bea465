//! Which of the two renderings of an answer a client accepts: whole as JSON, or
//! as it is made (RFC 9110, section 12.5.1).

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, StatusCode, header, request::Parts},
};

use crate::error::Problem;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rendering {
    /// `application/json`.
    Json,
    /// `text/event-stream`.
    Events,
}

impl<S: Send + Sync> FromRequestParts<S> for Rendering {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::accepted(&parts.headers).ok_or_else(|| {
            Problem::new(
                StatusCode::NOT_ACCEPTABLE,
                "not_acceptable",
                "The answer can be had as application/json or as text/event-stream.",
            )
        })
    }
}

impl Rendering {
    /// `None` when neither is accepted. Who says nothing, or nothing that can
    /// be understood, gets JSON, and so does who likes both equally well.
    fn accepted(headers: &HeaderMap) -> Option<Self> {
        let lines = headers.get_all(header::ACCEPT).into_iter();
        let ranges: Vec<_> = lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','))
            .filter_map(MediaRange::parse)
            .collect();
        if ranges.is_empty() {
            return Some(Self::Json);
        }
        let json = Liking::of("application", "json", &ranges);
        let events = Liking::of("text", "event-stream", &ranges);
        match (json.quality, events.quality) {
            (0, 0) => None,
            _ if events > json => Some(Self::Events),
            _ => Some(Self::Json),
        }
    }
}

struct MediaRange<'a> {
    kind: &'a str,
    subtype: &'a str,
    /// Thousandths.
    quality: u16,
}

/// How much a media type is liked, and, where that is equal, how plainly it was
/// named.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Liking {
    quality: u16,
    precision: Precision,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Precision {
    #[default]
    Anything,
    Kind,
    Named,
}

impl Liking {
    /// What the most precise of `ranges` that covers the type says of it.
    fn of(kind: &str, subtype: &str, ranges: &[MediaRange<'_>]) -> Self {
        ranges
            .iter()
            .filter_map(|range| {
                let precision = range.covers(kind, subtype)?;
                let quality = range.quality;
                Some(Self { quality, precision })
            })
            .max_by_key(|liking| (liking.precision, liking.quality))
            .unwrap_or_default()
    }
}

impl<'a> MediaRange<'a> {
    /// `None` for what is not of the form; parameters other than `q` are passed
    /// over, since neither type has any that matters.
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        if kind.is_empty() || subtype.is_empty() || (kind == "*" && subtype != "*") {
            return None;
        }
        let given = parts
            .filter_map(|parameter| parameter.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
        let quality = match given {
            None => 1000,
            Some((_, value)) => quality(value.trim())?,
        };
        Some(Self {
            kind,
            subtype,
            quality,
        })
    }

    fn covers(&self, kind: &str, subtype: &str) -> Option<Precision> {
        let is_kind = self.kind.eq_ignore_ascii_case(kind);
        if self.kind == "*" {
            Some(Precision::Anything)
        } else if is_kind && self.subtype == "*" {
            Some(Precision::Kind)
        } else if is_kind && self.subtype.eq_ignore_ascii_case(subtype) {
            Some(Precision::Named)
        } else {
            None
        }
    }
}

/// Thousandths, of a number from 0 to 1 with at most three decimals.
fn quality(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let is_short = decimals.len() <= 3 && decimals.bytes().all(|byte| byte.is_ascii_digit());
    let thousandths: u16 = format!("{decimals:0<3}")
        .parse()
        .ok()
        .filter(|_| is_short)?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rendering_that_is_liked_best_is_chosen() {
        let (json, events) = (Some(Rendering::Json), Some(Rendering::Events));
        for (accept, expected) in [
            ("", json),
            ("*/*", json),
            ("application/json", json),
            ("application/*", json),
            ("text/event-stream", events),
            ("Text/Event-Stream", events),
            ("text/event-stream; charset=utf-8", events),
            ("text/*", events),
            ("text/event-stream, */*", events),
            ("text/event-stream, */*;q=0.1", events),
            ("*/*, text/event-stream;q=0.5", json),
            ("application/json, text/event-stream", json),
            ("text/event-stream, application/json", json),
            ("application/json;q=0.9, text/event-stream", events),
            ("application/json;q=0.9, text/event-stream;q=0.899", json),
            ("application/json;q=0, */*", events),
            ("text/event-stream;q=0, */*", json),
            (
                "text/event-stream ; q=0.5 , application/json ; Q=0.4",
                events,
            ),
            ("text/html", None),
            ("text/html, image/*", None),
            ("*/*;q=0", None),
            ("text/event-stream;q=0", None),
            ("application/json;q=0.000", None),
            // What is no media range says nothing.
            ("nonsense", json),
            ("text/event-stream;q=2", json),
            ("text/event-stream;q=0.1234", json),
            ("text/event-stream;q=x, application/json;q=0.1", json),
            ("*/json", json),
            ("/, ,;", json),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]);
            assert_eq!(Rendering::accepted(&headers), expected, "{accept:?}");
        }
        assert_eq!(Rendering::accepted(&HeaderMap::new()), json);
    }

    #[test]
    fn several_lines_are_one_list() {
        let mut headers = HeaderMap::new();
        headers.append(header::ACCEPT, "application/json;q=0.2".parse().unwrap());
        headers.append(header::ACCEPT, "text/event-stream".parse().unwrap());
        assert_eq!(Rendering::accepted(&headers), Some(Rendering::Events));
    }
}
