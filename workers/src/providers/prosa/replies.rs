//! The JSON that Prosa sends, told apart.
//!
//! Documented are `partial`, `result` and a word that it is ready. How errors and the end look is not: every shape in use
//! by services of this kind is understood. What the service wrote is looked at and never passed on, because it may quote
//! the user or the key.

use std::time::Duration;

use serde_json::{Map, Value};

use super::PROVIDER;
use crate::{handler::StageError, providers::failure};

/// A message of the service.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reply {
    /// What is heard so far of the sentence that is being spoken.
    Partial(String),
    /// What was said, up to a pause or to the end.
    Result(String),
    /// Nothing more will come.
    Done,
    Failed(Complaint),
    /// Nothing that matters here.
    Other,
}

/// What the service says went wrong.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Complaint {
    pub(super) cause: Cause,
    /// A status as of HTTP, when one is named.
    status: Option<u16>,
    retry_after: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    Key,
    Rate,
    /// The model, which is the voice.
    Voice,
    Unknown,
}

impl Complaint {
    pub(super) fn to_error(&self) -> StageError {
        let said = |what| format!("{PROVIDER} says that {what}");
        match (self.status, self.cause) {
            (Some(status), _) => failure::of_status(PROVIDER, status, self.retry_after),
            (None, Cause::Key) => {
                StageError::internal(failure::UNAUTHORIZED, said("the key is not accepted"))
            }
            (None, Cause::Rate) => StageError::Transient {
                code: failure::RATE_LIMITED,
                detail: said("it is asked too often"),
                retry_after: self.retry_after,
            },
            (None, Cause::Voice) => {
                StageError::internal(failure::REFUSED, said("there is no such model"))
            }
            (None, Cause::Unknown) => {
                StageError::transient(failure::FAILED, said("something went wrong"))
            }
        }
    }
}

/// # Errors
///
/// `provider_unexpected` for what is no JSON object, and for a result without a transcript.
pub(super) fn parse(message: &[u8]) -> Result<Reply, StageError> {
    let Ok(Value::Object(fields)) = serde_json::from_slice(message) else {
        return Err(failure::unexpected(PROVIDER, "a message is no JSON object"));
    };
    if let Some(complaint) = complaint(&fields) {
        return Ok(Reply::Failed(complaint));
    }
    Ok(match word(&fields, "type").as_deref() {
        Some("partial") => Reply::Partial(transcript(&fields)?),
        Some("result") => Reply::Result(transcript(&fields)?),
        _ if says_done(&fields) => Reply::Done,
        _ => Reply::Other,
    })
}

fn transcript(fields: &Map<String, Value>) -> Result<String, StageError> {
    match fields.get("transcript") {
        Some(Value::String(text)) => Ok(text.clone()),
        // Nothing was said.
        Some(Value::Null) => Ok(String::new()),
        _ => Err(failure::unexpected(PROVIDER, "a result has no transcript")),
    }
}

/// The fields in which a service names the kind or the state of a message.
const KINDS: [&str; 4] = ["type", "status", "state", "event"];

fn says_done(fields: &Map<String, Value>) -> bool {
    const WORDS: [&str; 9] = [
        "done",
        "finish",
        "finished",
        "complete",
        "completed",
        "end",
        "ended",
        "eos",
        "final",
    ];
    let says = |kind| word(fields, kind).is_some_and(|word| WORDS.contains(&word.as_str()));
    let flag = |name| fields.get(name) == Some(&Value::Bool(true));
    KINDS.into_iter().any(says)
        || ["done", "finished", "final", "is_final"]
            .into_iter()
            .any(flag)
}

fn complaint(fields: &Map<String, Value>) -> Option<Complaint> {
    const WORDS: [&str; 6] = [
        "error",
        "failed",
        "failure",
        "exception",
        "unauthorized",
        "forbidden",
    ];
    let inner = fields.get("error").filter(|error| says_something(error));
    let named = |kind| word(fields, kind).is_some_and(|word| WORDS.contains(&word.as_str()));
    let status = status(fields).or_else(|| status(inner?.as_object()?));
    let complains = inner.is_some()
        || status.is_some()
        || KINDS.into_iter().any(named)
        || (fields.contains_key("detail") && !fields.contains_key("type"));
    complains.then(|| Complaint {
        cause: cause(fields),
        status,
        retry_after: fields.get("retry_after").and_then(seconds),
    })
}

fn says_something(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false)) && value.as_str() != Some("")
}

fn status(fields: &Map<String, Value>) -> Option<u16> {
    let read = |name| {
        let value: &Value = fields.get(name)?;
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
        u16::try_from(number)
            .ok()
            .filter(|code| (400..600).contains(code))
    };
    ["code", "status", "status_code", "error_code"]
        .into_iter()
        .find_map(read)
}

fn seconds(value: &Value) -> Option<Duration> {
    let text = value.as_u64().map(|seconds| seconds.to_string());
    failure::retry_after(&text?, std::time::SystemTime::now())
}

