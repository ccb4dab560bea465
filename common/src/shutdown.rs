//! The order to stop, as the operating system gives it.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancelled by SIGTERM or SIGINT. Must be called within a Tokio runtime.
///
/// # Errors
///
/// The operating system refused to tell of signals.
pub fn on_signal() -> std::io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let ordered = stop.clone();
    // Lives as long as the process does.
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        ordered.cancel();
    });
    Ok(stop)
}
