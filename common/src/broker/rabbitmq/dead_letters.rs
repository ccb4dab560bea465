//! Taking hold of dead letters: fetched one by one and not acknowledged, so that
//! RabbitMQ puts back whatever is left when the holder goes, however it goes.

use std::sync::Arc;

use async_trait::async_trait;
use lapin::{
    Acker, Channel, Connection,
    message::BasicGetMessage,
    options::{BasicAckOptions, BasicGetOptions},
};
use tokio::time::timeout;

use super::{
    INSPECTION, RabbitConfig,
    consumer::{SETTLE, reject},
    link::{OpenError, open},
    properties,
};
use crate::{
    broker::{
        PublishError, SettleError,
        dead_letters::{Content, DeadLetter, HeldLetter, Hold},
        wire,
    },
    pipeline::Stage,
};

impl From<OpenError> for PublishError {
    fn from(error: OpenError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// Not more than `limit`, the oldest first. On a connection of its own: its end
/// puts back what is held, and nobody else's deliveries.
pub async fn hold(
    config: &RabbitConfig,
    stage: Stage,
    limit: usize,
) -> Result<Vec<HeldLetter>, PublishError> {
    let connection = open(config, "look at dead letters").await?;
    let channel = connection.create_channel().await.map_err(OpenError::from)?;
    let session = Arc::new(Session {
        channel,
        _connection: connection,
    });
    let queue = config.topology.dead_queue(stage);
    let mut held = Vec::new();
    while held.len() < limit
        && let Some(message) = session.next(&queue).await?
    {
        let hold = RabbitHold {
            acker: message.delivery.acker.clone(),
            _session: Arc::clone(&session),
        };
        held.push(HeldLetter::new(letter(stage, message), hold));
    }
    Ok(held)
}

/// What is held is given back when the last of it lets go.
struct Session {
    channel: Channel,
    _connection: Connection,
}

impl Session {
    async fn next(&self, queue: &str) -> Result<Option<BasicGetMessage>, PublishError> {
        let get = self
            .channel
            .basic_get(queue.into(), BasicGetOptions::default());
        match timeout(INSPECTION, get).await {
            Ok(message) => Ok(message.map_err(OpenError::from)?),
            Err(_) => Err(PublishError::Unavailable("no answer in time".into())),
        }
    }
}

fn letter(stage: Stage, message: BasicGetMessage) -> DeadLetter {
    let (properties, body) = (message.delivery.properties, message.delivery.data);
    let named = properties.message_id().as_ref().map(ToString::to_string);
    let content = match wire::decode(&body) {
        Ok(envelope) => Content::Message(Box::new(envelope)),
        Err(why) => Content::Unreadable {
            why,
            job: properties::job(&properties),
            body,
        },
    };
    DeadLetter {
        id: match &content {
            Content::Message(envelope) => envelope.message_id().to_string(),
            Content::Unreadable { body, .. } => named.unwrap_or_else(|| DeadLetter::name_of(body)),
        },
        stage,
        reason: properties::reason(&properties),
        put_aside_at: properties::put_aside_at(&properties),
        content,
    }
}

struct RabbitHold {
    acker: Acker,
    _session: Arc<Session>,
}

#[async_trait]
impl Hold for RabbitHold {
    async fn remove(self: Box<Self>) -> Result<(), SettleError> {
        match timeout(SETTLE, self.acker.ack(BasicAckOptions::default())).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(SettleError("its channel is closed".into())),
            Ok(Err(error)) => Err(SettleError(error.to_string())),
            Err(_) => Err(SettleError("the broker does not take it".into())),
        }
    }

    async fn put_back(self: Box<Self>) {
        reject(&self.acker).await;
    }

    /// The end of the session puts it back.
    fn release(self: Box<Self>) {}
}
