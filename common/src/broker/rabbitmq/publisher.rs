//! Confirmed publishing, by one task that alone uses its channel.
//!
//! When several tasks publish on one channel, lapin takes the delivery tag and
//! queues the frame under two separate locks, so that confirms can reach the
//! wrong message: a refused one would be reported as stored. One task per
//! channel rules that out; it keeps many messages in flight all the same.

use std::{sync::Arc, time::Duration};

use futures::{Stream, StreamExt as _, stream::FuturesUnordered};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, Event,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};
use tracing::{error, info, warn};

use super::{
    RabbitConfig,
    link::{OpenError, open},
};
use crate::{
    broker::{Link, PublishError},
    line::{Line, NoTurn},
    retry::Backoff,
};

/// Messages that are published at the same time; a few dozen keep a broker busy
/// whose disk takes 20 ms.
const IN_FLIGHT: usize = 256;

/// Messages sent and not confirmed yet, those included whose publishers have
/// given them up. Bounds memory.
const UNCONFIRMED: usize = 1_024;

#[derive(Clone)]
pub struct Publisher {
    requests: mpsc::Sender<Request>,
    state: watch::Receiver<State>,
    line: Arc<Line>,
    timeout: Duration,
}

struct Request {
    queue: String,
    body: Vec<u8>,
    properties: BasicProperties,
    done: oneshot::Sender<Result<(), PublishError>>,
}

#[derive(Clone)]
enum State {
    /// No connection was tried yet.
    Starting,
    Open {
        connection: Arc<Connection>,
        blocked: bool,
    },
    Down,
    Mismatch(String),
}

impl Publisher {
    /// The task ends, after its last confirm, when all clones are dropped.
    pub fn start(config: Arc<RabbitConfig>) -> Self {
        let (requests, incoming) = mpsc::channel(UNCONFIRMED);
        let (state, observed) = watch::channel(State::Starting);
        let timeout = config.publish_timeout;
        tokio::spawn(run(config, incoming, state));
        Self {
            requests,
            state: observed,
            line: Arc::new(Line::new(IN_FLIGHT)),
            timeout,
        }
    }

    pub fn link(&self) -> Link {
        match &*self.state.borrow() {
            State::Open { blocked: false, .. } => Link::Up,
            State::Open { blocked: true, .. } => Link::Blocked,
            State::Starting | State::Down => Link::Down,
            State::Mismatch(difference) => Link::Mismatch(difference.clone()),
        }
    }

    /// Waits until the first attempt to connect has ended, well or not.
    pub async fn first_outcome(&self) {
        let mut state = self.state.clone();
        // The task outlives `self`, so the state is never closed here.
        let _ = state
            .wait_for(|state| !matches!(state, State::Starting))
            .await;
    }

    pub fn connection(&self) -> Result<Arc<Connection>, PublishError> {
        match &*self.state.borrow() {
            State::Open { connection, .. } => Ok(Arc::clone(connection)),
            _ => Err(not_connected()),
        }
    }

    pub async fn publish(
        &self,
        queue: String,
        body: Vec<u8>,
        properties: BasicProperties,
    ) -> Result<(), PublishError> {
        let turn = self.line.turn(self.timeout).await;
        let _turn = turn.map_err(|reason| match reason {
            NoTurn::Stuck => PublishError::Unavailable("it confirms nothing".into()),
            NoTurn::TooLong => PublishError::Full,
        })?;
        let (done, outcome) = oneshot::channel();
        let request = Request {
            queue,
            body,
            properties,
            done,
        };
        let exchange = async {
            self.requests
                .send(request)
                .await
                .map_err(|_| not_connected())?;
            // A dropped sender means the connection went before the confirm.
            let outcome = outcome.await.unwrap_or(Err(PublishError::Unconfirmed));
            self.line.moves();
            outcome
        };
        timeout(self.timeout, exchange)
            .await
            .unwrap_or(Err(PublishError::Unconfirmed))
    }
}

fn not_connected() -> PublishError {
    PublishError::Unavailable("not connected".into())
}

