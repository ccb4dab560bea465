//! How a speaker feels, told by an emotion service over HTTP.
//!
//! `POST {address}/predict?text=…` with the recording as FLAC in the multipart field `file` gives `{"prediction": "…"}`.
//! The format is the service's own; the words of the user in a query string are part of it. They stay out of our logs
//! and errors: the address is never in either, and redirections, which would carry it to somebody else, are not followed.
//!
//! Names of emotions are understood in Indonesian and English
//! ([`parse_label`](super::emotion_heuristic::parse_label)). One that is unknown is no answer.

mod flac;
mod query;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, error::Error, fmt, str::FromStr, sync::Arc, time::Duration};

use async_trait::async_trait;
use common::turn::{Emotion, EmotionLabel};
use reqwest::{
    Client, Response, Url,
    header::RETRY_AFTER,
    multipart::{Form, Part},
    redirect,
};
use serde::Deserialize;

use crate::{
    audio::Clip,
    handler::StageError,
    providers::{EmotionClassifier, emotion_heuristic::parse_label, failure},
    recording::Recording,
};

/// The name in results, logs and lists of providers.
pub const PROVIDER: &str = "emotion_service";

/// There was no recording to judge. Nothing is wrong with the service: another provider can judge by the words.
pub const NO_RECORDING: &str = "no_recording";

/// An answer has some twenty bytes.
const LARGEST_ANSWER: usize = 64 * 1_024;

/// Where the service is: an `http://` or `https://` address, to which `/predict` is added.
///
/// Its `Debug` shows the host alone: the rest may carry a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Url);

/// It is no `http://` or `https://` address with a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an address that begins with http:// or https:// and names a host")]
pub struct NotAnAddress;

impl FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let url: Url = text.trim().parse().map_err(|_| NotAnAddress)?;
        match url.scheme() {
            "http" | "https" if url.has_host() => Ok(Self(url)),
            _ => Err(NotAnAddress),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.0.host_str().unwrap_or_default();
        write!(f, "{}://{host}/…", self.0.scheme())
    }
}

/// How the service is asked.
#[derive(Clone, Debug)]
pub struct Options {
    pub address: Address,
    /// Until the connection stands.
    pub connect_timeout: Duration,
    /// For everything, connecting included.
    pub timeout: Duration,
}

impl Options {
    /// 5 s to connect, 30 s for a call.
    pub const fn new(address: Address) -> Self {
        Self {
            address,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
        }
    }
}

/// There can be no HTTP client on this machine.
#[derive(Debug, thiserror::Error)]
#[error("no HTTP client can be made: {0}")]
pub struct NoClient(reqwest::Error);

/// Emotion by a service.
pub struct EmotionService {
    client: Client,
    options: Options,
}

#[derive(Deserialize)]
struct Answer {
    prediction: String,
}

impl EmotionService {
    /// # Errors
    ///
    /// See [`NoClient`].
    pub fn new(options: Options) -> Result<Self, NoClient> {
        // An error only says that there is a provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .connect_timeout(options.connect_timeout)
            .redirect(redirect::Policy::none())
            .build()
            .map_err(NoClient)?;
        Ok(Self { client, options })
    }

    async fn ask(&self, transcript: &str, clip: Arc<Clip>) -> Result<EmotionLabel, StageError> {
        let audio = tokio::task::spawn_blocking(move || flac::encode(&clip))
            .await
            .map_err(|error| StageError::broken_off("flac_failed", &error))?
            .map_err(|error| StageError::internal("flac_failed", error))?;
        let file = Part::bytes(audio)
            .file_name("audio.flac")
            .mime_str("audio/flac")
            .map_err(broken)?;
        let answer = self
            .client
            .post(query::address(&self.options.address.0, transcript))
            .multipart(Form::new().part("file", file))
            .send()
            .await
            .map_err(broken)?;
        let status = answer.status();
        if !status.is_success() {
            return Err(failure::of_status(PROVIDER, status.as_u16(), wait(&answer)));
        }
        label(&read(answer).await?)
    }
}

#[async_trait]
impl EmotionClassifier for EmotionService {
    /// Without a recording the service cannot be asked, and the error is [`NO_RECORDING`]: permanent, and no sign that
    /// the service is ill.
    async fn classify(
        &self,
        transcript: &str,
        recording: Option<&Recording>,
    ) -> Result<Emotion, StageError> {
        let Some(recording) = recording else {
            return Err(StageError::internal(
                NO_RECORDING,
                "the emotion service judges recordings alone",
            ));
        };
        let limit = self.options.timeout;
        let clip = Arc::clone(&recording.clip);
        let label = tokio::time::timeout(limit, self.ask(transcript, clip))
            .await
            .map_err(|_| failure::timed_out(PROVIDER, limit))??;
        Ok(Emotion {
            label,
            scores: BTreeMap::new(),
            provider: PROVIDER.to_owned(),
        })
    }
}

/// The body, as far as it may go.
async fn read(mut answer: Response) -> Result<Vec<u8>, StageError> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(broken)? {
        if body.len() + piece.len() > LARGEST_ANSWER {
            return Err(failure::unexpected(PROVIDER, "the answer is too long"));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// What the service wrote is not passed on: it may quote the user.
fn label(body: &[u8]) -> Result<EmotionLabel, StageError> {
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|_| failure::unexpected(PROVIDER, "the answer holds no prediction"))?;
    parse_label(&answer.prediction)
        .map_err(|_| failure::unexpected(PROVIDER, "the predicted emotion is not known"))
}

fn wait(answer: &Response) -> Option<Duration> {
    let value = answer.headers().get(RETRY_AFTER)?.to_str().ok()?;
    failure::retry_after(value, std::time::SystemTime::now())
}

fn broken(error: reqwest::Error) -> StageError {
    // The address holds what the user said.
    let error = error.without_url();
    if error.is_timeout() {
        StageError::transient(
            failure::TIMEOUT,
            format!("{PROVIDER} could not be connected to in time"),
        )
    } else {
        failure::unreachable(PROVIDER, root_cause(&error))
    }
}

/// The last of the causes: "connection refused", where the first is "error sending request".
fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
