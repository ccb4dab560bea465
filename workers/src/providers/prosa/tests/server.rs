//! A service for one connection, that does as a script says.

use std::future::Future;

use futures::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{ErrorResponse, Request, Response},
        http::HeaderMap,
        protocol::CloseFrame,
    },
};

use super::super::Endpoint;

/// The service's side of a conversation.
pub(super) struct Peer {
    pub(super) socket: WebSocketStream<TcpStream>,
    /// Of the request for the upgrade.
    pub(super) headers: HeaderMap,
}

impl Peer {
    pub(super) async fn say(&mut self, text: &str) {
        // The client may have gone; then its own outcome tells.
        let _ = self.socket.send(Message::text(text)).await;
    }

    pub(super) async fn play(&mut self, bytes: Vec<u8>) {
        let _ = self.socket.send(Message::binary(bytes)).await;
    }

    pub(super) async fn close(&mut self, code: u16) {
        let farewell = CloseFrame {
            code: code.into(),
            reason: "s3cret".into(),
        };
        let _ = self.socket.send(Message::Close(Some(farewell))).await;
    }

    /// The next message, as JSON.
    pub(super) async fn json(&mut self) -> serde_json::Value {
        let message = self.socket.next().await.unwrap().unwrap();
        serde_json::from_str(message.to_text().unwrap()).unwrap()
    }

    /// Binary frames, up to the first empty one.
    pub(super) async fn audio(&mut self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        while let Some(Ok(message)) = self.socket.next().await {
            assert!(message.is_binary());
            let frame = message.into_data();
            if frame.is_empty() {
                break;
            }
            frames.push(frame.to_vec());
        }
        frames
    }

    /// Reads until the client has gone.
    pub(super) async fn until_gone(mut self) {
        while let Some(Ok(_)) = self.socket.next().await {}
    }
}

/// A WebSocket server. What `script` gives can be had from the handle.
pub(super) async fn websocket<T, F>(
    script: impl FnOnce(Peer) -> F + Send + 'static,
) -> (Endpoint, JoinHandle<T>)
where
    T: Send + 'static,
    F: Future<Output = T> + Send,
{
    tcp(|stream| async move {
        let mut headers = HeaderMap::new();
        #[allow(clippy::result_large_err, reason = "the library's signature")]
        let keep = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
            headers = request.headers().clone();
            Ok(response)
        };
        let socket = accept_hdr_async(stream, keep).await.unwrap();
        script(Peer { socket, headers }).await
    })
    .await
}

/// A server of whatever `script` makes of the connection.
pub(super) async fn tcp<T, F>(
    script: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> (Endpoint, JoinHandle<T>)
where
    T: Send + 'static,
    F: Future<Output = T> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("ws://{}/v2", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        script(stream).await
    });
    (endpoint.parse().unwrap(), task)
}

/// A server that answers the upgrade with `answer`.
pub(super) async fn plain(answer: String) -> Endpoint {
    let (endpoint, _) = tcp(|mut stream| async move {
        let mut request = [0; 4_096];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.shutdown().await;
    })
    .await;
    endpoint
}
