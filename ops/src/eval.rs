//! `itb-ops eval`: how well the documents are found and the questions answered.

mod floors;
mod table;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use common::config::Environment;
use serde_json::json;
use workers::{
    config::WorkerConfig,
    eval::{self, Outcome, Question, report},
    kit::answering,
};

use floors::Floors;

#[derive(clap::Args)]
pub struct Options {
    /// One question a line: `id`, `question`, `expect` (documents that answer; empty where none does), `words`
    /// (that a right answer holds), `kind`, `history`.
    questions: PathBuf,
    /// The measures as JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// What became of every question, in the JSON too.
    #[arg(long, requires = "json")]
    outcomes: bool,
    /// Lists what went wrong: the question, what was found, what was answered.
    #[arg(long, conflicts_with = "json")]
    details: bool,
    #[command(flatten)]
    floors: Floors,
}

/// Measures and prints; fails after that when a floor is missed.
pub async fn run(env: &Environment, options: &Options) -> anyhow::Result<()> {
    let (retriever, answerer) = answering(&WorkerConfig::from_environment(env)?).await?;
    let mut outcomes = Vec::new();
    for question in read(&options.questions)? {
        outcomes.push(eval::ask(&question, &retriever, answerer.as_ref()).await?);
    }
    if options.json {
        print_json(&outcomes, options.outcomes)?;
    } else {
        if options.details {
            table::print_misses(&outcomes);
        }
        table::print(&outcomes);
    }
    let missed = options.floors.missed(&report(&outcomes));
    ensure!(missed.is_empty(), "{}", missed.join("; "));
    Ok(())
}

fn read(file: &Path) -> anyhow::Result<Vec<Question>> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let lines = (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim().is_empty());
    let questions: Vec<Question> = lines
        .map(|(number, line)| {
            serde_json::from_str(line).with_context(|| format!("{}, line {number}", file.display()))
        })
        .collect::<anyhow::Result<_>>()?;
    ensure!(
        !questions.is_empty(),
        "{} holds no question",
        file.display()
    );
    Ok(questions)
}

fn print_json(outcomes: &[Outcome], with_outcomes: bool) -> anyhow::Result<()> {
    let mut measures = serde_json::to_value(report(outcomes))?;
    if with_outcomes {
        let told = outcomes.iter().map(|outcome| {
            let mut told = serde_json::to_value(outcome)?;
            told["miss"] = json!(outcome.miss());
            Ok(told)
        });
        measures["outcomes"] = told.collect::<Result<Vec<_>, serde_json::Error>>()?.into();
    }
    println!("{measures}");
    Ok(())
}
