//! Prosa, both ways, over WebSocket.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt as _,
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

use crate::audio::wav;

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
    /// The same, and leaves the connection open: who is spoken to gets a whole file, and not a word more.
    StaysOpen(Duration),
    /// Refuses the upgrade with this HTTP status.
    Status(u16),
    /// The same with 429, and when to come again in seconds.
    TooMany(u32),
    /// Goes away in the middle of its answer.
    BreaksMidway,
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

type Choose = dyn FnMut() -> Mood + Send;

struct State {
    choose: Box<Choose>,
    /// How often it was said how the service is.
    choices: usize,
    /// Connections, those included on which nothing was asked.
    connections: usize,
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
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port on loopback");
        let address = listener.local_addr().expect("it is bound");
        let url = format!("ws://{address}/v2/speech");
        let state = Arc::new(Mutex::new(State {
            choose: Box::new(|| Mood::Well),
            choices: 0,
            connections: 0,
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
        self.chooses(move || mood.clone());
    }

    /// Is, at each call, as `mood` says.
    pub fn chooses(&self, mood: impl FnMut() -> Mood + Send + 'static) {
        let mut state = lock(&self.state);
        state.choose = Box::new(mood);
        state.choices += 1;
    }

    pub fn hears(&self, transcript: &str) {
        lock(&self.state).transcript = transcript.to_owned();
    }

    /// What was asked. A connection that is opened ahead counts when it is used.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.state).calls.clone()
    }

    pub fn connections(&self) -> usize {
        lock(&self.state).connections
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
    wav::write(wav::Format::mono16(8_000), &speech())
}

/// A test that panicked while holding the lock has failed already.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(way: Way, mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let (mood, choice) = {
        let mut state = lock(&state);
        state.connections += 1;
        ((state.choose)(), state.choices)
    };
    if let (Way::Speaking, Mood::Well | Mood::Takes(_) | Mood::StaysOpen(_)) = (way, &mood) {
        return serve_texts(stream, mood, choice, &state).await;
    }
    let number = begun(&state, Call::default());
    match mood {
        Mood::Hangs => std::future::pending().await,
        Mood::Breaks => return,
        Mood::Takes(time) | Mood::StaysOpen(time) => tokio::time::sleep(time).await,
        Mood::Status(status) => return refuse(&mut stream, status, "").await,
        Mood::TooMany(seconds) => {
            let wait = format!("retry-after: {seconds}\r\n");
            return refuse(&mut stream, 429, &wait).await;
        }
        Mood::Well | Mood::Babbles | Mood::BreaksMidway => {}
    }
    let Some(mut peer) = Peer::accept(stream).await else {
        return;
    };
    match mood {
        Mood::Well | Mood::Takes(_) | Mood::StaysOpen(_) => {
            let transcript = lock(&state).transcript.clone();
            peer.hear(&transcript).await;
        }
        Mood::BreaksMidway => return peer.begin_to_answer(way).await,
        _ => peer.babble().await,
    }
    peer.send(Message::Close(None)).await;
    lock(&state).calls[number] = std::mem::take(&mut peer.call);
    peer.until_gone().await;
}

/// The number of a call that begins.
fn begun(state: &Mutex<State>, call: Call) -> usize {
    let mut state = lock(state);
    state.calls.push(call);
    state.calls.len() - 1
}

/// Speaks the text, if one comes: the connection may be opened before there is one. It is spoken as the service is by
/// then.
async fn serve_texts(stream: TcpStream, mut mood: Mood, choice: usize, state: &Mutex<State>) {
    let Some(mut peer) = Peer::accept(stream).await else {
        return;
    };
    peer.json().await;
    peer.json().await;
    peer.send(Message::text(r#"{"status":"created"}"#)).await;
    peer.json().await;
    if peer.call.said.len() < 3 {
        return;
    }
    begun(state, peer.call.clone());
    {
        let mut state = lock(state);
        if state.choices != choice {
            mood = (state.choose)();
        }
    }
    match mood {
        Mood::Well => peer.speak().await,
        Mood::Takes(time) => {
            tokio::time::sleep(time).await;
            peer.speak().await;
        }
        Mood::StaysOpen(time) => {
            tokio::time::sleep(time).await;
            peer.send(Message::binary(recording())).await;
            return peer.until_gone().await;
        }
        Mood::Hangs => std::future::pending().await,
        Mood::Babbles => peer.babble().await,
        Mood::BreaksMidway => return peer.begin_to_speak().await,
        Mood::Breaks | Mood::Status(_) | Mood::TooMany(_) => return,
    }
    peer.send(Message::Close(None)).await;
    peer.until_gone().await;
}

async fn refuse(stream: &mut TcpStream, status: u16, headers: &str) {
    let answer =
        format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: 0\r\n{headers}\r\n");
    // The client may have gone; then its own outcome tells.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

struct Peer {
    socket: WebSocketStream<TcpStream>,
    call: Call,
}

impl Peer {
    async fn accept(stream: TcpStream) -> Option<Self> {
        let mut key = String::new();
        #[allow(clippy::result_large_err, reason = "the library's signature")]
        let keep = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
            let given = request.headers().get("x-api-key");
            let given = given.and_then(|key| key.to_str().ok());
            key = given.unwrap_or_default().to_owned();
            Ok(response)
        };
        let socket = accept_hdr_async(stream, keep).await.ok()?;
        let call = Call {
            key,
            ..Call::default()
        };
        Some(Self { socket, call })
    }

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
        let file = recording();
        for piece in file.chunks(5_000) {
            self.send(Message::binary(piece.to_vec())).await;
        }
    }

    async fn begin_to_answer(&mut self, way: Way) {
        self.json().await;
        match way {
            Way::Hearing => {
                let partial = r#"{"type":"partial","transcript":"Berapa"}"#;
                self.send(Message::text(partial)).await;
            }
            Way::Speaking => self.begin_to_speak().await,
        }
    }

    async fn begin_to_speak(&mut self) {
        self.send(Message::binary(recording()[..2_000].to_vec()))
            .await;
    }

    async fn babble(&mut self) {
        self.send(Message::text("<html>Sedang diperbaiki</html>"))
            .await;
    }

    /// Keeps the next message.
    async fn json(&mut self) {
        if let Some(Ok(Message::Text(text))) = self.socket.next().await {
            let said = serde_json::from_str(&text).expect("a message of JSON");
            self.call.said.push(said);
        }
    }

    async fn send(&mut self, message: Message) {
        // The client may have gone; then its own outcome tells.
        let _ = self.socket.send(message).await;
    }

    async fn until_gone(&mut self) {
        while let Some(Ok(_)) = self.socket.next().await {}
    }
}
