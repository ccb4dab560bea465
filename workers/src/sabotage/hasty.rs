//! Acknowledges first. What is to be tried again is kept in memory until then.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use common::{
    broker::{
        Broker, Consumer, DeadLetterReason, Deliveries, Delivery, Incoming, Link, PublishError,
        Receipt, SettleError, StageQueues,
        dead_letters::{HeldLetter, Meant, Swept},
    },
    envelope::Envelope,
    pipeline::Stage,
};
use tokio::{sync::watch, time::sleep};

pub struct Hasty(pub Arc<dyn Broker>);

#[async_trait]
impl Broker for Hasty {
    async fn publish(&self, envelope: &Envelope) -> Result<(), PublishError> {
        self.0.publish(envelope).await
    }

    async fn consume(&self, stage: Stage, prefetch: u16) -> Consumer {
        Consumer::new(HastyDeliveries {
            consumer: Some(self.0.consume(stage, prefetch).await),
            broker: Arc::clone(&self.0),
        })
    }

    fn link(&self) -> Link {
        self.0.link()
    }

    async fn inspect(&self, stage: Stage) -> Result<StageQueues, PublishError> {
        self.0.inspect(stage).await
    }

    async fn dead_letters(
        &self,
        stage: Stage,
        limit: usize,
    ) -> Result<Vec<HeldLetter>, PublishError> {
        self.0.dead_letters(stage, limit).await
    }

    async fn sweep(&self, stage: Stage, meant: &Meant<'_>) -> Result<Swept, PublishError> {
        self.0.sweep(stage, meant).await
    }
}

struct HastyDeliveries {
    /// Until it is stopped.
    consumer: Option<Consumer>,
    broker: Arc<dyn Broker>,
}

#[async_trait]
impl Deliveries for HastyDeliveries {
    async fn next(&mut self) -> Incoming {
        let Some(consumer) = &mut self.consumer else {
            return std::future::pending().await;
        };
        loop {
            let delivery = consumer.receive().await;
            let (envelope, redelivered) = (delivery.envelope.clone(), delivery.redelivered);
            // One that could not be acknowledged comes again.
            if delivery.ack().await.is_ok() {
                let receipt = Spent(Arc::clone(&self.broker));
                let delivery = Delivery::new(envelope, redelivered, receipt);
                return Incoming::Message(Box::new(delivery));
            }
        }
    }

    async fn next_interactive(&mut self) -> Incoming {
        self.next().await
    }

    async fn stop(&mut self) {
        if let Some(consumer) = self.consumer.take() {
            consumer.stop().await;
        }
    }

    fn is_consuming(&self) -> watch::Receiver<bool> {
        match &self.consumer {
            Some(consumer) => consumer.is_consuming(),
            None => watch::channel(false).1,
        }
    }
}

/// Of a message that the broker has forgotten.
struct Spent(Arc<dyn Broker>);

#[async_trait]
impl Receipt for Spent {
    async fn ack(self: Box<Self>) -> Result<(), SettleError> {
        Ok(())
    }

    async fn retry(&self, next: &Envelope, delay: Duration) -> Result<(), SettleError> {
        let (broker, next) = (Arc::clone(&self.0), next.clone());
        tokio::spawn(async move {
            sleep(delay).await;
            while broker.publish(&next).await.is_err() {
                sleep(Duration::from_millis(200)).await;
            }
        });
        Ok(())
    }

    async fn dead_letter(
        self: Box<Self>,
        _: &Envelope,
        _: &DeadLetterReason,
    ) -> Result<(), SettleError> {
        Ok(())
    }

    fn release(self: Box<Self>) {}
}
