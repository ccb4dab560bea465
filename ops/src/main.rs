//! `itb-ops`: what operators do by hand.

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};
use common::{
    config::Environment,
    telemetry::{self, LogFormat},
};
use sandbox::Entry;

mod bench;
mod chaos;
mod dead_letters;
mod eval;
mod feedback;
mod forget;
mod ingest;
mod init;
mod keys;
mod programs;
mod servers;
mod setup;

/// Operates the assistant; settings come from the environment, as for the
/// other programs.
#[derive(Parser)]
#[command(name = "itb-ops", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Fetches what speech needs into the data folder, and waits for it.
    Setup,
    /// Asks the questions of a file (JSON lines) and measures the answers.
    Eval(eval::Options),
    /// Reads documents and brings a knowledge base up to date.
    Ingest(ingest::Arguments),
    /// Looks at messages whose jobs failed for good, and takes them up again.
    DeadLetters(dead_letters::Arguments),
    /// Lists what people said of answers, and the questions that found none.
    Feedback(feedback::Arguments),
    /// Erases what is stored of a conversation or a tenant.
    Forget(forget::Arguments),
    /// Sends jobs through real processes while everything breaks, and tells what
    /// became of them.
    Chaos(chaos::Options),
    /// Measures how fast a question that is no work is carried, beside the most that
    /// the parts could do.
    Bench(bench::Options),
    /// Makes the passwords of a deployment that are not set yet.
    Init(init::Options),
    /// API keys.
    #[command(subcommand)]
    Keys(keys::Command),
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    if let Some(exit) = child_role(&arguments) {
        return exit;
    }
    let arguments = Arguments::parse();
    match run(arguments.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("itb-ops: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Takes over when this process was started as a child: to read a document, or for
/// what the workers' code is asked to do here.
fn child_role(arguments: &[OsString]) -> Option<ExitCode> {
    sandbox::child_role(arguments, &[Entry::of::<ingest::ReadDocument>()])
        .or_else(|| workers::program::child_role(arguments))
}

#[tokio::main]
async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let env = Environment::of_process();
    telemetry::start(&env, LogFormat::Text)?;
    telemetry::choose_cryptography();
    match command {
        Command::Setup => setup::run(&env).await?,
        Command::Eval(options) => eval::run(&env, &options).await?,
        Command::Ingest(arguments) => return ingest::run(&env, arguments).await,
        Command::DeadLetters(arguments) => return dead_letters::run(&env, arguments).await,
        Command::Feedback(arguments) => feedback::run(&env, &arguments).await?,
        Command::Forget(arguments) => return forget::run(&env, arguments).await,
        Command::Chaos(options) => return chaos::run(options).await,
        Command::Bench(options) => return bench::run(options).await,
        Command::Init(options) => init::run(&env, &options)?,
        Command::Keys(command) => keys::run(command)?,
    }
    Ok(ExitCode::SUCCESS)
}
