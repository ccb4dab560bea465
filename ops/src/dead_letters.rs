//! `itb-ops dead-letters`: what failed for good, and what becomes of it.
//!
//! A dead letter is the message of a job that failed for another reason than
//! what its caller sent. To replay it takes up the same job, and whoever listens
//! to that job hears it go on.

use std::{process::ExitCode, time::Duration};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use common::{
    backends::Backends,
    broker::dead_letters::{DeadLetter, HeldLetter},
    config::Environment,
    erasure,
    ids::CorrelationId,
    pipeline::Stage,
    time::UnixMillis,
};
use serde_json::{Value, json};

use crate::servers::connect;

use choice::{Choice, Unclear};
use replay::{Outcome, replay};

mod choice;
mod replay;
mod shown;

#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Lists them, the oldest of each stage first. Takes none away.
    List {
        #[command(flatten)]
        filter: Filter,
        /// For programs.
        #[arg(long)]
        json: bool,
    },
    /// Shows all that is known of one, as JSON.
    Show {
        /// The message or the job.
        id: String,
        /// What users said and wrote too. Terminals are logged.
        #[arg(long)]
        text: bool,
        /// Look at so many of each stage, the oldest.
        #[arg(long, default_value_t = MOST)]
        limit: usize,
    },
    /// Takes up the jobs again that failed by them.
    Replay {
        #[command(flatten)]
        chosen: Chosen,
        /// For programs.
        #[arg(long)]
        json: bool,
    },
    /// Removes them for good. Their jobs stay failed.
    Purge {
        #[command(flatten)]
        chosen: Chosen,
        /// Without it they are only counted.
        #[arg(long)]
        yes: bool,
        /// For programs.
        #[arg(long)]
        json: bool,
    },
}

/// Those that something is done to.
#[derive(Args)]
struct Chosen {
    /// Messages or jobs.
    ids: Vec<String>,
    #[command(flatten)]
    filter: Filter,
    /// All that there are.
    #[arg(long)]
    all: bool,
}

#[derive(Args, Default)]
struct Filter {
    /// Of these stages.
    #[arg(long, value_delimiter = ',')]
    stage: Vec<Stage>,
    /// For these reasons.
    #[arg(long, value_delimiter = ',')]
    reason: Vec<String>,
    /// Put aside longer ago than this: 90s, 15m, 2h, 7days.
    #[arg(long, value_parser = humantime::parse_duration)]
    older_than: Option<Duration>,
    /// Put aside within this time.
    #[arg(long, value_parser = humantime::parse_duration)]
    newer_than: Option<Duration>,
    /// Look at so many of each stage, the oldest: 100 to list them all, 10000 to choose among them. They are in memory
    /// together.
    #[arg(long)]
    limit: Option<usize>,
}

/// Looked at to choose among them.
const MOST: usize = 10_000;

/// Looked at by who has not said which.
const A_PAGE: usize = 100;

impl Filter {
    fn chooses(&self) -> bool {
        let Self {
            stage: _,
            reason,
            older_than,
            newer_than,
            limit: _,
        } = self;
        !reason.is_empty() || older_than.is_some() || newer_than.is_some()
    }

    fn limit(&self) -> usize {
        self.limit.unwrap_or(MOST)
    }
}

/// Some of those that were asked for stay where they are, or are not there.
const SOME_LEFT: u8 = 2;

pub async fn run(env: &Environment, arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        Command::List { mut filter, json } => {
            if !filter.chooses() {
                filter.limit.get_or_insert(A_PAGE);
            }
            let backends = connect(env).await?;
            let found = find(&backends, &filter, &filter.choice(&[])).await?;
            list(&backends, found, json).await
        }
        Command::Show { id, text, limit } => {
            let filter = Filter {
                limit: Some(limit),
                ..Filter::default()
            };
            let choice = filter.choice(std::slice::from_ref(&id));
            let backends = connect(env).await?;
            let found = find(&backends, &filter, &choice).await?;
            anyhow::ensure!(!found.is_empty(), "there is no dead letter of {id}");
            show(&backends, found, text).await
        }
        Command::Replay { chosen, json } => {
            let choice = chosen.choice()?;
            let backends = connect(env).await?;
            let found = find(&backends, &chosen.filter, &choice).await?;
            let missing = tell_missing(&choice, &found);
            replay_all(&backends, found, missing, json).await
        }
        Command::Purge { chosen, yes, json } => {
            let choice = chosen.choice()?;
            let backends = connect(env).await?;
            let found = find(&backends, &chosen.filter, &choice).await?;
            let missing = tell_missing(&choice, &found);
            purge(&backends, found, missing, yes, json).await
        }
    }
}

impl Chosen {
    /// Who chooses nothing has not chosen everything.
    fn choice(&self) -> Result<Choice, Unclear> {
        self.filter.choice(&self.ids).deliberate(self.all)
    }
}

impl Filter {
    fn choice(&self, ids: &[String]) -> Choice {
        Choice {
            ids: ids.to_vec(),
            reasons: self.reason.clone(),
            stages: self.stage.clone(),
            older_than: self.older_than,
            newer_than: self.newer_than,
        }
    }
}

