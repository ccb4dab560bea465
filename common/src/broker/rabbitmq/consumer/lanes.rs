//! Messages of both priorities, on their way from the subscription to whoever
//! receives.

use tokio::sync::mpsc;

use crate::{
    broker::Incoming,
    priority::{Precedence, Priority},
};

/// The subscription's end.
pub struct Lanes {
    interactive: mpsc::Sender<Incoming>,
    batch: mpsc::Sender<Incoming>,
}

/// The receiver's end.
pub struct Arrivals {
    interactive: mpsc::Receiver<Incoming>,
    batch: mpsc::Receiver<Incoming>,
    precedence: Precedence,
}

/// Room for `each` messages of either priority.
pub fn lanes(each: usize) -> (Lanes, Arrivals) {
    let (interactive, interactive_in) = mpsc::channel(each);
    let (batch, batch_in) = mpsc::channel(each);
    let arrivals = Arrivals {
        interactive: interactive_in,
        batch: batch_in,
        precedence: Precedence::default(),
    };
    (Lanes { interactive, batch }, arrivals)
}

impl Lanes {
    /// Refused only when stopping: then `message` is dropped, and with that
    /// given back.
    pub async fn send(&self, priority: Priority, message: Incoming) {
        let lane = match priority {
            Priority::Interactive => &self.interactive,
            Priority::Batch => &self.batch,
        };
        let _ = lane.send(message).await;
    }
}

impl Arrivals {
    /// The next one; waits for as long as it takes. Safe to drop.
    pub async fn next(&mut self) -> Incoming {
        let first = self.precedence.first();
        let (first_lane, other_lane) = match first {
            Priority::Interactive => (&mut self.interactive, &mut self.batch),
            Priority::Batch => (&mut self.batch, &mut self.interactive),
        };
        let (priority, message) = tokio::select! {
            biased;
            Some(message) = first_lane.recv() => (first, message),
            Some(message) = other_lane.recv() => (first.other(), message),
            // Only after `close`: then nothing comes any more.
            else => std::future::pending().await,
        };
        self.precedence.took(priority);
        message
    }

    /// The next interactive one. Safe to drop.
    pub async fn next_interactive(&mut self) -> Incoming {
        let Some(message) = self.interactive.recv().await else {
            return std::future::pending().await;
        };
        self.precedence.took(Priority::Interactive);
        message
    }

    /// Takes no more, and gives back what nobody has received.
    pub async fn close(&mut self) {
        for lane in [&mut self.interactive, &mut self.batch] {
            lane.close();
            while lane.recv().await.is_some() {
                // Dropped, and with that given back.
            }
        }
    }
}
