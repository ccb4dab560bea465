//! Requests to one address, and the failures of sending them.

use std::{sync::Arc, time::SystemTime};

use common::config::Secret;
use reqwest::{
    Client, Response, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
    redirect,
};
use serde_json::Value;
use tokio::time::{Duration, Instant, timeout_at};

use super::{
    Endpoint, EndpointError, Timeouts, body::Body, call::Call, censor::Censor, complaint::Complaint,
};
use crate::{handler::StageError, providers::failure};

/// Bytes of an error's body that are read.
const LONGEST_COMPLAINT: usize = 65_536;

/// How long the body of an error is waited for: it only explains.
const COMPLAINT_PATIENCE: Duration = Duration::from_secs(2);

/// Posts to one address.
pub(super) struct Connection {
    client: Client,
    url: Url,
    name: Arc<str>,
    secrets: Vec<Secret>,
    timeouts: Timeouts,
}

impl Connection {
    /// To what lies at `path` under the endpoint's base URL.
    pub(super) fn new(endpoint: &Endpoint, path: &[&str]) -> Result<Self, EndpointError> {
        let values = endpoint.headers.iter().map(|(_, value)| value);
        Ok(Self {
            client: client(endpoint)?,
            url: address(&endpoint.base_url, path)?,
            name: endpoint.name.as_str().into(),
            secrets: endpoint.key.iter().chain(values).cloned().collect(),
            timeouts: endpoint.timeouts,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Sends `request`, which holds the texts `asked`, and waits for the
    /// beginning of a success.
    pub(super) async fn post(
        &self,
        request: &Value,
        asked: Vec<String>,
    ) -> Result<Body, StageError> {
        let until = Instant::now() + self.timeouts.whole;
        let response = self.send(request, until).await?;
        let status = response.status();
        let call = Call {
            name: Arc::clone(&self.name),
            censor: Censor::new(self.secrets.clone(), asked),
            retry_after: retry_after(response.headers()),
        };
        let body = Body::new(response, call, self.timeouts, until);
        if status.is_success() {
            return Ok(body);
        }
        Err(failed(status.as_u16(), body).await)
    }

    async fn send(&self, request: &Value, until: Instant) -> Result<Response, StageError> {
        let Timeouts {
            connect,
            idle,
            whole,
        } = self.timeouts;
        let silent = Instant::now() + connect + idle;
        let sent = self.client.post(self.url.clone()).json(request).send();
        match timeout_at(until.min(silent), sent).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) if error.is_timeout() => Err(failure::timed_out(&self.name, connect)),
            Ok(Err(error)) => Err(failure::unreachable(&self.name, root_cause(error))),
            Err(_) if until <= silent => Err(failure::timed_out(&self.name, whole)),
            Err(_) => Err(failure::timed_out(&self.name, idle)),
        }
    }
}

async fn failed(status: u16, body: Body) -> StageError {
    let mut body = body.limited_to(LONGEST_COMPLAINT, COMPLAINT_PATIENCE);
    let complaint = match body.rest().await {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .ok()
            .and_then(|document| Complaint::of(&document)),
        Err(_) => None,
    };
    body.call().failed(status, complaint.as_ref())
}

fn client(endpoint: &Endpoint) -> Result<Client, EndpointError> {
    // An error only says that there is a provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(concat!("itb-assistant/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers(endpoint)?)
        .connect_timeout(endpoint.timeouts.connect)
        // A redirection would turn the request into a GET, or carry the key
        // somewhere else.
        .redirect(redirect::Policy::none())
        .build()
        .map_err(|error| EndpointError::Client(root_cause(error)))
}

fn headers(endpoint: &Endpoint) -> Result<HeaderMap, EndpointError> {
    let mut headers = HeaderMap::new();
    if let Some(key) = &endpoint.key {
        let value = secret_value(&format!("Bearer {}", key.expose()));
        headers.insert(AUTHORIZATION, value.ok_or(EndpointError::Key)?);
    }
    for (name, value) in &endpoint.headers {
        let wrong = || EndpointError::Header(name.clone());
        let key = HeaderName::try_from(name.as_str()).map_err(|_| wrong())?;
        headers.insert(key, secret_value(value.expose()).ok_or_else(wrong)?);
    }
    Ok(headers)
}

fn secret_value(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn address(base: &str, path: &[&str]) -> Result<Url, EndpointError> {
    let mut url =
        Url::parse(base.trim()).map_err(|error| EndpointError::Address(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(EndpointError::Address("another scheme".to_owned()));
    }
    url.set_fragment(None);
    url.path_segments_mut()
        .map_err(|()| EndpointError::Address("no path".to_owned()))?
        .pop_if_empty()
        .extend(path);
    Ok(url)
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?;
    failure::retry_after(value, SystemTime::now())
}

/// The last of the causes: "connection refused", where the first is "error
/// sending request for url (…)", which may show a key.
pub(super) fn root_cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_put_under_the_base_url() {
        for (base, expected) in [
            ("http://h/v1", "http://h/v1/chat/completions"),
            (" http://h/v1/ ", "http://h/v1/chat/completions"),
            ("http://h", "http://h/chat/completions"),
            (
                "https://h/v1?api-version=7#x",
                "https://h/v1/chat/completions?api-version=7",
            ),
        ] {
            let url = address(base, &["chat", "completions"]).unwrap();
            assert_eq!(url.as_str(), expected);
        }
    }

    #[test]
    fn an_endpoint_that_cannot_be_called_is_refused_without_showing_its_secrets() {
        let endpoint = |base: &str, key: &str, header: &str| Endpoint {
            headers: vec![("x-more".to_owned(), Secret::new(header))],
            ..Endpoint::custom(base, Some(Secret::new(key)))
        };
        for (base, key, header) in [
            ("h/v1/s3cret", "k", "v"),
            ("ftp://u:s3cret@h/", "k", "v"),
            ("data:s3cret", "k", "v"),
            ("", "k", "v"),
            ("http://h", "s3cret\n", "v"),
            ("http://h", "k", "s3cret\r\nx: y"),
        ] {
            let endpoint = endpoint(base, key, header);
            let error = Connection::new(&endpoint, &["x"]).err().unwrap();
            let shown = format!("{error} {error:?} {endpoint:?}");
            assert!(!shown.contains("s3cret"), "{shown}");
        }
    }
}
