//! Serving, from a bound address to the last answer.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use axum::Router;
use common::{backends, config::Environment, telemetry};
use rustix::process::{Resource, getrlimit};
use tokio::{net::TcpListener, time::timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    config::{ApiConfig, DEVELOPMENT_KEY},
    embedded::Embedded,
    gateway::Gateway,
    routes::router,
    state::{AppState, Speech, SpeechByWorkers},
};

mod answer_body;
mod connection;
pub mod connections;
pub mod request_body;
mod room;
mod socket;
mod stream;
mod watch;

/// Runs the front door until `stop`. `started` hears the address that it
/// listens on.
pub async fn serve(
    env: &Environment,
    stop: CancellationToken,
    started: impl FnOnce(SocketAddr),
) -> anyhow::Result<()> {
    telemetry::choose_cryptography();
    telemetry::serve_metrics(env)?;
    let config = ApiConfig::from_environment(env)?;
    // First: with the port taken nothing else is worth a start.
    let listener = TcpListener::bind((config.host, config.port))
        .await
        .with_context(|| format!("cannot listen on {}:{}", config.host, config.port))?;
    let address = listener.local_addr()?;
    let backends = backends::connect(&config.backends).await?;
    let embedded = match config.backends.mode.is_embedded() {
        true => Some(Embedded::start(env, &backends).await?),
        false => None,
    };
    let speech: Arc<dyn Speech> = match &embedded {
        Some(embedded) => embedded.speech(),
        None => Arc::new(SpeechByWorkers),
    };
    let gateway = Gateway::new(backends, config.terms());
    let app = router(AppState::new(&config, gateway, speech));

    greet(&config, address);
    started(address);
    let cannot_answer = async {
        match &embedded {
            Some(embedded) => embedded.cannot_answer().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        answered = answer_until(stop, listener, app, &config) => answered?,
        reason = cannot_answer => anyhow::bail!(reason),
    }
    if let Some(embedded) = embedded {
        embedded.stop().await;
    }
    info!("stopped");
    Ok(())
}

/// After `stop`: no new connections, and `grace` for what is being answered.
async fn answer_until(
    stop: CancellationToken,
    listener: TcpListener,
    app: Router,
    config: &ApiConfig,
) -> std::io::Result<()> {
    let (limits, proxies) = (config.connections, config.proxies.clone());
    let server = connections::serve(listener, app, limits, proxies, stop.clone());
    let mut server = tokio::spawn(server);
    tokio::select! {
        ended = &mut server => return ended.map_err(std::io::Error::other),
        () = stop.cancelled() => info!("stopping: answering what is in flight"),
    }
    match timeout(config.grace, &mut server).await {
        Ok(ended) => ended.map_err(std::io::Error::other),
        Err(_) => {
            warn!("some requests were not answered in time");
            server.abort();
            Ok(())
        }
    }
}

/// Files that are open besides the connections of clients: those to servers,
/// logs, and what is read.
const OTHER_FILES: u64 = 256;

/// Each connection is an open file. What is wrong where `allowed` of them are too
/// few for `most` connections; `None` is any number.
fn too_few_files(allowed: Option<u64>, most: usize) -> Option<String> {
    let needed = most as u64 + OTHER_FILES;
    let allowed = allowed.filter(|allowed| *allowed < needed)?;
    Some(format!(
        "this process may have {allowed} files open, too few for {most} connections (MAX_CONNECTIONS): \
         allow {needed}, by `ulimit -n` or in compose by `ulimits`, or lower MAX_CONNECTIONS"
    ))
}

/// A command that works when it is pasted.
fn greet(config: &ApiConfig, address: SocketAddr) {
    for mismatch in config.mismatched_tenants() {
        warn!("{mismatch}");
    }
    // Who tries it out alone has no thousands of connections.
    if !config.is_development {
        let allowed = getrlimit(Resource::Nofile).current;
        if let Some(problem) = too_few_files(allowed, config.connections.most) {
            warn!("{problem}");
        }
    }
    let host = match address.ip() {
        ip if ip.is_unspecified() => "localhost".to_owned(),
        std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        ip => ip.to_string(),
    };
    let key = if config.is_development {
        info!("no API_KEY is set: listening on loopback only, with the key {DEVELOPMENT_KEY:?}");
        DEVELOPMENT_KEY
    } else {
        "$API_KEY"
    };
    let url = format!("http://{host}:{}", address.port());
    info!(
        mode = if config.backends.mode.is_embedded() {
            "embedded"
        } else {
            "distributed"
        },
        "listening on {url}"
    );
    if config.page.is_some() {
        eprintln!("\n  Open {url} in a browser to ask, speak and listen.");
    }
    eprintln!(
        "\n  Ask it something:\n\n  curl {url}/v1/chat -H \"X-API-Key: {key}\" -H 'X-Conversation-Id: coba' \\\n       -H 'Content-Type: application/json' -d '{{\"message\": \"Apa itu ITB?\"}}'\n"
    );
}

/// Asks the server that runs beside us how it is: for the health checks of
/// containers, which have no other tool.
pub async fn probe(env: &Environment) -> anyhow::Result<()> {
    let config = ApiConfig::from_environment(env)?;
    telemetry::choose_cryptography();
    let host = match config.host {
        ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
        std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        ip => ip.to_string(),
    };
    let url = format!("http://{host}:{}/health", config.port);
    reqwest::Client::builder()
        .timeout(Duration::from_secs(5))
        // It asks this machine, whatever proxy there is for others.
        .no_proxy()
        .build()?
        .get(url)
        .send()
        .await?
        .error_for_status()?;
    Ok(())
}

#[cfg(test)]
mod tests;
