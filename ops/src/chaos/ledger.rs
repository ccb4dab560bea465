//! The ledger: compares what was accepted with what became of it.
//!
//! Pure: it is given all that callers, stores and receivers know, and names
//! each promise that was broken, with the jobs it was broken for.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// All that is known at the end.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// What the callers asked for, and what they were told.
    pub orders: Vec<Order>,
    /// The reply logs in the store, by job; those of callbacks too.
    pub logs: BTreeMap<String, Log>,
    /// By the name of the conversation.
    pub conversations: BTreeMap<String, Vec<Turn>>,
    /// What the receiver of callbacks was told, in the order it came.
    pub letters: Vec<Letter>,
    pub queues: Vec<Queue>,
    /// Answers that no caller should ever get, and programs that did not end
    /// as they should have.
    pub misbehaviours: Vec<String>,
}

/// One request of a caller, which it repeats until it is answered.
#[derive(Clone, Debug, Default)]
pub struct Order {
    pub name: String,
    pub conversation: String,
    /// The jobs that it was told were accepted; more than one is a fault.
    pub jobs: BTreeSet<String>,
    /// How the caller heard that it ended.
    pub heard: Option<Outcome>,
    /// The numbers and names of the events, where it listened to a stream.
    pub stream: Option<Vec<(u64, String)>>,
    /// Asked to be told at an address.
    pub callback: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Succeeded,
    Failed,
    Cancelled,
    Expired,
}

/// The reply log of a job, as it is in the store.
#[derive(Clone, Debug, Default)]
pub struct Log {
    pub entries: Vec<Entry>,
    /// The job that tells of this one's end.
    pub callback: Option<String>,
    /// The answer by the pieces in which it was told.
    pub told: String,
    /// The answer of its result, where there is one.
    pub answer: Option<String>,
    /// The stage at which it failed, unless by its own input: then there is
    /// nothing for an operator to do.
    pub failed_at: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub number: u64,
    /// The name of the event.
    pub event: String,
    /// Tells events of one name apart that may each be there once.
    pub of: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    pub job: String,
}

/// A callback as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The header `webhook-id`.
    pub id: String,
    pub job: String,
    pub outcome: Option<Outcome>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    pub name: String,
    pub messages: u64,
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    pub promise: Promise,
    /// The job, order, conversation or queue.
    pub of: String,
    pub detail: String,
}

#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    strum::Display,
    strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
pub enum Promise {
    #[strum(to_string = "every request was accepted in the end, as one job")]
    Accepted,
    #[strum(to_string = "every accepted job has ended, and its caller knows how")]
    Ended,
    #[strum(to_string = "no job has two ends, and nothing follows an end")]
    OneEnd,
    #[strum(to_string = "events are numbered without gaps, and told once")]
    Log,
    #[strum(to_string = "each succeeded job's turn is in its conversation once")]
    Turns,
    #[strum(to_string = "a stream is the log")]
    Stream,
    #[strum(to_string = "each end was told to its address, under one name")]
    Callback,
    #[strum(to_string = "no message is left behind")]
    Queues,
    #[strum(to_string = "failed jobs have dead letters, and no others have")]
    DeadLetters,
    #[strum(to_string = "programs and front doors behave")]
    Behaviour,
}

/// What the books say.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Balance {
    pub orders: usize,
    pub accepted: usize,
    pub ended: BTreeMap<Outcome, usize>,
    pub streams: usize,
    pub callbacks: usize,
    pub letters: usize,
    pub turns: usize,
    pub dead_letters: u64,
    pub violations: Vec<Violation>,
}

impl Balance {
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    pub fn broken(&self, promise: Promise) -> usize {
        let broken = self.violations.iter();
        broken.filter(|it| it.promise == promise).count()
    }
}

/// Draws the balance.
pub fn balance(evidence: &Evidence) -> Balance {
    let mut books = Books {
        evidence,
        violations: Vec::new(),
    };
    for order in &evidence.orders {
        books.order(order);
    }
    for (job, log) in &evidence.logs {
        books.log(job, log);
    }
    books.conversations();
    books.letters();
    books.queues();
    for misbehaviour in &evidence.misbehaviours {
        books.broken(Promise::Behaviour, "", misbehaviour.clone());
    }
    let violations = books.violations;
    let mut ended = BTreeMap::new();
    for order in &evidence.orders {
        if let Some(outcome) = outcome_of(evidence, order) {
            *ended.entry(outcome).or_default() += 1;
        }
    }
    let orders = || evidence.orders.iter();
    Balance {
        orders: evidence.orders.len(),
        accepted: orders().filter(|it| !it.jobs.is_empty()).count(),
        ended,
        streams: orders().filter(|it| it.stream.is_some()).count(),
        callbacks: orders().filter(|it| it.callback).count(),
        letters: evidence.letters.len(),
        turns: evidence.conversations.values().map(Vec::len).sum(),
        dead_letters: evidence.queues.iter().filter(is_dead).map(count).sum(),
        violations,
    }
}

