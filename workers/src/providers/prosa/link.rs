//! The connection to Prosa, and how it fails.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{Sink, SinkExt, Stream, StreamExt};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest,
        error::ProtocolError,
        handshake::client::Request,
        http::{HeaderMap, HeaderValue, Uri, header::RETRY_AFTER},
        protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode},
    },
};

use super::{PROVIDER, Timeouts};
use crate::{handler::StageError, providers::failure};

/// How long the farewell may take; the answer is there already.
const FAREWELL: Duration = Duration::from_millis(500);

pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Where a service listens: a `ws://` or `wss://` address.
///
/// Its `Debug` shows the host alone: the rest may carry a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint(Uri);

/// It is no `ws://` or `wss://` address with a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an address that begins with ws:// or wss:// and names a host")]
pub struct NotAWebSocket;

impl FromStr for Endpoint {
    type Err = NotAWebSocket;

    fn from_str(text: &str) -> Result<Self, NotAWebSocket> {
        let uri: Uri = text.trim().parse().map_err(|_| NotAWebSocket)?;
        let named = uri.host().is_some_and(|host| !host.is_empty());
        match uri.scheme_str() {
            Some("ws" | "wss") if named => Ok(Self(uri)),
            _ => Err(NotAWebSocket),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.0.host().unwrap_or_default();
        write!(f, "{}://{host}/…", self.0.scheme_str().unwrap_or_default())
    }
}

/// The TLS of every connection of this process to Prosa.
///
/// Made by hand because `tokio-tungstenite` would take the process's provider and panic where none is chosen.
pub(super) fn tls() -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has the cipher suites of the protocol versions that rustls enables")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// Connects, with `key` in the header `x-api-key` where the service wants it there. Messages of more than
/// `largest_message` bytes will break the connection.
pub(super) async fn connect(
    endpoint: &Endpoint,
    key: Option<&HeaderValue>,
    tls: &Arc<ClientConfig>,
    largest_message: usize,
    timeouts: &Timeouts,
) -> Result<Socket, StageError> {
    let request = request(endpoint, key)?;
    let bounds = WebSocketConfig::default()
        .max_message_size(Some(largest_message))
        .max_frame_size(Some(largest_message));
    let connector = Connector::Rustls(Arc::clone(tls));
    let connecting = connect_async_tls_with_config(request, Some(bounds), true, Some(connector));
    match tokio::time::timeout(timeouts.connect, connecting).await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(error)) => Err(not_connected(error)),
        Err(_) => Err(failure::timed_out(PROVIDER, timeouts.connect)),
    }
}

fn request(endpoint: &Endpoint, key: Option<&HeaderValue>) -> Result<Request, StageError> {
    let mut request =
        endpoint.0.clone().into_client_request().map_err(|_| {
            StageError::internal(failure::REFUSED, "prosa: the address is unusable")
        })?;
    if let Some(key) = key {
        request.headers_mut().insert("x-api-key", key.clone());
    }
    Ok(request)
}

fn not_connected(error: Error) -> StageError {
    match error {
        Error::Http(answer) => match answer.status().as_u16() {
            200..=299 => failure::unexpected(PROVIDER, "there is no WebSocket at the address"),
            status => failure::of_status(PROVIDER, status, wait(answer.headers())),
        },
        error => broken(error),
    }
}

fn wait(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?;
    failure::retry_after(value, std::time::SystemTime::now())
}

/// A connection that broke, or on which something came that is no WebSocket.
pub(super) fn broken(error: Error) -> StageError {
    match error {
        Error::Io(error) => failure::unreachable(PROVIDER, error),
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Protocol(
            ProtocolError::ResetWithoutClosingHandshake
            | ProtocolError::HandshakeIncomplete
            | ProtocolError::SendAfterClosing,
        ) => failure::unreachable(PROVIDER, "the connection broke"),
        Error::Tls(error) => failure::unreachable(PROVIDER, error),
        Error::Capacity(_) => failure::unexpected(PROVIDER, "a message is too large"),
        // Other errors may quote what came.
        Error::Protocol(_) => failure::unexpected(PROVIDER, "it does not speak WebSocket"),
        _ => failure::unexpected(PROVIDER, "what came cannot be read"),
    }
}

/// What came next.
pub(super) enum Received {
    Text(Bytes),
    Binary(Bytes),
    End(Ending),
}

/// How a connection ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// The service said that this is all.
    Normal,
    /// The connection was closed in order of TCP, without a word.
    Silent,
    /// The service closed because of its policy: its way to refuse a key that it has just been told.
    Refused,
    /// The service closed with an error, or the connection broke.
    Failed(StageError),
}

/// Waits for the next message. Dropping the future loses nothing.
pub(super) async fn next(
    stream: &mut (impl Stream<Item = Result<Message, Error>> + Unpin),
) -> Received {
    loop {
        return match stream.next().await {
            Some(Ok(Message::Text(text))) => Received::Text(text.into()),
            Some(Ok(Message::Binary(bytes))) => Received::Binary(bytes),
            Some(Ok(Message::Close(frame))) => Received::End(closed(frame)),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
            None | Some(Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))) => {
                Received::End(Ending::Silent)
            }
            Some(Err(error)) => Received::End(Ending::Failed(broken(error))),
        };
    }
}

/// By the code of a Close frame (RFC 6455, section 7.4; 3000 and 3003: IANA's registry; 44xx: HTTP's meaning by a custom
/// that many servers follow).
fn closed(frame: Option<CloseFrame>) -> Ending {
    let Some(code) = frame.map(|frame| frame.code) else {
        return Ending::Normal;
    };
    let detail = format!(
        "{PROVIDER} closed the connection with code {}",
        u16::from(code)
    );
    Ending::Failed(match u16::from(code) {
        1_000 | 1_005 => return Ending::Normal,
        1_008 => return Ending::Refused,
        3_000 | 3_003 | 4_401 | 4_403 => StageError::internal(failure::UNAUTHORIZED, detail),
        4_429 => StageError::transient(failure::RATE_LIMITED, detail),
        _ => StageError::transient(failure::FAILED, detail),
    })
}

/// A connection that ended before there was an answer.
pub(super) fn ended_early(ending: Ending) -> StageError {
    match ending {
        Ending::Normal => failure::unexpected(PROVIDER, "it closed without an answer"),
        Ending::Silent => failure::unreachable(PROVIDER, "the connection broke"),
        Ending::Refused => StageError::transient(
            failure::FAILED,
            format!("{PROVIDER} broke off by its policy"),
        ),
        Ending::Failed(error) => error,
    }
}

/// Closes in order, so that the service does not log a broken connection. The answer does not depend on it.
pub(super) async fn part(sink: &mut (impl Sink<Message, Error = Error> + Unpin)) {
    let farewell = CloseFrame {
        code: CloseCode::Normal,
        reason: "".into(),
    };
    let _ = tokio::time::timeout(FAREWELL, sink.send(Message::Close(Some(farewell)))).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_websocket_address_and_shows_its_host_alone() {
        for text in [
            "",
            "prosa.ai",
            "http://prosa.ai/v2",
            "wss://",
            "wss:///v2",
            "wss://a b/",
            "//prosa.ai/",
        ] {
            assert_eq!(text.parse::<Endpoint>(), Err(NotAWebSocket), "{text}");
        }
        for text in ["ws://[::1]:9/x", " wss://asr-api.prosa.ai/v2?key=s3cret "] {
            let shown = format!("{:?}", text.parse::<Endpoint>().unwrap());
            assert!(
                !shown.contains("s3cret") && shown.starts_with("ws"),
                "{shown}"
            );
        }
    }
}
