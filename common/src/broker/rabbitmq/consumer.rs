//! Consuming from one stage's queue, for as long as somebody receives.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{StreamExt as _, future::select_all};
use lapin::{
    Acker, Channel, Connection,
    message::Delivery as RawDelivery,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions,
        BasicRejectOptions,
    },
    types::FieldTable,
};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    RabbitConfig,
    link::{OpenError, open},
    properties::{self, properties_of},
    publisher::Publisher,
};
use crate::{
    broker::{
        Consumer, DeadLetterReason, Deliveries, Delivery, Incoming, Receipt, SettleError,
        Unreadable, UnreadableReceipt, topology::Topology, wire,
    },
    envelope::Envelope,
    pipeline::Stage,
    priority::Priority,
    retry::Backoff,
};
use lanes::{Arrivals, Lanes, lanes};

mod lanes;

/// Time for a settlement to be sent.
pub const SETTLE: Duration = Duration::from_secs(10);

/// Time to consume anew.
const SUBSCRIBE: Duration = Duration::from_secs(10);

/// Time to stop the flow of messages when a consumer ends.
const CANCEL: Duration = Duration::from_secs(5);

pub fn start(
    config: Arc<RabbitConfig>,
    publisher: Publisher,
    stage: Stage,
    prefetch: u16,
) -> Consumer {
    // The broker sends at most `prefetch` of each, and as many again when it counts anew, so these hardly ever fill.
    let (lanes, arrivals) = lanes(2 * usize::from(prefetch).max(1));
    let consuming = watch::Sender::new(false);
    let renewed = Arc::new(Notify::new());
    let stop = CancellationToken::new();
    let task = Subscriber {
        config,
        publisher,
        stage,
        prefetch,
        consuming: consuming.clone(),
        renewed: Arc::clone(&renewed),
        stop: stop.clone(),
    };
    Consumer::new(RabbitDeliveries {
        arrivals,
        consuming,
        renewed,
        stop,
        task: Some(tokio::spawn(task.run(lanes))),
    })
}

struct RabbitDeliveries {
    arrivals: Arrivals,
    consuming: watch::Sender<bool>,
    renewed: Arc<Notify>,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

#[async_trait]
impl Deliveries for RabbitDeliveries {
    async fn next(&mut self) -> Incoming {
        self.arrivals.next().await
    }

    async fn next_interactive(&mut self) -> Incoming {
        self.arrivals.next_interactive().await
    }

    async fn renew(&mut self) {
        self.renewed.notify_one();
    }

    async fn stop(&mut self) {
        self.stop.cancel();
        self.arrivals.close().await;
        if let Some(task) = self.task.take()
            && let Err(error) = task.await
        {
            warn!(%error, "the consuming task did not end well");
        }
    }

