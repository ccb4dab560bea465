//! Who talks to a server when many want to at once: as many as keep it busy. The
//! others wait their turn for as long as it gets on, so that a crowd takes
//! longer instead of being told, all at once, that nothing was answered in time.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout},
};

/// The longest wait for a turn: who has waited so long is told of an overload.
const LONGEST: Duration = Duration::from_secs(10);

pub struct Line {
    places: Semaphore,
    longest: Duration,
    answered: AtomicU64,
}

/// Nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTurn {
    #[error("it answers nobody")]
    Stuck,
    #[error("too many are ahead")]
    TooLong,
}

impl Line {
    /// `places` talk at the same time: enough to keep the server busy, and few
    /// enough for each to be answered in its time where they share what little
    /// processor time there is.
    pub fn new(places: usize) -> Self {
        Self::with_longest(places, LONGEST)
    }

    fn with_longest(places: usize, longest: Duration) -> Self {
        Self {
            places: Semaphore::new(places),
            longest,
            answered: AtomicU64::new(0),
        }
    }

    /// Waits for a turn, first come, first served.
    ///
    /// # Errors
    /// When nobody was answered for `patience`, and after the longest wait.
    pub async fn turn(&self, patience: Duration) -> Result<SemaphorePermit<'_>, NoTurn> {
        let begun = Instant::now();
        let mut turn = std::pin::pin!(self.places.acquire());
        loop {
            let answered = self.answered.load(Ordering::Relaxed);
            match timeout(patience, &mut turn).await {
                Ok(turn) => return Ok(turn.expect("the line is never closed")),
                Err(_) if self.answered.load(Ordering::Relaxed) == answered => {
                    return Err(NoTurn::Stuck);
                }
                Err(_) if begun.elapsed() >= self.longest => return Err(NoTurn::TooLong),
                Err(_) => {}
            }
        }
    }

    /// The server has answered, or will not: the line gets on.
    pub fn moves(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn a_crowd_takes_longer_while_the_server_gets_on() {
        let line = Line::new(10);
        let publish = async || {
            let _turn = line.turn(PATIENCE).await?;
            tokio::time::sleep(PATIENCE / 4).await;
            line.moves();
            Ok::<_, NoTurn>(())
        };
        let begun = Instant::now();
        let all = (0..100).map(|_| publish());
        assert!(join_all(all).await.iter().all(Result::is_ok));
        assert!(begun.elapsed() > 2 * PATIENCE);
    }

    #[tokio::test]
    async fn behind_a_server_that_answers_nobody_no_one_waits_for_long() {
        let line = Line::new(1);
        let _hangs = line.turn(PATIENCE).await;
        let begun = Instant::now();
        let refused = line.turn(PATIENCE).await;
        assert_eq!(refused.unwrap_err(), NoTurn::Stuck);
        assert!(begun.elapsed() < LONGEST / 2);
    }

    #[tokio::test]
    async fn a_turn_that_is_too_far_away_is_an_overload() {
        let line = Line::with_longest(1, 2 * PATIENCE);
        let _busy = line.turn(PATIENCE).await;
        let moving = async {
            loop {
                tokio::time::sleep(PATIENCE / 8).await;
                line.moves();
            }
        };
        tokio::select! {
            refused = line.turn(PATIENCE) => assert_eq!(refused.unwrap_err(), NoTurn::TooLong),
            () = moving => {}
        }
    }
}
