//! The queues at the broker: every name and argument, and nothing else knows
//! them.
//!
//! Per stage, with `prefix` from configuration:
//!
//! | queue | for |
//! |---|---|
//! | `{prefix}.{stage}` | the work for which somebody waits |
//! | `{prefix}.{stage}.batch` | the other work |
//! | `{work queue}.retry.{n}s` | waits `n` seconds, then goes back to the work queue |
//! | `{prefix}.{stage}.dead` | dead letters of both, until an operator decides |
//!
//! Two queues, not one with priorities: before 4.0 RabbitMQ's quorum queues have
//! none, and with a bound of its own neither can keep the other's messages out.

use std::time::Duration;

use strum::{Display, EnumString};

use crate::{pipeline::Stage, priority::Priority, retry::delays_of, time::whole_millis};

/// The type of the queues (RabbitMQ `x-queue-type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString)]
#[strum(serialize_all = "lowercase")]
pub enum QueueKind {
    /// Replicated where RabbitMQ is a cluster; bounded, with a crash guard.
    Quorum,
    /// For a single node. Not bounded: RabbitMQ drops a message that comes back
    /// from a retry queue to a full classic queue, and losing none matters more.
    Classic,
}

#[derive(Clone, Debug)]
pub struct Topology {
    pub prefix: String,
    pub kind: QueueKind,
    /// Messages in a work queue before it refuses more (quorum queues only).
    pub max_length: u32,
    /// How long a dead letter is kept, as its job is. Goes with each letter, not with its queue: it may change.
    pub dead_letters_kept: Duration,
}

/// How often a quorum queue hands out a message that is never settled before it
/// becomes a dead letter. Said explicitly: the broker's own default is none
/// before RabbitMQ 4.0 and 20 after.
const DELIVERY_LIMIT: i64 = 20;

/// How often an operator may look at a dead letter: each look hands it out and
/// takes it back. From RabbitMQ 4.0 on a quorum queue that does not say
/// otherwise would drop it after 20.
const LOOKS_AT_A_DEAD_LETTER: i64 = 1_000_000_000;

/// Dead letters of one stage.
const MOST_DEAD_LETTERS: i64 = 10_000;

/// A queue as it is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueDeclaration {
    pub name: String,
    pub arguments: Vec<(&'static str, Argument)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Display)]
pub enum Argument {
    #[strum(to_string = "{0:?}")]
    Text(String),
    #[strum(to_string = "{0}")]
    Number(i64),
}

impl Topology {
    pub fn work_queue(&self, stage: Stage, priority: Priority) -> String {
        match priority {
            Priority::Interactive => format!("{}.{stage}", self.prefix),
            Priority::Batch => format!("{}.{stage}.batch", self.prefix),
        }
    }

    pub fn retry_queue(&self, stage: Stage, priority: Priority, delay: Duration) -> String {
        let work = self.work_queue(stage, priority);
        format!("{work}.retry.{}s", delay.as_secs())
    }

    pub fn dead_queue(&self, stage: Stage) -> String {
        format!("{}.{stage}.dead", self.prefix)
    }

    /// Every queue of every stage.
    pub fn declarations(&self) -> Vec<QueueDeclaration> {
        Stage::ALL
            .iter()
            .flat_map(|stage| self.declarations_of(*stage))
            .collect()
    }

    fn declarations_of(&self, stage: Stage) -> Vec<QueueDeclaration> {
        let mut all = vec![self.dead(stage)];
        for priority in Priority::ALL {
            all.push(self.work(stage, *priority));
            let delays = delays_of(stage).iter();
            all.extend(delays.map(|delay| self.retry(stage, *priority, *delay)));
        }
        all
    }

    fn work(&self, stage: Stage, priority: Priority) -> QueueDeclaration {
        let mut arguments = self.kind_argument();
        if self.kind == QueueKind::Quorum {
            arguments.push(("x-max-length", Argument::Number(self.max_length.into())));
            arguments.push(("x-delivery-limit", Argument::Number(DELIVERY_LIMIT)));
            arguments.extend(self.dead_letters_to(self.dead_queue(stage)));
        }
        QueueDeclaration {
            name: self.work_queue(stage, priority),
            arguments,
        }
    }

    fn retry(&self, stage: Stage, priority: Priority, delay: Duration) -> QueueDeclaration {
        let mut arguments = self.kind_argument();
        let ttl = i64::try_from(whole_millis(delay)).unwrap_or(i64::MAX);
        arguments.push(("x-message-ttl", Argument::Number(ttl)));
        arguments.extend(self.dead_letters_to(self.work_queue(stage, priority)));
        QueueDeclaration {
            name: self.retry_queue(stage, priority, delay),
            arguments,
        }
    }

    /// When it is full, the oldest letter goes.
    fn dead(&self, stage: Stage) -> QueueDeclaration {
        let mut arguments = self.kind_argument();
        arguments.push(("x-max-length", Argument::Number(MOST_DEAD_LETTERS)));
        if self.kind == QueueKind::Quorum {
            let limit = Argument::Number(LOOKS_AT_A_DEAD_LETTER);
            arguments.push(("x-delivery-limit", limit));
        }
        QueueDeclaration {
            name: self.dead_queue(stage),
            arguments,
        }
    }

    fn kind_argument(&self) -> Vec<(&'static str, Argument)> {
        vec![("x-queue-type", Argument::Text(self.kind.to_string()))]
    }

    /// Moves what expires or is refused to `queue`. A quorum queue does so at
    /// least once only together with both of the last two arguments.
    fn dead_letters_to(&self, queue: String) -> Vec<(&'static str, Argument)> {
        let text = |it: &str| Argument::Text(it.to_owned());
        let mut arguments = vec![
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", Argument::Text(queue)),
        ];
        if self.kind == QueueKind::Quorum {
            arguments.push(("x-dead-letter-strategy", text("at-least-once")));
            arguments.push(("x-overflow", text("reject-publish")));
        }
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topology(kind: QueueKind) -> Topology {
        Topology {
            prefix: "itb".into(),
            kind,
            max_length: 10_000,
            dead_letters_kept: Duration::from_secs(60),
        }
    }

    /// One line a queue, as the golden files have them.
    fn written(kind: QueueKind) -> String {
        let line = |queue: QueueDeclaration| {
            let arguments = queue.arguments.iter();
            let arguments = arguments.map(|(name, value)| format!(" {name}={value}"));
            format!("{}:{}\n", queue.name, arguments.collect::<String>())
        };
        topology(kind)
            .declarations_of(Stage::Rag)
            .into_iter()
            .map(line)
            .collect()
    }

    /// Existing queues cannot be redeclared with other arguments: a change here
    /// stops every deployed process until an operator has acted.
    #[test]
    fn the_declared_queues_are_those_of_the_golden_files() {
        for (kind, golden) in [
            (
                QueueKind::Quorum,
                include_str!("testdata/topology-quorum.txt"),
            ),
            (
                QueueKind::Classic,
                include_str!("testdata/topology-classic.txt"),
            ),
        ] {
            let written = written(kind);
            assert_eq!(written, golden, "{kind}:\n{written}");
        }
    }
}
