//! Snapshots of a collection: made and fetched, or brought back. Over REST, which alone has files.
//!
//! Wire format: `POST|GET|DELETE /collections/{name}/snapshots[/{snapshot}]`, `POST …/snapshots/upload` and
//! `PUT …/snapshots/recover` of Qdrant's REST API, whose answers are `{"result": …, "status": "ok"}` or
//! `{"status": {"error": "…"}}`.

mod file;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Client, RequestBuilder, Response, Url, multipart};
use serde::Deserialize;
use tokio::sync::watch;

use super::config::QdrantConfig;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// More of a server's own words than this are not repeated.
const LONGEST_REASON: usize = 300;

/// The largest answer that is not a file.
const LARGEST_ANSWER: usize = 1024 * 1024;

/// How long to wait for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For a snapshot to be made, or brought back, once the server has all it needs.
    pub work: Duration,
    /// For the next byte of a transfer.
    pub stall: Duration,
}

impl Default for Patience {
    /// An hour of work: a collection of millions of points takes minutes to be packed.
    fn default() -> Self {
        Self {
            work: Duration::from_secs(3_600),
            stall: Duration::from_secs(60),
        }
    }
}

/// How far a transfer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transferred {
    pub bytes: u64,
    /// `None` where it is not known before the end.
    pub total: Option<u64>,
}

/// Is told of each piece that has gone through.
pub type OnProgress = Arc<dyn Fn(Transferred) + Send + Sync>;

/// Where a snapshot is brought back from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file here, sent to the server.
    File(PathBuf),
    /// An address that the server itself fetches: `http`, `https`, or `file` for a file on its own disk.
    Address(Url),
}

/// A snapshot was not made or brought back.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The server is away or too slow; trying again can help.
    #[error("Qdrant at {server} {reason}")]
    Unavailable { server: String, reason: String },
    /// The server does not accept it; trying again does not help.
    #[error("Qdrant refused with HTTP status {status}: {reason}")]
    Refused { status: u16, reason: String },
    #[error("the file {path} cannot be used: {source}")]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// What came is not what the server has; nothing is kept of it.
    #[error("the snapshot came damaged: {0}")]
    Damaged(String),
    #[error("Qdrant answered with something unexpected: {0}")]
    Unexpected(String),
}

/// The snapshots of one collection.
pub struct Snapshots {
    client: Client,
    server: String,
    collection: String,
    patience: Patience,
}

#[derive(Debug, Deserialize)]
struct Made {
    name: String,
    size: Option<u64>,
    /// SHA-256 in hexadecimal, since Qdrant 1.9.
    checksum: Option<String>,
}

#[derive(Deserialize)]
struct Answer<T> {
    result: T,
}

impl Snapshots {
    /// Of the collection of `config`, at the REST port of its server.
    ///
    /// The TLS provider is the process's if it has one, else `ring`.
    ///
    /// # Errors
    ///
    /// The key fits into no header, or there can be no HTTP client.
    pub fn new(config: &QdrantConfig, patience: Patience) -> Result<Self, SnapshotError> {
        // An error only says that there is a provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut headers = HeaderMap::new();
        if let Some(key) = &config.api_key {
            let mut key = HeaderValue::from_str(key.expose()).map_err(|_| {
                SnapshotError::Unexpected("QDRANT_API_KEY fits into no header".into())
            })?;
            key.set_sensitive(true);
            headers.insert("api-key", key);
        }
        let client = Client::builder()
            .default_headers(headers)
            .connect_timeout(CONNECT_TIMEOUT)
            // The key must not follow to another server.
            .redirect(reqwest::redirect::Policy::none())
            .build();
        let server = config.address.rest();
        Ok(Self {
            client: client.map_err(|error| away(&server, &error))?,
            server,
            collection: config.collection.clone(),
            patience,
        })
    }

    /// Makes a snapshot and saves it as `path`, which is written only when all of it is there. The server keeps no
    /// copy.
    pub async fn create(&self, path: &Path, progress: OnProgress) -> Result<(), SnapshotError> {
        let request = self.client.post(self.url(&["snapshots"], "wait=true")?);
        let made: Made = self.ask(request).await?;
        let saved = self.save(&made, path, progress).await;
        // Also when it was not saved: what nobody asks for again must not fill the server's disk.
        let removal = self
            .client
            .delete(self.url(&["snapshots", &made.name], "wait=true")?);
        if let Err(error) = self.ask::<serde_json::Value>(removal).await {
            tracing::warn!(snapshot = made.name, %error, "the server keeps its copy of the snapshot");
        }
        saved
    }

