//! The measures and misses, for people.

use std::collections::BTreeMap;

use workers::eval::{Miss, Outcome, Report, report};

/// A row per kind of question, and one for all.
pub fn print(outcomes: &[Outcome]) {
    let mut kinds: BTreeMap<&str, Vec<Outcome>> = BTreeMap::new();
    for outcome in outcomes {
        kinds
            .entry(&outcome.kind)
            .or_default()
            .push(outcome.clone());
    }
    println!(
        "{:<14}{:>10}{:>8}{:>8}{:>8}{:>10}{:>10}{:>8}{:>8}{:>10}",
        "kind",
        "questions",
        "hit@1",
        "hit@5",
        "MRR",
        "declined*",
        "answered*",
        "cited",
        "words",
        "verbatim"
    );
    for (kind, outcomes) in &kinds {
        print_row(kind, &report(outcomes));
    }
    print_row("all", &report(outcomes));
    println!("* wrongly: answerable ones declined, unanswerable ones answered");
}

fn print_row(kind: &str, report: &Report) {
    let answerable = |share: f32| share_of(share, report.answerable);
    println!(
        "{kind:<14}{:>10}{:>8}{:>8}{:>8}{:>10}{:>10}{:>8}{:>8}{:>10.3}",
        report.questions,
        answerable(report.hit_at_1),
        answerable(report.hit_at_5),
        answerable(report.mean_reciprocal_rank),
        answerable(report.wrongly_declined),
        share_of(
            report.wrongly_answered,
            report.questions - report.answerable
        ),
        answerable(report.cites_expected),
        answerable(report.holds_words),
        report.verbatim_quotes
    );
}

/// A share of no questions is no number.
fn share_of(share: f32, questions: usize) -> String {
    if questions == 0 {
        return "-".to_owned();
    }
    format!("{share:.3}")
}

/// A block per question that went wrong.
pub fn print_misses(outcomes: &[Outcome]) {
    let missed = outcomes
        .iter()
        .filter_map(|outcome| Some((outcome, outcome.miss()?)));
    for (outcome, miss) in missed {
        println!("{} {} ({})", outcome.id, words(miss), outcome.kind);
        for earlier in &outcome.earlier {
            println!("    before    {earlier}");
        }
        println!("    question  {}", outcome.question);
        println!("    searched  {}", outcome.searched.join(" | "));
        println!("    expected  {}", outcome.expected.join(", "));
        println!("    found     {}", outcome.found.join(", "));
        println!("    answer    {}\n", outcome.answer);
    }
}

fn words(miss: Miss) -> &'static str {
    match miss {
        Miss::Answered => "answered, though no document answers",
        Miss::QuoteNotFound => "a quote stands in no passage",
        Miss::Declined => "declined, though a document answers",
        Miss::OtherDocument => "cites no expected document",
        Miss::WordsMissing => "lacks the expected words",
        Miss::NotFound => "found too deep",
    }
}
