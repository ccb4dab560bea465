//! `itb-api`: the front door, and in the embedded mode the whole assistant.

use std::process::ExitCode;

use common::{config::Environment, shutdown, telemetry};

const USAGE: &str = "usage: itb-api [health]

Serves the assistant over HTTP; with `health`, asks the one that runs beside it how it is.
Settings come from the environment: see README. Without any it runs by itself on http://127.0.0.1:8000.";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    if let Some(exit) = api::embedded::child_role(&arguments) {
        return exit;
    }
    let result = match arguments.first().and_then(|first| first.to_str()) {
        None => run(),
        Some("health") => probe(),
        Some("--help" | "-h") => {
            println!("{USAGE}");
            Ok(())
        }
        Some("--version" | "-V") => {
            println!("itb-api {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        Some(_) => Err(anyhow::anyhow!(USAGE)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("itb-api: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run() -> anyhow::Result<()> {
    let env = Environment::of_process();
    telemetry::start(&env, api::embedded::log_format(&env))?;
    telemetry::choose_cryptography();
    api::serve::serve(&env, shutdown::on_signal()?, |_| {}).await
}

#[tokio::main(flavor = "current_thread")]
async fn probe() -> anyhow::Result<()> {
    api::serve::probe(&Environment::of_process()).await
}
