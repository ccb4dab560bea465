//! How long the backlog of the first queue is, as the jobs that came through it
//! have told.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use common::{
    priority::Priority,
    time::{UnixMillis, whole_millis},
};

use crate::job::JobView;

/// What is assumed before any job has told.
const UNKNOWN: Duration = Duration::from_secs(10);

/// Of the estimate: who comes back finds a queue that may have filled again.
const LONGEST: Duration = Duration::from_secs(300);

/// The wait in the queue of their first stage that was seen last, in ms, of
/// either priority. A queue is first in, first out: when that time has passed
/// once more, all that waits in it now has been taken.
pub struct Backlog([AtomicU64; 2]);

const UNSEEN: u64 = u64::MAX;

impl Default for Backlog {
    fn default() -> Self {
        Self([AtomicU64::new(UNSEEN), AtomicU64::new(UNSEEN)])
    }
}

impl Backlog {
    /// Not from a callback, which waits for another job, nor from what was long
    /// ago.
    pub fn learn_from(&self, view: &JobView) {
        let age = view.since_accepted(UnixMillis::now());
        if view.job.callback_of.is_some() || age > LONGEST {
            return;
        }
        let first = view.stages.first();
        if let Some(times) = first.and_then(|stage| stage.times) {
            self.waited(view.job.priority, times.queued);
        }
    }

    fn waited(&self, priority: Priority, queued: Duration) {
        self.0[priority as usize].store(whole_millis(queued), Ordering::Relaxed);
    }

    /// When a queue that is full now is likely to have room.
    pub fn drained_in(&self, priority: Priority) -> Duration {
        match self.0[priority as usize].load(Ordering::Relaxed) {
            UNSEEN => UNKNOWN,
            millis => Duration::from_millis(millis).clamp(Duration::from_secs(1), LONGEST),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backlog_is_as_long_as_the_last_job_waited_in_it() {
        let backlog = Backlog::default();
        assert_eq!(backlog.drained_in(Priority::Batch), UNKNOWN);
        for (waited, estimate) in [(40_000, 40_000), (2, 1_000), (9_000_000, 300_000)] {
            backlog.waited(Priority::Batch, Duration::from_millis(waited));
            let expected = Duration::from_millis(estimate);
            assert_eq!(backlog.drained_in(Priority::Batch), expected);
        }
        assert_eq!(backlog.drained_in(Priority::Interactive), UNKNOWN);
    }
}