    /// Makes the collection what the snapshot says, in place of what it holds.
    pub async fn restore(
        &self,
        source: &Source,
        progress: OnProgress,
    ) -> Result<(), SnapshotError> {
        match source {
            Source::File(path) => self.upload(path, progress).await,
            Source::Address(address) => self.recover(address).await,
        }
    }

    async fn save(
        &self,
        made: &Made,
        path: &Path,
        progress: OnProgress,
    ) -> Result<(), SnapshotError> {
        let request = self.client.get(self.url(&["snapshots", &made.name], "")?);
        let response = self.answer(request).await?;
        let total = response.content_length().or(made.size);
        file::receive(
            self,
            response,
            total,
            made.checksum.as_deref(),
            path,
            progress,
        )
        .await
    }

    async fn upload(&self, path: &Path, progress: OnProgress) -> Result<(), SnapshotError> {
        let (sent, watched) = watch::channel(Transferred::default());
        let (body, length) = file::body(path, sent, progress).await?;
        let part = multipart::Part::stream_with_length(body, length).file_name("snapshot");
        let form = multipart::Form::new().part("snapshot", part);
        // The priority: the snapshot's points, where the collection has other ones.
        let url = self.url(&["snapshots", "upload"], "wait=true&priority=snapshot")?;
        let request = self.client.post(url).multipart(form);
        tokio::select! {
            done = self.send::<serde_json::Value>(request) => done.map(drop),
            reason = file::stalled(watched, self.patience) => Err(self.unavailable(reason)),
        }
    }

    async fn recover(&self, address: &Url) -> Result<(), SnapshotError> {
        let wanted = serde_json::json!({"location": address.as_str(), "priority": "snapshot"});
        let url = self.url(&["snapshots", "recover"], "wait=true")?;
        let request = self.client.put(url).json(&wanted);
        self.ask::<serde_json::Value>(request).await.map(drop)
    }

    /// Of something below the collection; its name may hold any letter.
    fn url(&self, below: &[&str], query: &str) -> Result<Url, SnapshotError> {
        let mut url: Url = self
            .server
            .parse()
            .map_err(|_| SnapshotError::Unexpected("QDRANT_URL is no URL".into()))?;
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend(["collections", &self.collection]).extend(below);
        }
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        Ok(url)
    }

    /// Sends a request and reads its answer, within the time for work.
    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> Result<T, SnapshotError> {
        let done = tokio::time::timeout(self.patience.work, self.send(request)).await;
        done.map_err(|_| self.slow())?
    }

    async fn send<T: serde::de::DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> Result<T, SnapshotError> {
        let response = request
            .send()
            .await
            .map_err(|error| away(&self.server, &error))?;
        let response = self.succeeded(response).await?;
        let text = bounded_text(response).await;
        let answer: Result<Answer<T>, _> = serde_json::from_slice(&text);
        let answer = answer.map_err(|error| SnapshotError::Unexpected(error.to_string()))?;
        Ok(answer.result)
    }

    /// Sends a request, and gives its answer once its head is there.
    async fn answer(&self, request: RequestBuilder) -> Result<Response, SnapshotError> {
        let answered = async {
            let response = request.send().await;
            self.succeeded(response.map_err(|error| away(&self.server, &error))?)
                .await
        };
        let done = tokio::time::timeout(self.patience.work, answered).await;
        done.map_err(|_| self.slow())?
    }

    async fn succeeded(&self, response: Response) -> Result<Response, SnapshotError> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let said = bounded_text(response).await;
        let json: serde_json::Value = serde_json::from_slice(&said).unwrap_or_default();
        let reason = json["status"]["error"].as_str();
        let reason = reason.unwrap_or("without a reason");
        let reason = reason.chars().take(LONGEST_REASON).collect();
        let status = status.as_u16();
        if matches!(status, 429 | 500..) {
            let reason = format!("failed with HTTP status {status}: {reason}");
            return Err(self.unavailable(reason));
        }
        Err(SnapshotError::Refused { status, reason })
    }

    fn slow(&self) -> SnapshotError {
        self.unavailable(format!("did not answer within {:?}", self.patience.work))
    }

    fn unavailable(&self, reason: String) -> SnapshotError {
        SnapshotError::Unavailable {
            server: self.server.clone(),
            reason,
        }
    }
}

fn away(server: &str, error: &reqwest::Error) -> SnapshotError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    SnapshotError::Unavailable {
        server: server.to_owned(),
        reason: format!("cannot be reached: {cause}"),
    }
}

/// The beginning of an answer, as much of it as can be had.
async fn bounded_text(mut response: Response) -> Vec<u8> {
    let mut text = Vec::new();
    while let Ok(Some(piece)) = response.chunk().await {
        text.extend_from_slice(&piece);
        if text.len() > LARGEST_ANSWER {
            text.truncate(LARGEST_ANSWER);
            break;
        }
    }
    text
}
