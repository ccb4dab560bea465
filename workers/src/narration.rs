//! What a stage tells while it works, on its way into the reply log.
//!
//! One append is under way at a time, and whatever is told meanwhile goes with
//! the next one: a fast teller is not slowed down, and a slow log is asked less
//! often. Neighbouring pieces of the answer travel as one, and pieces that follow
//! one another sooner than [`COALESCING`] are collected for so long.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use common::reply::Event;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// From one append of a piece of the answer to the next one. Shorter than what a
/// reader sees as a pause, and several words of a fast language model.
const COALESCING: Duration = Duration::from_millis(40);

use crate::handler::Progress;

/// The events of one try that the log does not have yet.
#[derive(Default)]
pub struct Narration {
    told: Mutex<Vec<Event>>,
    more: Notify,
}

impl Progress for Narration {
    fn tell(&self, event: Event) {
        self.lock().push(event);
        self.more.notify_one();
    }
}

impl Narration {
    /// Runs `work`, and has `record` append what it tells. What is still untold
    /// to the log when the work is done comes back with its result, so that it
    /// can be recorded together with what follows.
    pub async fn during<T, F>(
        &self,
        work: impl Future<Output = T>,
        record: impl Fn(Vec<Event>) -> F,
    ) -> (T, Vec<Event>)
    where
        F: Future<Output = ()>,
    {
        let done = Notify::new();
        let work = async {
            let result = work.await;
            done.notify_one();
            result
        };
        let tell = async {
            let mut next_piece = Instant::now();
            loop {
                tokio::select! {
                    biased;
                    () = done.notified() => return,
                    () = self.more.notified() => {}
                }
                while self.is_next_piece() && Instant::now() < next_piece {
                    tokio::select! {
                        biased;
                        () = done.notified() => return,
                        () = sleep_until(next_piece) => {}
                        () = self.more.notified() => {}
                    }
                }
                if self.is_next_piece() {
                    next_piece = Instant::now() + COALESCING;
                }
                let told = self.take();
                // It may have gone with the append before.
                if !told.is_empty() {
                    record(told).await;
                }
            }
        };
        let (result, ()) = tokio::join!(work, tell);
        (result, self.take())
    }

    /// Whether nothing but pieces of the answer is to be told.
    fn is_next_piece(&self) -> bool {
        let is_piece = |event: &Event| matches!(event, Event::AnswerDelta { .. });
        self.lock().iter().all(is_piece)
    }

    fn take(&self) -> Vec<Event> {
        let told = std::mem::take(&mut *self.lock());
        told.into_iter().fold(Vec::new(), joined)
    }

    /// No code panics while holding the lock, so a poisoned one is still whole.
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Event>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn joined(mut events: Vec<Event>, next: Event) -> Vec<Event> {
    match (events.last_mut(), next) {
        (Some(Event::AnswerDelta { text }), Event::AnswerDelta { text: more }) => {
            text.push_str(&more);
        }
        (_, next) => events.push(next),
    }
    events
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::*;

    fn delta(text: &str) -> Event {
        Event::AnswerDelta { text: text.into() }
    }

    #[tokio::test]
    async fn what_is_told_is_recorded_at_once_and_in_order() {
        let narration = Narration::default();
        let recorded = Mutex::new(Vec::new());
        let seen = Semaphore::new(0);
        let work = async {
            for piece in ["satu ", "dua ", "tiga"] {
                narration.tell(delta(piece));
                seen.acquire().await.unwrap().forget();
            }
        };
        let ((), left) = narration
            .during(work, |events| {
                recorded.lock().unwrap().extend(events);
                seen.add_permits(1);
                std::future::ready(())
            })
            .await;
        let expected = [delta("satu "), delta("dua "), delta("tiga")];
        assert_eq!(*recorded.lock().unwrap(), expected);
        assert!(left.is_empty());
    }

    #[tokio::test]
    async fn what_is_told_while_the_log_is_slow_goes_as_one_piece() {
        let narration = Arc::new(Narration::default());
        let appends = Mutex::new(Vec::new());
        let begun = Semaphore::new(0);
        let answer = Semaphore::new(0);
        let work = async {
            narration.tell(delta("satu "));
            begun.acquire().await.unwrap().forget();
            narration.tell(delta("dua "));
            narration.tell(delta("tiga"));
            answer.add_permits(2);
            begun.acquire().await.unwrap().forget();
        };
        let ((), left) = narration
            .during(work, async |events| {
                appends.lock().unwrap().push(events);
                begun.add_permits(1);
                answer.acquire().await.unwrap().forget();
            })
            .await;
        let expected = [vec![delta("satu ")], vec![delta("dua tiga")]];
        assert_eq!(*appends.lock().unwrap(), expected);
        assert!(left.is_empty());
    }

    #[tokio::test]
    async fn pieces_are_collected_for_a_while_and_nothing_else_is() {
        let narration = Narration::default();
        let appends = Mutex::new(Vec::new());
        let work = async {
            for n in 0..20 {
                narration.tell(delta(&format!("{n} ")));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            narration.tell(Event::AnswerRestarted);
            tokio::time::sleep(COALESCING / 2).await;
        };
        let started = Instant::now();
        let ((), left) = narration
            .during(work, async |events| appends.lock().unwrap().push(events))
            .await;
        let most = started.elapsed().as_millis() / COALESCING.as_millis() + 3;
        let appends = appends.into_inner().unwrap();
        assert_eq!(appends[0], [delta("0 ")], "the first one at once");
        assert!(appends.iter().all(|it| !it.is_empty()), "{appends:?}");
        assert!(appends.len() as u128 <= most, "{appends:?}");
        assert!(left.is_empty(), "the restart waits for nothing");
        let told = common::reply::Told::by(appends.iter().flatten());
        assert_eq!(told.text, "");
    }

    #[tokio::test]
    async fn what_is_told_with_the_last_breath_is_left_for_the_end() {
        let narration = Narration::default();
        let work = async { narration.tell(delta("semua")) };
        let record = async |_: Vec<Event>| unreachable!("nothing is recorded by itself");
        let ((), left) = narration.during(work, record).await;
        assert_eq!(left, [delta("semua")]);
    }
}
