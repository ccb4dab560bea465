//! The address that is told: asked once, within its time, and never followed
//! elsewhere.

use std::{error::Error, net::SocketAddr, time::Duration};

use common::{
    callback::{CallbackUrl, Reach},
    reply::FailureKind,
};
use reqwest::{
    Client, Response, StatusCode,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{CONTENT_TYPE, RETRY_AFTER},
    redirect::Policy,
};

use super::refused;
use crate::{handler::StageError, providers::failure};

pub struct Target {
    reach: Reach,
    timeout: Duration,
    client: Client,
}

/// A signed message.
pub struct Letter {
    /// The same each time it is sent.
    pub id: String,
    /// When it is sent, in seconds since the Unix epoch.
    pub timestamp: u64,
    pub signature: String,
    pub body: Vec<u8>,
}

impl Target {
    /// `timeout` is for one call.
    pub fn new(reach: Reach, timeout: Duration) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .user_agent(concat!("itb-assistant/", env!("CARGO_PKG_VERSION")))
            .timeout(timeout)
            // Each of these would lead past the check of addresses: another
            // address, a proxy that connects for us, a connection made earlier.
            .redirect(Policy::none())
            .no_proxy()
            .pool_max_idle_per_host(0)
            .dns_resolver(Names { reach })
            .build()?;
        Ok(Self {
            reach,
            timeout,
            client,
        })
    }

    /// Sends `letter`. `Ok` when it was taken; the body of the answer is not
    /// read, whatever it is.
    pub async fn tell(&self, url: &CallbackUrl, letter: Letter) -> Result<(), StageError> {
        let url = url.checked(self.reach).map_err(refused)?;
        let request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", letter.id)
            .header("webhook-timestamp", letter.timestamp)
            .header("webhook-signature", letter.signature)
            .body(letter.body);
        match request.send().await {
            Ok(answer) => taken(&answer),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn failed(&self, error: reqwest::Error) -> StageError {
        if is_out_of_reach(&error) {
            return StageError::unprocessable(
                "callback_refused",
                "The name in callback_url is not that of an address of the public internet.",
            );
        }
        if error.is_timeout() {
            let detail = format!("no answer within {:?}", self.timeout);
            return StageError::transient("callback_timeout", detail);
        }
        // The address may hold a secret of the client's.
        StageError::transient("callback_unreachable", error.without_url())
    }
}

/// By the status alone (Standard Webhooks, "Response and retries").
fn taken(answer: &Response) -> Result<(), StageError> {
    let status = answer.status();
    let detail = format!("it answered with HTTP status {}", status.as_u16());
    if status.is_success() {
        return Ok(());
    }
    Err(match status {
        StatusCode::GONE => StageError::Permanent {
            code: "callback_gone",
            kind: FailureKind::Unavailable,
            message: "The address takes no callbacks any more.".into(),
            detail,
        },
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => StageError::Transient {
            code: "callback_put_off",
            detail,
            retry_after: retry_after(answer),
        },
        status if status.is_redirection() => StageError::transient("callback_redirected", detail),
        _ => StageError::transient("callback_not_taken", detail),
    })
}

fn retry_after(answer: &Response) -> Option<Duration> {
    let value = answer.headers().get(RETRY_AFTER)?.to_str().ok()?;
    failure::retry_after(value, std::time::SystemTime::now())
}

/// Resolves names to the addresses that may be called, so that what was checked
/// is what is connected to.
struct Names {
    reach: Reach,
}

#[derive(Debug, thiserror::Error)]
#[error("no address of this name may be called")]
struct OutOfReach;

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.reach;
        Box::pin(async move {
            // The port is that of the address that was asked for.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let (allowed, others): (Vec<SocketAddr>, Vec<_>) =
                found.partition(|address| reach.permits(address.ip()));
            if allowed.is_empty() && !others.is_empty() {
                return Err(OutOfReach.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

fn is_out_of_reach(error: &reqwest::Error) -> bool {
    let mut source = error.source();
    while let Some(error) = source {
        if error.is::<OutOfReach>() {
            return true;
        }
        source = error.source();
    }
    false
}

#[cfg(test)]
mod tests;
