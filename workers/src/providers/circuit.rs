//! Keeps jobs away from a provider that is known to be down (Nygard, *Release
//! It!*: *Circuit Breaker*).
//!
//! Closed, calls go through. A provider that cannot be reached or does not
//! answer opens the circuit at once, so that it costs one job its time and not
//! all; other errors open it after as many in a row as are tolerated; those of
//! calls that began side by side, as of the sentences of one answer, are one. After a
//! while one call is let through to see; the circuit closes when it succeeds,
//! and otherwise stays open twice as long as before.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long a circuit stays open at first, and at most.
const FIRST_REST: Duration = Duration::from_secs(10);
const LONGEST_REST: Duration = Duration::from_secs(120);

/// Errors in a row, each of which might be chance, that open it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tolerance {
    /// One: somebody else can do the work meanwhile.
    None,
    /// Three: nobody else can.
    Some,
}

impl Tolerance {
    fn errors(self) -> u32 {
        match self {
            Self::None => 1,
            Self::Some => 3,
        }
    }
}

/// The breaker of one provider in one process.
pub struct Circuit {
    tolerance: Tolerance,
    state: Mutex<State>,
}

#[derive(Clone, Copy)]
enum State {
    Closed {
        stumbles: u32,
    },
    Open {
        until: Instant,
        rest: Duration,
    },
    /// One call is under way to see whether the provider is back.
    Probing {
        rest: Duration,
    },
}

/// What a call tells about the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Alive,
    /// It failed, which might be chance.
    Stumbled,
    /// It is not to be asked again soon; for that long, if it said so.
    Down(Option<Duration>),
}

impl Circuit {
    pub fn new(tolerance: Tolerance) -> Self {
        let state = Mutex::new(State::Closed { stumbles: 0 });
        Self { tolerance, state }
    }

    /// Leave to make one call, or how long to stay away.
    pub fn admit(&self, now: Instant) -> Result<Admission<'_>, Duration> {
        let mut state = self.lock();
        let mut stumbles = 0;
        match *state {
            State::Closed { stumbles: before } => stumbles = before,
            State::Open { until, .. } if now < until => return Err(until - now),
            State::Open { rest, .. } => *state = State::Probing { rest },
            // The answer of the one that probes is worth waiting a moment for.
            State::Probing { .. } => return Err(Duration::from_secs(1)),
        }
        Ok(Admission {
            circuit: self,
            stumbles,
            judged: false,
        })
    }

    /// Whether calls go through, as far as is known.
    pub fn is_closed(&self) -> bool {
        matches!(*self.lock(), State::Closed { .. })
    }

    /// Of a call that began after so many `before` it had stumbled.
    fn judge(&self, verdict: Verdict, before: u32, now: Instant) {
        let mut state = self.lock();
        *state = match (*state, verdict) {
            (_, Verdict::Alive) => State::Closed { stumbles: 0 },
            (State::Closed { stumbles }, Verdict::Stumbled) if before < stumbles => {
                State::Closed { stumbles }
            }
            (State::Closed { stumbles }, Verdict::Stumbled)
                if stumbles + 1 < self.tolerance.errors() =>
            {
                State::Closed {
                    stumbles: stumbles + 1,
                }
            }
            (State::Closed { .. }, Verdict::Stumbled) => opened(now, FIRST_REST),
            (State::Closed { .. }, Verdict::Down(asked)) => {
                opened(now, asked.unwrap_or(FIRST_REST))
            }
            (State::Probing { rest }, Verdict::Stumbled) => opened(now, rest.saturating_mul(2)),
            (State::Probing { rest }, Verdict::Down(asked)) => {
                opened(now, asked.unwrap_or(rest.saturating_mul(2)))
            }
            // A call that began before the circuit opened.
            (open @ State::Open { .. }, _) => open,
        };
    }

    /// The one that probes was given up before there was an answer: the next
    /// call may probe.
    fn abandon(&self) {
        let mut state = self.lock();
        if let State::Probing { rest } = *state {
            let until = Instant::now();
            *state = State::Open { until, rest };
        }
    }

    /// No code panics while holding the lock, so a poisoned one is still whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn opened(now: Instant, rest: Duration) -> State {
    let rest = rest.min(LONGEST_REST);
    let until = now + rest;
    State::Open { until, rest }
}