/// By the log, which is the job.
fn outcome_of(evidence: &Evidence, order: &Order) -> Option<Outcome> {
    let job = order.jobs.first()?;
    evidence.logs.get(job)?.outcome()
}

impl Log {
    pub fn outcome(&self) -> Option<Outcome> {
        self.entries.iter().find_map(|it| it.ends())
    }
}

impl Entry {
    fn ends(&self) -> Option<Outcome> {
        Outcome::of_event(&self.event)
    }
}

impl Outcome {
    /// Of the event with this name, if it ends a job.
    pub fn of_event(name: &str) -> Option<Self> {
        Some(match name {
            "job.completed" => Self::Succeeded,
            "job.failed" => Self::Failed,
            "job.cancelled" => Self::Cancelled,
            "job.expired" => Self::Expired,
            _ => return None,
        })
    }

    /// By the word that the front door has for it.
    pub fn of_status(word: &str) -> Option<Self> {
        Some(match word {
            "succeeded" => Self::Succeeded,
            "failed" => Self::Failed,
            "cancelled" => Self::Cancelled,
            "expired" => Self::Expired,
            _ => return None,
        })
    }
}

/// Events that a job's log holds once at most, or once for each `of`.
const ONCE: [&str; 5] = [
    "job.accepted",
    "transcript",
    "emotion",
    "retrieved",
    "stage.completed",
];

struct Books<'a> {
    evidence: &'a Evidence,
    violations: Vec<Violation>,
}

