//! All connections: how many there may be, and how they end.
//!
//! `axum::serve` waits for a client as long as the client likes and takes as
//! many as come. What is here is that loop with bounds.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use common::{
    config::{ConfigError, Environment},
    ids::RequestId,
};
use metrics::{counter, gauge};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{
    connection,
    room::{NoRoom, Room, RoomPermit},
    socket::Socket,
    watch::{Patience, Watch},
};
use crate::{client_address::Proxies, error::Problem};

/// Clients that are being told at the same time that there is no room.
const TURNED_AWAY: usize = 64;

/// Bytes that the system keeps for a client: some 10 MB a second over 50 ms.
const SEND_BUFFER: usize = 256 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections at the same time.
    pub most: usize,
    /// Of one address, or of one network of IPv6.
    pub per_address: usize,
    pub patience: Patience,
}

impl ConnectionLimits {
    pub fn from_environment(env: &Environment) -> Result<Self, ConfigError> {
        let most = env.number("MAX_CONNECTIONS", 1..=1_000_000, 8_192)?;
        // Behind one address may be a whole office; a browser opens some six.
        let share = (most / 4).max(64);
        Ok(Self {
            most,
            per_address: env.number("MAX_CONNECTIONS_PER_ADDRESS", 1..=1_000_000, share)?,
            patience: Patience {
                client: env.seconds("CLIENT_TIMEOUT", 1..=3_600, 30)?,
                // Longer than the 60 s of most load balancers, which else send a
                // request just when we close.
                keep_alive: env.seconds("KEEP_ALIVE_TIMEOUT", 1..=3_600, 75)?,
            },
        })
    }
}

/// Serves `app` until `stop`, and then until the last answer is sent. To drop
/// this breaks all connections off.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    limits: ConnectionLimits,
    proxies: Proxies,
    stop: CancellationToken,
) {
    let room = Room::new(limits.most, limits.per_address, proxies);
    let foyer = Arc::new(Semaphore::new(TURNED_AWAY));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, client)) => match room.admit(client.ip()) {
                    Ok(permit) => {
                        let (app, stop) = (app.clone(), stop.clone());
                        connections.spawn(admit(stream, client, app, limits.patience, stop, permit));
                    }
                    Err(reason) => {
                        count(reason);
                        if let Ok(permit) = Arc::clone(&foyer).try_acquire_owned() {
                            connections.spawn(turn_away(stream, reason, limits.patience, permit));
                        }
                    }
                },
                Err(error) => bear(error).await,
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn admit(
    stream: TcpStream,
    client: SocketAddr,
    app: Router,
    patience: Patience,
    stop: CancellationToken,
    _room: RoomPermit,
) {
    gauge!("itb_http_connections").increment(1);
    prepare(&stream, patience.client);
    connection::answer(stream, client, app, patience, stop).await;
    gauge!("itb_http_connections").decrement(1);
}

fn prepare(stream: &TcpStream, patience: Duration) {
    // A token of an answer must not wait for the one before it to be confirmed.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "a connection may be slow");
    }
    let socket = socket2::SockRef::from(stream);
    // The system would keep megabytes for a client that reads slowly, and say
    // that there is room only after a third of them was taken.
    if let Err(error) = socket.set_send_buffer_size(SEND_BUFFER) {
        debug!(%error, "a client that reads slowly may look as if it did not");
    }
    // A client that is gone without a word confirms nothing; without this the
    // system tries for a quarter of an hour.
    #[cfg(target_os = "linux")]
    if let Err(error) = socket.set_tcp_user_timeout(Some(patience)) {
        debug!(%error, "a client that is gone may be noticed late");
    }
}

/// `itb_http_connections_refused_total{bound}`: for which there was no room.
fn count(reason: NoRoom) {
    counter!("itb_http_connections_refused_total", "bound" => <&str>::from(reason)).increment(1);
}

/// Tells a client at once that there is no room. To leave it waiting in the
/// system's queue would look like a service that hangs, to it and to a load
/// balancer that has others to choose from.
async fn turn_away(
    stream: TcpStream,
    reason: NoRoom,
    patience: Patience,
    _foyer: OwnedSemaphorePermit,
) {
    let watch = Arc::new(Watch::new(patience));
    let mut socket = Socket::new(stream, watch);
    if socket.write_all(no_room(reason).as_bytes()).await.is_ok() {
        let _ = socket.shutdown().await;
    }
}

/// The answer, whatever was asked: nothing of it has been read.
fn no_room(reason: NoRoom) -> String {
    let after = Duration::from_secs(2);
    let problem = match reason {
        NoRoom::All => Problem::unavailable(
            "too_many_connections",
            "Too many connections are open already.",
            after,
        ),
        NoRoom::Address => Problem::too_many(
            "too_many_connections_of_address",
            "Too many connections from this address are open already.",
            after,
        ),
    };
    let status = problem.status();
    let id = RequestId::new();
    let body = problem.body(id.as_str(), "/");
    let body = serde_json::to_string(&body).unwrap_or_default();
    format!(
        "HTTP/1.1 {status}\r\n\
         content-type: application/problem+json\r\n\
         content-length: {}\r\n\
         retry-after: {}\r\n\
         x-request-id: {id}\r\n\
         cache-control: no-store\r\n\
         connection: close\r\n\r\n{body}",
        body.len(),
        after.as_secs(),
    )
}

/// A client that is gone again is no trouble. The rest is short of something,
/// files mostly, and to try at once would only spin.
async fn bear(error: io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    ) {
        return;
    }
    warn!(%error, "no connection can be accepted");
    sleep(Duration::from_secs(1)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_has_a_quarter_of_the_connections_unless_it_is_said() {
        for (pairs, expected) in [
            (&[][..], (8_192, 2_048)),
            (&[("MAX_CONNECTIONS", "1000")], (1_000, 250)),
            (&[("MAX_CONNECTIONS", "100")], (100, 64)),
            (&[("MAX_CONNECTIONS_PER_ADDRESS", "9")], (8_192, 9)),
        ] {
            let env = pairs.iter().copied().collect();
            let limits = ConnectionLimits::from_environment(&env).unwrap();
            assert_eq!((limits.most, limits.per_address), expected, "{pairs:?}");
        }
    }
}
