//! The broker as RabbitMQ, 3.10 to 4.x, over AMQP 0-9-1.
//!
//! - Publishing and consuming use connections of their own: under a memory or
//!   disk alarm RabbitMQ stops reading from a connection that publishes, and
//!   acknowledgements sent on it would hang as well.
//! - Every lost connection is replaced by a new one, with its channels, queues
//!   and consumers declared again. lapin's own recovery is not used: after it
//!   delivery tags start anew under deliveries that are still being worked on.
//! - Messages are requeued with `basic.reject`; since RabbitMQ 4.3
//!   `basic.nack` does not count as a delivery attempt.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use lapin::{Channel, Queue, options::QueueDeclareOptions, types::FieldTable, uri::AMQPUri};
use tokio::time::timeout;

use super::{
    Broker, Consumer, Link, PublishError, StageQueues,
    dead_letters::{HeldLetter, Meant, Swept},
    topology::Topology,
    wire,
};
use crate::{envelope::Envelope, pipeline::Stage, priority::Priority};
use properties::properties_of;
use publisher::Publisher;

mod consumer;
mod dead_letters;
mod link;
mod properties;
mod publisher;

#[derive(Clone, Debug)]
pub struct RabbitConfig {
    /// Nodes of one cluster, tried in turn.
    pub addresses: Vec<AMQPUri>,
    pub topology: Topology,
    /// Time for the broker to confirm a message.
    pub publish_timeout: Duration,
    /// Shown to operators by the broker.
    pub connection_name: String,
}

/// The broker cannot be used as it is set up; waiting will not help.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "the queues at RabbitMQ are not those that this program declares: {0}. Delete or drain that queue, or start with the settings it was made with (AMQP_QUEUE_KIND, AMQP_QUEUE_MAX_LENGTH), or choose another AMQP_QUEUE_PREFIX"
)]
pub struct TopologyMismatch(pub String);

pub struct RabbitBroker {
    config: Arc<RabbitConfig>,
    publisher: Publisher,
}

/// How long the start waits for a first connection, to tell an operator of a
/// mismatch at once. After that it goes on connecting in the background.
const FIRST_CONNECTION: Duration = Duration::from_secs(5);

/// Time for the broker to answer a question of no urgency.
const INSPECTION: Duration = Duration::from_secs(2);

impl RabbitBroker {
    /// Starts connecting. Returns when connected, or when that takes too long
    /// and goes on in the background.
    pub async fn connect(config: RabbitConfig) -> Result<Self, TopologyMismatch> {
        let config = Arc::new(config);
        let publisher = Publisher::start(Arc::clone(&config));
        // Not being connected in time is no error: the link says so.
        let _ = timeout(FIRST_CONNECTION, publisher.first_outcome()).await;
        match publisher.link() {
            Link::Mismatch(difference) => Err(TopologyMismatch(difference)),
            _ => Ok(Self { config, publisher }),
        }
    }

    async fn look_at(&self, stage: Stage) -> Result<StageQueues, PublishError> {
        let unavailable = |error: lapin::Error| PublishError::Unavailable(error.to_string());
        let topology = &self.config.topology;
        let connection = self.publisher.connection()?;
        let channel = connection.create_channel().await.map_err(unavailable)?;
        let (mut ready, mut consumers) = (0, 0);
        for priority in Priority::ALL {
            let work = declared(&channel, topology.work_queue(stage, *priority));
            let work = work.await.map_err(unavailable)?;
            ready += u64::from(work.message_count());
            // Whoever consumes one of them consumes both.
            consumers = work.consumer_count().into();
        }
        let dead = declared(&channel, topology.dead_queue(stage));
        let dead = dead.await.map_err(unavailable)?;
        let goodbye = channel.close(200, "done".into());
        goodbye.await.map_err(unavailable)?;
        Ok(StageQueues {
            ready,
            consumers,
            dead_letters: dead.message_count().into(),
        })
    }
}

/// Asks after a queue without making it.
async fn declared(channel: &Channel, queue: String) -> Result<Queue, lapin::Error> {
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::durable()
    };
    channel
        .queue_declare(queue.into(), passive, FieldTable::default())
        .await
}

#[async_trait]
impl Broker for RabbitBroker {
    async fn publish(&self, envelope: &Envelope) -> Result<(), PublishError> {
        let topology = &self.config.topology;
        let queue = topology.work_queue(envelope.stage(), envelope.job.priority);
        self.publisher
            .publish(queue, wire::encode(envelope), properties_of(envelope))
            .await
    }

    async fn consume(&self, stage: Stage, prefetch: u16) -> Consumer {
        consumer::start(
            Arc::clone(&self.config),
            self.publisher.clone(),
            stage,
            prefetch,
        )
    }

    fn link(&self) -> Link {
        self.publisher.link()
    }

    async fn inspect(&self, stage: Stage) -> Result<StageQueues, PublishError> {
        timeout(INSPECTION, self.look_at(stage))
            .await
            .unwrap_or_else(|_| Err(PublishError::Unavailable("no answer in time".into())))
    }

    async fn dead_letters(
        &self,
        stage: Stage,
        limit: usize,
    ) -> Result<Vec<HeldLetter>, PublishError> {
        dead_letters::hold(&self.config, stage, limit).await
    }

    async fn sweep(&self, stage: Stage, meant: &Meant<'_>) -> Result<Swept, PublishError> {
        let connection = self.publisher.connection()?;
        let queue = self.config.topology.dead_queue(stage);
        dead_letters::sweep(&connection, stage, &queue, meant).await
    }
}
