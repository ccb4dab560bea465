//! The ledger: compares what was accepted with what became of it.
//!
//! Pure: it is given all that callers, stores and receivers know, and names
//! each promise that was broken, with the jobs it was broken for.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use books::Books;

mod books;

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
    /// What the stores hold that somebody was still to do.
    pub undone: Vec<String>,
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
    /// What was answered, as the conversation has it.
    pub answer: String,
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
    #[strum(
        to_string = "each succeeded job's turn is in its conversation once, as its caller got it"
    )]
    Turns,
    #[strum(to_string = "a stream is the log")]
    Stream,
    #[strum(to_string = "each end was told to its address, under one name")]
    Callback,
    #[strum(to_string = "no message is left behind, nor anything else to do")]
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
    let violations = Books::audit(evidence);
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
