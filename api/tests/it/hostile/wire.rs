//! Requests as bytes, since no client would send most of these, and what comes
//! back for them.

use std::time::Duration;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::deployment::{KEY, conversation};

/// Longer than anything is worked on here.
const PATIENCE: Duration = Duration::from_secs(90);

/// A request that is written line by line.
#[derive(Clone)]
pub struct Ask {
    head: Vec<u8>,
}

impl Ask {
    /// Without any header.
    pub fn line(line: &str) -> Self {
        let head = format!("{line}\r\n").into_bytes();
        Self { head }
    }

    /// With what every request has.
    pub fn new(method: &str, target: &str) -> Self {
        Self::line(&format!("{method} {target} HTTP/1.1"))
            .header("Host", "a")
            .header("Connection", "close")
            .header("X-API-Key", KEY)
    }

    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// In a conversation of its own.
    pub fn post(target: &str) -> Self {
        Self::new("POST", target).header("X-Conversation-Id", &conversation())
    }

    pub fn header(self, name: &str, value: &str) -> Self {
        self.raw(format!("{name}: {value}\r\n").as_bytes())
    }

    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.head.extend_from_slice(bytes);
        self
    }

    /// The headers end; nothing follows.
    pub fn end(self) -> Vec<u8> {
        self.raw(b"\r\n").head
    }

    /// As far as it is written.
    pub fn unended(self) -> Vec<u8> {
        self.head
    }

    pub fn body(self, body: &[u8]) -> Vec<u8> {
        let length = body.len().to_string();
        self.header("Content-Length", &length)
            .raw(b"\r\n")
            .raw(body)
            .head
    }

    pub fn chunks(self, chunks: &[&[u8]]) -> Vec<u8> {
        let mut ask = self.header("Transfer-Encoding", "chunked").raw(b"\r\n");
        for chunk in chunks {
            let size = format!("{:x}\r\n", chunk.len());
            ask = ask.raw(size.as_bytes()).raw(chunk).raw(b"\r\n");
        }
        ask.raw(b"0\r\n\r\n").head
    }

    pub fn json(self, body: &str) -> Vec<u8> {
        self.header("Content-Type", "application/json")
            .body(body.as_bytes())
    }
}

/// One answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let mut named = lines.filter(|(found, _)| found.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.trim())
    }

    /// Its status, and the word for what is wrong; `bare` is an answer that says
    /// no more than its status, as the HTTP library gives before we hear of a
    /// request.
    pub fn told(&self) -> String {
        if self.header("content-type") == Some("application/problem+json") {
            let body: Value = serde_json::from_slice(&self.body).unwrap();
            assert_eq!(body["status"], self.status, "{body}");
            assert_eq!(body["request_id"].as_str(), self.header("x-request-id"));
            return format!("{} {}", self.status, body["code"].as_str().unwrap());
        }
        match self.status {
            100..400 => self.status.to_string(),
            _ if self.body.is_empty() => format!("{} bare", self.status),
            _ => panic!("{self:?}"),
        }
    }
}

/// Sends `request` and reads all answers until the other side closes.
pub async fn exchange(address: &str, request: &[u8]) -> Vec<Answer> {
    let socket = TcpStream::connect(address).await.unwrap();
    let (mut reading, mut writing) = socket.into_split();
    let request = request.to_vec();
    // Who answers early reads no more.
    let writing = tokio::spawn(async move {
        let _ = writing.write_all(&request).await;
        writing
    });
    let mut bytes = Vec::new();
    let read = timeout(PATIENCE, reading.read_to_end(&mut bytes)).await;
    // A reset after the answer is an end too.
    let _ = read.unwrap_or_else(|_| panic!("open after {}", String::from_utf8_lossy(&bytes)));
    writing.abort();
    answers(&bytes)
}

/// What was told for `request`, of each answer.
pub async fn told(address: &str, request: &[u8]) -> String {
    let answers = exchange(address, request).await;
    let told: Vec<_> = answers.iter().map(Answer::told).collect();
    match told.as_slice() {
        [] => "closed".to_owned(),
        told => told.join(", "),
    }
}

fn answers(mut bytes: &[u8]) -> Vec<Answer> {
    let mut answers = Vec::new();
    while let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer {
            status,
            head,
            body: Vec::new(),
        };
        bytes = &bytes[end + 4..];
        let length = match answer.header("content-length") {
            Some(length) => length.parse().unwrap(),
            None if answer.header("transfer-encoding").is_some() => bytes.len(),
            None => 0,
        };
        let (body, rest) = bytes.split_at(length.min(bytes.len()));
        answer.body = body.to_vec();
        bytes = rest;
        answers.push(answer);
    }
    answers
}
