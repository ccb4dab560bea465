//! What a connection is doing, and whether its client still does its part of
//! it. Decides alone: who asks, acts.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long a client may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For the head of a request, and to take what is sent to it.
    pub client: Duration,
    /// For the next request on the same connection.
    pub keep_alive: Duration,
}

impl Patience {
    /// How often to look: a limit is passed by no more than a quarter of it.
    pub fn look_every(self) -> Duration {
        let shortest = self.client.min(self.keep_alive);
        (shortest / 4).clamp(Duration::from_millis(50), Duration::from_secs(5))
    }
}

/// What a look at a connection finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    Well,
    /// Nothing was asked for a while.
    Idle,
    /// The head of a request does not come to its end (*slow loris*).
    SlowToAsk,
    /// The socket takes nothing more.
    SlowToRead,
}

/// Shared by all that works for one connection.
#[derive(Debug)]
pub struct Watch {
    patience: Patience,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Requests that are being answered.
    answering: usize,
    /// When the last answer ended, or else the connection began.
    quiet_since: Instant,
    /// When the first byte of a head came that is not complete. A new
    /// connection owes one from the start.
    head_since: Option<Instant>,
    /// The socket takes nothing more.
    blocked_since: Option<Instant>,
    written_at: Instant,
}

impl Watch {
    pub fn new(patience: Patience) -> Self {
        let now = Instant::now();
        Self {
            patience,
            state: Mutex::new(State::at(now)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes came from the client.
    pub fn received(&self) {
        self.state().received(Instant::now());
    }

    /// The socket took bytes for the client.
    pub fn sent(&self) {
        self.state().sent(Instant::now());
    }

    /// The socket would take none.
    pub fn blocked(&self) {
        let mut state = self.state();
        state.blocked_since.get_or_insert_with(Instant::now);
    }

    /// The head of a request is complete.
    pub fn begin(&self) {
        self.state().begin();
    }

    /// Its answer is complete, or given up.
    pub fn end(&self) {
        self.state().end(Instant::now());
    }

    pub fn look(&self) -> Finding {
        self.state().finding(self.patience, Instant::now())
    }
}

impl State {
    fn at(now: Instant) -> Self {
        Self {
            answering: 0,
            quiet_since: now,
            head_since: Some(now),
            blocked_since: None,
            written_at: now,
        }
    }

    fn received(&mut self, now: Instant) {
        if self.answering == 0 {
            self.head_since.get_or_insert(now);
        }
    }

    fn sent(&mut self, now: Instant) {
        self.blocked_since = None;
        self.written_at = now;
    }

    fn begin(&mut self) {
        self.answering += 1;
        self.head_since = None;
    }

    fn end(&mut self, now: Instant) {
        self.answering -= 1;
        self.quiet_since = now;
    }

    fn finding(&self, patience: Patience, now: Instant) -> Finding {
        let is_over = |since: Instant, time| now.saturating_duration_since(since) > time;
        if self
            .blocked_since
            .is_some_and(|since| is_over(since, patience.client))
        {
            return Finding::SlowToRead;
        }
        if self.answering > 0 {
            return Finding::Well;
        }
        if self
            .head_since
            .is_some_and(|since| is_over(since, patience.client))
        {
            return Finding::SlowToAsk;
        }
        // The end of a long answer may still be on its way to a slow client.
        if is_over(self.quiet_since.max(self.written_at), patience.keep_alive) {
            return Finding::Idle;
        }
        Finding::Well
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Finding::{Idle, SlowToAsk, SlowToRead, Well};

    const PATIENCE: Patience = Patience {
        client: Duration::from_secs(30),
        keep_alive: Duration::from_secs(75),
    };

    struct Told {
        state: State,
        begun: Instant,
    }

    impl Told {
        fn new() -> Self {
            let begun = Instant::now();
            let state = State::at(begun);
            Self { state, begun }
        }

        fn at(&self, seconds: u64) -> Instant {
            self.begun + Duration::from_secs(seconds)
        }

        fn finding(&self, seconds: u64) -> Finding {
            self.state.finding(PATIENCE, self.at(seconds))
        }
    }

    #[test]
    fn a_head_has_its_time_however_its_bytes_trickle() {
        let mut told = Told::new();
        for second in 0..30 {
            told.state.received(told.at(second));
            assert_eq!(told.finding(second), Well);
        }
        assert_eq!(told.finding(31), SlowToAsk);
    }

    #[test]
    fn a_request_may_be_worked_on_for_as_long_as_it_takes() {
        let mut told = Told::new();
        told.state.begin();
        assert_eq!(told.finding(10_000), Well);
        told.state.end(told.at(10_000));
        assert_eq!(told.finding(10_075), Well);
        assert_eq!(told.finding(10_076), Idle);
    }

    #[test]
    fn the_head_of_a_second_request_has_its_time_too() {
        let mut told = Told::new();
        told.state.begin();
        told.state.end(told.at(1));
        told.state.received(told.at(20));
        assert_eq!(told.finding(50), Well);
        assert_eq!(told.finding(51), SlowToAsk);
    }

    #[test]
    fn a_client_that_takes_nothing_is_found_while_it_is_answered() {
        let mut told = Told::new();
        told.state.begin();
        told.state.blocked_since = Some(told.at(5));
        assert_eq!(told.finding(35), Well);
        assert_eq!(told.finding(36), SlowToRead);
        told.state.sent(told.at(36));
        assert_eq!(told.finding(36), Well);
    }

    #[test]
    fn the_end_of_an_answer_may_be_long_on_its_way_while_it_moves() {
        let mut told = Told::new();
        told.state.begin();
        told.state.end(told.at(1));
        told.state.sent(told.at(70));
        assert_eq!(told.finding(140), Well);
        told.state.blocked_since = Some(told.at(70));
        assert_eq!(told.finding(101), SlowToRead);
        told.state.sent(told.at(101));
        assert_eq!(told.finding(102), Well);
    }
}
