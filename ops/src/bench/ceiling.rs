//! The most that the parts could do.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context as _;
use axum::{Router, extract::State, http::StatusCode, routing::post};
use clap::ValueEnum;
use futures::StreamExt as _;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
        ConfirmSelectOptions, QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable},
};
use redis::aio::MultiplexedConnection;
use tokio::{
    net::TcpListener,
    sync::{Mutex as AsyncMutex, oneshot},
};
use uuid::Uuid;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Ceiling {
    /// One confirmed hop over a quorum queue and one write to Redis, behind axum.
    Hop,
    /// axum alone.
    Axum,
}

const QUEUE: &str = "bench.raw";

/// Deliveries that are not acknowledged yet.
const PREFETCH: u16 = 256;

/// A persistent message.
const PERSISTENT: u8 = 2;

/// Seconds that what is written is kept.
const KEPT: u64 = 86_400;

impl Ceiling {
    pub fn word(self) -> &'static str {
        match self {
            Self::Hop => "hop",
            Self::Axum => "axum",
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Hop => "raw hop behind axum",
            Self::Axum => "bare axum",
        }
    }

    /// Answers until it is ended.
    pub async fn serve(self) -> anyhow::Result<()> {
        let address = std::env::var("BENCH_ADDRESS").context("BENCH_ADDRESS")?;
        let listener = TcpListener::bind(address).await?;
        let router = match self {
            Self::Axum => Router::new().route("/v1/chat", post(async |body: String| body)),
            Self::Hop => {
                let hop = Arc::new(Hop::connect().await?);
                Router::new().route("/v1/chat", post(carry)).with_state(hop)
            }
        };
        Ok(axum::serve(listener, router).await?)
    }
}

struct Hop {
    /// Held until a publish is sent: lapin may swap the confirms of two tasks that publish at once.
    channel: AsyncMutex<Channel>,
    waiting: Waiting,
    _connection: Connection,
}

type Waiting = Arc<Mutex<HashMap<String, oneshot::Sender<()>>>>;

impl Hop {
    async fn connect() -> anyhow::Result<Self> {
        let url = std::env::var("BENCH_AMQP_URL").context("BENCH_AMQP_URL")?;
        let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        let mut arguments = FieldTable::default();
        let quorum = AMQPValue::LongString("quorum".into());
        arguments.insert("x-queue-type".into(), quorum);
        channel
            .queue_declare(QUEUE.into(), QueueDeclareOptions::durable(), arguments)
            .await?;
        let url = std::env::var("BENCH_REDIS_URL").context("BENCH_REDIS_URL")?;
        let redis = redis::Client::open(url)?;
        let redis = redis.get_multiplexed_async_connection().await?;
        let waiting = Waiting::default();
        tokio::spawn(consume(
            connection.create_channel().await?,
            redis,
            Arc::clone(&waiting),
        ));
        Ok(Self {
            channel: AsyncMutex::new(channel),
            waiting,
            _connection: connection,
        })
    }

    async fn carry(&self, body: &[u8]) -> anyhow::Result<()> {
        let id = Uuid::now_v7().to_string();
        let (sender, done) = oneshot::channel();
        lock(&self.waiting).insert(id.clone(), sender);
        let properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_message_id(id.into());
        let options = BasicPublishOptions::default();
        let confirm = {
            let channel = self.channel.lock().await;
            let publish = channel.basic_publish("".into(), QUEUE.into(), options, body, properties);
            publish.await?
        };
        confirm.await?;
        Ok(done.await?)
    }
}

fn lock(waiting: &Waiting) -> std::sync::MutexGuard<'_, HashMap<String, oneshot::Sender<()>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn carry(State(hop): State<Arc<Hop>>, body: String) -> Result<String, StatusCode> {
    match hop.carry(body.as_bytes()).await {
        Ok(()) => Ok(body),
        Err(_) => Err(StatusCode::SERVICE_UNAVAILABLE),
    }
}

async fn consume(
    channel: Channel,
    redis: MultiplexedConnection,
    waiting: Waiting,
) -> anyhow::Result<()> {
    channel
        .basic_qos(PREFETCH, BasicQosOptions::default())
        .await?;
    let options = BasicConsumeOptions::default();
    let tag = "".into();
    let consume = channel.basic_consume(QUEUE.into(), tag, options, FieldTable::default());
    let mut deliveries = consume.await?;
    while let Some(delivery) = deliveries.next().await {
        let delivery = delivery?;
        let (mut redis, waiting) = (redis.clone(), Arc::clone(&waiting));
        tokio::spawn(async move {
            let id = delivery.properties.message_id().as_ref();
            let id = id.map(ToString::to_string).unwrap_or_default();
            let mut set = redis::cmd("SET");
            set.arg(format!("bench:{id}")).arg(&delivery.data);
            set.arg("EX").arg(KEPT);
            set.exec_async(&mut redis).await?;
            if let Some(sender) = lock(&waiting).remove(&id) {
                let _ = sender.send(());
            }
            delivery.acker.ack(BasicAckOptions::default()).await?;
            anyhow::Ok(())
        });
    }
    Ok(())
}
