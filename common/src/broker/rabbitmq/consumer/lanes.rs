//! Deliveries of both priorities, on their way from the subscription to whoever
//! receives.

use tokio::sync::mpsc;

use crate::{
    broker::Delivery,
    priority::{Precedence, Priority},
};

/// The subscription's end.
pub struct Lanes {
    interactive: mpsc::Sender<Delivery>,
    batch: mpsc::Sender<Delivery>,
}

/// The receiver's end.
pub struct Incoming {
    interactive: mpsc::Receiver<Delivery>,
    batch: mpsc::Receiver<Delivery>,
    precedence: Precedence,
}

/// Room for `each` deliveries of either priority.
pub fn lanes(each: usize) -> (Lanes, Incoming) {
    let (interactive, interactive_in) = mpsc::channel(each);
    let (batch, batch_in) = mpsc::channel(each);
    let incoming = Incoming {
        interactive: interactive_in,
        batch: batch_in,
        precedence: Precedence::default(),
    };
    (Lanes { interactive, batch }, incoming)
}

impl Lanes {
    /// Refused only when stopping: then `delivery` is dropped, and with that
    /// given back.
    pub async fn send(&self, priority: Priority, delivery: Delivery) {
        let lane = match priority {
            Priority::Interactive => &self.interactive,
            Priority::Batch => &self.batch,
        };
        let _ = lane.send(delivery).await;
    }
}

impl Incoming {
    /// The next delivery; waits for as long as it takes. Safe to drop.
    pub async fn next(&mut self) -> Delivery {
        let first = self.precedence.first();
        let (first_lane, other_lane) = match first {
            Priority::Interactive => (&mut self.interactive, &mut self.batch),
            Priority::Batch => (&mut self.batch, &mut self.interactive),
        };
        let (priority, delivery) = tokio::select! {
            biased;
            Some(delivery) = first_lane.recv() => (first, delivery),
            Some(delivery) = other_lane.recv() => (first.other(), delivery),
            // Only after `close`: then nothing comes any more.
            else => std::future::pending().await,
        };
        self.precedence.took(priority);
        delivery
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
