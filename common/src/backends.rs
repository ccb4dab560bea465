//! Chooses the adapters behind the ports. The only place that knows the mode.

use std::{sync::Arc, time::Duration};

use lapin::uri::AMQPUri;
use redis::{ConnectionInfo, IntoConnectionInfo as _};
use tracing::warn;

use crate::{
    broker::{
        Broker,
        memory::MemoryBroker,
        rabbitmq::{RabbitBroker, RabbitConfig, TopologyMismatch},
        topology::{QueueKind, Topology},
    },
    claim_check::{ClaimCheck, memory::MemoryClaimCheck, redis::RedisClaimCheck},
    config::{ConfigError, Environment},
    conversation::{Conversations, memory::MemoryConversations, redis::RedisConversations},
    idempotency::{IdempotencyKeys, memory::MemoryIdempotencyKeys, redis::RedisIdempotencyKeys},
    job::{
        log::JobLog,
        store::{memory::MemoryJobStore, redis::RedisJobStore},
    },
    outbox::{Outbox, memory::MemoryOutbox, redis::RedisOutbox},
    quota::{Quotas, memory::MemoryQuotas, redis::RedisQuotas},
    redis_link::RedisLink,
    reply::Retention,
};

/// The ports, each with its adapter.
#[derive(Clone)]
pub struct Backends {
    pub broker: Arc<dyn Broker>,
    pub replies: JobLog,
    pub claims: Arc<dyn ClaimCheck>,
    pub conversations: Arc<dyn Conversations>,
    pub idempotency: Arc<dyn IdempotencyKeys>,
    pub quotas: Arc<dyn Quotas>,
    pub outbox: Arc<dyn Outbox>,
}

#[derive(Clone, Debug)]
pub struct BackendConfig {
    pub mode: Mode,
    /// Since the last turn, until a conversation is forgotten.
    pub conversation_ttl: Duration,
    /// How long a job and its audio are kept after its end.
    pub retention: Retention,
}

#[derive(Clone, Debug)]
pub enum Mode {
    /// Everything in this process.
    Embedded,
    /// RabbitMQ and Redis between the processes.
    Distributed {
        rabbitmq: Box<RabbitConfig>,
        redis: Box<ConnectionInfo>,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error(transparent)]
    Topology(#[from] TopologyMismatch),
    #[error("REDIS_URL cannot be used: {0}")]
    Redis(redis::RedisError),
    #[error(
        "REDIS_URL leads to a node of a Redis Cluster, which is not supported: what belongs to one job is in several of \
         its slots. Use a single Redis or Valkey, with replicas if wanted"
    )]
    Cluster,
}

/// Commands to Redis that are under way at the same time.
const COMMANDS: usize = 256;

/// Recordings and speech on their way at the same time, on a connection of their
/// own: no command waits behind megabytes.
const TRANSFERS: usize = 16;

/// Connects what the mode needs. Servers that are away are no error: the
/// adapters go on trying, and refuse work until then.
pub async fn connect(config: &BackendConfig) -> Result<Backends, ConnectError> {
    match &config.mode {
        Mode::Embedded => Ok(Backends {
            broker: Arc::new(MemoryBroker::default()),
            replies: JobLog::new(Arc::new(MemoryJobStore::new(config.retention))),
            claims: Arc::new(MemoryClaimCheck::new(config.retention.0)),
            conversations: Arc::new(MemoryConversations::new(
                config.conversation_ttl,
                config.retention,
            )),
            idempotency: Arc::new(MemoryIdempotencyKeys::default()),
            quotas: Arc::new(MemoryQuotas::default()),
            outbox: Arc::new(MemoryOutbox::default()),
        }),
        Mode::Distributed { rabbitmq, redis } => {
            let link = |places| RedisLink::new(redis.as_ref().clone(), places);
            let link = |places| link(places).map_err(ConnectError::Redis);
            let bulk = link(TRANSFERS)?;
            let link = link(COMMANDS)?;
            look_at(&link).await?;
            Ok(Backends {
                broker: Arc::new(RabbitBroker::connect(rabbitmq.as_ref().clone()).await?),
                replies: JobLog::new(Arc::new(RedisJobStore::new(link.clone(), config.retention))),
                claims: Arc::new(RedisClaimCheck::new(bulk, config.retention.0)),
                idempotency: Arc::new(RedisIdempotencyKeys::new(link.clone())),
                quotas: Arc::new(RedisQuotas::new(link.clone())),
                outbox: Arc::new(RedisOutbox::new(link.clone(), &rabbitmq.topology.prefix)),
                conversations: Arc::new(RedisConversations::new(
                    link,
                    config.conversation_ttl,
                    config.retention,
                )),
            })
        }
    }
}

