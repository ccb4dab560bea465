//! `itb-ops chaos`: jobs through the distributed mode while everything breaks,
//! and a ledger at the end of what was promised and what became of it.
//!
//! Everything is private to the run and on this machine: RabbitMQ and Redis on
//! free ports, two front doors, two workers of each stage, vendors that fail,
//! and a proxy in every link. What is broken and what is asked for follow from
//! the seed; what meets what does not, so a seed makes a violation likely again,
//! not certain.

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use clap::Args;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use callers::Notes;
use faults::Player;
use report::Report;
use schedule::Tempo;
use world::{Premises, World};

mod callers;
mod dice;
mod evidence;
mod faults;
mod fleet;
mod ledger;
mod orders;
mod proxy;
mod report;
mod schedule;
mod vendors;
mod world;

#[derive(Args)]
pub struct Options {
    /// How many jobs are asked for.
    #[arg(long, default_value_t = 10_000)]
    jobs: usize,
    /// Repeats the schedule of an earlier run.
    #[arg(long)]
    seed: Option<u64>,
    /// Jobs asked for in a second.
    #[arg(long, default_value_t = 12.0)]
    rate: f64,
    /// How fast faults follow each other; 2 doubles their number.
    #[arg(long, default_value_t = 1.0)]
    tempo: f64,
    /// Faults of each kind of target (programs, servers, links) that are waited
    /// for after the last request, if there were fewer.
    #[arg(long, value_name = "NUMBER", default_value_t = 4)]
    least_faults: usize,
    /// After the last request, for all jobs to end.
    #[arg(long, value_name = "MINUTES", default_value_t = 12)]
    patience: u64,
    /// The folder of itb-api and itb-worker, instead of that of this program.
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Everything as JSON, into this file.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Where logs are kept; without it they are kept when something is wrong.
    #[arg(long, value_name = "DIR")]
    logs: Option<PathBuf>,
    /// What the workers are to do wrong (development builds alone).
    #[arg(long, hide = true)]
    sabotage: Option<String>,
}

/// Success when every promise was kept.
pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let seed = options.seed.unwrap_or_else(seed_by_the_clock);
    println!("seed {seed}");
    let folder = Folder::new(options.logs.clone())?;
    let premises = Premises {
        programs: &crate::programs::folder(options.programs.as_deref())?,
        folder: folder.path(),
        seed,
        sabotage: options.sabotage.as_deref(),
    };
    let begun = Instant::now();
    let world = Arc::new(World::start(&premises).await?);
    println!("ready after {:.0} s", begun.elapsed().as_secs_f64());
    let (notes, faults) = storm(&world, seed, &options).await?;
    let mut complaints = Vec::new();
    for program in &world.programs {
        complaints.extend(program.complaints().await);
    }
    let evidence = evidence::gather(&world, &notes, complaints).await?;
    let report = Report {
        seed,
        jobs: options.jobs,
        seconds: begun.elapsed().as_secs_f64(),
        balance: ledger::balance(&evidence),
        faults,
        logs: folder.path().to_owned(),
    };
    println!("{report}");
    if let Some(file) = &options.report {
        let json = serde_json::to_vec_pretty(&report)?;
        std::fs::write(file, json).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(if report.balance.is_clean() {
        ExitCode::SUCCESS
    } else {
        folder.keep();
        ExitCode::FAILURE
    })
}

fn seed_by_the_clock() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}

/// Sends the callers in while the schedule is played; then makes all whole and
/// waits for what is under way.
async fn storm(
    world: &Arc<World>,
    seed: u64,
    options: &Options,
) -> anyhow::Result<(Arc<Notes>, Vec<faults::Done>)> {
    let (begun, stop) = (Instant::now(), CancellationToken::new());
    let mut lanes = JoinSet::new();
    for lane in schedule::lanes(seed, &world.cast(), Tempo(options.tempo)) {
        let player = Player {
            world: Arc::clone(world),
            begun,
            stop: stop.clone(),
        };
        lanes.spawn(player.play(lane, options.least_faults));
    }
    let notes = Arc::new(Notes::default());
    let plan = orders::plan(seed, options.jobs);
    let watching = tokio::spawn(tell(Arc::clone(&notes)));
    let callers = callers::send(plan, options.rate, &world.doors, &notes).await;
    stop.cancel();
    let mut faults = Vec::new();
    while let Some(lane) = lanes.join_next().await {
        faults.extend(lane??);
    }
    faults.sort_by(|one, other| one.from.total_cmp(&other.from));
    println!("{} faults, and no more of them", faults.len());
    world.vendors.recover();
    world.all_well().await?;
    let patience = Duration::from_secs(options.patience * 60);
    // Whoever has not heard by then is in the ledger.
    let _ = timeout(patience, all_ended(world, callers)).await;
    watching.abort();
    Ok((notes, faults))
}

/// How often progress is told.
const TOLD: Duration = Duration::from_secs(10);

async fn tell(notes: Arc<Notes>) {
    let begun = Instant::now();
    loop {
        sleep(TOLD).await;
        let callers::Progress {
            begun: asked,
            accepted,
            ended,
        } = notes.progress();
        let seconds = begun.elapsed().as_secs();
        println!("{seconds:>5} s: {asked} asked for, {accepted} accepted, {ended} ended");
    }
}

/// How often queues are looked at, and how often they must be found empty for
/// nothing to be under way any more: RabbitMQ counts the messages of a quorum
/// queue every 5 seconds.
const LOOK: Duration = Duration::from_secs(3);
const LOOKS: usize = 5;

/// Returns when every caller has heard the end and every queue is empty; or,
/// with callers left, when nothing can come any more.
async fn all_ended(world: &World, mut callers: JoinSet<()>) -> anyhow::Result<()> {
    let mut empty = 0;
    while empty < LOOKS {
        sleep(LOOK).await;
        while callers.try_join_next().is_some() {}
        let queues = world.queues().await?;
        let left = |it: &&ledger::Queue| !it.name.ends_with(".dead") && it.messages > 0;
        if queues.iter().any(|it| left(&it)) {
            empty = 0;
        } else {
            empty += 1;
        }
        if callers.is_empty() && empty >= 2 {
            break;
        }
    }
    Ok(())
}

/// The folder of a run; gone at its end, unless it is wanted.
enum Folder {
    Given(PathBuf),
    Own(tempfile::TempDir),
}

impl Folder {
    fn new(given: Option<PathBuf>) -> anyhow::Result<Self> {
        match given {
            Some(path) => {
                std::fs::create_dir_all(&path)
                    .with_context(|| format!("cannot make {}", path.display()))?;
                Ok(Self::Given(path))
            }
            None => Ok(Self::Own(
                tempfile::Builder::new().prefix("chaos-").tempdir()?,
            )),
        }
    }

    fn path(&self) -> &std::path::Path {
        match self {
            Self::Given(path) => path,
            Self::Own(folder) => folder.path(),
        }
    }

    fn keep(self) {
        if let Self::Own(folder) = self {
            let _ = folder.keep();
        }
    }
}
