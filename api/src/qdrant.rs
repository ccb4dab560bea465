//! The vector database as `/health` sees it. To search it is the workers'
//! business; the front door only asks whether it is there.

use std::time::Duration;

use common::config::{ConfigError, Environment};
use reqwest::{Client, Url, redirect::Policy};

/// Where Qdrant answers HTTP, and where gRPC, which has no health page.
const REST_PORT: u16 = 6333;
const GRPC_PORT: u16 = 6334;

/// Bytes of the health page that are read; it has a sentence.
const LONGEST_PAGE: usize = 4_096;

/// A health page that is waited for longer than this helps nobody.
const PATIENCE: Duration = Duration::from_secs(1);

/// Asks a Qdrant server how it is.
#[derive(Clone, Debug)]
pub struct Qdrant {
    page: Url,
    client: Client,
}

impl Qdrant {
    /// `None` without `QDRANT_URL`.
    pub fn from_environment(env: &Environment) -> Result<Option<Self>, ConfigError> {
        let Some(url) = env.text("QDRANT_URL") else {
            return Ok(None);
        };
        let page = health_page(url).ok_or_else(no_address)?;
        let client = Client::builder()
            .timeout(PATIENCE)
            .redirect(Policy::none())
            .pool_max_idle_per_host(1)
            .build()
            .map_err(|_| no_address())?;
        Ok(Some(Self { page, client }))
    }

    /// It answers, and well. The page wants no key
    /// (<https://qdrant.tech/documentation/guides/monitoring/>).
    pub async fn is_healthy(&self) -> bool {
        let Ok(mut answer) = self.client.get(self.page.clone()).send().await else {
            return false;
        };
        let is_success = answer.status().is_success();
        // A connection is kept for the next look once its answer is read to the end.
        let mut room = LONGEST_PAGE;
        while let Ok(Some(part)) = answer.chunk().await
            && let Some(rest) = room.checked_sub(part.len())
        {
            room = rest;
        }
        is_success
    }
}

/// `url` may name the REST port, the gRPC port or none.
fn health_page(url: &str) -> Option<Url> {
    let mut page = Url::parse(url).ok()?;
    if !matches!(page.scheme(), "http" | "https") {
        return None;
    }
    if matches!(page.port(), None | Some(GRPC_PORT)) {
        page.set_port(Some(REST_PORT)).ok()?;
    }
    page.set_username("").ok()?;
    page.set_password(None).ok()?;
    page.set_path("/healthz");
    Some(page)
}

fn no_address() -> ConfigError {
    let expected = "the address of a Qdrant server, e.g. http://localhost:6333";
    ConfigError::because("QDRANT_URL", "no such address", expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_at_the_rest_port_whichever_port_is_named() {
        for (url, page) in [
            ("http://q", Some("http://q:6333/healthz")),
            ("http://q:6334", Some("http://q:6333/healthz")),
            ("https://q:6333/", Some("https://q:6333/healthz")),
            ("http://q:7000", Some("http://q:7000/healthz")),
            ("q:6333", None),
            ("ftp://q", None),
        ] {
            let found = health_page(url).map(String::from);
            assert_eq!(found.as_deref(), page, "{url}");
        }
    }
}
