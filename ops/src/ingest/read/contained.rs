//! Runs a parser so that its failure is only its own.

use std::{
    sync::{
        Once,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use super::{Content, ReadError};

const THREAD: &str = "document-reader";

/// Nested structures are followed by calls of functions; a stack that runs out would end the process.
const STACK_BYTES: usize = 256 * 1024 * 1024;

/// What `work` gives, unless it panics or takes longer than `limit`.
///
/// A thread cannot be stopped from outside: one that takes too long is left to itself and ends with the process.
pub fn run(
    limit: Duration,
    work: impl FnOnce() -> Result<Content, ReadError> + Send + 'static,
) -> Result<Content, ReadError> {
    let (done, waiting) = mpsc::sync_channel(1);
    thread::Builder::new()
        .name(THREAD.into())
        .stack_size(STACK_BYTES)
        .spawn(move || done.send(work()))?;
    match waiting.recv_timeout(limit) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => Err(ReadError::TooSlow(limit)),
        // The panic has dropped the sender.
        Err(RecvTimeoutError::Disconnected) => Err(ReadError::Panicked),
    }
}

/// Keeps the panics of parsers off the terminal: they are reported as failures of their files.
pub fn hush_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if thread::current().name() != Some(THREAD) {
                others(panic);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_and_a_loop_are_failures_of_the_file() {
        hush_panics();
        let limit = Duration::from_secs(60);
        assert!(run(limit, || Ok(Content::default())).is_ok());
        let panicked = run(limit, || panic!("a parser's defect"));
        assert!(matches!(panicked, Err(ReadError::Panicked)));
        let slow = run(Duration::from_millis(1), || {
            thread::park();
            Ok(Content::default())
        });
        assert!(matches!(slow, Err(ReadError::TooSlow(_))));
    }
}
