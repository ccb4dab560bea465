//! The streams of a connection of HTTP/2, each with a time of its own: one whose
//! client takes nothing ends, and the others go on.
//!
//! Hyper waits for a client's window as long as the client likes, in the task of
//! the stream, and asks its body for nothing meanwhile. So the body notes what of
//! it has not gone out, and the task ends itself by that: to drop a stream that
//! is not finished resets it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use hyper::rt::Executor;
use metrics::counter;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};
use tracing::debug;

tokio::task_local! {
    static DELIVERY: Arc<Delivery>;
}

/// Runs each stream in a task of its own, which ends when its client has taken
/// nothing for `patience`.
#[derive(Clone, Copy, Debug)]
pub struct StreamExecutor {
    pub patience: Duration,
}

impl<F> Executor<F> for StreamExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    /// The task ends with its connection, at the latest.
    fn execute(&self, stream: F) {
        let delivery = Arc::new(Delivery::default());
        let patience = self.patience;
        tokio::spawn(DELIVERY.scope(Arc::clone(&delivery), async move {
            tokio::select! {
                () = stream => {}
                () = delivery.stalled(patience) => give_up(),
            }
        }));
    }
}

/// `itb_http_streams_given_up_total`: of HTTP/2, that ended because the client
/// did not take what was sent.
fn give_up() {
    counter!("itb_http_streams_given_up_total").increment(1);
    debug!("a stream is given up");
}

/// What of an answer was handed over to the connection and has not gone out.
#[derive(Debug, Default)]
pub struct Delivery {
    state: Mutex<State>,
    begun: Notify,
}

#[derive(Debug, Default)]
struct State {
    parts: usize,
    /// When the last of them went out, or the first was handed over.
    moved: Option<Instant>,
    /// Waits for the last to go out.
    waiting: Option<Waker>,
}

/// A part of an answer, until the connection has written it.
struct Part {
    bytes: Bytes,
    delivery: Arc<Delivery>,
}

impl Delivery {
    /// Of the stream that this task is for; none with HTTP/1.
    pub fn of_this_stream() -> Option<Arc<Self>> {
        DELIVERY.try_with(Arc::clone).ok()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same bytes, noted until they have gone out.
    pub fn hand_over(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        self.lock().hand_over(Instant::now());
        // Kept for the next who waits, when nobody does yet.
        self.begun.notify_one();
        Bytes::from_owner(Part {
            bytes,
            delivery: Arc::clone(self),
        })
    }

    /// Until all that was handed over has gone out. The end of a stream is told
    /// no sooner: one that has ended can be reset no more, whatever of it waits.
    pub fn poll_gone_out(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.parts == 0 {
            return Poll::Ready(());
        }
        state.waiting = Some(cx.waker().clone());
        Poll::Pending
    }

    pub fn has_gone_out(&self) -> bool {
        self.lock().parts == 0
    }

    /// Until something has waited to go out for `patience`, and nothing has gone.
    async fn stalled(&self, patience: Duration) {
        loop {
            let due = self.lock().due(patience);
            match due {
                None => self.begun.notified().await,
                Some(due) if due <= Instant::now() => return,
                Some(due) => sleep_until(due).await,
            }
        }
    }
}

impl State {
    fn hand_over(&mut self, now: Instant) {
        self.parts += 1;
        self.moved.get_or_insert(now);
    }

    /// A part has gone out; gives who is to hear that it was the last.
    fn go_out(&mut self, now: Instant) -> Option<Waker> {
        self.parts -= 1;
        self.moved = (self.parts > 0).then_some(now);
        self.waiting.take_if(|_| self.parts == 0)
    }

    /// When the client will have had its time, unless something goes out before.
    fn due(&self, patience: Duration) -> Option<Instant> {
        self.moved.map(|moved| moved + patience)
    }
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let waiting = self.delivery.lock().go_out(Instant::now());
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn what_does_not_go_out_has_its_time_and_what_moves_has_more() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let mut state = State::default();
        // Nothing is there to be taken.
        assert_eq!(state.due(PATIENCE), None);
        state.hand_over(at(1));
        state.hand_over(at(20));
        assert_eq!(state.due(PATIENCE), Some(at(31)));
        state.go_out(at(25));
        assert_eq!(state.due(PATIENCE), Some(at(55)));
        state.go_out(at(50));
        assert_eq!(state.due(PATIENCE), None);
        state.hand_over(at(99));
        assert_eq!(state.due(PATIENCE), Some(at(129)));
    }

    #[test]
    fn the_end_waits_for_the_last_slice_of_the_last_part() {
        let delivery = Arc::new(Delivery::default());
        let cx = Context::from_waker(Waker::noop());
        assert!(delivery.poll_gone_out(&cx).is_ready());
        let first = delivery.hand_over(Bytes::from_static(b"one"));
        let mut last = delivery.hand_over(Bytes::from_static(b"two"));
        drop((first, last.split_to(1)));
        assert!(delivery.poll_gone_out(&cx).is_pending());
        assert!(!delivery.has_gone_out());
        drop(last);
        assert!(delivery.poll_gone_out(&cx).is_ready());
    }
}
