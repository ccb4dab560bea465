//! An HTTP service that counts its calls, keeps what it is sent, and fails in
//! the way that is chosen for each call.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::{JoinHandle, JoinSet},
};

#[derive(Clone, Debug)]
pub struct Request {
    /// The line of the request and the headers, as they came.
    pub head: String,
    pub body: Vec<u8>,
}

/// How a service is.
#[derive(Clone, Debug)]
pub enum Mood {
    Well,
    /// Takes the request and never answers.
    Hangs,
    /// Takes the request and closes the connection.
    Breaks,
    Status(u16),
    /// 302 to this address.
    Redirects(String),
    /// 429, and when to come again in seconds.
    TooMany(u32),
    /// 200, with a page for people.
    Page,
    /// A whole HTTP answer with half of what it should hold.
    CutOff,
    /// 200, with this instead of the answer.
    Says(Value),
    /// Sends the first piece, and each other one when the semaphore has a
    /// permit for it.
    Waits(Arc<Semaphore>),
    /// Sends the first piece after a while, and each other one after another.
    Paced {
        first: Duration,
        each: Duration,
    },
    /// Streams this piece of a completion, and closes the connection.
    BreaksMidwaySaying(&'static str),
}

/// A good answer: its pieces are sent one by one.
pub struct Reply {
    pub media_type: &'static str,
    pub pieces: Vec<String>,
}

type Answer = dyn Fn(&Request) -> Reply + Send + Sync;

type Choose = dyn FnMut(&Request) -> Mood + Send;

struct State {
    choose: Box<Choose>,
    requests: Vec<Request>,
    /// Clients that went away in the middle of an answer.
    left: usize,
}

pub struct Service {
    address: String,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Service {
    pub async fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port on loopback");
        let address = listener.local_addr().expect("it is bound").to_string();
        let state = Arc::new(Mutex::new(State {
            choose: Box::new(|_| Mood::Well),
            requests: Vec::new(),
            left: 0,
        }));
        let (answer, seen): (Arc<Answer>, _) = (Arc::new(answer), Arc::clone(&state));
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
                // The client may go away whenever it likes.
                connections.spawn(async move { serve(stream, &*answer, &seen).await });
            }
        });
        Self {
            address,
            state,
            task,
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn is(&self, mood: Mood) {
        self.chooses(move |_| mood.clone());
    }

    /// Is, at each call, as `mood` says.
    pub fn chooses(&self, mood: impl FnMut(&Request) -> Mood + Send + 'static) {
        lock(&self.state).choose = Box::new(mood);
    }

    pub fn requests(&self) -> Vec<Request> {
        lock(&self.state).requests.clone()
    }

    pub fn calls(&self) -> usize {
        lock(&self.state).requests.len()
    }

    /// Clients that went away in the middle of an answer.
    pub fn left(&self) -> usize {
        lock(&self.state).left
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Request {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a body of JSON")
    }

    pub fn header(&self, name: &str) -> &str {
        let named = |line: &&str| {
            let (found, _) = line.split_once(':').unwrap_or_default();
            found.eq_ignore_ascii_case(name)
        };
        let line = self.head.lines().find(named).unwrap_or_default();
        line.split_once(':').map_or("", |(_, value)| value.trim())
    }
}

impl Reply {
    pub fn json(body: &Value) -> Self {
        Self {
            media_type: "application/json",
            pieces: vec![body.to_string()],
        }
    }

    /// A completion that is streamed in these pieces of text.
    pub fn stream(pieces: &[&str]) -> Self {
        let event = |body: Value| format!("data: {body}\n\n");
        let piece = |text: &&str| {
            let choice = json!({ "index": 0, "delta": { "content": text } });
            event(json!({ "choices": [choice] }))
        };
        let mut pieces: Vec<String> = pieces.iter().map(piece).collect();
        let stop = json!({ "index": 0, "delta": {}, "finish_reason": "stop" });
        let usage = json!({ "prompt_tokens": 812, "completion_tokens": 47, "total_tokens": 859 });
        let last = event(json!({ "choices": [stop] }));
        let counted = event(json!({ "choices": [], "usage": usage }));
        pieces.push(format!("{last}{counted}data: [DONE]\n\n"));
        Self {
            media_type: "text/event-stream",
            pieces,
        }
    }
}

/// A test that panicked while holding the lock has failed already.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(stream: TcpStream, answer: &Answer, state: &Mutex<State>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    let request = read(&mut stream).await?;
    let good = answer(&request);
    let mood = {
        let mut state = lock(state);
        let mood = (state.choose)(&request);
        state.requests.push(request);
        mood
    };
    let whole = good.pieces.concat();
    match mood {
        Mood::Well => send(&mut stream, 200, "", good.media_type, &whole).await?,
        Mood::Hangs => std::future::pending().await,
        Mood::Breaks => {}
        Mood::Status(status) => {
            let said = json!({ "error": { "message": "it failed" } }).to_string();
            send(&mut stream, status, "", "application/json", &said).await?;
        }
        Mood::Redirects(url) => {
            let elsewhere = format!("location: {url}\r\n");
            send(&mut stream, 302, &elsewhere, "text/plain", "").await?;
        }
        Mood::TooMany(seconds) => {
            let wait = format!("retry-after: {seconds}\r\n");
            send(&mut stream, 429, &wait, "application/json", "{}").await?;
        }
        Mood::Page => {
            let page = "<!DOCTYPE html><title>Sedang diperbaiki</title>";
            send(&mut stream, 200, "", "text/html", page).await?;
        }
        Mood::CutOff => {
            let half = &whole[..whole.floor_char_boundary(whole.len() / 2)];
            send(&mut stream, 200, "", good.media_type, half).await?;
        }
        Mood::Says(body) => {
            let body = body.to_string();
            send(&mut stream, 200, "", "application/json", &body).await?;
        }
        Mood::Waits(permits) => {
            begin(&mut stream, &good).await?;
            for piece in &good.pieces[1..] {
                tokio::select! {
                    permit = permits.acquire() => permit.expect("it is never closed").forget(),
                    // It has nothing more to say, so this is its end.
                    _ = stream.fill_buf() => {
                        lock(state).left += 1;
                        return Ok(());
                    }
                }
                chunk(&mut stream, piece).await?;
            }
            stream.write_all(b"0\r\n\r\n").await?;
        }
        Mood::Paced { first, each } => {
            tokio::time::sleep(first).await;
            begin(&mut stream, &good).await?;
            let mut clock = tokio::time::interval(each);
            clock.tick().await;
            for piece in &good.pieces[1..] {
                clock.tick().await;
                chunk(&mut stream, piece).await?;
            }
            stream.write_all(b"0\r\n\r\n").await?;
        }
        Mood::BreaksMidwaySaying(text) => begin(&mut stream, &Reply::stream(&[text])).await?,
    }
    stream.shutdown().await
}

async fn send(
    stream: &mut BufReader<TcpStream>,
    status: u16,
    headers: &str,
    media_type: &str,
    body: &str,
) -> std::io::Result<()> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-type: {media_type}\r\ncontent-length: {length}\r\n{headers}\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await
}

/// The head of an answer in chunks, and its first piece.
async fn begin(stream: &mut BufReader<TcpStream>, good: &Reply) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: {}\r\ntransfer-encoding: chunked\r\n\r\n",
        good.media_type
    );
    stream.write_all(head.as_bytes()).await?;
    chunk(stream, &good.pieces[0]).await
}

async fn chunk(stream: &mut BufReader<TcpStream>, piece: &str) -> std::io::Result<()> {
    let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
    stream.write_all(chunk.as_bytes()).await
}

async fn read(stream: &mut BufReader<TcpStream>) -> std::io::Result<Request> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    let mut request = Request {
        head,
        body: Vec::new(),
    };
    let length = request.header("content-length").parse().unwrap_or(0);
    request.body.resize(length, 0);
    stream.read_exact(&mut request.body).await?;
    Ok(request)
}
