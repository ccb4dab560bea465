//! `itb-ops forget`: erases what is stored of a conversation, or of a tenant.
//!
//! It looks through the whole of Redis and all dead letters, so it finds also what
//! nothing else refers to any more. It can be ended at any time, and repeated.

use std::{collections::HashSet, process::ExitCode};

use clap::Args;
use common::{
    backends::Backends,
    broker::dead_letters::DeadLetter,
    config::Environment,
    conversation::ConversationKey,
    envelope::Job,
    erasure::{self, Erased},
    ids::{ConversationId, CorrelationId, Tenant},
    job::JobView,
    pipeline::Stage,
    reply::ReplyError,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;

use crate::servers::connect;

#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    whose: Whose,
    /// Only counts what there is.
    #[arg(long)]
    dry_run: bool,
    /// For programs.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
#[group(required = true, multiple = true)]
struct Whose {
    /// The conversation, by its client's name for it.
    #[arg(long, value_name = "ID")]
    conversation: Option<ConversationId>,
    /// Whose conversation it is, `default` unless said; alone, all of this tenant.
    #[arg(long, value_name = "NAME")]
    tenant: Option<Tenant>,
}

/// Another version wrote some logs: whose they are cannot be told here.
const SOME_LEFT: u8 = 2;

/// Jobs that are erased at the same time.
const AT_ONCE: usize = 16;

/// What there is, or was.
#[derive(Default)]
struct Found {
    jobs: HashSet<CorrelationId>,
    conversations: Vec<ConversationKey>,
    unreadable: u64,
}

/// What there is, or what became of it.
#[derive(Default)]
struct Told {
    erased: Erased,
    conversations: u64,
    dead_letters: u64,
    unreadable: u64,
}

pub async fn run(env: &Environment, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments {
        whose,
        dry_run,
        json,
    } = arguments;
    let backends = connect(env).await?;
    let found = find(&backends, &whose).await?;
    let told = if dry_run {
        count(&backends, &whose, &found).await?
    } else {
        erase(&backends, &whose, found).await?
    };
    if json {
        println!("{}", told.json(dry_run));
    } else {
        println!("{}", told.sentence(dry_run));
    }
    Ok(match told.unreadable {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(SOME_LEFT),
    })
}

impl Whose {
    fn tenant(&self) -> Tenant {
        self.tenant.clone().unwrap_or_default()
    }

    fn holds(&self, job: &Job) -> bool {
        let is_of_it = |id: &ConversationId| job.conversation_id.as_ref() == Some(id);
        job.tenant == self.tenant() && self.conversation.as_ref().is_none_or(is_of_it)
    }

    async fn conversations(&self, backends: &Backends) -> anyhow::Result<Vec<ConversationKey>> {
        let tenant = self.tenant();
        let ids = match &self.conversation {
            Some(id) => vec![id.clone()],
            None => backends.conversations.of_tenant(&tenant).await?,
        };
        let key = |id| ConversationKey {
            tenant: tenant.clone(),
            id,
        };
        Ok(ids.into_iter().map(key).collect())
    }
}

async fn find(backends: &Backends, whose: &Whose) -> anyhow::Result<Found> {
    let mut found = Found {
        conversations: whose.conversations(backends).await?,
        ..Found::default()
    };
    let mut jobs = backends.replies.jobs();
    while let Some(job) = jobs.next().await {
        match job {
            Ok(job) if whose.holds(&job) => {
                found.jobs.insert(job.correlation_id);
            }
            Ok(_) => {}
            Err(ReplyError::Unreadable(_)) => found.unreadable += 1,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

async fn count(backends: &Backends, whose: &Whose, found: &Found) -> anyhow::Result<Told> {
    let mut told = Told {
        unreadable: found.unreadable,
        ..Told::default()
    };
    told.erased.jobs = found.jobs.len() as u64;
    for key in &found.conversations {
        let turns = backends.conversations.history(key).await?.len() as u64;
        told.conversations += u64::from(turns > 0);
        told.erased.turns += turns;
    }
    for stage in Stage::ALL {
        let held = backends.broker.dead_letters(*stage, usize::MAX).await?;
        let meant = held
            .iter()
            .filter(|held| is_meant(&held.letter, whose, &found.jobs));
        told.dead_letters += meant.count() as u64;
        for letter in held {
            letter.put_back().await;
        }
    }
    Ok(told)
}

async fn erase(backends: &Backends, whose: &Whose, found: Found) -> anyhow::Result<Told> {
    let mut told = Told {
        unreadable: found.unreadable,
        ..Told::default()
    };
    let mut jobs = found.jobs;
    for key in &found.conversations {
        let turns = backends.conversations.history(key).await?.len() as u64;
        told.conversations += u64::from(turns > 0);
        told.erased.turns += turns;
        for job in backends.conversations.forget(key).await? {
            backends.conversations.erase(key, job).await?;
            jobs.insert(job);
        }
    }
    let erased = stream::iter(jobs.iter().copied())
        .map(|job| erase_job(backends, whose, job))
        .buffer_unordered(AT_ONCE);
    told.erased += erased
        .try_fold(Erased::default(), async |mut all, one| {
            all += one;
            Ok(all)
        })
        .await?;
    let meant = |letter: &DeadLetter| is_meant(letter, whose, &jobs);
    told.dead_letters = erasure::sweep(backends, &meant).await?;
    Ok(told)
}

async fn erase_job(
    backends: &Backends,
    whose: &Whose,
    id: CorrelationId,
) -> anyhow::Result<Erased> {
    let records = backends.replies.read(id, 0).await?;
    match JobView::of(&records).filter(|view| whose.holds(&view.job)) {
        Some(view) => Ok(erasure::erase(backends, &view, &records).await?),
        None => Ok(Erased::default()),
    }
}

/// By what it says itself, or by its job where it cannot be read.
fn is_meant(letter: &DeadLetter, whose: &Whose, jobs: &HashSet<CorrelationId>) -> bool {
    match letter.envelope() {
        Some(envelope) => whose.holds(&envelope.job),
        None => letter.job().is_some_and(|job| jobs.contains(&job)),
    }
}

impl Told {
    fn json(&self, dry_run: bool) -> serde_json::Value {
        let Erased { jobs, audio, turns } = self.erased;
        let mut told = json!({
            "dry_run": dry_run,
            "conversations": self.conversations,
            "turns": turns,
            "jobs": jobs,
            "dead_letters": self.dead_letters,
            "unreadable_logs": self.unreadable,
        });
        if !dry_run {
            told["audio"] = json!(audio);
        }
        told
    }

    fn sentence(&self, dry_run: bool) -> String {
        let Erased { jobs, audio, turns } = self.erased;
        let Self {
            conversations,
            dead_letters,
            unreadable,
            ..
        } = self;
        let mut told = if dry_run {
            format!(
                "found {conversations} conversations with {turns} turns, {jobs} jobs, {dead_letters} dead letters; without --dry-run they are erased"
            )
        } else {
            format!(
                "erased {conversations} conversations with {turns} turns, {jobs} jobs, {audio} recordings and pieces of speech, {dead_letters} dead letters"
            )
        };
        if *unreadable > 0 {
            told += &format!("; {unreadable} logs of another version could not be read");
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use common::{pipeline::Route, testing::fixtures};

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn whose(arguments: &[&str]) -> Option<Whose> {
        let all = std::iter::once("forget").chain(arguments.iter().copied());
        let command = Command::try_parse_from(all).ok()?;
        Some(command.arguments.whose)
    }

    #[test]
    fn a_conversation_is_one_of_its_tenant_and_a_tenant_alone_is_all_of_his() {
        let job = |tenant: &str, conversation: Option<&str>| Job {
            tenant: tenant.parse().unwrap(),
            conversation_id: conversation.map(|id| id.parse().unwrap()),
            ..fixtures::job(Route::Text)
        };
        let jobs = [
            job("default", Some("a")),
            job("web", Some("a")),
            job("web", Some("b")),
            job("web", None),
        ];
        for (arguments, expected) in [
            (&["--conversation", "a"][..], [true, false, false, false]),
            (
                &["--conversation", "a", "--tenant", "web"],
                [false, true, false, false],
            ),
            (&["--tenant", "web"], [false, true, true, true]),
            (&["--tenant", "other"], [false; 4]),
        ] {
            let whose = whose(arguments).unwrap();
            let held = [0, 1, 2, 3].map(|at| whose.holds(&jobs[at]));
            assert_eq!(held, expected, "{arguments:?}");
        }
        for wrong in [&[][..], &["--conversation", "a b"], &["--tenant", ""]] {
            assert!(whose(wrong).is_none(), "{wrong:?}");
        }
    }
}