async fn run(
    config: Arc<RabbitConfig>,
    mut requests: mpsc::Receiver<Request>,
    state: watch::Sender<State>,
) {
    let mut backoff = Backoff::reconnecting();
    loop {
        let opened = tokio::select! {
            opened = open_confirming(&config) => opened,
            Closed = refuse_all(&mut requests) => return,
        };
        match opened {
            Ok((connection, channel)) => {
                backoff.reset();
                info!("connected to RabbitMQ for publishing");
                let events = connection.events_listener();
                let connection = Arc::new(connection);
                state.send_replace(State::Open {
                    connection: Arc::clone(&connection),
                    blocked: false,
                });
                let end = serve(
                    &channel,
                    events,
                    &mut requests,
                    &state,
                    config.publish_timeout,
                )
                .await;
                state.send_replace(State::Down);
                match end {
                    End::NoPublishersLeft => {
                        // Nothing is in flight; a failed goodbye changes nothing.
                        let _ = connection.close(200, "bye".into()).await;
                        return;
                    }
                    End::Lost(reason) => {
                        warn!(reason, "lost the publishing connection to RabbitMQ")
                    }
                }
            }
            Err(OpenError::Mismatch(difference)) => {
                error!(difference, "the queues at RabbitMQ have other arguments");
                state.send_replace(State::Mismatch(difference));
            }
            Err(OpenError::Unavailable(reason)) => {
                warn!(reason, "cannot connect to RabbitMQ for publishing");
                state.send_replace(State::Down);
            }
        }
        tokio::select! {
            () = backoff.wait() => {}
            Closed = refuse_all(&mut requests) => return,
        }
    }
}

async fn open_confirming(config: &RabbitConfig) -> Result<(Connection, Channel), OpenError> {
    let connection = open(config, "publish").await?;
    let channel = connection.create_channel().await?;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    Ok((connection, channel))
}

/// No publisher is left.
struct Closed;

/// Answers at once while there is no connection: waiting is the caller's choice.
async fn refuse_all(requests: &mut mpsc::Receiver<Request>) -> Closed {
    while let Some(request) = requests.recv().await {
        // A caller that has stopped waiting needs no answer.
        let _ = request.done.send(Err(not_connected()));
    }
    Closed
}

enum End {
    NoPublishersLeft,
    Lost(String),
}

async fn serve(
    channel: &Channel,
    events: impl Stream<Item = Event>,
    requests: &mut mpsc::Receiver<Request>,
    state: &watch::Sender<State>,
    send_timeout: Duration,
) -> End {
    let mut events = std::pin::pin!(events);
    let mut confirms = FuturesUnordered::new();
    let mut closing = false;
    loop {
        if closing && confirms.is_empty() {
            return End::NoPublishersLeft;
        }
        tokio::select! {
            event = events.next() => match event {
                Some(Event::ConnectionBlocked(reason)) => {
                    warn!(reason, "RabbitMQ refuses publishes for now");
                    set_blocked(state, true);
                }
                Some(Event::ConnectionUnblocked) => {
                    info!("RabbitMQ takes publishes again");
                    set_blocked(state, false);
                }
                Some(Event::Error(error)) => return End::Lost(error.to_string()),
                Some(_) => {}
                None => return End::Lost("the connection is closed".into()),
            },
            request = requests.recv(), if !closing && confirms.len() < UNCONFIRMED => {
                let Some(request) = request else {
                    closing = true;
                    continue;
                };
                if request.done.is_closed() {
                    continue;
                }
                if is_blocked(state) {
                    let _ = request.done.send(Err(PublishError::Unavailable(
                        "the broker is short of memory or disk".into(),
                    )));
                    continue;
                }
                // Awaited here, one at a time: this keeps tags and frames in
                // the same order (see the module's text).
                match timeout(send_timeout, send(channel, &request)).await {
                    Ok(Ok(confirm)) => confirms.push(async move { (confirm.await, request.done) }),
                    Ok(Err(error)) => return End::Lost(error.to_string()),
                    Err(_) => return End::Lost("a message could not be sent in time".into()),
                }
            }
            Some((confirmation, done)) = confirms.next() => {
                let _ = done.send(outcome(confirmation));
            }
        }
    }
}

async fn send(
    channel: &Channel,
    request: &Request,
) -> Result<lapin::PublisherConfirm, lapin::Error> {
    let mandatory = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    channel
        .basic_publish(
            "".into(),
            request.queue.as_str().into(),
            mandatory,
            &request.body,
            request.properties.clone(),
        )
        .await
}

fn outcome(confirmation: Result<Confirmation, lapin::Error>) -> Result<(), PublishError> {
    match confirmation {
        Ok(Confirmation::Ack(None)) => Ok(()),
        Ok(Confirmation::Ack(Some(_))) => Err(PublishError::Unroutable),
        Ok(Confirmation::Nack(_)) => Err(PublishError::Full),
        Ok(Confirmation::NotRequested) | Err(_) => Err(PublishError::Unconfirmed),
    }
}

fn set_blocked(state: &watch::Sender<State>, now: bool) {
    state.send_modify(|state| {
        if let State::Open { blocked, .. } = state {
            *blocked = now;
        }
    });
}

fn is_blocked(state: &watch::Sender<State>) -> bool {
    matches!(&*state.borrow(), State::Open { blocked: true, .. })
}
