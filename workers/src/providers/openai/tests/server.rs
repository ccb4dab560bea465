//! A server that answers on the wire, and can be told to misbehave.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
};

#[derive(Clone, Debug)]
pub(super) struct Request {
    /// The connection it came on, from 0.
    pub(super) connection: usize,
    pub(super) path: String,
    /// In lower case.
    pub(super) head: String,
    pub(super) body: Value,
}

/// What the server does with a request; at the end of all it takes the next
/// one of the connection.
#[derive(Clone)]
pub(super) enum Step {
    Send(Vec<u8>),
    WaitFor(Arc<Notify>),
    /// Sends again and again.
    Repeat(Vec<u8>, std::time::Duration),
    Hang,
    Close,
    /// Closes so that the other side sees a broken connection.
    Reset,
}

pub(super) struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    task: JoinHandle<()>,
}

type Script = dyn Fn(&Request) -> Vec<Step> + Send + Sync;

impl Server {
    /// Does the same for every request.
    pub(super) async fn doing(steps: Vec<Step>) -> Self {
        Self::answering(move |_| steps.clone()).await
    }

    pub(super) async fn answering(
        script: impl Fn(&Request) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (script, seen): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&requests));
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (script, seen) = (Arc::clone(&script), Arc::clone(&seen));
                let number = connections.len();
                connections.spawn(async move {
                    // The client may go away whenever it likes.
                    let _ = serve(stream, number, &*script, &seen).await;
                });
            }
        });
        Self {
            address,
            requests,
            task,
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A whole answer.
pub(super) fn answer(status: u16, headers: &str, body: &str) -> Vec<Step> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n{headers}\r\n");
    vec![Step::Send([head.as_bytes(), body.as_bytes()].concat())]
}

/// The beginning of a stream.
pub(super) fn stream_head() -> Step {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    Step::Send(head.into())
}

/// A piece of a stream, as one chunk of HTTP.
pub(super) fn piece(bytes: impl AsRef<[u8]>) -> Step {
    let bytes = bytes.as_ref();
    let head = format!("{:x}\r\n", bytes.len());
    Step::Send([head.as_bytes(), bytes, b"\r\n"].concat())
}

/// The proper end of a stream.
pub(super) fn stream_end() -> Step {
    Step::Send("0\r\n\r\n".into())
}

/// A stream of these bytes, properly ended.
pub(super) fn stream_of(bytes: impl AsRef<[u8]>) -> Vec<Step> {
    vec![stream_head(), piece(bytes), stream_end()]
}

async fn serve(
    stream: TcpStream,
    connection: usize,
    script: &Script,
    seen: &Mutex<Vec<Request>>,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    loop {
        let request = read(&mut stream, connection).await?;
        let steps = script(&request);
        seen.lock().unwrap().push(request);
        for step in steps {
            match step {
                Step::Send(bytes) => stream.write_all(&bytes).await?,
                Step::WaitFor(signal) => signal.notified().await,
                Step::Repeat(bytes, pause) => loop {
                    stream.write_all(&bytes).await?;
                    tokio::time::sleep(pause).await;
                },
                Step::Hang => std::future::pending().await,
                Step::Close => return stream.shutdown().await,
                Step::Reset => return stream.get_ref().set_zero_linger(),
            }
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>, connection: usize) -> std::io::Result<Request> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let head = head.to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
        .unwrap_or_default();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(Request {
        connection,
        path,
        head,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    })
}
