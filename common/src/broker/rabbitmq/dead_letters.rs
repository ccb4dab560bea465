//! Taking hold of dead letters: fetched one by one and not acknowledged, so that
//! RabbitMQ puts back whatever is left when the holder goes, however it goes.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use lapin::{
    Acker, Channel, Connection,
    message::BasicGetMessage,
    options::{BasicAckOptions, BasicGetOptions},
};
use tokio::time::{sleep, timeout};

use super::{
    INSPECTION, RabbitConfig,
    consumer::{SETTLE, reject},
    declared,
    link::{OpenError, open},
    properties,
};
use crate::{
    broker::{
        PublishError, SettleError,
        dead_letters::{Content, DeadLetter, HeldLetter, Hold, Meant, Swept},
        wire,
    },
    pipeline::Stage,
};

/// Until it is looked again whether dead letters are back.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

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
    let session = Arc::new(Session {
        channel: opened(&connection).await?,
        _connection: connection,
    });
    let queue = config.topology.dead_queue(stage);
    let mut held = Vec::new();
    while held.len() < limit
        && let Some(message) = next(&session.channel, &queue).await?
    {
        let hold = RabbitHold {
            acker: message.delivery.acker.clone(),
            _session: Arc::clone(&session),
        };
        held.push(HeldLetter::new(letter(stage, message), hold));
    }
    Ok(held)
}

/// Each that is `meant` is gone when it is acknowledged; the end of the channel,
/// however it comes, puts back the others. Keeps no more of them than their jobs,
/// and needs no connection of its own: nothing else waits for these settlements.
pub async fn sweep(
    connection: &Connection,
    stage: Stage,
    queue: &str,
    meant: &Meant<'_>,
) -> Result<Swept, PublishError> {
    let channel = opened(connection).await?;
    let mut swept = Swept::default();
    let mut held = 0;
    while let Some(message) = next(&channel, queue).await? {
        let acker = message.delivery.acker.clone();
        if swept.takes(&letter(stage, message), meant) {
            acknowledge(&acker).await.map_err(unavailable)?;
        } else {
            held += 1;
        }
    }
    // When there is no time left, others have hold of them by now.
    if let Ok(back) = timeout(INSPECTION, put_back(connection, channel, queue, held)).await {
        back.map_err(OpenError::from)?;
    }
    Ok(swept)
}

/// Returns when all that is held can be had again, which is a moment after the
/// channel is closed.
async fn put_back(
    connection: &Connection,
    channel: Channel,
    queue: &str,
    held: u32,
) -> Result<(), lapin::Error> {
    channel.close(200, "done".into()).await?;
    let channel = connection.create_channel().await?;
    while declared(&channel, queue.to_owned()).await?.message_count() < held {
        sleep(BETWEEN_LOOKS).await;
    }
    Ok(())
}

async fn opened(connection: &Connection) -> Result<Channel, PublishError> {
    match timeout(INSPECTION, connection.create_channel()).await {
        Ok(channel) => Ok(channel.map_err(OpenError::from)?),
        Err(_) => Err(no_answer()),
    }
}

async fn next(channel: &Channel, queue: &str) -> Result<Option<BasicGetMessage>, PublishError> {
    let get = channel.basic_get(queue.into(), BasicGetOptions::default());
    match timeout(INSPECTION, get).await {
        Ok(message) => Ok(message.map_err(OpenError::from)?),
        Err(_) => Err(no_answer()),
    }
}

fn no_answer() -> PublishError {
    PublishError::Unavailable("no answer in time".into())
}

fn unavailable(error: SettleError) -> PublishError {
    PublishError::Unavailable(error.0)
}

async fn acknowledge(acker: &Acker) -> Result<(), SettleError> {
    match timeout(SETTLE, acker.ack(BasicAckOptions::default())).await {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err(SettleError("its channel is closed".into())),
        Ok(Err(error)) => Err(SettleError(error.to_string())),
        Err(_) => Err(SettleError("the broker does not take it".into())),
    }
}

/// What is held is given back when the last of it lets go.
struct Session {
    channel: Channel,
    _connection: Connection,
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
        acknowledge(&self.acker).await
    }

    async fn put_back(self: Box<Self>) {
        reject(&self.acker).await;
    }

    /// The end of the session puts it back.
    fn release(self: Box<Self>) {}
}
