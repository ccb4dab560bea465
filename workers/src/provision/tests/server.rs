//! A server of files that answers on the wire and can be told to misbehave.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    /// The first byte asked for.
    pub(super) range: Option<u64>,
}

#[derive(Debug, Clone)]
enum Ending {
    Whole,
    /// The connection is closed after so many bytes of the body.
    Cut(usize),
    /// After so many bytes nothing comes any more.
    Stall(usize),
    /// The body is sent again and again, without a length.
    Endless,
}

#[derive(Debug, Clone)]
pub(super) struct Reply {
    status: u16,
    headers: String,
    body: Vec<u8>,
    ending: Ending,
}

impl Reply {
    pub(super) fn status(status: u16) -> Self {
        Self {
            status,
            headers: String::new(),
            body: Vec::new(),
            ending: Ending::Whole,
        }
    }

    /// The content, or the part of it that was asked for.
    pub(super) fn content(content: Vec<u8>, request: &Request) -> Self {
        let Some(from) = request.range else {
            return Self {
                body: content,
                ..Self::status(200)
            };
        };
        let total = content.len();
        let Some(rest) = content.get(from as usize..).filter(|rest| !rest.is_empty()) else {
            return Self::status(416);
        };
        Self {
            body: rest.to_vec(),
            ..Self::status(206)
        }
        .header(
            "content-range",
            &format!("bytes {from}-{}/{total}", total - 1),
        )
    }

    pub(super) fn endless() -> Self {
        Self {
            body: vec![7; 65_536],
            ending: Ending::Endless,
            ..Self::status(200)
        }
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers += &format!("{name}: {value}\r\n");
        self
    }

    pub(super) fn cut_after(self, bytes: usize) -> Self {
        let ending = if self.body.len() > bytes {
            Ending::Cut(bytes)
        } else {
            Ending::Whole
        };
        Self { ending, ..self }
    }

    pub(super) fn stall_after(self, bytes: usize) -> Self {
        Self {
            ending: Ending::Stall(bytes),
            ..self
        }
    }
}

pub(super) struct Server {
    address: std::net::SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    pub(super) async fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (answer, seen) = (Arc::new(answer), Arc::clone(&requests));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
                tokio::spawn(async move {
                    let _ = serve(stream, &*answer, &seen).await;
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
        format!("http://{}", self.address)
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

async fn serve(
    stream: TcpStream,
    answer: &(impl Fn(&Request) -> Reply + Sync),
    seen: &Mutex<Vec<Request>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let request = read(&mut stream).await?;
    let reply = answer(&request);
    let is_head = request.method == "HEAD";
    seen.lock().unwrap().push(request);
    let length = match reply.ending {
        Ending::Endless => String::new(),
        _ => format!("content-length: {}\r\n", reply.body.len()),
    };
    let head = format!(
        "HTTP/1.1 {} X\r\nconnection: close\r\n{length}{}\r\n",
        reply.status, reply.headers
    );
    stream.write_all(head.as_bytes()).await?;
    match reply.ending {
        _ if is_head => {}
        Ending::Whole => stream.write_all(&reply.body).await?,
        Ending::Cut(bytes) => {
            stream
                .write_all(&reply.body[..bytes.min(reply.body.len())])
                .await?
        }
        Ending::Stall(bytes) => {
            stream
                .write_all(&reply.body[..bytes.min(reply.body.len())])
                .await?;
            stream.flush().await?;
            std::future::pending::<()>().await;
        }
        Ending::Endless => loop {
            stream.write_all(&reply.body).await?;
        },
    }
    stream.flush().await?;
    stream.shutdown().await
}

async fn read(stream: &mut BufReader<TcpStream>) -> std::io::Result<Request> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let mut range = None;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 || line == "\r\n" {
            return Ok(Request {
                method,
                path,
                range,
            });
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
            range = value.split('-').next().and_then(|from| from.parse().ok());
        }
    }
}
