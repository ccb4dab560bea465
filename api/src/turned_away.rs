//! Addresses that have been told to come again later, so that a flood from them
//! does not reach the shared store.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How many are remembered; what comes from others is asked of the store.
const MOST: usize = 10_000;

#[derive(Default)]
pub struct TurnedAway(Mutex<HashMap<IpAddr, Instant>>);

impl TurnedAway {
    pub fn remember(&self, address: IpAddr, retry_after: Duration, now: Instant) {
        // No code panics while holding the lock, so a poisoned one is whole.
        let mut until = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if until.len() >= MOST {
            until.retain(|_, until| *until > now);
        }
        if until.len() < MOST {
            until.insert(address, now + retry_after);
        }
    }

    /// How long `address` is still to stay away.
    pub fn time_left(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let until = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = until.get(&address)?.saturating_duration_since(now);
        Some(left).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn an_address_is_turned_away_until_its_time_has_come() {
        let (away, now) = (TurnedAway::default(), Instant::now());
        let address = IpAddr::from([192, 0, 2, 1]);
        assert_eq!(away.time_left(address, now), None);
        away.remember(address, MINUTE, now);
        assert_eq!(away.time_left(address, now + MINUTE / 2), Some(MINUTE / 2));
        assert_eq!(away.time_left([192, 0, 2, 2].into(), now), None);
        assert_eq!(away.time_left(address, now + MINUTE), None);
    }

    #[test]
    fn no_more_are_remembered_than_there_is_room_for() {
        let (away, now) = (TurnedAway::default(), Instant::now());
        let address = |n: usize| IpAddr::from(Ipv4Addr::from(u32::try_from(n).unwrap()));
        for n in 0..=MOST {
            away.remember(address(n), MINUTE, now);
        }
        assert_eq!(away.time_left(address(MOST), now), None);
        let later = now + MINUTE;
        away.remember(address(MOST), MINUTE, later);
        assert_eq!(away.time_left(address(MOST), later), Some(MINUTE));
    }
}
