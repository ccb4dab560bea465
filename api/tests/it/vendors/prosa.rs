//! Prosa, both ways, over WebSocket.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{ErrorResponse, Request, Response},
    },
};

/// How a service is.
#[derive(Clone, Debug, PartialEq)]
pub enum Mood {
    Well,
    /// Takes the connection, and says nothing ever.
    Hangs,
    /// Takes the connection and closes it.
    Breaks,
    /// Answers with what is no answer.
    Babbles,
    /// Answers after this time.
    Takes(Duration),
}

#[derive(Clone, Debug, Default)]
pub struct Call {
    /// In the header of the upgrade.
    pub key: String,
    /// The messages in text.
    pub said: Vec<Value>,
    /// The messages in bytes, joined.
    pub audio: Vec<u8>,
}

struct State {
    mood: Mood,
    /// What is heard in any recording.
    transcript: String,
    calls: Vec<Call>,
}

#[derive(Clone, Copy)]
enum Way {
    Hearing,
    Speaking,
}

/// One of the two services.
pub struct Prosa {
    url: String,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Prosa {
    pub async fn hearing(transcript: &str) -> Self {
        Self::start(Way::Hearing, transcript).await
    }

    /// Says [`speech`], whatever the text.
    pub async fn speaking() -> Self {
        Self::start(Way::Speaking, "").await
    }

    async fn start(way: Way, transcript: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/v2/speech", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State {
            mood: Mood::Well,
            transcript: transcript.to_owned(),
            calls: Vec::new(),
        }));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(way, stream, Arc::clone(&shared)));
            }
        });
        Self { url, state, task }
    }

    pub fn url(&self) -> String {
        self.url.clone()
    }

    pub fn is(&self, mood: Mood) {
        self.state.lock().unwrap().mood = mood;
    }

    pub fn hears(&self, transcript: &str) {
        self.state.lock().unwrap().transcript = transcript.to_owned();
    }

    pub fn calls(&self) -> Vec<Call> {
        self.state.lock().unwrap().calls.clone()
    }
}

impl Drop for Prosa {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A second of sound at 8,000 samples per second, without a header.
pub fn speech() -> Vec<u8> {
    let wave = (0..8_000).map(|at| ((at as f32 * 0.3).sin() * 9_000.0) as i16);
    wave.flat_map(i16::to_le_bytes).collect()
}

/// The same with its header: a recording.
pub fn recording() -> Vec<u8> {
    workers::audio::wav::write(workers::audio::wav::Format::mono16(8_000), &speech())
}

async fn serve(way: Way, stream: TcpStream, state: Arc<Mutex<State>>) {
    let (mood, transcript, number) = {
        let mut state = state.lock().unwrap();
        state.calls.push(Call::default());
        let number = state.calls.len() - 1;
        (state.mood.clone(), state.transcript.clone(), number)
    };
    match mood {
        Mood::Hangs => std::future::pending().await,
        Mood::Breaks => return,
        Mood::Takes(time) => tokio::time::sleep(time).await,
        Mood::Well | Mood::Babbles => {}
    }
    let mut key = String::new();
    #[allow(clippy::result_large_err, reason = "the library's signature")]
    let keep = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        let given = request.headers().get("x-api-key");
        key = given.map_or("", |key| key.to_str().unwrap()).to_owned();
        Ok(response)
    };
    let Ok(socket) = accept_hdr_async(stream, keep).await else {
        return;
    };
    let mut peer = Peer {
        socket,
        call: Call {
            key,
            ..Call::default()
        },
    };
    match (&mood, way) {
        (Mood::Well | Mood::Takes(_), Way::Hearing) => peer.hear(&transcript).await,
        (Mood::Well | Mood::Takes(_), Way::Speaking) => peer.speak().await,
        _ => {
            peer.send(Message::text("<html>Sedang diperbaiki</html>"))
                .await
        }
    }
    peer.send(Message::Close(None)).await;
    state.lock().unwrap().calls[number] = std::mem::take(&mut peer.call);
    // Until the client has gone.
    while let Some(Ok(_)) = peer.socket.next().await {}
}

struct Peer {
    socket: WebSocketStream<TcpStream>,
    call: Call,
}

impl Peer {
    async fn hear(&mut self, transcript: &str) {
        self.json().await;
        while let Some(Ok(message)) = self.socket.next().await {
            let frame = message.into_data();
            if frame.is_empty() {
                break;
            }
            self.call.audio.extend_from_slice(&frame);
        }
        for kind in ["partial", "result"] {
            let said = json!({ "type": kind, "transcript": transcript });
            self.send(Message::text(said.to_string())).await;
        }
    }

    async fn speak(&mut self) {
        self.json().await;
        self.json().await;
        self.send(Message::text(r#"{"status":"created"}"#)).await;
        self.json().await;
        let file = recording();
        for piece in file.chunks(5_000) {
            self.send(Message::binary(piece.to_vec())).await;
        }
    }

    /// Keeps the next message.
    async fn json(&mut self) {
        if let Some(Ok(Message::Text(text))) = self.socket.next().await {
            self.call.said.push(serde_json::from_str(&text).unwrap());
        }
    }

    async fn send(&mut self, message: Message) {
        // The client may have gone; then its own outcome tells.
        let _ = self.socket.send(message).await;
    }
}
