//! Goes through the evidence, promise by promise.

use std::collections::{BTreeMap, BTreeSet};

use common::job::store::{epoch_of, first_number};

use super::{Evidence, Log, Order, Outcome, Promise, Queue, Violation, outcome_of, stage_of_dead};

/// Events that a job's log holds once at most, or once for each `of`.
const ONCE: [&str; 5] = [
    "job.accepted",
    "transcript",
    "emotion",
    "retrieved",
    "stage.completed",
];

pub struct Books<'a> {
    evidence: &'a Evidence,
    violations: Vec<Violation>,
}

impl<'a> Books<'a> {
    /// Every promise that was broken.
    pub fn audit(evidence: &'a Evidence) -> Vec<Violation> {
        let mut books = Self {
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
        for undone in &evidence.undone {
            books.broken(
                Promise::Queues,
                undone,
                "it was promised, and nobody did it",
            );
        }
        for misbehaviour in &evidence.misbehaviours {
            books.broken(Promise::Behaviour, "", misbehaviour.clone());
        }
        books.violations
    }

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
        // From 1, or as a log begins that was lost.
        let first = log.entries.first().map_or(1, |entry| entry.number);
        for (at, entry) in (first_number(epoch_of(first))..).zip(&log.entries) {
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
                let given = evidence
                    .logs
                    .get(&turn.job)
                    .and_then(|it| it.answer.as_ref());
                if given.is_some_and(|given| *given != turn.answer) {
                    let detail = format!("conversation {name} has another answer than its caller");
                    self.broken(Promise::Turns, &turn.job, detail);
                }
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
            // A job that could not be queued has failed, and its caller does not
            // know of it.
            let never_accepted = letter.outcome == Some(Outcome::Failed);
            if !asked.contains(&letter.job) && !never_accepted {
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
