//! Blocking work on behalf of a future that may be dropped.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Stops blocking work whose caller has gone.
#[derive(Default)]
pub struct StopOnDrop(Arc<AtomicBool>);

impl StopOnDrop {
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
