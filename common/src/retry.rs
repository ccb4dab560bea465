//! Exponential backoff, for reconnecting and for trying a stage again.
//!
//! The only place that knows the crate `backoff`: it is unmaintained
//! (RUSTSEC-2025-0012), does all that is asked of it here, and can be replaced
//! by changing this file.

use std::time::Duration;

use backoff::{ExponentialBackoff, ExponentialBackoffBuilder, backoff::Backoff as _};

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

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { max_attempts: 4 }
    }
}

impl RetryPolicy {
    /// The wait after failed try number `attempt` (from 1), or `None` when that
    /// was the last. A vendor's `retry_after` lengthens it to the next step
    /// that is long enough, never past the longest.
    pub fn delay_after(&self, attempt: u32, retry_after: Option<Duration>) -> Option<Duration> {
        if attempt >= self.max_attempts {
            return None;
        }
        let step = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
        let own = RETRY_DELAYS[step.min(RETRY_DELAYS.len() - 1)];
        let least = own.max(retry_after.unwrap_or_default());
        let longest = RETRY_DELAYS[RETRY_DELAYS.len() - 1];
        Some(
            RETRY_DELAYS
                .into_iter()
                .find(|delay| *delay >= least)
                .unwrap_or(longest),
        )
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
                .delay_after(attempt, after)
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
    fn backoff_grows_to_its_bound_and_never_ends() {
        let mut backoff = Backoff::between(Duration::from_millis(100), Duration::from_secs(5));
        let delays: Vec<_> = (0..50).map(|_| backoff.next_delay()).collect();
        assert!(delays[0] <= Duration::from_millis(150));
        assert!(delays.iter().all(|it| *it <= Duration::from_millis(7_500)));
        assert!(delays[49] >= Duration::from_millis(2_500));
    }
}
