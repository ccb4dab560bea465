//! Connections that are made ready for the next texts while others are spoken.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, time::sleep};
use tokio_util::task::AbortOnDropHandle;

use super::link::{self, Socket};
use crate::handler::StageError;

/// How long one waits for its text. The next sentence is written by then, or there is none.
const IDLE: Duration = Duration::from_secs(5);

/// Kept at the same time.
const MOST: usize = 64;

/// The connections of one client, those that are spoken on counted.
pub(super) struct Spares {
    /// Connections of both kinds.
    most: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    calls: usize,
    spares: VecDeque<Spare>,
}

/// A connection that is ready for a text, or on its way there.
pub(super) struct Spare {
    voice: Option<String>,
    wanted: oneshot::Sender<()>,
    /// `None` when it came to nothing.
    ready: AbortOnDropHandle<Option<Socket>>,
}

/// Counts as a connection for as long as it is held.
pub(super) struct Call<'a>(&'a Spares);

impl Spares {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            state: Mutex::default(),
        }
    }

    /// Begins a call as `voice`, on a spare where there is one.
    pub(super) fn call(&self, voice: Option<&str>) -> (Call<'_>, Option<Spare>) {
        let mut state = self.lock();
        state.calls += 1;
        let place = state
            .spares
            .iter()
            .position(|spare| spare.voice.as_deref() == voice);
        let spare = place.and_then(|place| state.spares.remove(place));
        if state.calls + state.spares.len() > self.most {
            // One of another voice makes room.
            state.spares.pop_front();
        }
        (Call(self), spare)
    }

    /// Makes one ready by `open`, unless there are as many connections as may be. Must be called within a runtime.
    pub(super) fn add(
        &self,
        voice: Option<&str>,
        open: impl Future<Output = Result<Socket, StageError>> + Send + 'static,
    ) {
        let mut state = self.lock();
        let spares = state.spares.len();
        if spares >= MOST || state.calls + spares >= self.most {
            return;
        }
        let (wanted, is_wanted) = oneshot::channel();
        let ready = tokio::spawn(async move {
            // Why not is found out by the call that needs one.
            let socket = open.await.ok()?;
            until_wanted(socket, is_wanted).await
        });
        state.spares.push_back(Spare {
            voice: voice.map(str::to_owned),
            wanted,
            ready: AbortOnDropHandle::new(ready),
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let state = self.state.lock();
        // No code panics while holding the lock, so a poisoned one is still whole.
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        state.spares.retain(|spare| !spare.ready.is_finished());
        state
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.lock().calls -= 1;
    }
}

impl Spare {
    /// Waits until it is ready; `None` when it came to nothing.
    pub(super) async fn socket(self) -> Option<Socket> {
        self.wanted.send(()).ok()?;
        self.ready.await.ok().flatten()
    }
}

/// Reads meanwhile, so that pings are answered, and a connection that the service has closed is known for one.
async fn until_wanted(mut socket: Socket, wanted: oneshot::Receiver<()>) -> Option<Socket> {
    let is_wanted = tokio::select! {
        biased;
        _ = link::next(&mut socket) => return None,
        wanted = wanted => wanted.is_ok(),
        () = sleep(IDLE) => false,
    };
    if is_wanted {
        return Some(socket);
    }
    link::part(&mut socket).await;
    None
}
