//! GCRA (ITU-T I.371, annex A): all that is known of a policy is one point in
//! time, at which its whole quota will be there again, the *theoretical arrival
//! time*. Points in time are in microseconds since the epoch.

use std::time::Duration;

use super::{Policy, Standing};

impl Policy {
    /// Microseconds in which one request comes back. Rounded up, so that no
    /// more than the quota is given away.
    pub(super) fn interval(&self) -> u64 {
        let window = u64::try_from(self.window.as_micros()).unwrap_or(u64::MAX);
        window.div_ceil(self.quota.get().into()).max(1)
    }

    /// Microseconds in which the whole quota comes back.
    pub(super) fn fill_time(&self) -> u64 {
        self.interval() * u64::from(self.quota.get())
    }

    /// When all is there again after one more request, or how long there is no
    /// room for it.
    pub(super) fn take(&self, full_at: u64, now: u64) -> Result<u64, Duration> {
        let full_at = full_at.max(now) + self.interval();
        match full_at.saturating_sub(now + self.fill_time()) {
            0 => Ok(full_at),
            early => Err(Duration::from_micros(early)),
        }
    }

    /// How it stands when all is there again in `full_in` microseconds.
    pub(super) fn standing(&self, full_in: u64) -> Standing {
        let room = self.fill_time().saturating_sub(full_in);
        let remaining = room / self.interval();
        let more_in = match full_in {
            0 => 0,
            _ => self.interval() - room % self.interval(),
        };
        Standing {
            // No more than the quota, which is one.
            remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
            more_in: Duration::from_micros(more_in),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn policy(quota: u32, seconds: u64) -> Policy {
        Policy {
            name: "submit",
            quota: NonZeroU32::new(quota).unwrap(),
            window: Duration::from_secs(seconds),
        }
    }

    const SECOND: u64 = 1_000_000;

    #[test]
    fn the_quota_may_be_used_at_once_and_comes_back_evenly() {
        let policy = policy(4, 8);
        let now = 1_000 * SECOND;
        let mut full_at = 0;
        for remaining in [3, 2, 1, 0] {
            full_at = policy.take(full_at, now).unwrap();
            let standing = policy.standing(full_at - now);
            assert_eq!(standing.remaining, remaining);
            assert_eq!(standing.more_in, Duration::from_secs(2));
        }
        assert_eq!(policy.take(full_at, now), Err(Duration::from_secs(2)));
        let just_before = now + 2 * SECOND - 1;
        assert_eq!(
            policy.take(full_at, just_before),
            Err(Duration::from_micros(1))
        );
        assert!(policy.take(full_at, now + 2 * SECOND).is_ok());
    }

    #[test]
    fn what_was_not_used_does_not_add_up() {
        let policy = policy(2, 2);
        let mut full_at = policy.take(0, SECOND).unwrap();
        let later = 1_000 * SECOND;
        for _ in 0..2 {
            full_at = policy.take(full_at, later).unwrap();
        }
        assert!(policy.take(full_at, later).is_err());
    }

    #[test]
    fn a_policy_that_nobody_used_stands_at_its_quota() {
        let standing = policy(100, 3_600).standing(0);
        let expected = Standing {
            remaining: 100,
            more_in: Duration::ZERO,
        };
        assert_eq!(standing, expected);
    }

    #[test]
    fn in_no_stretch_of_time_are_more_admitted_than_promised() {
        // Seven in ten seconds do not divide evenly.
        let policy = policy(7, 10);
        let (mut full_at, mut admitted) = (0, Vec::new());
        for step in 0..4_000_u64 {
            let now = step * 13_337;
            if let Ok(next) = policy.take(full_at, now) {
                full_at = next;
                admitted.push(now);
            }
        }
        for (first, from) in admitted.iter().enumerate() {
            for (last, to) in admitted.iter().enumerate().skip(first) {
                let count = (last - first + 1) as u64;
                assert!(count <= 7 + (to - from) * 7 / (10 * SECOND));
            }
        }
        assert!(admitted.len() > 7 + 36);
    }
}