/// One call's leave; to be judged by how the call ends.
pub struct Admission<'a> {
    circuit: &'a Circuit,
    /// Errors in a row when it began.
    stumbles: u32,
    judged: bool,
}

impl Admission<'_> {
    pub fn judge(mut self, verdict: Verdict, now: Instant) {
        self.judged = true;
        self.circuit.judge(verdict, self.stumbles, now);
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        if !self.judged {
            self.circuit.abandon();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Clocked {
        circuit: Circuit,
        now: Instant,
    }

    impl Clocked {
        fn new() -> Self {
            Self {
                circuit: Circuit::new(Tolerance::Some),
                now: Instant::now(),
            }
        }

        fn advance(&mut self, time: Duration) {
            self.now += time;
        }

        /// Whether a call went through, which then ended with `verdict`.
        fn call(&self, verdict: Verdict) -> bool {
            let admission = self.circuit.admit(self.now);
            let admitted = admission.is_ok();
            if let Ok(admission) = admission {
                admission.judge(verdict, self.now);
            }
            admitted
        }
    }

    #[test]
    fn a_provider_that_is_down_costs_one_call_and_then_one_a_rest() {
        let mut it = Clocked::new();
        assert!(it.call(Verdict::Down(None)));
        assert!(!it.call(Verdict::Alive), "open");
        it.advance(FIRST_REST);
        assert!(it.call(Verdict::Down(None)), "probes");
        it.advance(FIRST_REST);
        assert!(!it.call(Verdict::Alive), "rests twice as long");
        it.advance(FIRST_REST);
        assert!(it.call(Verdict::Alive), "probes again");
        assert!(it.call(Verdict::Alive), "closed");
    }

    #[test]
    fn single_errors_do_not_open_it() {
        let it = Clocked::new();
        for verdict in [
            Verdict::Stumbled,
            Verdict::Stumbled,
            Verdict::Alive,
            Verdict::Stumbled,
            Verdict::Stumbled,
            Verdict::Stumbled,
        ] {
            assert!(it.call(verdict));
        }
        assert!(!it.call(Verdict::Alive));
    }

    #[test]
    fn the_errors_of_calls_that_began_side_by_side_are_one() {
        let it = Clocked::new();
        for _ in 0..2 {
            let calls: Vec<_> = (0..5).map(|_| it.circuit.admit(it.now)).collect();
            for call in calls {
                call.expect("closed").judge(Verdict::Stumbled, it.now);
            }
        }
        assert!(it.call(Verdict::Stumbled), "the third in a row");
        assert!(!it.call(Verdict::Alive));
    }

    #[test]
    fn a_single_error_opens_it_where_somebody_else_can_do_the_work() {
        let circuit = Circuit::new(Tolerance::None);
        let now = Instant::now();
        let admission = circuit.admit(now).expect("closed");
        admission.judge(Verdict::Stumbled, now);
        assert!(circuit.admit(now).is_err());
    }

    #[test]
    fn one_probes_at_a_time_and_an_abandoned_probe_blocks_nobody() {
        let mut it = Clocked::new();
        it.call(Verdict::Down(None));
        it.advance(FIRST_REST);
        let probe = it.circuit.admit(it.now).expect("may probe");
        assert!(it.circuit.admit(it.now).is_err());
        drop(probe);
        it.advance(Duration::from_secs(1));
        assert!(it.circuit.admit(it.now).is_ok());
    }

    #[test]
    fn it_stays_open_as_long_as_the_provider_asks() {
        let mut it = Clocked::new();
        it.call(Verdict::Down(Some(Duration::from_secs(45))));
        it.advance(Duration::from_secs(44));
        assert_eq!(it.circuit.admit(it.now).err(), Some(Duration::from_secs(1)));
        it.advance(Duration::from_secs(1));
        assert!(it.circuit.admit(it.now).is_ok());
    }
}
