//! Fields of a form or of JSON beside the question, checked one by one.

use std::{ops::RangeInclusive, time::Duration};

use common::priority::Priority;

use crate::{error::Problem, render::ResponseFormat};

/// The same words as a conversation id: voices are named by the synthesiser.
pub(super) fn valid_voice(voice: Option<String>) -> Result<Option<String>, Problem> {
    let is_name = |voice: &str| {
        (1..=64).contains(&voice.len())
            && voice
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-_".contains(&byte))
    };
    match voice.as_deref() {
        None | Some("") => Ok(None),
        Some(name) if is_name(name) => Ok(voice),
        Some(_) => Err(Problem::unprocessable(
            "invalid_voice",
            "The field voice must be 1 to 64 letters, digits, '+', '-' or '_'.",
        )),
    }
}

/// The field of a form.
pub(super) fn written_priority(text: Option<String>) -> Result<Option<Priority>, Problem> {
    match text.as_deref() {
        None | Some("") => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| {
            Problem::unprocessable(
                "invalid_priority",
                "The field priority must be interactive or batch.",
            )
        }),
    }
}

/// Seconds of a job's time.
const TIMEOUTS: RangeInclusive<u64> = 1..=3_600;

pub(super) fn valid_timeout(seconds: u64) -> Result<Duration, Problem> {
    if TIMEOUTS.contains(&seconds) {
        Ok(Duration::from_secs(seconds))
    } else {
        Err(invalid_timeout())
    }
}

/// The field of a form.
pub(super) fn written_timeout(text: Option<String>) -> Result<Option<Duration>, Problem> {
    match text.as_deref() {
        None | Some("") => Ok(None),
        Some(text) => {
            let seconds = text.parse().map_err(|_| invalid_timeout())?;
            valid_timeout(seconds).map(Some)
        }
    }
}

fn invalid_timeout() -> Problem {
    Problem::unprocessable(
        "invalid_timeout",
        format!(
            "The field timeout must be a whole number of seconds from {} to {}.",
            TIMEOUTS.start(),
            TIMEOUTS.end()
        ),
    )
}

pub(super) fn valid_format(format: Option<String>) -> Result<Option<String>, Problem> {
    match format.as_deref() {
        None | Some("") => Ok(None),
        Some(name) if name.parse::<ResponseFormat>().is_ok() => Ok(format),
        Some(_) => Err(Problem::unprocessable(
            "invalid_response_format",
            "The field response_format must be hex, base64 or url.",
        )),
    }
}
