//! Callers: each asks for what it was given to ask for, repeats itself until it
//! is understood, and writes down what it was told.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::retry::Backoff;
use serde_json::Value;
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Duration, Instant, sleep_until},
};

use super::{
    ledger::{self, Outcome},
    orders::{Conversation, Manner, Order},
};
use doors::{Doors, Refusal};
use events::Listening;

pub mod doors;
mod events;

/// Conversations under way at the same time.
const AT_A_TIME: usize = 300;

/// What callers wrote down so far; shared, since they may be stopped.
#[derive(Default)]
pub struct Notes {
    orders: Mutex<Vec<ledger::Order>>,
    oddities: Mutex<Vec<String>>,
}

impl Notes {
    fn begin(&self, conversation: &str, order: &Order) -> usize {
        let mut orders = lock(&self.orders);
        orders.push(ledger::Order {
            name: order.name.clone(),
            conversation: conversation.to_owned(),
            callback: order.callback,
            ..ledger::Order::default()
        });
        orders.len() - 1
    }

    fn write(&self, place: usize, what: impl FnOnce(&mut ledger::Order)) {
        what(&mut lock(&self.orders)[place]);
    }

    /// Something that no caller should see.
    fn odd(&self, what: String) {
        lock(&self.oddities).push(what);
    }

    pub fn orders(&self) -> Vec<ledger::Order> {
        lock(&self.orders).clone()
    }

    pub fn oddities(&self) -> Vec<String> {
        lock(&self.oddities).clone()
    }

