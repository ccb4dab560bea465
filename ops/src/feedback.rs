//! `itb-ops feedback`: what people said of answers, and which questions the documents did not answer.
//!
//! It looks through the jobs that are kept (`JOB_TTL`).

use std::collections::BTreeSet;

use clap::Args;
use common::{
    backends::Backends,
    config::Environment,
    feedback::{Feedback, Rating},
    ids::{CorrelationId, Tenant},
    job::{JobView, Outcome},
    reply::ReplyError,
    turn::Turn,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;

use crate::servers::connect;

#[derive(Args)]
pub struct Arguments {
    /// The questions that found no answer, alike ones together, in place of what was said.
    #[arg(long)]
    unanswered: bool,
    /// Of this tenant alone.
    #[arg(long, value_name = "NAME")]
    tenant: Option<Tenant>,
    /// For programs: JSON lines.
    #[arg(long)]
    json: bool,
}

/// Jobs that are read at the same time.
const AT_ONCE: usize = 16;

/// How much of their words two questions share that are shown together (Jaccard index).
const ALIKE: f64 = 0.5;

/// An answer, and what was said of it.
#[derive(Debug, Serialize)]
struct Said {
    job_id: CorrelationId,
    tenant: Tenant,
    #[serde(flatten)]
    feedback: Feedback,
    question: String,
    answer: String,
}

/// Questions that are alike and found no answer.
#[derive(Debug, PartialEq, Serialize)]
struct Gap {
    times: usize,
    /// Each once, as it was first asked.
    questions: Vec<String>,
}

/// A job that was answered.
struct Answered {
    view: JobView,
    question: String,
    turn: Box<Turn>,
}

pub async fn run(env: &Environment, arguments: &Arguments) -> anyhow::Result<()> {
    let backends = connect(env).await?;
    let answered = answered(&backends, arguments.tenant.as_ref()).await?;
    if arguments.unanswered {
        let declined = answered.into_iter().filter(is_declined);
        let gaps = grouped(declined.map(|it| it.question));
        print(&gaps, arguments.json, Gap::show)
    } else {
        let mut said = said(&backends, answered).await?;
        said.sort_by_key(|it| it.feedback.at);
        print(&said, arguments.json, Said::show)
    }
}

fn print<T: Serialize>(
    all: &[T],
    as_json: bool,
    show: impl Fn(&T) -> String,
) -> anyhow::Result<()> {
    for one in all {
        match as_json {
            true => println!("{}", serde_json::to_string(one)?),
            false => println!("{}", show(one)),
        }
    }
    if all.is_empty() && !as_json {
        println!("none");
    }
    Ok(())
}

async fn answered(backends: &Backends, of: Option<&Tenant>) -> anyhow::Result<Vec<Answered>> {
    let jobs: Vec<_> = backends.replies.jobs().collect().await;
    let mut ids = Vec::new();
    for job in jobs {
        match job {
            Ok(job) if of.is_none_or(|tenant| job.tenant == *tenant) => {
                ids.push(job.correlation_id);
            }
            // Another version wrote it.
            Ok(_) | Err(ReplyError::Unreadable(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let read = stream::iter(ids).map(async |id| {
        let records = backends.replies.read(id, 0).await?;
        Ok::<_, anyhow::Error>(JobView::of(&records).and_then(of_view))
    });
    let read: Vec<_> = read.buffer_unordered(AT_ONCE).try_collect().await?;
    Ok(read.into_iter().flatten().collect())
}

fn of_view(mut view: JobView) -> Option<Answered> {
    let Some(Outcome::Succeeded(turn)) = view.outcome.take() else {
        return None;
    };
    let question = turn.user_text()?.to_owned();
    Some(Answered {
        view,
        question,
        turn,
    })
}

fn is_declined(it: &Answered) -> bool {
    it.turn
        .answer
        .as_ref()
        .is_some_and(|answer| answer.declined)
}

async fn said(backends: &Backends, answered: Vec<Answered>) -> anyhow::Result<Vec<Said>> {
    let said = stream::iter(answered).map(async |it| {
        let id = it.view.job.correlation_id;
        let feedback = backends.feedback_on(id).await?;
        Ok::<_, anyhow::Error>(feedback.map(|feedback| Said {
            job_id: id,
            tenant: it.view.job.tenant.clone(),
            feedback,
            question: it.question,
            answer: it.turn.answer.map(|it| it.text).unwrap_or_default(),
        }))
    });
    let said: Vec<_> = said.buffer_unordered(AT_ONCE).try_collect().await?;
    Ok(said.into_iter().flatten().collect())
}

impl Said {
    fn show(&self) -> String {
        let at = humantime::format_rfc3339_seconds(
            std::time::UNIX_EPOCH + std::time::Duration::from_millis(self.feedback.at.0),
        );
        let rating = match self.feedback.rating {
            Rating::Good => "good",
            Rating::Bad => "BAD ",
        };
        let comment = self.feedback.comment.as_deref().unwrap_or("–");
        format!(
            "{at}  {rating}  {}  {}\n  asked:    {}\n  answered: {}\n  comment:  {}",
            self.tenant,
            self.job_id,
            one_line(&self.question),
            one_line(&self.answer),
            one_line(comment)
        )
    }
}

impl Gap {
    fn show(&self) -> String {
        let questions: Vec<_> = self.questions.iter().map(|it| one_line(it)).collect();
        format!("{:>4} × {}", self.times, questions.join("\n       "))
    }
}

/// Control characters could change what stands elsewhere on a terminal.
fn one_line(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|it| if it.is_control() { ' ' } else { it })
        .collect();
    let mut words = text.chars();
    let start: String = words.by_ref().take(160).collect();
    match words.next() {
        Some(_) => start + "…",
        None => start,
    }
}

fn words(question: &str) -> BTreeSet<String> {
    let words = question.split(|it: char| !it.is_alphanumeric());
    let words = words.filter(|it| it.chars().count() > 2);
    words.map(str::to_lowercase).collect()
}

/// Puts questions together that share words with the first of a group; the most frequent group first.
fn grouped(questions: impl Iterator<Item = String>) -> Vec<Gap> {
    let mut groups: Vec<(BTreeSet<String>, Gap)> = Vec::new();
    for question in questions {
        let words = words(&question);
        let alike = |known: &BTreeSet<String>| {
            let shared = known.intersection(&words).count() as f64;
            let all = known.union(&words).count() as f64;
            shared >= ALIKE * all
        };
        match groups.iter_mut().find(|(known, _)| alike(known)) {
            Some((_, gap)) => {
                gap.times += 1;
                if !gap.questions.contains(&question) {
                    gap.questions.push(question);
                }
            }
            None => groups.push((
                words,
                Gap {
                    times: 1,
                    questions: vec![question],
                },
            )),
        }
    }
    let mut gaps: Vec<_> = groups.into_iter().map(|(_, gap)| gap).collect();
    gaps.sort_by_key(|gap| std::cmp::Reverse(gap.times));
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_that_are_alike_are_one_gap() {
        let asked = [
            "Berapa tarif parkir di kampus?",
            "Siapa presiden Prancis?",
            "berapa tarif parkir kampus",
            "Berapa tarif parkir di kampus?",
        ];
        let gaps = grouped(asked.iter().map(|it| (*it).to_owned()));
        let gap = |times, questions: &[&str]| Gap {
            times,
            questions: questions.iter().map(|it| (*it).to_owned()).collect(),
        };
        assert_eq!(gaps, [gap(3, &[asked[0], asked[2]]), gap(1, &[asked[1]]),]);
    }

    #[test]
    fn what_people_wrote_cannot_move_the_cursor() {
        assert_eq!(one_line("a\u{1b}[2Jb\nc"), "a [2Jb c");
        assert_eq!(one_line(&"x".repeat(200)).chars().count(), 161);
    }
}