/// What an operator must hear of a Redis that is there.
async fn look_at(link: &RedisLink) -> Result<(), ConnectError> {
    let Ok(information) = link.run::<redis::InfoDict>(0, &redis::cmd("INFO")).await else {
        return Ok(());
    };
    if information.get::<u8>("cluster_enabled") == Some(1) {
        return Err(ConnectError::Cluster);
    }
    let policy: Option<String> = information.get("maxmemory_policy");
    if let Some(policy) = policy.filter(|it| it != "noeviction") {
        warn!(
            policy,
            "Redis may drop keys of jobs that are under way when its memory is full: set maxmemory-policy to noeviction"
        );
    }
    Ok(())
}

impl BackendConfig {
    /// `program` is how the broker's operators see the connections.
    pub fn from_environment(env: &Environment, program: &str) -> Result<Self, ConfigError> {
        Ok(Self {
            mode: Mode::from_environment(env, program)?,
            conversation_ttl: env.seconds("CONVERSATION_TTL", 1..=31_536_000, 86_400)?,
            retention: retention(env)?,
        })
    }
}

/// How long a job is kept. The least is longer than any job has time for: its log
/// must not vanish while it waits in a queue.
pub fn retention(env: &Environment) -> Result<Retention, ConfigError> {
    let kept = env.seconds("JOB_TTL", 7_200..=31_536_000, 86_400)?;
    Ok(Retention(kept))
}

impl BackendConfig {
    /// For a program on whose messages nobody waits: RabbitMQ has ten times as
    /// long to confirm one before it is sent again.
    pub fn unhurried(mut self) -> Self {
        if let Mode::Distributed { rabbitmq, .. } = &mut self.mode {
            rabbitmq.publish_timeout *= 10;
        }
        self
    }
}

impl Mode {
    pub fn is_embedded(&self) -> bool {
        matches!(self, Self::Embedded)
    }

    fn from_environment(env: &Environment, program: &str) -> Result<Self, ConfigError> {
        let redis = redis_address(env)?;
        let addresses = rabbitmq_addresses(env)?;
        match (addresses, redis) {
            (None, None) => Ok(Self::Embedded),
            (Some(addresses), Some(redis)) => Ok(Self::Distributed {
                rabbitmq: Box::new(rabbitmq(env, addresses, program)?),
                redis: Box::new(redis),
            }),
            (Some(_), None) => Err(ConfigError::because(
                "REDIS_URL",
                "not set, while AMQP_URL is",
                "set together with AMQP_URL (distributed mode), or neither (embedded mode)",
            )),
            (None, Some(_)) => Err(ConfigError::because(
                "AMQP_URL",
                "not set, while REDIS_URL or REDIS_HOST is",
                "set together with Redis (distributed mode), or neither (embedded mode)",
            )),
        }
    }
}

fn rabbitmq_addresses(env: &Environment) -> Result<Option<Vec<AMQPUri>>, ConfigError> {
    let Some(list) = env.secret("AMQP_URL")? else {
        return Ok(None);
    };
    // The value holds a password, so it is not shown.
    let wrong = || {
        ConfigError::because(
            "AMQP_URL",
            "not understood",
            "amqp://user:password@host:5672/vhost, or amqps://…, or several separated by commas",
        )
    };
    let addresses: Result<Vec<AMQPUri>, _> = list
        .expose()
        .split(',')
        .map(|address| address.trim().parse().map_err(|_| wrong()))
        .collect();
    addresses.map(Some)
}

