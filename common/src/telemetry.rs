//! Logs: readable lines on a terminal, JSON where machines collect them; and
//! metrics, for Prometheus to fetch.

use std::{io::IsTerminal as _, net::SocketAddr};

use metrics_exporter_prometheus::PrometheusBuilder;
use strum::{Display, EnumString};
use tracing_subscriber::{
    EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::config::{ConfigError, Environment};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString)]
#[strum(serialize_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

/// What is logged without `RUST_LOG`. Clients of servers that are away say so
/// on every attempt; our own lines about it suffice.
const DEFAULT_FILTER: &str =
    "info,lapin=error,redis=warn,symphonia=error,lopdf=off,pdf_extract=off";

/// Starts logging to standard error, in the format of `LOG_FORMAT` or else
/// `default`. A second call changes nothing.
pub fn start(env: &Environment, default: LogFormat) -> Result<(), ConfigError> {
    let format = env.parsed("LOG_FORMAT", "text or json")?.unwrap_or(default);
    let filter =
        EnvFilter::try_new(env.text("RUST_LOG").unwrap_or(DEFAULT_FILTER)).map_err(|error| {
            ConfigError::because(
                "RUST_LOG",
                format!("not understood ({error})"),
                "a filter such as info or common=debug",
            )
        })?;
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let layer = match format {
        LogFormat::Json => layer
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .boxed(),
        LogFormat::Text => layer
            .with_target(false)
            .with_ansi(std::io::stderr().is_terminal())
            .boxed(),
    };
    // Failing means that logging has been started before.
    let _ = tracing_subscriber::registry()
        .with(filter)
        .with(layer)
        .try_init();
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Logs where a panic was, and what it says if that is written in the source.
/// What is put together while running can quote what a caller sent, as the panic
/// does when a text is cut within a character.
fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    let said = panic.payload().downcast_ref::<&'static str>();
    tracing::error!(place, said, "a defect: panicked");
}

/// Upper bounds in seconds: from what a local engine takes to the longest
/// deadline of a spoken question.
const BUCKETS: [f64; 16] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0,
];

/// Serves what is counted and timed as Prometheus text at `METRICS_ADDRESS`,
/// e.g. `0.0.0.0:9464`; without it nothing is kept. Needs a Tokio runtime.
pub fn serve_metrics(env: &Environment) -> Result<(), ConfigError> {
    let expected = "an address with a port, such as 127.0.0.1:9464";
    let Some(address) = env.parsed::<SocketAddr>("METRICS_ADDRESS", expected)? else {
        return Ok(());
    };
    let exporter = PrometheusBuilder::new()
        .set_buckets(&BUCKETS)
        .map(|builder| builder.with_http_listener(address))
        .and_then(PrometheusBuilder::install);
    exporter.map_err(|error| {
        ConfigError::because("METRICS_ADDRESS", format!("of no use ({error})"), expected)
    })?;
    tracing::info!(%address, "serving metrics");
    Ok(())
}

/// Makes `ring` the cryptography of every TLS connection of the process. Each
/// program calls it first; a second call changes nothing.
pub fn choose_cryptography() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
