//! The one connection to Redis that a process shares, with its bounds.

use std::{sync::Arc, time::Duration};

use redis::{
    Client, RedisError,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use tokio::time::timeout;

use crate::line::Line;

/// Time for Redis to take a connection, or to answer one small command. Short
/// enough for a caller to be told within two seconds that it is away.
pub const ANSWER: Duration = Duration::from_millis(800);

/// Commands that are under way at the same time.
const IN_FLIGHT: usize = 256;

/// The slowest transfer that is waited for, in bytes a second.
const SLOWEST_TRANSFER: u64 = 4 * 1024 * 1024;

#[derive(Clone)]
pub struct RedisLink {
    pub client: Arc<Client>,
    line: Arc<Line>,
    manager: ConnectionManager,
}

impl RedisLink {
    /// Does not connect yet: the first command does, and every command after a
    /// lost connection.
    pub fn new(client: Client) -> Result<Self, RedisError> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(ANSWER))
            // Bounds of our own, by the size of the command, stand in its place.
            .set_response_timeout(None)
            .set_number_of_retries(1)
            .set_min_delay(Duration::from_millis(20))
            .set_max_delay(Duration::from_millis(100));
        Ok(Self {
            manager: ConnectionManager::new_lazy_with_config(client.clone(), config)?,
            client: Arc::new(client),
            line: Arc::new(Line::new(IN_FLIGHT)),
        })
    }

    pub fn connection(&self) -> ConnectionManager {
        self.manager.clone()
    }

    /// Has `command` done, which moves `bytes` over the network, when its turn
    /// has come.
    pub async fn bounded<T>(
        &self,
        bytes: usize,
        command: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, String> {
        let turn = self.line.turn(ANSWER).await;
        let _turn = turn.map_err(|reason| format!("Redis did not answer in time: {reason}"))?;
        let transfer = Duration::from_millis(bytes as u64 * 1000 / SLOWEST_TRANSFER);
        let answer = timeout(ANSWER + transfer, command).await;
        if answer.is_ok() {
            self.line.moves();
        }
        match answer {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("Redis did not answer in time".into()),
        }
    }
}