fn rabbitmq(
    env: &Environment,
    addresses: Vec<AMQPUri>,
    program: &str,
) -> Result<RabbitConfig, ConfigError> {
    let kind = env
        .parsed("AMQP_QUEUE_KIND", "quorum or classic")?
        .unwrap_or(QueueKind::Quorum);
    let prefix = env.text("AMQP_QUEUE_PREFIX").unwrap_or("itb").to_owned();
    Ok(RabbitConfig {
        addresses,
        topology: Topology {
            prefix,
            kind,
            max_length: env.number("AMQP_QUEUE_MAX_LENGTH", 1..=10_000_000, 10_000)?,
            dead_letters_kept: retention(env)?.0,
        },
        publish_timeout: Duration::from_millis(env.number(
            "AMQP_PUBLISH_TIMEOUT_MS",
            10..=60_000,
            1_000,
        )?),
        connection_name: program.to_owned(),
    })
}

/// `REDIS_URL`, or the predecessor's variables.
fn redis_address(env: &Environment) -> Result<Option<ConnectionInfo>, ConfigError> {
    if let Some(url) = env.secret("REDIS_URL")? {
        // The value may hold a password, so it is not shown.
        return url.expose().into_connection_info().map(Some).map_err(|_| {
            ConfigError::because(
                "REDIS_URL",
                "not understood",
                "redis://[user:password@]host[:6379][/db], or rediss://… for TLS",
            )
        });
    }
    let Some(host) = env.text("REDIS_HOST") else {
        return Ok(None);
    };
    let port: u16 = env.number("REDIS_PORT", 1..=u16::MAX, 6379)?;
    let db: i64 = env.number("REDIS_DB", 0..=i64::MAX, 0)?;
    let address = redis::ConnectionAddr::Tcp(host.to_owned(), port);
    let mut settings = redis::RedisConnectionInfo::default().set_db(db);
    if let Some(password) = env.secret("REDIS_PASSWORD")? {
        settings = settings.set_password(password.expose());
    }
    let info = address
        .into_connection_info()
        .map_err(|_| ConfigError::wrong("REDIS_HOST", host, "a host name or address"))?;
    Ok(Some(info.set_redis_settings(settings)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(pairs: &[(&str, &str)]) -> Result<Mode, ConfigError> {
        Mode::from_environment(&pairs.iter().copied().collect(), "test")
    }

    const AMQP: (&str, &str) = ("AMQP_URL", "amqp://a:b@rabbit:5672/%2f");

    #[test]
    fn the_mode_follows_from_which_servers_are_named() {
        assert!(mode(&[]).unwrap().is_embedded());
        assert!(
            mode(&[("AMQP_URL", ""), ("REDIS_URL", " ")])
                .unwrap()
                .is_embedded()
        );
        let by_url = mode(&[AMQP, ("REDIS_URL", "redis://r:6379/1")]).unwrap();
        assert!(!by_url.is_embedded());
        let by_host = mode(&[AMQP, ("REDIS_HOST", "r"), ("REDIS_PASSWORD", "p")]).unwrap();
        assert!(!by_host.is_embedded());
    }

    #[test]
    fn half_a_distributed_mode_is_refused() {
        assert_eq!(mode(&[AMQP]).unwrap_err().variable, "REDIS_URL");
        let error = mode(&[("REDIS_HOST", "r")]).unwrap_err();
        assert_eq!(error.variable, "AMQP_URL");
    }

    #[test]
    fn wrong_addresses_are_refused_without_showing_them() {
        let redis = ("REDIS_URL", "redis://r");
        for (pairs, variable) in [
            ([("AMQP_URL", "http://u:secret@x"), redis], "AMQP_URL"),
            ([AMQP, ("REDIS_URL", "http://u:secret@x")], "REDIS_URL"),
        ] {
            let error = mode(&pairs).unwrap_err();
            assert_eq!(error.variable, variable);
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn several_nodes_of_a_cluster_are_separated_by_commas() {
        let list = ("AMQP_URL", "amqp://a:5672, amqp://b:5672");
        let Mode::Distributed { rabbitmq, .. } = mode(&[list, ("REDIS_URL", "redis://r")]).unwrap()
        else {
            panic!("distributed")
        };
        assert_eq!(rabbitmq.addresses.len(), 2);
    }
}
