//! Exponential backoff, for reconnecting and for trying a stage again.
//!
//! The only place that knows the crate `backoff`: it is unmaintained
//! (RUSTSEC-2025-0012), does all that is asked of it here, and can be replaced
//! by changing this file.

use std::time::Duration;

use backoff::{ExponentialBackoff, ExponentialBackoffBuilder, backoff::Backoff as _};

use crate::pipeline::Stage;

/// Growing delays with jitter, without an end: who gives up is decided
/// elsewhere.
pub struct Backoff(ExponentialBackoff);

impl Backoff {
    /// For reconnecting: soon at first, every few seconds later, and spread so
    /// that many processes do not come back in the same instant.
    pub fn reconnecting() -> Self {
        Self::between(Duration::from_millis(100), Duration::from_secs(5))
    }

    /// Doubles from about `first` up to about `longest`, each ± 50 %.
    pub fn between(first: Duration, longest: Duration) -> Self {
        Self(
            ExponentialBackoffBuilder::new()
                .with_initial_interval(first)
                .with_max_interval(longest)
                .with_multiplier(2.0)
                .with_randomization_factor(0.5)
                .with_max_elapsed_time(None)
                .build(),
        )
    }

    pub fn next_delay(&mut self) -> Duration {
        self.0.next_backoff().unwrap_or(self.0.max_interval)
    }

    /// Waits out the next delay.
    pub async fn wait(&mut self) {
        tokio::time::sleep(self.next_delay()).await;
    }

    /// Begins anew after a success.
    pub fn reset(&mut self) {
        self.0.reset();
    }
}

/// How often a stage is tried, and how long to wait between two tries.
///
/// The waits are fixed steps because on RabbitMQ each is a queue of its own: a
/// delay per message would block at the head of a shared one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The tries in all, the first one included; at least 1.
    pub max_attempts: u32,
}

/// The waits before the second, third and every later try.
pub const RETRY_DELAYS: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
];

/// Those of a stage whose work is done by [others' machines](Stage::is_at_the_client).
const CLIENT_DELAYS: [Duration; 3] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(300),
];

/// Those of `stage`; its queues know each of them.
pub fn delays_of(stage: Stage) -> &'static [Duration] {
    match stage.is_at_the_client() {
        true => &CLIENT_DELAYS,
        false => &RETRY_DELAYS,
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { max_attempts: 4 }
    }
}

impl RetryPolicy {
    /// The wait after failed try number `attempt` (from 1) of `stage`, or `None`
    /// when that was the last. The `retry_after` of the other side lengthens it
    /// to the next step that is long enough, never past the longest.
    pub fn delay_after(
        &self,
        stage: Stage,
        attempt: u32,
        retry_after: Option<Duration>,
    ) -> Option<Duration> {
        if attempt >= self.max_attempts {
            return None;
        }
        let step = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
        let steps = delays_of(stage);
        let longest = steps[steps.len() - 1];
        let own = steps.get(step).copied().unwrap_or(longest);
        let least = own.max(retry_after.unwrap_or_default());
        let enough = steps.iter().copied().find(|delay| *delay >= least);
        Some(enough.unwrap_or(longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_by_fixed_steps_and_end_with_the_last_attempt() {
        let policy = RetryPolicy { max_attempts: 5 };
        let secs = |attempt, after| {
            policy
                .delay_after(Stage::Rag, attempt, after)
                .map(|delay| delay.as_secs())
        };
        assert_eq!(secs(1, None), Some(1));
        assert_eq!(secs(2, None), Some(5));
        assert_eq!(secs(3, None), Some(30));
        assert_eq!(secs(4, None), Some(30));
        assert_eq!(secs(5, None), None);
        assert_eq!(secs(1, Some(Duration::from_secs(3))), Some(5));
        assert_eq!(secs(1, Some(Duration::from_secs(900))), Some(30));
    }

    #[test]
    fn a_target_of_callbacks_is_given_more_time() {
        let policy = RetryPolicy { max_attempts: 10 };
        let delay = |attempt, after: Option<u64>| {
            let after = after.map(Duration::from_secs);
            let delay = policy.delay_after(Stage::Webhook, attempt, after);
            delay.map(|delay| delay.as_secs())
        };
        let waits: Vec<_> = (1..10).filter_map(|attempt| delay(attempt, None)).collect();
        assert_eq!(waits, [5, 30, 300, 300, 300, 300, 300, 300, 300]);
        assert_eq!(delay(10, None), None);
        assert_eq!(delay(1, Some(3)), Some(5));
        assert_eq!(delay(1, Some(31)), Some(300));
        assert_eq!(delay(1, Some(3_600)), Some(300));
    }

    #[test]
    fn backoff_grows_to_its_bound_and_never_ends() {
        let mut backoff = Backoff::between(Duration::from_millis(100), Duration::from_secs(5));
        let delays: Vec<_> = (0..50).map(|_| backoff.next_delay()).collect();
        assert!(delays[0] <= Duration::from_millis(150));
        assert!(delays.iter().all(|it| *it <= Duration::from_millis(7_500)));
        assert!(delays[49] >= Duration::from_millis(2_500));
    }
}