impl Books<'_> {
    fn broken(&mut self, promise: Promise, of: &str, detail: impl Into<String>) {
        self.violations.push(Violation {
            promise,
            of: of.to_owned(),
            detail: detail.into(),
        });
    }

    fn order(&mut self, order: &Order) {
        let Some(job) = order.jobs.first() else {
            return self.broken(Promise::Accepted, &order.name, "it was never accepted");
        };
        if order.jobs.len() > 1 {
            let detail = format!("accepted as {:?}", order.jobs);
            self.broken(Promise::Accepted, &order.name, detail);
        }
        let Some(log) = self.evidence.logs.get(job) else {
            return self.broken(Promise::Ended, job, "accepted, and there is no log of it");
        };
        match (log.outcome(), order.heard) {
            (None, _) => {
                let last = log.entries.last().map_or("nothing", |it| &it.event);
                let detail = format!("it has no end; the last of it is {last}");
                self.broken(Promise::Ended, job, detail);
            }
            (Some(_), None) => self.broken(Promise::Ended, job, "its caller never heard its end"),
            (Some(end), Some(heard)) if end != heard => {
                let detail = format!("its caller heard {heard:?}, its log says {end:?}");
                self.broken(Promise::Ended, job, detail);
            }
            (Some(Outcome::Expired), _) => {
                self.broken(Promise::Ended, job, "it expired before its deadline");
            }
            _ => {}
        }
        if let Some(stream) = &order.stream {
            self.stream(job, log, stream);
        }
        if order.callback {
            self.callback(job, log);
        }
    }

    fn stream(&mut self, job: &str, log: &Log, heard: &[(u64, String)]) {
        let logged = log.entries.iter().map(|it| (it.number, it.event.clone()));
        let logged: Vec<_> = logged.collect();
        if logged == heard {
            return;
        }
        let mut numbers: Vec<u64> = heard.iter().map(|(number, _)| *number).collect();
        numbers.sort_unstable();
        let twice = numbers.windows(2).find(|pair| pair[0] == pair[1]);
        let detail = match twice {
            Some(pair) => format!("event {} was heard twice", pair[0]),
            None => format!("heard {} events of {}", heard.len(), logged.len()),
        };
        self.broken(Promise::Stream, job, detail);
    }

    fn log(&mut self, job: &str, log: &Log) {
        for (at, entry) in (1..).zip(&log.entries) {
            if entry.number != at {
                let detail = format!("number {} in place {at}", entry.number);
                self.broken(Promise::Log, job, detail);
                break;
            }
        }
        let mut seen = BTreeSet::new();
        for entry in &log.entries {
            let name = entry.event.as_str();
            if ONCE.contains(&name) && !seen.insert((name, entry.of.as_str())) {
                let detail = format!("{name} {} is told twice", entry.of);
                self.broken(Promise::Log, job, detail.replace("  ", " "));
            }
        }
        if let Some(answer) = &log.answer
            && !log.told.is_empty()
            && log.told.trim() != answer.trim()
        {
            self.broken(Promise::Log, job, "the pieces told are not the answer");
        }
        let ends = log.entries.iter().filter(|it| it.ends().is_some()).count();
        if ends > 1 {
            self.broken(Promise::OneEnd, job, format!("it has {ends} ends"));
        } else if ends == 1 && log.entries.last().is_some_and(|it| it.ends().is_none()) {
            self.broken(Promise::OneEnd, job, "something follows its end");
        }
    }

    fn conversations(&mut self) {
        let evidence = self.evidence;
        let mut expected: BTreeMap<&str, Vec<&Order>> = BTreeMap::new();
        for order in &evidence.orders {
            let orders = expected.entry(order.conversation.as_str()).or_default();
            orders.push(order);
        }
        for (name, orders) in expected {
            let none = Vec::new();
            let turns = evidence.conversations.get(name).unwrap_or(&none);
            let jobs: BTreeSet<&String> = orders.iter().flat_map(|it| &it.jobs).collect();
            let mut counted: BTreeMap<&String, usize> = BTreeMap::new();
            for turn in turns {
                *counted.entry(&turn.job).or_default() += 1;
            }
            for (job, count) in &counted {
                if !jobs.contains(job) {
                    let detail = format!(
                        "conversation {name} holds the turn of a job that nobody asked for"
                    );
                    self.broken(Promise::Turns, job, detail);
                }
                if *count > 1 {
                    let detail = format!("its turn is in conversation {name} {count} times");
                    self.broken(Promise::Turns, job, detail);
                }
            }
            for order in orders {
                let job = order.jobs.first().filter(|job| !counted.contains_key(job));
                if let Some(job) = job
                    && outcome_of(evidence, order) == Some(Outcome::Succeeded)
                {
                    let detail = format!("it succeeded, and conversation {name} lacks its turn");
                    self.broken(Promise::Turns, job, detail);
                }
            }
        }
    }

    fn callback(&mut self, job: &str, log: &Log) {
        let Some(name) = &log.callback else {
            return self.broken(Promise::Callback, job, "no job tells of its end");
        };
        let evidence = self.evidence;
        let telling = evidence.logs.get(name).and_then(Log::outcome);
        let Some(told) = telling else {
            let detail = format!("the job {name} that tells of its end has none");
            return self.broken(Promise::Callback, job, detail);
        };
        let letters: Vec<_> = evidence.letters.iter().filter(|it| it.job == job).collect();
        if letters.is_empty() && told == Outcome::Succeeded {
            self.broken(Promise::Callback, job, "its address heard nothing of it");
        } else if told != Outcome::Succeeded {
            let detail = format!("the job {name} that tells of its end has {told:?}");
            self.broken(Promise::Callback, job, detail);
        }
        if letters.iter().any(|it| it.id != *name) {
            self.broken(Promise::Callback, job, "it was told under another name");
        }
        if letters.iter().any(|it| it.outcome != log.outcome()) {
            self.broken(Promise::Callback, job, "another end was told than its own");
        }
    }

    fn letters(&mut self) {
        let evidence = self.evidence;
        let asked = evidence.orders.iter().filter(|it| it.callback);
        let asked: BTreeSet<&String> = asked.flat_map(|it| &it.jobs).collect();
        for letter in &evidence.letters {
            if !asked.contains(&letter.job) {
                self.broken(Promise::Callback, &letter.job, "told without being asked");
            }
        }
    }

    fn queues(&mut self) {
        let evidence = self.evidence;
        for queue in &evidence.queues {
            match stage_of_dead(queue) {
                Some(stage) => self.dead_letters(queue, stage),
                None if queue.messages > 0 => {
                    let detail = format!("{} messages are left", queue.messages);
                    self.broken(Promise::Queues, &queue.name, detail);
                }
                None => {}
            }
        }
    }

    /// Several sentences of one answer may each have one.
    fn dead_letters(&mut self, queue: &Queue, stage: &str) {
        let logs = self.evidence.logs.values();
        let failed = logs.filter(|log| log.failed_at.as_deref() == Some(stage));
        let failed = failed.count();
        let letters = usize::try_from(queue.messages).unwrap_or(usize::MAX);
        if letters < failed || (failed == 0 && letters > 0) {
            let detail = format!("{letters} dead letters, and {failed} jobs have failed there");
            self.broken(Promise::DeadLetters, &queue.name, detail);
        }
    }
}

fn is_dead(queue: &&Queue) -> bool {
    stage_of_dead(queue).is_some()
}

fn count(queue: &Queue) -> u64 {
    queue.messages
}

/// The stage whose dead letters are in `queue`.
fn stage_of_dead(queue: &Queue) -> Option<&str> {
    let name = queue.name.strip_suffix(".dead")?;
    name.rsplit('.').next()
}

#[cfg(test)]
mod tests;