/// By the words of the complaint, for want of anything better.
fn cause(fields: &Map<String, Value>) -> Cause {
    const HINTS: [(Cause, &[&str]); 3] = [
        (
            Cause::Rate,
            &[
                "rate limit",
                "rate_limit",
                "too many",
                "quota",
                "limit exceeded",
            ],
        ),
        (
            Cause::Key,
            &[
                "unauthor",
                "unauthent",
                "authenticat",
                "forbidden",
                "api key",
                "api-key",
                "api_key",
                "apikey",
                "token",
                "credential",
                "permission",
                "license",
            ],
        ),
        (Cause::Voice, &["model", "voice"]),
    ];
    let mut said = String::new();
    gather(fields, &mut said);
    let names = |hints: &[&str]| hints.iter().any(|hint| said.contains(hint));
    HINTS
        .into_iter()
        .find(|(_, hints)| names(hints))
        .map_or(Cause::Unknown, |(cause, _)| cause)
}

/// The words of a complaint, in lower case, from the fields in use for them.
fn gather(fields: &Map<String, Value>, said: &mut String) {
    for name in ["type", "code", "error", "message", "detail", "reason"] {
        match fields.get(name) {
            Some(Value::String(text)) => said.extend([" ", &text.to_lowercase()]),
            Some(Value::Object(inner)) if name == "error" => gather(inner, said),
            _ => {}
        }
    }
}

fn word(fields: &Map<String, Value>, name: &str) -> Option<String> {
    Some(fields.get(name)?.as_str()?.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(error: &StageError) -> &'static str {
        match error {
            StageError::Transient { code, .. } | StageError::Permanent { code, .. } => code,
        }
    }

    #[test]
    fn messages_are_told_apart() {
        for (message, expected) in [
            (
                r#"{"type":"partial","transcript":"apa"}"#,
                Reply::Partial("apa".into()),
            ),
            (
                r#"{"type":"result","transcript":"apa itu"}"#,
                Reply::Result("apa itu".into()),
            ),
            (
                r#"{"type":"result","transcript":"x","error":null}"#,
                Reply::Result("x".into()),
            ),
            (
                r#"{"type":"result","transcript":null}"#,
                Reply::Result(String::new()),
            ),
            (
                r#"{"type":"result","transcript":"done","final":true}"#,
                Reply::Result("done".into()),
            ),
            (r#"{"type":"created","id":"7"}"#, Reply::Other),
            (r#"{"type":"quality","status":"ok"}"#, Reply::Other),
            ("{}", Reply::Other),
            (r#"{"type":"done"}"#, Reply::Done),
            (r#"{"status":"Completed"}"#, Reply::Done),
            (r#"{"is_final":true}"#, Reply::Done),
            (r#"{"done":false}"#, Reply::Other),
        ] {
            assert_eq!(parse(message.as_bytes()), Ok(expected), "{message}");
        }
    }

    #[test]
    fn what_is_no_message_is_unexpected() {
        for message in [
            "",
            "<html>",
            r#"{"type":"res"#,
            "[]",
            "\"result\"",
            r#"{"type":"result"}"#,
            r#"{"type":"result","transcript":7}"#,
        ] {
            let error = parse(message.as_bytes()).unwrap_err();
            assert_eq!(code(&error), failure::UNEXPECTED, "{message}");
        }
    }

    #[test]
    fn complaints_are_classified_and_never_quoted() {
        for (message, expected) in [
            (
                r#"{"type":"error","message":"s3cret boom"}"#,
                failure::FAILED,
            ),
            (
                r#"{"type":"error","message":"Invalid token s3cret"}"#,
                failure::UNAUTHORIZED,
            ),
            (r#"{"error":"Unauthorized"}"#, failure::UNAUTHORIZED),
            (
                r#"{"error":{"code":401,"message":"s3cret"}}"#,
                failure::UNAUTHORIZED,
            ),
            (r#"{"status":403}"#, failure::UNAUTHORIZED),
            (
                r#"{"detail":"Could not validate credentials"}"#,
                failure::UNAUTHORIZED,
            ),
            (
                r#"{"code":"429","message":"s3cret"}"#,
                failure::RATE_LIMITED,
            ),
            (
                r#"{"type":"error","message":"Too many requests"}"#,
                failure::RATE_LIMITED,
            ),
            (
                r#"{"status":"failed","error":"model s3cret is unknown"}"#,
                failure::REFUSED,
            ),
            (r#"{"type":"error","code":503}"#, failure::FAILED),
            (r#"{"type":"error","code":422}"#, failure::REFUSED),
        ] {
            let Ok(Reply::Failed(complaint)) = parse(message.as_bytes()) else {
                panic!("{message} is a complaint");
            };
            let error = complaint.to_error();
            assert_eq!(code(&error), expected, "{message}");
            assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        }
    }

    #[test]
    fn a_wait_is_passed_on() {
        let message = br#"{"type":"error","code":429,"retry_after":7}"#;
        let Ok(Reply::Failed(complaint)) = parse(message) else {
            panic!("it is a complaint");
        };
        assert!(matches!(
            complaint.to_error(),
            StageError::Transient { retry_after: Some(wait), .. } if wait.as_secs() == 7
        ));
    }
}
