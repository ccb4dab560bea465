//! One connection to one node of the broker, with the queues declared.

use std::time::Duration;

use futures::future::try_join_all;
use lapin::{
    Channel, Connection, ConnectionProperties, ErrorKind,
    options::QueueDeclareOptions,
    protocol::{AMQPErrorKind, AMQPSoftError},
    types::{AMQPValue, FieldTable},
    uri::AMQPUri,
};
use tokio::time::timeout;

use super::RabbitConfig;
use crate::broker::topology::{Argument, QueueDeclaration};

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{0}")]
    Mismatch(String),
    #[error("{0}")]
    Unavailable(String),
}

impl From<lapin::Error> for OpenError {
    fn from(error: lapin::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// Time to connect to one node and declare every queue there.
const OPEN: Duration = Duration::from_secs(10);

/// Seconds after which a silent broker counts as gone (AMQP heartbeat), unless
/// the address says otherwise.
const HEARTBEAT_SECONDS: u16 = 10;

/// Connects to the first node that answers, and declares every queue.
pub async fn open(config: &RabbitConfig, purpose: &str) -> Result<Connection, OpenError> {
    let mut last = OpenError::Unavailable("no address is configured".into());
    for address in &config.addresses {
        let attempt = timeout(OPEN, open_at(address, config, purpose)).await;
        match attempt {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error @ OpenError::Mismatch(_))) => return Err(error),
            Ok(Err(error)) => last = error,
            Err(_) => last = OpenError::Unavailable("no answer in time".into()),
        }
    }
    Err(last)
}

async fn open_at(
    address: &AMQPUri,
    config: &RabbitConfig,
    purpose: &str,
) -> Result<Connection, OpenError> {
    let mut address = address.clone();
    address.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
    let name = format!("{} {purpose}", config.connection_name);
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let connection = Connection::connect_uri(address, properties).await?;
    let channel = connection.create_channel().await?;
    // All at once: one after the other, each costs a round trip.
    let declarations = config.topology.declarations().into_iter();
    try_join_all(declarations.map(|queue| declare(&channel, queue))).await?;
    channel.close(200, "declared".into()).await?;
    Ok(connection)
}

async fn declare(channel: &Channel, queue: QueueDeclaration) -> Result<(), OpenError> {
    let mut arguments = FieldTable::default();
    for (name, value) in queue.arguments {
        let value = match value {
            Argument::Text(text) => AMQPValue::LongString(text.into()),
            Argument::Number(number) => AMQPValue::LongLongInt(number),
        };
        arguments.insert(name.into(), value);
    }
    channel
        .queue_declare(queue.name.into(), QueueDeclareOptions::durable(), arguments)
        .await
        .map(drop)
        .map_err(|error| match precondition_failed(&error) {
            Some(difference) => OpenError::Mismatch(difference),
            None => error.into(),
        })
}

/// The broker's words when a queue exists with other arguments.
fn precondition_failed(error: &lapin::Error) -> Option<String> {
    match error.kind() {
        ErrorKind::ProtocolError(error)
            if error.kind() == &AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED) =>
        {
            Some(error.get_message().to_string())
        }
        _ => None,
    }
}
