//! The relay of the outbox: does what others have promised and not done. One in each process with workers; what one has
//! taken the others leave alone.

use std::time::Duration;

use common::backends::Backends;
use futures::{StreamExt as _, stream};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::debug;

/// From one look at the outbox to the next.
const EVERY: Duration = Duration::from_secs(1);

/// Time to do what was taken, before another may.
const LEASE: Duration = Duration::from_secs(5);

/// Taken at once.
const MOST: usize = 64;

/// Done at the same time.
const AT_ONCE: usize = 8;

pub async fn run(backends: Backends, stop: CancellationToken) {
    let mut looks = interval(EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            () = stop.cancelled() => return,
        }
        while relayed(&backends).await == MOST && !stop.is_cancelled() {}
    }
}

/// How many entries were due.
async fn relayed(backends: &Backends) -> usize {
    let due = match backends.outbox.take(MOST, LEASE).await {
        Ok(due) => due,
        Err(error) => {
            debug!(%error, "the outbox is looked at later");
            return 0;
        }
    };
    let all = due.len();
    stream::iter(due)
        .for_each_concurrent(AT_ONCE, async |taken| {
            if let Err(error) = backends.relay(&taken).await {
                debug!(%error, "what is due is done later");
            }
        })
        .await;
    all
}