/// Takes hold of those that are chosen; the others go back at once.
async fn find(
    backends: &Backends,
    filter: &Filter,
    choice: &Choice,
) -> anyhow::Result<Vec<HeldLetter>> {
    let now = UnixMillis::now();
    let mut found = Vec::new();
    for stage in choice.stages() {
        let limit = filter.limit();
        let held = backends.broker.dead_letters(*stage, limit).await;
        let held = held.with_context(|| format!("the dead letters of {stage} cannot be read"))?;
        if held.len() == limit {
            let count = held.len();
            eprintln!("{stage}: only the {count} oldest were looked at; --limit takes more");
        }
        let chosen = |held: &HeldLetter| choice.takes(&held.letter, now);
        let (chosen, others): (Vec<_>, Vec<_>) = held.into_iter().partition(chosen);
        put_back(backends, others).await?;
        found.extend(chosen);
    }
    Ok(found)
}

/// Says which ids are those of no dead letter, and how many they are.
fn tell_missing(choice: &Choice, found: &[HeldLetter]) -> usize {
    let missing = choice.missing(found.iter().map(|held| &held.letter));
    for id in &missing {
        eprintln!("{id}: there is no such dead letter");
    }
    missing.len()
}

/// Leaves them as they were, but for those whose jobs were erased: while they were
/// held here, whoever did it could not find them.
async fn put_back(backends: &Backends, held: Vec<HeldLetter>) -> anyhow::Result<()> {
    let jobs: Vec<_> = held
        .iter()
        .filter_map(|held| place_of(&held.letter))
        .collect();
    for letter in held {
        letter.put_back().await;
    }
    sweep_erased(backends, &jobs).await
}

fn place_of(letter: &DeadLetter) -> Option<(Stage, CorrelationId)> {
    Some((letter.stage, letter.job()?))
}

async fn sweep_erased(backends: &Backends, jobs: &[(Stage, CorrelationId)]) -> anyhow::Result<()> {
    for stage in Stage::ALL {
        let of_stage = jobs.iter().filter(|(at, _)| at == stage);
        let of_stage = of_stage.map(|(_, job)| *job).collect();
        erasure::sweep_erased(backends, *stage, of_stage).await?;
    }
    Ok(())
}

async fn list(
    backends: &Backends,
    found: Vec<HeldLetter>,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let now = UnixMillis::now();
    let letters = found.iter().map(|held| &held.letter);
    if as_json {
        let listed: Vec<_> = letters.map(|letter| shown::listed(letter, now)).collect();
        print(&json!(listed))?;
    } else {
        print!("{}", shown::table(letters, now));
    }
    put_back(backends, found).await?;
    Ok(ExitCode::SUCCESS)
}

async fn show(backends: &Backends, found: Vec<HeldLetter>, text: bool) -> anyhow::Result<ExitCode> {
    let now = UnixMillis::now();
    let letters = found.iter().map(|held| &held.letter);
    let whole: Vec<_> = letters
        .map(|letter| shown::whole(letter, now, text))
        .collect();
    put_back(backends, found).await?;
    print(&json!(whole))?;
    Ok(ExitCode::SUCCESS)
}

async fn replay_all(
    backends: &Backends,
    found: Vec<HeldLetter>,
    missing: usize,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let mut told = Vec::new();
    let mut left = 0;
    let count = found.len();
    let jobs: Vec<_> = found
        .iter()
        .filter_map(|held| place_of(&held.letter))
        .collect();
    let mut goes_on = true;
    for held in found {
        let letter = held.letter.clone();
        let outcome = if goes_on {
            replay(backends, held).await
        } else {
            held.put_back().await;
            Outcome::NotTried
        };
        // A job that is taken up and gets no message only waits for its deadline.
        goes_on &= !matches!(outcome, Outcome::Failed(_));
        left += usize::from(!outcome.is_replayed());
        if as_json {
            let mut one = shown::listed(&letter, UnixMillis::now());
            one["outcome"] = json!(outcome.word());
            told.push(one);
        } else {
            println!("{}: {}", letter.id, outcome.sentence());
        }
        if let Outcome::Failed(error) = outcome {
            eprintln!("{}: {error:#}", letter.id);
        }
    }
    sweep_erased(backends, &jobs).await?;
    if as_json {
        print(&json!(told))?;
    } else {
        println!("replayed {} of {count}", count - left);
    }
    Ok(code_for(left + missing))
}

async fn purge(
    backends: &Backends,
    found: Vec<HeldLetter>,
    missing: usize,
    yes: bool,
    as_json: bool,
) -> anyhow::Result<ExitCode> {
    let count = found.len();
    let mut removed = 0;
    if yes {
        for letter in found {
            letter.remove().await?;
            removed += 1;
        }
    } else {
        put_back(backends, found).await?;
    }
    if as_json {
        print(&json!({ "found": count, "removed": removed }))?;
    } else if yes {
        println!("removed {removed}");
    } else {
        println!("found {count}; --yes removes them");
    }
    Ok(code_for(count - removed + missing))
}

fn code_for(left: usize) -> ExitCode {
    match left {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(SOME_LEFT),
    }
}

fn print(value: &Value) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}
