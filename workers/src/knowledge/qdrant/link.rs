//! Calls to a Qdrant server over gRPC: bounded in time, with failures told apart.

use std::future::Future;
use std::time::{Duration, Instant};

use qdrant_client::qdrant::collections_client::CollectionsClient;
use qdrant_client::qdrant::points_client::PointsClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Response, Status};

use super::config::{Address, QdrantConfig};
use crate::knowledge::KnowledgeError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a connection is asked whether it is still there, and how long it may take to say so. Without this, a
/// server that vanished is noticed when the kernel gives up, after a quarter of an hour.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// The largest answer that is taken: the passages of a turn, of a few kilobytes each, or a page of ids.
const LARGEST_ANSWER: usize = 32 * 1024 * 1024;

/// More of a server's own words than this are not repeated.
const LONGEST_REASON: usize = 300;

pub(super) type Guarded = InterceptedService<Channel, ApiKey>;

/// One connection, made when it is first needed and again when it is lost.
///
/// The client of `qdrant-client` keeps a dead connection until a call on it fails by itself, trusts the certificates of
/// the system alone, and writes to standard output; so its generated stubs are used directly.
#[derive(Clone, Debug)]
pub(super) struct Link {
    service: Guarded,
    address: Address,
    timeout: Duration,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error("Qdrant at {address} (gRPC) did not answer within {limit:?}")]
    Slow { address: Address, limit: Duration },
    #[error("Qdrant at {address} (gRPC): {}", reason(.status))]
    Refused {
        address: Address,
        #[source]
        status: Box<Status>,
    },
}

impl Link {
    /// Connects to nothing yet. To be called within a Tokio runtime.
    pub(super) fn new(config: &QdrantConfig) -> Result<Self, KnowledgeError> {
        let endpoint = Endpoint::from_shared(config.address.grpc())
            .map_err(|error| misconfigured("QDRANT_URL", &error))?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .tcp_nodelay(true);
        let endpoint = if config.address.is_encrypted() {
            encrypted(endpoint)?
        } else {
            endpoint
        };
        let key = config.api_key.as_ref().map(|key| key.expose().parse());
        let mut key: Option<MetadataValue<Ascii>> = key
            .transpose()
            .map_err(|error| misconfigured("QDRANT_API_KEY", &error))?;
        if let Some(key) = &mut key {
            key.set_sensitive(true);
        }
        Ok(Self {
            service: InterceptedService::new(endpoint.connect_lazy(), ApiKey(key)),
            address: config.address.clone(),
            timeout: config.timeout,
        })
    }

    /// Calls, and calls again when the connection broke: it may have been closed while nobody used it. So what is
    /// called must come to the same when done twice.
    pub(super) async fn points<T, F>(
        &self,
        call: impl Fn(PointsClient<Guarded>) -> F,
    ) -> Result<T, CallError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let client =
            PointsClient::new(self.service.clone()).max_decoding_message_size(LARGEST_ANSWER);
        self.bounded(|| call(client.clone())).await
    }

    /// As [`points`](Self::points).
    pub(super) async fn collections<T, F>(
        &self,
        call: impl Fn(CollectionsClient<Guarded>) -> F,
    ) -> Result<T, CallError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let client = CollectionsClient::new(self.service.clone());
        self.bounded(|| call(client.clone())).await
    }

    async fn bounded<T, F>(&self, call: impl Fn() -> F) -> Result<T, CallError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let begun = Instant::now();
        let twice = async {
            match call().await {
                // A connection that nobody hears is not waited for twice.
                Err(status)
                    if status.code() == Code::Unavailable && begun.elapsed() < self.timeout / 4 =>
                {
                    call().await
                }
                done => done,
            }
        };
        let address = || self.address.clone();
        match tokio::time::timeout(self.timeout, twice).await {
            Err(_) => Err(CallError::Slow {
                address: address(),
                limit: self.timeout,
            }),
            Ok(Err(status)) => Err(CallError::Refused {
                address: address(),
                status: Box::new(status),
            }),
            Ok(Ok(response)) => Ok(response.into_inner()),
        }
    }
}

impl CallError {
    pub(super) fn code(&self) -> Option<Code> {
        match self {
            Self::Slow { .. } => None,
            Self::Refused { status, .. } => Some(status.code()),
        }
    }
}

impl From<CallError> for KnowledgeError {
    fn from(error: CallError) -> Self {
        match error.code() {
            Some(Code::Unauthenticated | Code::PermissionDenied) => Self::Misconfigured(format!(
                "{error}; QDRANT_API_KEY must be a key that this server accepts"
            )),
            Some(Code::InvalidArgument | Code::NotFound | Code::FailedPrecondition) => {
                Self::Misconfigured(error.to_string())
            }
            Some(Code::Unimplemented) => Self::Misconfigured(format!(
                "{error}; this needs the gRPC port of Qdrant 1.10 or later"
            )),
            Some(Code::OutOfRange | Code::DataLoss) => Self::Unexpected(error.to_string()),
            _ => Self::Unavailable {
                reason: error.to_string(),
                source: Some(Box::new(error)),
            },
        }
    }
}

/// What the server or the transport says of it.
fn reason(status: &Status) -> String {
    let mut said: String = status.message().chars().take(LONGEST_REASON).collect();
    if said.is_empty() {
        said = status.code().description().to_owned();
    }
    // "transport error" alone tells nobody what to do.
    let mut source = std::error::Error::source(status);
    while let Some(cause) = source {
        source = cause.source();
        if source.is_none() {
            said.push_str(": ");
            said.extend(cause.to_string().chars().take(LONGEST_REASON));
        }
    }
    said
}

fn misconfigured(variable: &str, error: &dyn std::error::Error) -> KnowledgeError {
    KnowledgeError::Misconfigured(format!("{variable}: {error}"))
}

/// Trusts the certificates of the system, which may hold an institution's own, and the public ones that the program
/// carries; these alone where the system has none, as in a bare container.
fn encrypted(endpoint: Endpoint) -> Result<Endpoint, KnowledgeError> {
    let both = endpoint
        .clone()
        .tls_config(ClientTlsConfig::new().with_enabled_roots());
    both.or_else(|_| endpoint.tls_config(ClientTlsConfig::new().with_webpki_roots()))
        .map_err(|error| misconfigured("QDRANT_URL", &error))
}

/// Sends the key, which the server wants in the header `api-key`.
#[derive(Clone)]
pub(super) struct ApiKey(Option<MetadataValue<Ascii>>);

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

impl Interceptor for ApiKey {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(key) = &self.0 {
            request.metadata_mut().insert("api-key", key.clone());
        }
        Ok(request)
    }
}
