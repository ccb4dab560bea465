//! The one connection to Redis that a process shares, with its bounds.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use redis::{
    Client, ConnectionInfo, ErrorKind, FromRedisValue, ProtocolVersion, RedisError,
    ServerErrorKind,
    aio::{ConnectionManager, ConnectionManagerConfig},
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};
use tokio::time::{error::Elapsed, timeout};

use crate::line::{Line, NoTurn};

/// Time for Redis to take a connection, or to answer one small command. Short
/// enough for a caller to be told within two seconds that it is away.
pub const ANSWER: Duration = Duration::from_millis(800);

/// Time for what was sent to be acknowledged by the other machine's kernel.
const UNACKNOWLEDGED: Duration = Duration::from_secs(5);

/// Silence after which the other machine is asked for a sign of life.
const IDLE: Duration = Duration::from_secs(15);

/// Written to see whether anything can be; and for how long it is kept, in ms.
const PROBE_KEY: &str = "itb:probe";
const PROBE_KEPT: u64 = 60_000;

/// The slowest transfer that is waited for, in bytes a second.
const SLOWEST_TRANSFER: u64 = 4 * 1024 * 1024;

/// Time between two connections that are made because of what the server answers on the one there is.
const BETWEEN_REBUILDS: Duration = Duration::from_secs(1);

/// What Redis is asked.
pub trait Command: Sync {
    fn send<T: FromRedisValue + Send>(
        &self,
        redis: ConnectionManager,
    ) -> impl Future<Output = Result<T, RedisError>> + Send;
}

impl Command for redis::Cmd {
    async fn send<T: FromRedisValue + Send>(
        &self,
        mut redis: ConnectionManager,
    ) -> Result<T, RedisError> {
        self.query_async(&mut redis).await
    }
}

impl Command for redis::Pipeline {
    async fn send<T: FromRedisValue + Send>(
        &self,
        mut redis: ConnectionManager,
    ) -> Result<T, RedisError> {
        self.query_async(&mut redis).await
    }
}

impl Command for redis::ScriptInvocation<'_> {
    async fn send<T: FromRedisValue + Send>(
        &self,
        mut redis: ConnectionManager,
    ) -> Result<T, RedisError> {
        self.invoke_async(&mut redis).await
    }
}

#[derive(Clone)]
pub struct RedisLink {
    pub client: Arc<Client>,
    line: Arc<Line>,
    current: Arc<Mutex<Current>>,
}

/// The connection in use.
#[derive(Clone)]
struct Current {
    manager: ConnectionManager,
    since: Instant,
}

impl RedisLink {
    /// With `places` commands under way at the same time. Does not connect yet:
    /// the first command does. A connection that is closed later is made again
    /// at once.
    pub fn new(server: ConnectionInfo, places: usize) -> Result<Self, RedisError> {
        // With this version of the protocol the end of an idle connection is noticed when it comes, and not by the
        // next command.
        let settings = server.redis_settings().clone();
        let server = server.set_redis_settings(settings.set_protocol(ProtocolVersion::RESP3));
        let client = Client::open(server.set_tcp_settings(tcp_settings()))?;
        let current = Current::of(&client)?;
        Ok(Self {
            client: Arc::new(client),
            line: Arc::new(Line::new(places)),
            current: Arc::new(Mutex::new(current)),
        })
    }

    /// Whether Redis answers and takes what is written, also when many ask.
    pub async fn probe(&self) -> Result<(), LinkError> {
        let mut write = redis::cmd("SET");
        write.arg(PROBE_KEY).arg(1).arg("PX").arg(PROBE_KEPT);
        self.once_or_elsewhere(ANSWER, &write).await
    }

    /// Has `command` done, which moves `bytes` over the network, when its turn
    /// has come. It is done again, on another connection, when the server
    /// refused it for what the connection is.
    pub async fn run<T: FromRedisValue + Send>(
        &self,
        bytes: usize,
        command: &impl Command,
    ) -> Result<T, LinkError> {
        let transfer = Duration::from_millis(bytes as u64 * 1000 / SLOWEST_TRANSFER);
        // Those ahead may have as much to move.
        let patience = ANSWER + transfer;
        let _turn = self.line.turn(patience).await?;
        let answer = self.once_or_elsewhere(patience, command).await;
        if !matches!(answer, Err(LinkError::NoAnswer)) {
            self.line.moves();
        }
        answer
    }

    async fn once_or_elsewhere<T: FromRedisValue + Send>(
        &self,
        patience: Duration,
        command: &impl Command,
    ) -> Result<T, LinkError> {
        let current = self.current();
        let answer = timeout(patience, command.send(current.manager.clone())).await?;
        match answer {
            Err(error) if is_of_the_connection(&error) => {
                let Some(other) = self.rebuilt(&current) else {
                    return Err(error.into());
                };
                Ok(timeout(patience, command.send(other.manager)).await??)
            }
            answer => Ok(answer?),
        }
    }

    fn current(&self) -> Current {
        let current = self.current.lock();
        current.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Another connection in place of `broken`; `None` when that one is new itself.
    fn rebuilt(&self, broken: &Current) -> Option<Current> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.since == broken.since {
            if broken.since.elapsed() < BETWEEN_REBUILDS {
                return None;
            }
            *current = Current::of(&self.client).ok()?;
        }
        Some(current.clone())
    }
}

impl Current {
    fn of(client: &Client) -> Result<Self, RedisError> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(ANSWER))
            // Bounds of our own, by the size of the command, stand in its place.
            .set_response_timeout(None)
            .set_number_of_retries(1)
            .set_min_delay(Duration::from_millis(20))
            .set_max_delay(Duration::from_millis(100));
        Ok(Self {
            manager: ConnectionManager::new_lazy_with_config(client.clone(), config)?,
            since: Instant::now(),
        })
    }
}

/// Whether the server would answer so to anything on this connection, and may not on another: it has become a replica,
/// has left the place of the master to another machine, or did not take the password a moment ago. Nothing was done.
fn is_of_the_connection(error: &RedisError) -> bool {
    use ServerErrorKind::{Ask, ClusterDown, MasterDown, Moved, ReadOnly};
    match error.kind() {
        ErrorKind::AuthenticationFailed
        | ErrorKind::Server(Ask | ClusterDown | MasterDown | Moved | ReadOnly) => true,
        _ => {
            matches!(error.code(), Some("NOAUTH" | "WRONGPASS"))
                // Redis before 7.0 says it in the words of the script.
                || error.detail().is_some_and(|detail| detail.contains("-READONLY"))
        }
    }
}

/// A command was not done, or may have been.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Not done: too many are ahead of it.
    #[error("too many commands wait for Redis")]
    Crowded,
    #[error("Redis did not answer in time")]
    NoAnswer,
    /// Not done: the key is another program's.
    #[error("a key holds something of another type")]
    OtherType,
    #[error("{0}")]
    Away(String),
}

impl From<Elapsed> for LinkError {
    fn from(_: Elapsed) -> Self {
        Self::NoAnswer
    }
}

impl From<NoTurn> for LinkError {
    fn from(reason: NoTurn) -> Self {
        match reason {
            NoTurn::Stuck => Self::NoAnswer,
            NoTurn::TooLong => Self::Crowded,
        }
    }
}

impl From<RedisError> for LinkError {
    fn from(error: RedisError) -> Self {
        match error.code() {
            Some("WRONGTYPE") => Self::OtherType,
            _ => Self::Away(error.to_string()),
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
