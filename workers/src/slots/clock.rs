//! The time of one attempt, without that in which it waits for a slot: who is held up by others has done nothing wrong. With
//! each part of its work that is done it has that time anew.

use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

tokio::task_local! {
    /// That of the attempt which this task works on.
    static CLOCK: Arc<Clock>;
}

/// The time of one attempt.
pub struct Clock {
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    /// Or renewed.
    begun: Instant,
    /// In waits that were over by then.
    waited_before: Duration,
    /// In waits that are over.
    waited: Duration,
    /// Waits that are not, and since when there are some.
    waits: u32,
    since: Instant,
}

/// The time was up.
#[derive(Debug, PartialEq, Eq)]
pub struct TimedOut;

impl Clock {
    pub fn start() -> Arc<Self> {
        let now = Instant::now();
        Arc::new(Self {
            state: Mutex::new(State {
                begun: now,
                waited_before: Duration::ZERO,
                waited: Duration::ZERO,
                waits: 0,
                since: now,
            }),
            changed: Notify::new(),
        })
    }

    /// Time that was spent waiting for slots.
    pub fn waited(&self) -> Duration {
        self.lock().waited
    }

    /// Does `work` for at most `limit` since the start, [waits](waiting) not counted.
    pub async fn within<T>(
        self: &Arc<Self>,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> Result<T, TimedOut> {
        tokio::select! {
            biased;
            done = CLOCK.scope(Arc::clone(self), work) => Ok(done),
            () = self.runs_out(limit) => Err(TimedOut),
        }
    }

    async fn runs_out(&self, limit: Duration) {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            match self.end(limit) {
                None => changed.await,
                Some(end) => tokio::select! {
                    () = sleep_until(end) => return,
                    () = changed => {}
                },
            }
        }
    }

    /// `None` while it stands still.
    fn end(&self, limit: Duration) -> Option<Instant> {
        let state = self.lock();
        let waited = state.waited - state.waited_before;
        (state.waits == 0).then(|| state.begun + waited + limit)
    }

    fn renew(&self) {
        let mut state = self.lock();
        state.begun = Instant::now();
        state.waited_before = state.waited;
        drop(state);
        self.changed.notify_one();
    }

    /// No code panics while holding the lock, so a poisoned one is still whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives this attempt its time anew, since a part of its work is done.
pub fn renew() {
    let _no_attempt = CLOCK.try_with(|clock| clock.renew());
}

/// Stops the clock of this attempt, if there is one, for as long as `wait` takes.
pub async fn waiting<T>(wait: impl Future<Output = T>) -> T {
    let _stopped = CLOCK.try_with(|clock| Stopped::new(Arc::clone(clock)));
    wait.await
}

/// Runs on when it is dropped, also with a wait that is given up.
struct Stopped(Arc<Clock>);

impl Stopped {
    fn new(clock: Arc<Clock>) -> Self {
        let mut state = clock.lock();
        if state.waits == 0 {
            state.since = Instant::now();
        }
        state.waits += 1;
        drop(state);
        clock.changed.notify_one();
        Self(clock)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.waits -= 1;
        if state.waits == 0 {
            let waited = state.since.elapsed();
            state.waited += waited;
        }
        drop(state);
        self.0.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{sleep, timeout};

    use super::*;

    const LIMIT: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn the_time_of_an_attempt_stands_still_while_it_waits() {
        let clock = Clock::start();
        let done = clock.within(LIMIT, waiting(sleep(2 * LIMIT)));
        assert_eq!(done.await, Ok(()));
        assert!(clock.waited() >= 2 * LIMIT);
    }

    #[tokio::test]
    async fn what_follows_a_wait_has_the_time_that_was_left() {
        let begun = Instant::now();
        let late = Clock::start();
        let late = late.within(LIMIT, async {
            sleep(LIMIT / 2).await;
            waiting(sleep(LIMIT)).await;
            std::future::pending::<()>().await;
        });
        assert_eq!(late.await, Err(TimedOut));
        assert!(begun.elapsed() >= 2 * LIMIT);
    }

    #[tokio::test]
    async fn with_each_part_that_is_done_there_is_time_for_the_next() {
        let clock = Clock::start();
        let done = clock.within(LIMIT, async {
            waiting(sleep(LIMIT)).await;
            for _ in 0..3 {
                sleep(LIMIT * 2 / 3).await;
                renew();
            }
            std::future::pending::<()>().await;
        });
        assert_eq!(done.await, Err(TimedOut));
        assert!(clock.waited() >= LIMIT && clock.waited() < 2 * LIMIT);
    }

    #[tokio::test]
    async fn a_wait_that_is_given_up_and_two_at_a_time_count_once() {
        let clock = Clock::start();
        let done = clock.within(LIMIT, async {
            let given_up = timeout(LIMIT, waiting(sleep(100 * LIMIT))).await;
            assert!(given_up.is_err());
            tokio::join!(waiting(sleep(LIMIT)), waiting(sleep(2 * LIMIT)));
        });
        assert_eq!(done.await, Ok(()));
        assert!(clock.waited() >= 3 * LIMIT);
    }
}
