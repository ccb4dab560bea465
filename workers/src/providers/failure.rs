//! How the ways in which a remote service fails are told apart.
//!
//! The codes are what a circuit breaker and an operator go by, and are the same
//! for every vendor.

use std::time::Duration;

use crate::handler::StageError;

/// It did not answer in time.
pub const TIMEOUT: &str = "provider_timeout";
/// It could not be reached, or the connection broke.
pub const UNREACHABLE: &str = "provider_unreachable";
/// It asks to be asked less often.
pub const RATE_LIMITED: &str = "provider_rate_limited";
/// It says that it has failed.
pub const FAILED: &str = "provider_failed";
/// What it answered cannot be understood.
pub const UNEXPECTED: &str = "provider_unexpected";
/// It does not accept our key.
pub const UNAUTHORIZED: &str = "provider_unauthorized";
/// It does not accept what we asked for.
pub const REFUSED: &str = "provider_refused";

/// It has no such voice; another synthesiser may.
pub const UNKNOWN_VOICE: &str = "unknown_voice";

/// A longer wait than this is no use to any job.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

pub fn timed_out(provider: &str, limit: Duration) -> StageError {
    StageError::transient(
        TIMEOUT,
        format!("{provider} did not answer within {limit:?}"),
    )
}

/// Whether what failed so has used nothing that is worth counting: it was refused
/// or broke off. One that took too long may have done all its work.
pub fn is_free(error: &StageError) -> bool {
    error.code() != TIMEOUT
}

/// `reason` must not hold the address: it may carry a key.
pub fn unreachable(provider: &str, reason: impl std::fmt::Display) -> StageError {
    StageError::transient(UNREACHABLE, format!("{provider}: {reason}"))
}

pub fn unexpected(provider: &str, reason: impl std::fmt::Display) -> StageError {
    StageError::transient(UNEXPECTED, format!("{provider}: {reason}"))
}

/// By the status of an HTTP answer (RFC 9110) that is no success.
///
/// What is wrong on our side (a key, a model's name) stays wrong when asked
/// again; all others may pass.
pub fn of_status(provider: &str, status: u16, retry_after: Option<Duration>) -> StageError {
    let detail = format!("{provider} answered with HTTP status {status}");
    match status {
        429 => StageError::Transient {
            code: RATE_LIMITED,
            detail,
            retry_after,
        },
        401..=403 => StageError::internal(UNAUTHORIZED, detail),
        408 | 409 | 425 | 500.. => StageError::Transient {
            code: FAILED,
            detail,
            retry_after,
        },
        _ => StageError::internal(REFUSED, detail),
    }
}

/// The value of a `Retry-After` header: seconds, or an HTTP date (RFC 9110,
/// section 10.2.3) counted from `now`.
pub fn retry_after(value: &str, now: std::time::SystemTime) -> Option<Duration> {
    let value = value.trim();
    let wait = match value.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(value)
            .ok()?
            .duration_since(now)
            .unwrap_or_default(),
    };
    Some(wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_told_from_what_stays_wrong() {
        for (status, code, transient) in [
            (400, REFUSED, false),
            (401, UNAUTHORIZED, false),
            (402, UNAUTHORIZED, false),
            (404, REFUSED, false),
            (408, FAILED, true),
            (429, RATE_LIMITED, true),
            (500, FAILED, true),
            (503, FAILED, true),
            (529, FAILED, true),
        ] {
            let error = of_status("vendor", status, None);
            let (found, found_transient) = match &error {
                StageError::Transient { code, .. } => (*code, true),
                StageError::Permanent { code, .. } => (*code, false),
            };
            assert_eq!((found, found_transient), (code, transient), "{status}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_bounded() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        for (value, seconds) in [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("Sun, 06 Nov 1994 08:49:57 GMT", Some(20)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("999999999999", Some(3_600)),
            ("soon", None),
            ("-1", None),
        ] {
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(retry_after(value, now), expected, "{value}");
        }
    }
}
