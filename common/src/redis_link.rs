//! The one connection to Redis that a process shares, with its bounds.

use std::{sync::Arc, time::Duration};

use redis::{
    Client, ConnectionInfo, RedisError,
    aio::{ConnectionManager, ConnectionManagerConfig},
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};
use tokio::time::timeout;

use crate::line::{Line, NoTurn};

/// Time for Redis to take a connection, or to answer one small command. Short
/// enough for a caller to be told within two seconds that it is away.
pub const ANSWER: Duration = Duration::from_millis(800);

/// Time for what was sent to be acknowledged by the other machine's kernel.
const UNACKNOWLEDGED: Duration = Duration::from_secs(5);

/// Silence after which the other machine is asked for a sign of life.
const IDLE: Duration = Duration::from_secs(15);

/// The slowest transfer that is waited for, in bytes a second.
const SLOWEST_TRANSFER: u64 = 4 * 1024 * 1024;

#[derive(Clone)]
pub struct RedisLink {
    pub client: Arc<Client>,
    line: Arc<Line>,
    manager: ConnectionManager,
}

impl RedisLink {
    /// With `places` commands under way at the same time. Does not connect yet:
    /// the first command does, and every command after a lost connection.
    pub fn new(server: ConnectionInfo, places: usize) -> Result<Self, RedisError> {
        let client = Client::open(server.set_tcp_settings(tcp_settings()))?;
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
            line: Arc::new(Line::new(places)),
        })
    }

    pub fn connection(&self) -> ConnectionManager {
        self.manager.clone()
    }

    /// Whether Redis answers, also when many ask.
    pub async fn ping(&self) -> Result<(), LinkError> {
        let mut connection = self.connection();
        let ping = redis::cmd("PING");
        let answer = timeout(ANSWER, ping.exec_async(&mut connection)).await;
        answer
            .map_err(|_| LinkError::no_answer())?
            .map_err(LinkError::from)
    }

    /// Has `command` done, which moves `bytes` over the network, when its turn
    /// has come.
    pub async fn bounded<T>(
        &self,
        bytes: usize,
        command: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, LinkError> {
        let transfer = Duration::from_millis(bytes as u64 * 1000 / SLOWEST_TRANSFER);
        // Those ahead may have as much to move.
        let patience = ANSWER + transfer;
        let _turn = self.line.turn(patience).await?;
        let answer = timeout(patience, command).await;
        if answer.is_ok() {
            self.line.moves();
        }
        Ok(answer.map_err(|_| LinkError::no_answer())??)
    }
}

/// A command was not done, or may have been.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Not done: too many are ahead of it.
    #[error("too many commands wait for Redis")]
    Crowded,
    #[error("{0}")]
    Away(String),
    /// The connection was gone; the next command makes another one.
    #[error("{0}")]
    Lost(String),
}

impl LinkError {
    fn no_answer() -> Self {
        Self::Away("Redis did not answer in time".into())
    }
}

impl From<NoTurn> for LinkError {
    fn from(reason: NoTurn) -> Self {
        match reason {
            NoTurn::Stuck => Self::no_answer(),
            NoTurn::TooLong => Self::Crowded,
        }
    }
}

impl From<RedisError> for LinkError {
    fn from(error: RedisError) -> Self {
        match error.is_io_error() {
            true => Self::Lost(error.to_string()),
            false => Self::Away(error.to_string()),
        }
    }
}

/// A connection that is dead without having been closed is given up after
/// [`UNACKNOWLEDGED`], and the next command makes another one.
fn tcp_settings() -> TcpSettings {
    let keepalive = TcpKeepalive::new()
        .with_time(IDLE)
        .with_interval(UNACKNOWLEDGED);
    let settings = TcpSettings::default()
        .set_nodelay(true)
        .set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(UNACKNOWLEDGED);
    settings
}
