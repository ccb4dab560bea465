//! Where a service is, and how long it may take.

use std::{fmt, time::Duration};

use common::config::Secret;

/// <https://openrouter.ai/docs/quickstart>
pub const OPENROUTER: &str = "https://openrouter.ai/api/v1";

/// <https://platform.openai.com/docs/api-reference>
pub const OPENAI: &str = "https://api.openai.com/v1";

/// By these OpenRouter tells applications apart
/// (<https://openrouter.ai/docs/app-attribution>).
const REFERER: (&str, &str) = ("HTTP-Referer", "https://www.itb.ac.id");
const TITLE: (&str, &str) = ("X-Title", "Asisten ITB");

/// A service that speaks the API of OpenAI.
#[derive(Clone)]
pub struct Endpoint {
    /// For results, logs and errors: `openrouter`, `openai`, ….
    pub name: String,
    /// Up to and with the version, as in `https://api.openai.com/v1`. A query
    /// in it is kept (gateways put a version there).
    pub base_url: String,
    /// Sent as a bearer token. Services nearby often want none.
    pub key: Option<Secret>,
    /// More headers to send. Secret, because gateways take keys there.
    pub headers: Vec<(String, Secret)>,
    pub timeouts: Timeouts,
}

/// The bounds of one HTTP call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From the name of the host to a connection with TLS.
    pub connect: Duration,
    /// Without a byte: before the answer begins, and between its pieces.
    pub idle: Duration,
    /// For everything, from the first byte sent to the last one received; the
    /// time that the reader of a stream takes counts too.
    pub whole: Duration,
}

/// An [`Endpoint`] that cannot be called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// The reason does not repeat the address, which may hold a password.
    #[error("the base URL is no http or https URL ({0})")]
    Address(String),
    #[error("the key has characters that no HTTP header may have")]
    Key,
    #[error("the header {0:?} has characters that no HTTP header may have")]
    Header(String),
    /// The TLS of this machine cannot be used.
    #[error("no HTTP client ({0})")]
    Client(String),
}

impl Endpoint {
    /// OpenRouter, named `openrouter`.
    pub fn openrouter(key: Secret) -> Self {
        let headers = [REFERER, TITLE];
        Self {
            name: "openrouter".to_owned(),
            base_url: OPENROUTER.to_owned(),
            key: Some(key),
            headers: headers
                .map(|(name, value)| (name.to_owned(), Secret::new(value)))
                .to_vec(),
            timeouts: Timeouts::within(DEFAULT_WHOLE),
        }
    }

    /// OpenAI, named `openai`.
    pub fn openai(key: Secret) -> Self {
        Self {
            name: "openai".to_owned(),
            base_url: OPENAI.to_owned(),
            key: Some(key),
            headers: Vec::new(),
            timeouts: Timeouts::within(DEFAULT_WHOLE),
        }
    }

    /// Any other service, named `custom`. It may be silent for as long as the
    /// whole call lasts: a model on a CPU reads a long prompt before its first
    /// word.
    pub fn custom(base_url: impl Into<String>, key: Option<Secret>) -> Self {
        Self {
            name: "custom".to_owned(),
            base_url: base_url.into(),
            key,
            headers: Vec::new(),
            timeouts: Timeouts::patient(DEFAULT_WHOLE),
        }
    }
}

/// The default of `LLM_TIMEOUT`.
const DEFAULT_WHOLE: Duration = Duration::from_secs(60);

/// A handshake takes a few round trips; a lost packet costs 1 to 3 s more (RFC
/// 6298, section 2 and 5.7).
const CONNECT: Duration = Duration::from_secs(5);

/// OpenRouter sends comments while it waits for a model, so that a longer
/// silence means that nobody is at work
/// (<https://openrouter.ai/docs/api-reference/streaming>).
const IDLE: Duration = Duration::from_secs(20);

/// A model that thinks for a moment is not dead.
const SHORTEST_IDLE: Duration = Duration::from_secs(5);

impl Timeouts {
    /// For a service that streams: a third of `whole` may pass in silence, at
    /// most 20 s, so that there is time left for another provider.
    pub fn within(whole: Duration) -> Self {
        Self {
            connect: CONNECT.min(whole),
            idle: IDLE.min((whole / 3).max(SHORTEST_IDLE)).min(whole),
            whole,
        }
    }

    /// For a service that may be silent until it is done.
    pub fn patient(whole: Duration) -> Self {
        Self {
            connect: CONNECT.min(whole),
            idle: whole,
            whole,
        }
    }
}

impl fmt::Debug for Endpoint {
    /// Without the address and the values of headers: either may hold a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("name", &self.name)
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}
