//! Probes of the servers behind this one, for `/health` and `/ready`. Those take no key, so anybody may ask as often as he
//! likes; the servers are probed at a fixed rate all the same.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use common::{
    backends::Backends,
    broker::PublishError,
    pipeline::{Route, Stage},
};
use futures::{
    FutureExt as _,
    future::{BoxFuture, join_all},
};
use tokio::sync::watch;

use crate::qdrant::Qdrant;

/// How long a result is used.
const FRESH: Duration = Duration::from_secs(1);

/// A check that runs at most once in [`FRESH`], and never twice at the same time, however many ask for its result.
pub struct Probe<T> {
    look: Box<dyn Fn() -> BoxFuture<'static, T> + Send + Sync>,
    /// The result of a check that panicked.
    fallback: T,
    /// How long a result is used.
    fresh: Duration,
    last: Mutex<Option<Look<T>>>,
}

struct Look<T> {
    started: Instant,
    seen: watch::Receiver<Option<T>>,
}

impl<T: Clone + Send + Sync + 'static> Probe<T> {
    /// `look` must have a timeout of its own.
    pub fn new<F>(fallback: T, look: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = T> + Send + 'static,
    {
        Self {
            look: Box::new(move || look().boxed()),
            fallback,
            fresh: FRESH,
            last: Mutex::new(None),
        }
    }

    /// The result of the last second, or of the check that runs now.
    pub async fn seen(&self) -> T {
        let mut seen = {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            match &*last {
                Some(look) if look.holds(self.fresh) => look.seen.clone(),
                _ => last.insert(self.start()).seen.clone(),
            }
        };
        match seen.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(result)) => result.clone(),
            _ => self.fallback.clone(),
        }
    }

    /// In a task: the caller may go away before it ends, and the next one must not start another.
    fn start(&self) -> Look<T> {
        let (sender, seen) = watch::channel(None);
        let looking = (self.look)();
        tokio::spawn(async move { sender.send_replace(Some(looking.await)) });
        Look {
            started: Instant::now(),
            seen,
        }
    }
}

impl<T> Look<T> {
    fn holds(&self, fresh: Duration) -> bool {
        // A closed channel without a result: the check panicked.
        let is_running = self.seen.borrow().is_none() && self.seen.has_changed().is_ok();
        is_running || self.started.elapsed() < fresh
    }
}

/// Whether the workers of a stage are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workers {
    There,
    Missing,
    Unknown,
}

/// The servers that are probed. RabbitMQ is not: the state of the connection to it is known at any time.
pub struct Probes {
    /// Redis answers.
    pub redis: Probe<bool>,
    /// Qdrant answers, where it is configured.
    pub qdrant: Option<Probe<bool>>,
    /// The workers of the stages without which nothing is answered.
    pub workers: Probe<Vec<(Stage, Workers)>>,
}

impl Probes {
    pub fn new(backends: &Backends, qdrant: Option<Qdrant>) -> Self {
        let replies = backends.replies.clone();
        let broker = Arc::clone(&backends.broker);
        let stages = Route::Text.stages();
        let unknown = stages.iter().map(|stage| (*stage, Workers::Unknown));
        Self {
            redis: Probe::new(false, move || {
                let replies = replies.clone();
                async move { replies.ping().await.is_ok() }
            }),
            qdrant: qdrant.map(|qdrant| {
                Probe::new(false, move || {
                    let qdrant = qdrant.clone();
                    async move { qdrant.is_healthy().await }
                })
            }),
            workers: Probe::new(unknown.collect(), move || {
                let broker = Arc::clone(&broker);
                let look = move |stage: Stage| {
                    let broker = Arc::clone(&broker);
                    async move {
                        let consumers = broker.inspect(stage).await.map(|queues| queues.consumers);
                        (stage, workers(&consumers))
                    }
                };
                join_all(stages.iter().map(|stage| look(*stage)))
            }),
        }
    }
}

fn workers(consumers: &Result<u64, PublishError>) -> Workers {
    match consumers {
        Ok(0) => Workers::Missing,
        Ok(_) => Workers::There,
        Err(_) => Workers::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    /// Its results are the numbers of its checks, each of which takes a permit.
    fn counting(fresh: Duration, gate: &Arc<Semaphore>) -> Probe<usize> {
        let (checks, gate) = (Arc::new(AtomicUsize::new(0)), Arc::clone(gate));
        let mut probe = Probe::new(0, move || {
            let (checks, gate) = (Arc::clone(&checks), Arc::clone(&gate));
            async move {
                let number = checks.fetch_add(1, Ordering::Relaxed) + 1;
                gate.acquire().await.expect("open").forget();
                number
            }
        });
        probe.fresh = fresh;
        probe
    }

    #[tokio::test]
    async fn a_thousand_callers_share_one_check_while_its_result_is_fresh() {
        let gate = Arc::new(Semaphore::new(3));
        let probe = counting(Duration::MAX, &gate);
        let seen = join_all((0..1_000).map(|_| probe.seen())).await;
        assert!(seen.iter().all(|number| *number == 1));
        assert_eq!(probe.seen().await, 1);
        let probe = counting(Duration::ZERO, &gate);
        assert_eq!((probe.seen().await, probe.seen().await), (1, 2));
    }

    #[tokio::test]
    async fn a_slow_check_is_awaited_also_when_its_first_caller_goes_away() {
        let gate = Arc::new(Semaphore::new(0));
        let probe = counting(Duration::ZERO, &gate);
        for _ in 0..10 {
            assert!(probe.seen().now_or_never().is_none());
            tokio::task::yield_now().await;
        }
        gate.add_permits(1);
        assert_eq!(probe.seen().await, 1);
    }

    #[tokio::test]
    async fn a_check_that_panics_has_the_fallback_as_its_result() {
        let probe = Probe::new(false, || async { "neither".parse().expect("a defect") });
        assert!(!probe.seen().await);
    }
}
