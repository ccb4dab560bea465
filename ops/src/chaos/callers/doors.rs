//! The front doors, one after another, over HTTP.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use bytes::Bytes;
use reqwest::{Client, RequestBuilder, Response, multipart};
use serde_json::{Value, json};
use workers::testing::prosa::recording;

use crate::chaos::{
    ledger::Turn,
    orders::{Kind, Manner, Order},
};

/// Longer than the longest poll, shorter than anybody's patience.
const ANSWER: Duration = Duration::from_secs(15);
const CONNECT: Duration = Duration::from_secs(2);

/// Several heartbeats of a stream.
const SILENCE: Duration = Duration::from_secs(7);

pub struct Doors {
    urls: Vec<String>,
    key: String,
    callback_url: String,
    asking: Client,
    listening: Client,
    next: AtomicUsize,
    recording: Bytes,
}

/// Why nothing came of a request.
#[derive(Debug)]
pub enum Refusal {
    /// No answer, or half of one.
    Unheard,
    Problem {
        status: u16,
        code: String,
        /// The job that it is about.
        job: Option<String>,
    },
    /// What no door should say.
    Odd(String),
}

impl From<reqwest::Error> for Refusal {
    fn from(_: reqwest::Error) -> Self {
        Self::Unheard
    }
}

impl Refusal {
    /// What should not have been said: a caller who may come again is told so by
    /// 503, 409 or 504 alone.
    pub fn oddity(&self) -> Option<String> {
        match self {
            Self::Unheard
            | Self::Problem {
                status: 503 | 504 | 409,
                ..
            } => None,
            // A job that has failed.
            Self::Problem { job: Some(_), .. } => None,
            Self::Problem { status, code, .. } => Some(format!("answered with {status} {code}")),
            Self::Odd(what) => Some(what.clone()),
        }
    }
}

impl Doors {
    pub fn new(urls: Vec<String>, key: &str, callback_url: String) -> anyhow::Result<Self> {
        let client = || Client::builder().connect_timeout(CONNECT);
        Ok(Self {
            urls,
            key: key.to_owned(),
            callback_url,
            asking: client().timeout(ANSWER).build()?,
            listening: client().read_timeout(SILENCE).build()?,
            next: AtomicUsize::new(0),
            recording: recording().into(),
        })
    }

    /// A different one each time.
    fn url(&self, path: &str) -> String {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        format!("{}{path}", self.urls[next % self.urls.len()])
    }

    fn get(&self, client: &Client, path: &str) -> RequestBuilder {
        client.get(self.url(path)).header("X-API-Key", &self.key)
    }

    pub async fn submit(&self, conversation: &str, order: &Order) -> Result<Response, Refusal> {
        let path = match (order.manner, order.kind) {
            (Manner::Poll | Manner::CalledOff(_), _) => "/v1/jobs",
            (_, Kind::Chat) => "/v1/chat",
            (_, Kind::Voice) => "/v1/audio",
        };
        let client = match order.manner {
            Manner::Stream => &self.listening,
            _ => &self.asking,
        };
        let mut request = client
            .post(self.url(path))
            .header("X-API-Key", &self.key)
            .header("X-Conversation-Id", conversation)
            .header("Idempotency-Key", &order.name);
        if order.manner == Manner::Stream {
            request = request.header("Accept", "text/event-stream");
        }
        let request = match order.kind {
            Kind::Chat => request.json(&self.chat(order, path)),
            Kind::Voice => request.multipart(self.voice(order, path)),
        };
        Ok(request.send().await?)
    }

    fn chat(&self, order: &Order, path: &str) -> Value {
        let message = format!("Apa syarat lulus sarjana? ({})", order.name);
        let mut body = json!({ "message": message });
        if path == "/v1/jobs" {
            body["kind"] = json!("chat");
        }
        if order.callback {
            body["callback_url"] = json!(self.callback_url);
        }
        body
    }

    fn voice(&self, order: &Order, path: &str) -> multipart::Form {
        let recording = multipart::Part::stream(self.recording.clone()).file_name("rekaman.wav");
        let mut form = multipart::Form::new()
            .part("audio", recording)
            .text("response_format", "url");
        if path == "/v1/jobs" {
            form = form.text("kind", "audio");
        }
        if order.callback {
            form = form.text("callback_url", self.callback_url.clone());
        }
        form
    }

    /// The job as it is, or as it is after `wait` seconds.
    pub async fn job(&self, job: &str, wait: u64) -> Result<Value, Refusal> {
        let path = format!("/v1/jobs/{job}?wait={wait}");
        body(self.get(&self.asking, &path).send().await?).await
    }

    pub async fn call_off(&self, job: &str) -> Result<Value, Refusal> {
        let request = self.asking.delete(self.url(&format!("/v1/jobs/{job}")));
        body(request.header("X-API-Key", &self.key).send().await?).await
    }

    /// Its events after number `last`.
    pub async fn events(&self, job: &str, last: u64) -> Result<Response, Refusal> {
        let request = self.get(&self.listening, &format!("/v1/jobs/{job}/events"));
        let answer = request
            .header("Last-Event-ID", last.to_string())
            .send()
            .await?;
        if answer.status() == 200 {
            return Ok(answer);
        }
        let no_stream = Refusal::Odd("a stream that is none".into());
        Err(body(answer).await.err().unwrap_or(no_stream))
    }

    /// The jobs of the turns of `conversation`; none where there is no such one.
    pub async fn turns(&self, conversation: &str) -> Result<Vec<Turn>, Refusal> {
        let path = format!("/v1/conversations/{conversation}");
        match body(self.get(&self.asking, &path).send().await?).await {
            Ok(said) => {
                let turns = said["turns"].as_array().cloned().unwrap_or_default();
                let text =
                    |turn: &Value, field| turn[field].as_str().unwrap_or_default().to_owned();
                let turn = |turn: &Value| Turn {
                    job: text(turn, "job_id"),
                    answer: text(turn, "assistant"),
                };
                Ok(turns.iter().map(turn).collect())
            }
            Err(Refusal::Problem { status: 404, .. }) => Ok(Vec::new()),
            Err(other) => Err(other),
        }
    }

    /// Whether every door would take a job now.
    pub async fn are_ready(&self) -> bool {
        for url in &self.urls {
            let asked = self.asking.get(format!("{url}/ready")).send().await;
            if !asked.is_ok_and(|answer| answer.status() == 200) {
                return false;
            }
        }
        true
    }
}

/// The body of a success, or what a problem says.
pub async fn body(answer: Response) -> Result<Value, Refusal> {
    let status = answer.status();
    let body: Value = answer.json().await?;
    if status.is_success() {
        return Ok(body);
    }
    let text = |field: &str| body[field].as_str().map(str::to_owned);
    Err(Refusal::Problem {
        status: status.as_u16(),
        code: text("code").unwrap_or_default(),
        job: text("job_id"),
    })
}