    pub fn progress(&self) -> Progress {
        let orders = lock(&self.orders);
        Progress {
            begun: orders.len(),
            accepted: orders.iter().filter(|it| !it.jobs.is_empty()).count(),
            ended: orders.iter().filter(|it| it.heard.is_some()).count(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub begun: usize,
    pub accepted: usize,
    pub ended: usize,
}

/// Nothing panics while holding it that would leave half a note.
fn lock<T>(notes: &Mutex<T>) -> MutexGuard<'_, T> {
    notes.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends the callers in, `rate` orders a second, and returns when the last has
/// come in; the set holds those still under way.
pub async fn send(
    conversations: Vec<Conversation>,
    rate: f64,
    doors: &Arc<Doors>,
    notes: &Arc<Notes>,
) -> JoinSet<()> {
    let begun = Instant::now();
    let room = Arc::new(Semaphore::new(AT_A_TIME));
    let mut under_way = JoinSet::new();
    let mut asked = 0_u32;
    for conversation in conversations {
        sleep_until(begun + Duration::from_secs_f64(f64::from(asked) / rate)).await;
        asked += u32::try_from(conversation.orders.len()).unwrap_or(0);
        let permit = Arc::clone(&room).acquire_owned().await;
        let (doors, notes) = (Arc::clone(doors), Arc::clone(notes));
        under_way.spawn(async move {
            converse(&conversation, &doors, &notes).await;
            drop(permit);
        });
    }
    under_way
}

async fn converse(conversation: &Conversation, doors: &Doors, notes: &Notes) {
    let callers = conversation.orders.iter().map(|order| {
        let caller = Caller {
            conversation: &conversation.name,
            order,
            doors,
            notes,
            place: notes.begin(&conversation.name, order),
        };
        async move { caller.ask().await }
    });
    if conversation.at_once {
        futures::future::join_all(callers).await;
    } else {
        for caller in callers {
            caller.await;
        }
    }
}

/// One caller with one order.
struct Caller<'a> {
    conversation: &'a str,
    order: &'a Order,
    doors: &'a Doors,
    notes: &'a Notes,
    place: usize,
}

/// What came of asking.
enum Asked {
    Accepted(String),
    /// Accepted, and the line stays open.
    Listening(Listening),
}

impl Caller<'_> {
    async fn ask(&self) {
        match self.submitted().await {
            Asked::Listening(listening) => self.listen(listening).await,
            Asked::Accepted(job) => {
                self.accepted(&job);
                if let Manner::CalledOff(after) = self.order.manner {
                    tokio::time::sleep(after).await;
                    self.call_off(&job).await;
                }
                self.follow(&job).await;
            }
        }
    }

    fn accepted(&self, job: &str) {
        self.notes.write(self.place, |it| {
            it.jobs.insert(job.to_owned());
        });
    }

    fn heard(&self, outcome: Outcome) {
        self.notes.write(self.place, |it| it.heard = Some(outcome));
    }

    /// Repeats the request, with the same key, until it is accepted.
    async fn submitted(&self) -> Asked {
        let mut backoff = backoff();
        loop {
            match self.submit_once().await {
                Ok(asked) => return asked,
                Err(refusal) => self.note(refusal),
            }
            backoff.wait().await;
        }
    }

    async fn submit_once(&self) -> Result<Asked, Refusal> {
        let answer = self.doors.submit(self.conversation, self.order).await?;
        if self.order.manner == Manner::Stream && answer.status() == 200 {
            return Ok(Asked::Listening(Listening::to(answer)?));
        }
        let body = doors::body(answer).await;
        let job = match &body {
            Ok(body) => body["job_id"].as_str(),
            Err(Refusal::Problem { job, .. }) => job.as_deref(),
            Err(_) => None,
        };
        match (job, &body) {
            (Some(job), Ok(_)) => Ok(Asked::Accepted(job.to_owned())),
            // That of an earlier try, if it came to be one.
            (Some(job), Err(_)) if self.exists(job).await? => Ok(Asked::Accepted(job.to_owned())),
            _ => Err(body
                .err()
                .unwrap_or(Refusal::Odd("accepted without a name".into()))),
        }
    }

    /// Whether `job` was accepted: it is known, and not as one of which nothing
    /// came.
    async fn exists(&self, job: &str) -> Result<bool, Refusal> {
        match self.doors.job(job, 0).await {
            Ok(view) => Ok(view["error"]["code"] != "not_queued"),
            Err(Refusal::Problem { status: 404, .. }) => Ok(false),
            Err(other) => Err(other),
        }
    }

    async fn call_off(&self, job: &str) {
        let mut backoff = backoff();
        while let Err(refusal) = self.doors.call_off(job).await {
            self.note(refusal);
            backoff.wait().await;
        }
    }

    /// Asks after the job until it has ended.
    async fn follow(&self, job: &str) {
        let mut backoff = backoff();
        loop {
            match self.doors.job(job, 5).await {
                Ok(view) => {
                    if let Some(outcome) = outcome(&view) {
                        return self.heard(outcome);
                    }
                    backoff.reset();
                }
                Err(refusal) => {
                    self.note_of(job, refusal);
                    backoff.wait().await;
                }
            }
        }
    }

    /// Listens until the end, at another door whenever the line breaks.
    async fn listen(&self, mut listening: Listening) {
        let job = listening.job.clone();
        self.accepted(&job);
        self.notes
            .write(self.place, |it| it.stream = Some(Vec::new()));
        let mut backoff = backoff();
        let mut last = 0;
        loop {
            while let Some((number, event)) = listening.next().await {
                let outcome = Outcome::of_event(&event);
                last = number;
                backoff.reset();
                self.notes.write(self.place, |it| {
                    it.stream.get_or_insert_default().push((number, event));
                    it.heard = it.heard.or(outcome);
                });
                if outcome.is_some() {
                    return;
                }
            }
            listening = loop {
                backoff.wait().await;
                match self.doors.events(&job, last).await.and_then(Listening::to) {
                    Ok(listening) => break listening,
                    Err(refusal) => self.note_of(&job, refusal),
                }
            };
        }
    }

    fn note(&self, refusal: Refusal) {
        if let Some(odd) = refusal.oddity() {
            self.notes.odd(format!("{}: {odd}", self.order.name));
        }
    }

    /// About a job that was accepted: it is to be known.
    fn note_of(&self, job: &str, refusal: Refusal) {
        match refusal {
            Refusal::Problem { status: 404, .. } => {
                self.notes
                    .odd(format!("{job} was accepted, and is not known"));
            }
            other => self.note(other),
        }
    }
}

fn outcome(view: &Value) -> Option<Outcome> {
    Outcome::of_status(view["status"].as_str()?)
}

fn backoff() -> Backoff {
    Backoff::between(Duration::from_millis(200), Duration::from_secs(2))
}
