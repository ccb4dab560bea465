//! `itb-ops bench`: how fast the pipeline carries a question that is no work, beside the most that its parts could do.
//!
//! Everything is private to the run and on this machine: RabbitMQ and Redis on free ports, one API server and one worker in
//! processes of their own, and for each mode its ceiling:
//! - distributed: one confirmed hop over a quorum queue with raw lapin and one write to Redis, behind axum;
//! - embedded: an axum handler that answers.
//!
//! With `--celery` also the same question carried by FastAPI and Celery.
//!
//! All are asked by the same few lines over HTTP/1.1, one after the other in each round, so that what else the machine does
//! meets all of them. A caller asks again when it is answered (closed loop).

use std::{
    fmt,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use clap::Args;
use common::testing::servers::{RabbitServer, RedisServer};
use serde::Serialize;

use ceiling::Ceiling;
use load::{Load, Target};
use programs::Programs;

mod ceiling;
mod load;
mod programs;
mod redis_use;

#[derive(Args)]
pub struct Options {
    /// How often everything is measured; the median counts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Of each measurement.
    #[arg(long, value_name = "SECONDS", default_value_t = 3)]
    seconds: u64,
    /// Callers at the same time, beside the measurement with one.
    #[arg(long, default_value_t = 64)]
    callers: usize,
    /// The folder of itb-api and itb-worker, instead of that of this program.
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Everything as JSON, into this file.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Has so many more jobs go through the embedded server, and then measures it again.
    #[arg(long, value_name = "NUMBER")]
    jobs: Option<usize>,
    /// Measures FastAPI and Celery as well, from the folder that `ops/bench/peers/celery/setup` has made.
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = "target/bench/celery")]
    celery: Option<PathBuf>,
    /// What a process of the run itself does: answers as a ceiling.
    #[arg(long, hide = true)]
    serve: Option<Ceiling>,
}

/// The median of the rounds, with the least and the most.
#[derive(Clone, Copy, Debug, Serialize)]
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        Self {
            median: at(values.len() / 2),
            least: at(0),
            most: at(values.len().saturating_sub(1)),
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = if self.median < 100.0 { 2 } else { 0 };
        write!(
            f,
            "{:>9.digits$} ({:.digits$}–{:.digits$})",
            self.median, self.least, self.most
        )
    }
}

#[derive(Debug, Serialize)]
struct Row {
    name: &'static str,
    /// Milliseconds until the answer, with one caller.
    alone_ms: Spread,
    /// Answers a second, with many.
    rate: Spread,
    /// Milliseconds of processor time an answer, with many: of the processes that were started for it.
    cpu_ms: Spread,
}

#[derive(Debug, Serialize)]
struct Report {
    callers: usize,
    rounds: usize,
    rows: Vec<Row>,
    /// Commands of our programs to Redis for one question in a conversation; those of scripts are not counted.
    redis_commands: usize,
    /// Bytes of a kept job in Redis.
    redis_bytes: f64,
    aged: Option<Aged>,
}

/// The embedded server after many jobs.
#[derive(Debug, Serialize)]
struct Aged {
    jobs: usize,
    /// Answers a second, with many callers.
    rate: f64,
    /// Of memory that the process has, in bytes.
    resident: u64,
}

/// Two rows, a mode and what it is held beside.
const PAIRS: [(usize, usize); 3] = [(0, 1), (2, 3), (0, 4)];

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "medians of {} rounds (least–most), one caller and {}",
            self.rounds, self.callers
        )?;
        writeln!(
            f,
            "{:<24} {:>28} {:>28} {:>28}",
            "", "one caller, p50 ms", "many, answers/s", "many, CPU ms an answer"
        )?;
        for row in &self.rows {
            let Row {
                name,
                alone_ms,
                rate,
                cpu_ms,
            } = row;
            let (alone, rate, cpu) = (alone_ms.to_string(), rate.to_string(), cpu_ms.to_string());
            writeln!(f, "{name:<24} {alone:>28} {rate:>28} {cpu:>28}")?;
        }
        for (ours, ceiling) in PAIRS {
            if let (Some(ours), Some(ceiling)) = (self.rows.get(ours), self.rows.get(ceiling)) {
                writeln!(
                    f,
                    "{} / {}: {:.2} × the time, {:.3} × the rate",
                    ours.name,
                    ceiling.name,
                    ours.alone_ms.median / ceiling.alone_ms.median,
                    ours.rate.median / ceiling.rate.median,
                )?;
            }
        }
        if let Some(Aged {
            jobs,
            rate,
            resident,
        }) = &self.aged
        {
            let megabytes = resident / 1_000_000;
            writeln!(
                f,
                "embedded after {jobs} jobs more: {rate:.0} answers/s, {megabytes} MB"
            )?;
        }
        writeln!(
            f,
            "Redis: {} commands a question, {:.0} bytes a kept job",
            self.redis_commands, self.redis_bytes
        )
    }
}

pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    if let Some(ceiling) = options.serve {
        ceiling.serve().await?;
        return Ok(ExitCode::SUCCESS);
    }
    let servers = tokio::task::spawn_blocking(|| (RabbitServer::start(), RedisServer::start()));
    let (Some(rabbitmq), Some(redis)) = servers.await? else {
        anyhow::bail!("the programs rabbitmq-server and redis-server are needed");
    };
    let folder = tempfile::tempdir()?;
    let programs = Programs {
        ours: crate::programs::folder(options.programs.as_deref())?,
        folder: folder.path(),
        amqp_url: rabbitmq.url(),
        redis_url: redis.url(),
    };
    let mut targets = vec![
        programs.distributed().await?,
        programs.ceiling(Ceiling::Hop).await?,
        programs.embedded().await?,
        programs.ceiling(Ceiling::Axum).await?,
    ];
    if let Some(folder) = &options.celery {
        targets.push(programs.celery(folder).await?);
    }
    let redis_commands = redis_use::commands(&redis.url(), &targets[0]).await?;
    let rows = measure(&options, &targets).await?;
    let aged = match options.jobs {
        Some(jobs) => Some(age(&options, &targets[2], jobs).await?),
        None => None,
    };
    let report = Report {
        aged,
        callers: options.callers,
        rounds: options.rounds,
        rows,
        redis_commands,
        redis_bytes: redis_use::bytes_of_a_job(&redis.url()).await?,
    };
    println!("{report}");
    if let Some(file) = &options.report {
        write(file, &report)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Has `jobs` more go through `target`.
async fn age(options: &Options, target: &Target, jobs: usize) -> anyhow::Result<Aged> {
    let load = Load {
        callers: options.callers,
        time: Duration::from_secs(options.seconds),
    };
    let mut done = 0;
    while done < jobs {
        done += load.put_on(target).await?.answers();
    }
    Ok(Aged {
        jobs: done,
        rate: load.put_on(target).await?.rate(),
        resident: target.resident()?,
    })
}

fn write(file: &Path, report: &Report) -> anyhow::Result<()> {
    let json = serde_json::to_vec_pretty(report)?;
    std::fs::write(file, json).with_context(|| format!("cannot write {}", file.display()))
}

/// All targets in each round.
async fn measure(options: &Options, targets: &[Target]) -> anyhow::Result<Vec<Row>> {
    let time = Duration::from_secs(options.seconds);
    let mut figures = vec![(Vec::new(), Vec::new(), Vec::new()); targets.len()];
    for round in 1..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        for (target, (alone, rates, cpu)) in targets.iter().zip(&mut figures) {
            let one = Load { callers: 1, time }.put_on(target).await?;
            alone.push(one.median_ms());
            let load = Load {
                callers: options.callers,
                time,
            };
            let before = target.cpu_time()?;
            let many = load.put_on(target).await?;
            let spent = target.cpu_time()?.saturating_sub(before);
            rates.push(many.rate());
            cpu.push(spent.as_secs_f64() * 1000.0 / many.answers().max(1) as f64);
        }
    }
    let rows = targets.iter().zip(figures).map(|(target, figures)| Row {
        name: target.name,
        alone_ms: Spread::of(figures.0),
        rate: Spread::of(figures.1),
        cpu_ms: Spread::of(figures.2),
    });
    Ok(rows.collect())
}
