//! What becomes of a message after its stage: decided here, without doing it.

use std::time::Duration;

use common::{
    broker::DeadLetterReason,
    envelope::Envelope,
    pipeline::Stage,
    reply::{Failure, FailureKind},
    retry::RetryPolicy,
    time::UnixMillis,
    turn::Turn,
};

use crate::handler::StageError;

#[derive(Clone, Debug, PartialEq)]
pub enum Settlement {
    /// On to the next stage.
    Forward { next: Envelope },
    /// The last stage is done, and with it the job.
    Complete { turn: Turn },
    /// The same stage again, later.
    Retry {
        next: Envelope,
        delay: Duration,
        reason: &'static str,
    },
    /// The job has failed by its own input: its caller is told, and there is
    /// nothing for an operator to do.
    Refuse { failure: Failure },
    /// The job has failed: its caller is told, then the message is put aside.
    DeadLetter {
        failure: Failure,
        reason: DeadLetterReason,
    },
}

/// Decides by the `result` of the stage at which `envelope` is.
pub fn settle(
    result: Result<Turn, StageError>,
    envelope: &Envelope,
    policy: &RetryPolicy,
    now: UnixMillis,
) -> Settlement {
    match result {
        Ok(turn) => match envelope.forwarded(turn.clone(), now) {
            Some(next) => Settlement::Forward { next },
            None => Settlement::Complete { turn },
        },
        Err(StageError::Transient {
            code,
            detail,
            retry_after,
        }) => match delay_within_deadline(envelope, policy, retry_after, now) {
            Some(delay) => Settlement::Retry {
                next: envelope.retried(now.after(delay)),
                delay,
                reason: code,
            },
            None => dead_letter(
                envelope,
                code,
                detail,
                FailureKind::Unavailable,
                given_up(envelope.stage()).into(),
            ),
        },
        Err(StageError::Permanent {
            code,
            kind: FailureKind::UnprocessableInput,
            message,
            ..
        }) => Settlement::Refuse {
            failure: failure(envelope, code, FailureKind::UnprocessableInput, message),
        },
        Err(StageError::Permanent {
            code,
            kind,
            message,
            detail,
        }) => dead_letter(envelope, code, detail, kind, message),
    }
}

/// A try that could only begin after the deadline is not worth waiting for.
fn delay_within_deadline(
    envelope: &Envelope,
    policy: &RetryPolicy,
    retry_after: Option<Duration>,
    now: UnixMillis,
) -> Option<Duration> {
    policy
        .delay_after(envelope.stage(), envelope.attempt, retry_after)
        .filter(|delay| !envelope.job.is_expired(now.after(*delay)))
}

/// For the client, when the last try has failed.
fn given_up(stage: Stage) -> &'static str {
    match stage.is_at_the_client() {
        true => "The address did not take the callback.",
        false => {
            "A service that is needed for the answer is not available. Please try again later."
        }
    }
}

fn dead_letter(
    envelope: &Envelope,
    code: &str,
    detail: String,
    kind: FailureKind,
    message: String,
) -> Settlement {
    Settlement::DeadLetter {
        failure: failure(envelope, code, kind, message),
        reason: DeadLetterReason {
            code: code.to_owned(),
            detail,
        },
    }
}

fn failure(envelope: &Envelope, code: &str, kind: FailureKind, message: String) -> Failure {
    Failure {
        code: code.to_owned(),
        message,
        kind,
        stage: Some(envelope.stage()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::{pipeline::Route, testing::fixtures};

    const POLICY: RetryPolicy = RetryPolicy { max_attempts: 3 };

    fn now() -> UnixMillis {
        UnixMillis(1_000_000)
    }

    /// A message with `left` until its deadline.
    fn envelope(route: Route, attempt: u32, left: Duration) -> Envelope {
        let mut envelope = fixtures::envelope(route);
        envelope.attempt = attempt;
        envelope.job.deadline = now().after(left);
        envelope
    }

    fn transient(retry_after: Option<u64>) -> Result<Turn, StageError> {
        Err(StageError::Transient {
            code: "vendor_away",
            detail: "503".into(),
            retry_after: retry_after.map(Duration::from_secs),
        })
    }

    fn word(settlement: &Settlement) -> String {
        match settlement {
            Settlement::Forward { next } => format!("forward to {}", next.stage()),
            Settlement::Complete { .. } => "complete".into(),
            Settlement::Retry { next, delay, .. } => {
                format!("attempt {} in {}s", next.attempt, delay.as_secs())
            }
            Settlement::Refuse { failure } => format!("refuse {}", failure.code),
            Settlement::DeadLetter { failure, .. } => {
                format!("dead letter {} {:?}", failure.code, failure.kind)
            }
        }
    }

    #[test]
    fn each_outcome_has_its_settlement() {
        let minute = Duration::from_secs(60);
        let done = || Ok(fixtures::text_turn("apa?"));
        let refused = || {
            Err(StageError::unprocessable(
                "no_speech",
                "no speech was found",
            ))
        };
        let broken = || Err(StageError::internal("panicked", "index out of bounds"));
        let rows = [
            (
                done(),
                envelope(Route::Voice, 1, minute),
                "forward to emotion",
            ),
            (done(), envelope(Route::Text, 1, minute), "complete"),
            (done(), envelope(Route::Text, 3, minute), "complete"),
            (
                transient(None),
                envelope(Route::Text, 1, minute),
                "attempt 2 in 1s",
            ),
            (
                transient(None),
                envelope(Route::Text, 2, minute),
                "attempt 3 in 5s",
            ),
            (
                transient(Some(4)),
                envelope(Route::Text, 1, minute),
                "attempt 2 in 5s",
            ),
            (
                transient(None),
                envelope(Route::Text, 3, minute),
                "dead letter vendor_away Unavailable",
            ),
            (
                transient(None),
                envelope(Route::Text, 2, Duration::from_secs(4)),
                "dead letter vendor_away Unavailable",
            ),
            (
                refused(),
                envelope(Route::Voice, 1, minute),
                "refuse no_speech",
            ),
            (
                broken(),
                envelope(Route::Text, 1, minute),
                "dead letter panicked Internal",
            ),
        ];
        for (result, envelope, expected) in rows {
            let settlement = settle(result, &envelope, &POLICY, now());
            assert_eq!(word(&settlement), expected);
        }
    }

    #[test]
    fn a_client_never_hears_an_operators_detail() {
        for result in [
            transient(None),
            Err(StageError::internal("panicked", "503 secret")),
        ] {
            let last = envelope(Route::Text, 3, Duration::from_secs(60));
            let Settlement::DeadLetter { failure, reason } = settle(result, &last, &POLICY, now())
            else {
                panic!("a dead letter")
            };
            assert!(!failure.message.contains("503"));
            assert!(reason.detail.contains("503"));
        }
    }

    #[test]
    fn the_next_stage_is_reached_with_the_enriched_turn_and_a_fresh_attempt() {
        let at = envelope(Route::Voice, 3, Duration::from_secs(60));
        let mut turn = at.turn.clone();
        turn.answer = Some(fixtures::answer("itu"));
        let Settlement::Forward { next } = settle(Ok(turn.clone()), &at, &POLICY, now()) else {
            panic!("forwarded")
        };
        assert_eq!((next.attempt, next.turn), (1, turn));
        assert_eq!(next.job, at.job);
        assert_eq!(next.slip.current(), Stage::Emotion);
    }
}
