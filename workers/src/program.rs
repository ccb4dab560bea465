//! `itb-worker` as a program: settings in, stages running, until the order to
//! stop.

use std::{ffi::OsString, process::ExitCode, sync::Arc};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use common::{
    backends::{self, BackendConfig},
    config::{ConfigError, Environment},
    pipeline::Stage,
    shutdown,
    telemetry::{self, LogFormat},
};
use sandbox::Entry;
use tokio::net::TcpListener;
use tracing::info;

use crate::{
    audio::isolated::DecodeRecording,
    config::{PROBE_TIMEOUT, WorkerConfig, parse_stages},
    health::{self, HealthConfig},
    kit::Kit,
    pool::Pool,
    providers::espeak,
};

/// Works on stages of the assistant's pipeline, with RabbitMQ and Redis.
#[derive(Parser)]
#[command(name = "itb-worker", version)]
struct Arguments {
    /// The stages to work on, separated by commas; all of them when not given.
    #[arg(long, env = "WORKER_STAGES")]
    stages: Option<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Asks the worker beside it, at HEALTH_PORT, whether it consumes.
    Health,
}

/// Takes over when this process was started as a child: to decode a recording, or
/// to speak with eSpeak NG. `arguments` are those after the program's name.
pub fn child_role(arguments: &[OsString]) -> Option<ExitCode> {
    let (role, rest) = arguments.split_first()?;
    if role == espeak::SPEAK_ROLE {
        return Some(espeak::speak_role(rest.iter().cloned()));
    }
    sandbox::child_role(arguments, &[Entry::of::<DecodeRecording>()])
}

/// The whole program, with `arguments` after its name.
pub fn main(arguments: Vec<OsString>) -> anyhow::Result<()> {
    let name = OsString::from("itb-worker");
    let arguments = Arguments::parse_from(std::iter::once(name).chain(arguments));
    let env = Environment::of_process();
    telemetry::start(&env, LogFormat::Json)?;
    telemetry::choose_cryptography();
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        match arguments.command {
            Some(Command::Health) => probe(&env).await,
            None => run(&env, &stages(arguments.stages.as_deref())?).await,
        }
    })
}

fn stages(list: Option<&str>) -> Result<Vec<Stage>, ConfigError> {
    match list.filter(|list| !list.trim().is_empty()) {
        Some(list) => parse_stages(list),
        None => Ok(Stage::ALL.to_vec()),
    }
}

async fn run(env: &Environment, stages: &[Stage]) -> anyhow::Result<()> {
    let stop = shutdown::on_signal()?;
    telemetry::serve_metrics(env)?;
    let config = WorkerConfig::from_environment(env)?;
    let backend_config = BackendConfig::from_environment(env, "itb-worker")?.unhurried();
    if backend_config.mode.is_embedded() {
        anyhow::bail!("AMQP_URL and REDIS_URL must be set: a worker works for processes beside it");
    }
    let health = HealthConfig::from_environment(env)?;
    let backends = backends::connect(&backend_config).await?;
    #[cfg(debug_assertions)]
    let backends = crate::sabotage::applied(env, backends)?;
    let kit = Arc::new(Kit::new(backends, config));
    let pool = Arc::new(Pool::start(&kit, stages));
    info!(?stages, "working");

    let serving = match health {
        None => None,
        Some(HealthConfig { host, port }) => {
            let listener = TcpListener::bind((host, port))
                .await
                .with_context(|| format!("cannot listen on {host}:{port}"))?;
            Some(tokio::spawn(health::serve(listener, Arc::clone(&pool))))
        }
    };
    let failure = tokio::select! {
        () = stop.cancelled() => None,
        reason = pool.first_failure() => Some(reason),
    };
    info!("stopping: finishing what is in work");
    pool.stop().await;
    if let Some(serving) = serving {
        // A probe that does not end its request holds up nothing.
        serving.abort();
    }
    match failure {
        None => Ok(()),
        Some(reason) => anyhow::bail!(reason),
    }
}

async fn probe(env: &Environment) -> anyhow::Result<()> {
    let config = HealthConfig::from_environment(env)?
        .context("HEALTH_PORT is not set, so the worker cannot be asked")?;
    let host = match config.host {
        host if host.is_unspecified() => "127.0.0.1".to_owned(),
        host => host.to_string(),
    };
    reqwest::Client::builder()
        .timeout(PROBE_TIMEOUT)
        // It asks this machine, whatever proxy there is for others.
        .no_proxy()
        .build()?
        .get(format!("http://{host}:{}/ready", config.port))
        .send()
        .await?
        .error_for_status()?;
    Ok(())
}