    fn is_consuming(&self) -> watch::Receiver<bool> {
        self.consuming.subscribe()
    }
}

impl Drop for RabbitDeliveries {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// What deliveries need to be settled; the connection closes with the last of
/// them.
struct Session {
    channel: Channel,
    _connection: Connection,
}

/// What comes from one of the stage's queues.
struct Messages {
    priority: Priority,
    consumer: lapin::Consumer,
}

/// `None` when the broker has ended the consumer.
type Message = Option<Result<RawDelivery, lapin::Error>>;

/// The next message of any. Safe to drop.
async fn next_of(all: &mut [Messages]) -> (Priority, Message) {
    let next = all.iter_mut().map(|Messages { priority, consumer }| {
        let message = consumer.next();
        Box::pin(async move { (*priority, message.await) })
    });
    select_all(next).await.0
}

struct Subscriber {
    config: Arc<RabbitConfig>,
    publisher: Publisher,
    stage: Stage,
    prefetch: u16,
    consuming: watch::Sender<bool>,
    /// It is to count anew what it has handed out.
    renewed: Arc<Notify>,
    stop: CancellationToken,
}

impl Subscriber {
    async fn run(self, lanes: Lanes) {
        let stop = self.stop.clone();
        let mut backoff = Backoff::reconnecting();
        while !stop.is_cancelled() {
            let subscribed = tokio::select! {
                subscribed = self.subscribe() => subscribed,
                () = stop.cancelled() => return,
            };
            match subscribed {
                Ok((session, messages)) => {
                    backoff.reset();
                    info!(stage = %self.stage, "consuming from RabbitMQ");
                    self.consuming.send_replace(true);
                    self.pass_on(session, messages, &lanes).await;
                    self.consuming.send_replace(false);
                }
                Err(error) => {
                    warn!(stage = %self.stage, %error, "cannot consume from RabbitMQ");
                }
            }
            tokio::select! {
                () = backoff.wait() => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn subscribe(&self) -> Result<(Arc<Session>, Vec<Messages>), OpenError> {
        let connection = open(&self.config, &format!("consume {}", self.stage)).await?;
        let channel = connection.create_channel().await?;
        // For each consumer by itself: quorum queues know no other way.
        channel
            .basic_qos(self.prefetch, BasicQosOptions::default())
            .await?;
        let messages = self.consume(&channel).await?;
        let session = Session {
            channel,
            _connection: connection,
        };
        Ok((Arc::new(session), messages))
    }

    async fn consume(&self, channel: &Channel) -> Result<Vec<Messages>, lapin::Error> {
        let mut messages = Vec::new();
        for priority in Priority::ALL {
            let queue = self.config.topology.work_queue(self.stage, *priority);
            let consumer = channel
                .basic_consume(
                    queue.into(),
                    "".into(),
                    BasicConsumeOptions::default(),
                    FieldTable::default(),
                )
                .await?;
            messages.push(Messages {
                priority: *priority,
                consumer,
            });
        }
        Ok(messages)
    }

    /// Consumes anew on the same channel. RabbitMQ counts what it has handed out by consumer, and what the cancelled ones
    /// hold can be settled as long as the channel is open.
    async fn consume_anew(
        &self,
        session: &Arc<Session>,
        messages: &mut Vec<Messages>,
        lanes: &Lanes,
    ) -> Result<(), lapin::Error> {
        let anew = self.consume(&session.channel).await?;
        for Messages {
            priority,
            mut consumer,
        } in std::mem::replace(messages, anew)
        {
            let options = BasicCancelOptions::default();
            session
                .channel
                .basic_cancel(consumer.tag(), options)
                .await?;
            while let Some(message) = consumer.next().await {
                lanes.send(priority, self.incoming(message?, session)).await;
            }
        }
        Ok(())
    }

    async fn pass_on(&self, session: Arc<Session>, mut messages: Vec<Messages>, lanes: &Lanes) {
        loop {
            let next = tokio::select! {
                next = next_of(&mut messages) => Some(next),
                () = self.renewed.notified() => {
                    let anew = self.consume_anew(&session, &mut messages, lanes);
                    match timeout(SUBSCRIBE, anew).await {
                        Ok(Ok(())) => continue,
                        // The connection goes with its messages, and a new one is opened.
                        failed => {
                            warn!(stage = %self.stage, ?failed, "cannot consume anew from RabbitMQ");
                            let close = session.channel.close(200, "begun anew".into());
                            let _ = timeout(CANCEL, close).await;
                            return;
                        }
                    }
                }
                () = self.stop.cancelled() => None,
            };
            let Some((priority, message)) = next else {
                give_back_unread(&session.channel, messages).await;
                return;
            };
            match message {
                Some(Ok(message)) => {
                    let incoming = self.incoming(message, &session);
                    lanes.send(priority, incoming).await;
                }
                Some(Err(error)) => {
                    warn!(stage = %self.stage, %error, "lost the consuming connection to RabbitMQ");
                    return;
                }
                // The broker cancels a consumer e.g. when its queue is deleted.
                None => {
                    warn!(stage = %self.stage, "RabbitMQ ended the consumer");
                    return;
                }
            }
        }
    }

    fn incoming(&self, message: RawDelivery, session: &Arc<Session>) -> Incoming {
        let receipt = RabbitReceipt {
            acker: message.acker,
            publisher: self.publisher.clone(),
            topology: self.config.topology.clone(),
            stage: self.stage,
            session: Arc::clone(session),
        };
        match wire::decode(&message.data) {
            Ok(envelope) => {
                let delivery = Delivery::new(envelope, message.redelivered, receipt);
                Incoming::Message(Box::new(delivery))
            }
            Err(why) => {
                warn!(stage = %self.stage, error = %why, "a message cannot be read");
                let unread = RabbitUnread {
                    receipt,
                    body: message.data,
                    properties: properties::kept_of(&message.properties),
                };
                let job = properties::job(&message.properties);
                Incoming::Unreadable(Unreadable::new(job, reason_of(&why), unread))
            }
        }
    }
}

fn reason_of(why: &wire::WireError) -> DeadLetterReason {
    let code = match why {
        wire::WireError::UnknownVersion(_) => "unknown_version",
        wire::WireError::Malformed(_) => "malformed_message",
    };
    DeadLetterReason {
        code: code.into(),
        detail: why.to_string(),
    }
}

async fn give_back_unread(channel: &Channel, messages: Vec<Messages>) {
    for Messages { mut consumer, .. } in messages {
        let cancel = channel.basic_cancel(consumer.tag(), BasicCancelOptions::default());
        // A connection that is gone has given everything back already.
        if !matches!(timeout(CANCEL, cancel).await, Ok(Ok(()))) {
            return;
        }
        while let Some(Ok(message)) = consumer.next().await {
            reject(&message.acker).await;
        }
    }
}

pub async fn reject(acker: &Acker) {
    let requeue = BasicRejectOptions { requeue: true };
    // Failing means the connection is gone, and with it the delivery is back.
    let _ = timeout(SETTLE, acker.reject(requeue)).await;
}

struct RabbitReceipt {
    acker: Acker,
    publisher: Publisher,
    topology: Topology,
    stage: Stage,
    session: Arc<Session>,
}

impl RabbitReceipt {
    async fn acknowledge(&self) -> Result<(), SettleError> {
        match timeout(SETTLE, self.acker.ack(BasicAckOptions::default())).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(SettleError("its channel is closed".into())),
            Ok(Err(error)) => Err(SettleError(error.to_string())),
            Err(_) => Err(SettleError("the broker does not take it".into())),
        }
    }

    /// Stores the message elsewhere, and only then gives up this copy. Tries
    /// for as long as it is in hand: given back, it would be handed out again at
    /// once, to somebody who cannot store it either, and reach its delivery
    /// limit within a second.
    async fn move_to(
        &self,
        queue: String,
        body: Vec<u8>,
        properties: lapin::BasicProperties,
    ) -> Result<(), SettleError> {
        let mut backoff = Backoff::reconnecting();
        loop {
            // The broker has taken it back: with a copy there would be two of it.
            if !self.is_held() {
                return Err(SettleError("its channel is closed".into()));
            }
            let (queue, body, properties) = (queue.clone(), body.clone(), properties.clone());
            match self.publisher.publish(queue, body, properties).await {
                Ok(()) => return self.acknowledge().await,
                Err(error) => {
                    warn!(stage = %self.stage, %error, "holding a message that cannot be moved yet");
                }
            }
            backoff.wait().await;
        }
    }
}

#[async_trait]
impl Receipt for RabbitReceipt {
    fn is_held(&self) -> bool {
        self.session.channel.status().connected()
    }

    async fn ack(self: Box<Self>) -> Result<(), SettleError> {
        self.acknowledge().await
    }

    async fn retry(&self, next: &Envelope, delay: Duration) -> Result<(), SettleError> {
        let queue = self
            .topology
            .retry_queue(self.stage, next.job.priority, delay);
        self.move_to(queue, wire::encode(next), properties_of(next))
            .await
    }

    async fn dead_letter(
        self: Box<Self>,
        envelope: &Envelope,
        reason: &DeadLetterReason,
    ) -> Result<(), SettleError> {
        let kept = self.topology.dead_letters_kept;
        let properties = properties::dead(properties_of(envelope), reason, kept);
        let queue = self.topology.dead_queue(self.stage);
        self.move_to(queue, wire::encode(envelope), properties)
            .await
    }

    /// Called from `drop`, which cannot wait. Should the process end first, the
    /// broker requeues the message with the connection.
    fn release(self: Box<Self>) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { reject(&self.acker).await });
        }
    }
}

/// A message as it came.
struct RabbitUnread {
    receipt: RabbitReceipt,
    body: Vec<u8>,
    properties: lapin::BasicProperties,
}

#[async_trait]
impl UnreadableReceipt for RabbitUnread {
    async fn put_aside(self: Box<Self>, reason: &DeadLetterReason) -> Result<(), SettleError> {
        let Self {
            receipt,
            body,
            properties,
        } = *self;
        let queue = receipt.topology.dead_queue(receipt.stage);
        let kept = receipt.topology.dead_letters_kept;
        let properties = properties::dead(properties, reason, kept);
        receipt.move_to(queue, body, properties).await
    }

    fn release(self: Box<Self>) {
        Receipt::release(Box::new(self.receipt));
    }
}
