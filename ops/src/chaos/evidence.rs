//! Gathers what is known at the end: past the front doors where it can be, from
//! the stores themselves.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use common::{
    backends::{self, BackendConfig, Backends},
    reply::{Event, FailureKind, Record},
    retry::Backoff,
};
use serde_json::Value;
use tokio::time::{Duration, Instant, sleep};

use super::{
    callers::Notes,
    ledger::{Entry, Evidence, Log, Turn},
    world::World,
};

/// Tries of a question whose answer everything hangs on.
const TRIES: usize = 20;

pub async fn gather(
    world: &World,
    notes: &Notes,
    complaints: Vec<String>,
) -> anyhow::Result<Evidence> {
    let orders = notes.orders();
    let backends = connect(world).await?;
    let mut logs = BTreeMap::new();
    for job in orders.iter().flat_map(|it| &it.jobs) {
        let Some(log) = log(&backends, job).await? else {
            continue;
        };
        if let Some(callback) = &log.callback
            && let Some(log) = self::log(&backends, callback).await?
        {
            logs.insert(callback.clone(), log);
        }
        logs.insert(job.clone(), log);
    }
    let mut conversations = BTreeMap::new();
    let names: BTreeSet<_> = orders.iter().map(|it| it.conversation.clone()).collect();
    for name in names {
        let turns = turns(world, &name).await?;
        conversations.insert(name, turns);
    }
    let mut misbehaviours = notes.oddities();
    misbehaviours.extend(complaints);
    Ok(Evidence {
        orders,
        logs,
        conversations,
        letters: world.vendors.letters(),
        queues: world.queues().await?,
        undone: left_undone(world).await?,
        misbehaviours,
    })
}

/// The relays look at what is promised again and again; after this time everything should be done.
const TO_DO_IT: Duration = Duration::from_secs(20);

async fn left_undone(world: &World) -> anyhow::Result<Vec<String>> {
    let begun = Instant::now();
    loop {
        let undone = undone(world).await?;
        if undone.is_empty() || begun.elapsed() > TO_DO_IT {
            return Ok(undone);
        }
        sleep(Duration::from_secs(1)).await;
    }
}

/// The entries of the outbox, and the conversations that hold messages.
async fn undone(world: &World) -> anyhow::Result<Vec<String>> {
    let client = redis::Client::open(world.redis_url())?;
    let mut redis = client.get_multiplexed_async_connection().await?;
    let mut entries = redis::cmd("ZRANGE");
    let [.., (_, prefix)] = world.settings();
    entries.arg(format!("outbox:{prefix}")).arg(0).arg(-1);
    let mut undone: Vec<String> = entries.query_async(&mut redis).await?;
    let mut cursor = 0_u64;
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor)
            .arg("MATCH")
            .arg("*:held")
            .arg("COUNT")
            .arg(1_000);
        let (next, held): (u64, Vec<String>) = scan.query_async(&mut redis).await?;
        undone.extend(held);
        if next == 0 {
            return Ok(undone);
        }
        cursor = next;
    }
}

async fn connect(world: &World) -> anyhow::Result<Backends> {
    let env = world.settings().into_iter().collect();
    let config = BackendConfig::from_environment(&env, "itb-ops")?;
    Ok(backends::connect(&config).await?)
}

async fn log(backends: &Backends, job: &str) -> anyhow::Result<Option<Log>> {
    let id = job.parse().with_context(|| format!("{job} is no job"))?;
    let records = asked("a reply log", || backends.replies.read(id, 0)).await?;
    Ok((!records.is_empty()).then(|| log_of(&records)))
}

fn log_of(records: &[Record]) -> Log {
    let mut log = Log::default();
    for record in records {
        log.entries.push(entry(record));
        match &record.event {
            Event::Accepted { job } => log.callback = job.callback.map(|it| it.to_string()),
            Event::AnswerDelta { text } => log.told.push_str(text),
            Event::AnswerRestarted => log.told.clear(),
            Event::Completed { turn } => {
                log.answer = turn.answer.as_ref().map(|answer| answer.text.clone());
            }
            Event::Failed { error } if error.kind != FailureKind::UnprocessableInput => {
                log.failed_at = error.stage.map(|stage| stage.to_string());
            }
            _ => {}
        }
    }
    log
}

fn entry(record: &Record) -> Entry {
    let event = serde_json::to_value(&record.event).unwrap_or_default();
    let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
    Entry {
        number: record.sequence_number,
        event: text("type"),
        of: match &event["stage"] {
            Value::String(stage) => stage.clone(),
            _ => String::new(),
        },
    }
}

async fn turns(world: &World, conversation: &str) -> anyhow::Result<Vec<Turn>> {
    asked("a conversation", || world.doors.turns(conversation)).await
}

/// Asks until there is an answer: on a busy machine the first one may be late.
async fn asked<T, E, F>(what: &str, mut ask: impl FnMut() -> F) -> anyhow::Result<T>
where
    F: Future<Output = Result<T, E>>,
    E: std::fmt::Debug,
{
    let mut backoff = Backoff::between(Duration::from_millis(100), Duration::from_secs(1));
    let mut last = None;
    for _ in 0..TRIES {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) => last = Some(error),
        }
        backoff.wait().await;
    }
    anyhow::bail!("{what} cannot be read: {last:?}")
}

#[cfg(test)]
mod tests {
    use common::{
        pipeline::{Route, Stage},
        testing::fixtures,
        time::UnixMillis,
        turn::Turn as CommonTurn,
    };

    use super::*;

    fn records(events: Vec<Event>) -> Vec<Record> {
        let numbered = (1..).zip(events);
        let record = |(sequence_number, event)| Record {
            sequence_number,
            at: UnixMillis(0),
            event,
        };
        numbered.map(record).collect()
    }

    #[test]
    fn a_log_is_told_by_the_names_that_callers_hear() {
        let answer = fixtures::answer("Satu. Dua.");
        let turn = CommonTurn {
            answer: Some(answer),
            ..fixtures::text_turn("apa?")
        };
        let delta = |text: &str| Event::AnswerDelta { text: text.into() };
        let log = log_of(&records(vec![
            Event::Accepted {
                job: fixtures::job(Route::Text),
            },
            delta("Nol."),
            Event::AnswerRestarted,
            delta("Satu. "),
            delta("Dua."),
            Event::StageCompleted {
                stage: Stage::Rag,
                duration_ms: 1.0,
                queued_ms: 1.0,
            },
            Event::Completed {
                turn: Box::new(turn),
            },
        ]));
        assert_eq!(log.told, "Satu. Dua.");
        assert_eq!(log.answer.as_deref(), Some("Satu. Dua."));
        assert_eq!(log.callback, None);
        let completed = &log.entries[5];
        assert_eq!(
            (completed.number, completed.event.as_str()),
            (6, "stage.completed")
        );
        assert_eq!(completed.of, "rag");
        assert_eq!(
            log.outcome(),
            Some(super::super::ledger::Outcome::Succeeded)
        );
    }
}
