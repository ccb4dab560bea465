//! `itb-ops eval`: how well the documents are found and the questions answered.

use std::{collections::BTreeMap, path::Path};

use anyhow::Context as _;
use common::config::Environment;
use workers::{
    config::WorkerConfig,
    eval::{self, Outcome, Question, Report, report},
    kit::answering,
};

pub async fn run(env: &Environment, file: &Path, json: bool) -> anyhow::Result<()> {
    let (retriever, answerer) = answering(&WorkerConfig::from_environment(env)?).await?;
    let mut outcomes = Vec::new();
    for question in read(file)? {
        outcomes.push(eval::ask(&question, &retriever, answerer.as_ref()).await?);
    }
    if json {
        println!("{}", serde_json::to_string(&report(&outcomes))?);
    } else {
        print_table(&outcomes);
    }
    Ok(())
}

fn read(file: &Path) -> anyhow::Result<Vec<Question>> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let lines = (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            serde_json::from_str(line).with_context(|| format!("{}, line {number}", file.display()))
        })
        .collect()
}

fn print_table(outcomes: &[Outcome]) {
    let mut kinds: BTreeMap<&str, Vec<Outcome>> = BTreeMap::new();
    for outcome in outcomes {
        kinds
            .entry(&outcome.kind)
            .or_default()
            .push(outcome.clone());
    }
    println!(
        "{:<14}{:>10}{:>8}{:>8}{:>8}{:>10}{:>10}{:>10}",
        "kind", "questions", "hit@1", "hit@5", "MRR", "declined*", "answered*", "verbatim"
    );
    for (kind, outcomes) in &kinds {
        print_row(kind, &report(outcomes));
    }
    print_row("all", &report(outcomes));
    println!("* wrongly: answerable ones declined, unanswerable ones answered");
}

fn print_row(kind: &str, report: &Report) {
    println!(
        "{kind:<14}{:>10}{:>8.3}{:>8.3}{:>8.3}{:>10.3}{:>10.3}{:>10.3}",
        report.questions,
        report.hit_at_1,
        report.hit_at_5,
        report.mean_reciprocal_rank,
        report.wrongly_declined,
        report.wrongly_answered,
        report.verbatim_quotes
    );
}
