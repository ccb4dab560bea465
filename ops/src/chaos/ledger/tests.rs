//! Each promise, broken in each way.

use super::*;

fn log(events: &[&str]) -> Log {
    let entries = (1..).zip(events).map(|(number, event)| {
        let (event, of) = event.split_once(' ').unwrap_or((event, ""));
        Entry {
            number,
            event: event.to_owned(),
            of: of.to_owned(),
        }
    });
    Log {
        entries: entries.collect(),
        ..Log::default()
    }
}

const WELL: [&str; 4] = [
    "job.accepted",
    "stage.started rag",
    "stage.completed rag",
    "job.completed",
];

fn turn(job: &str) -> Turn {
    Turn {
        job: job.into(),
        answer: "Satu.".into(),
    }
}

fn queue(name: &str, messages: u64) -> Queue {
    Queue {
        name: name.into(),
        messages,
    }
}

/// Two jobs of one conversation: `a` streamed and succeeded, `b` with a
/// callback and failed.
fn well() -> Evidence {
    let order = |job: &str, heard| Order {
        name: format!("order of {job}"),
        conversation: "c".into(),
        jobs: [job.to_owned()].into(),
        heard: Some(heard),
        ..Order::default()
    };
    let heard = (1..).zip(WELL.map(|it| it.split(' ').next().unwrap().to_owned()));
    let told = Log {
        callback: Some("tells-b".into()),
        failed_at: Some("rag".into()),
        ..log(&["job.accepted", "stage.started rag", "job.failed"])
    };
    let answered = Log {
        told: "Satu.".into(),
        answer: Some("Satu.".into()),
        ..log(&WELL)
    };
    let jobs = [
        ("a", answered),
        ("b", told),
        ("tells-b", log(&["job.accepted", "job.completed"])),
    ];
    Evidence {
        orders: vec![
            Order {
                stream: Some(heard.collect()),
                ..order("a", Outcome::Succeeded)
            },
            Order {
                callback: true,
                ..order("b", Outcome::Failed)
            },
        ],
        logs: jobs.map(|(job, log)| (job.to_owned(), log)).into(),
        conversations: [("c".to_owned(), vec![turn("a")])].into(),
        letters: vec![Letter {
            id: "tells-b".into(),
            job: "b".into(),
            outcome: Some(Outcome::Failed),
        }],
        queues: vec![
            queue("q.rag", 0),
            queue("q.rag.retry.1s", 0),
            queue("q.rag.dead", 1),
        ],
        undone: Vec::new(),
        misbehaviours: Vec::new(),
    }
}

#[test]
fn what_went_well_is_clean_and_counted() {
    let balance = balance(&well());
    assert!(balance.is_clean(), "{balance:?}");
    assert_eq!((balance.orders, balance.accepted), (2, 2));
    let ended = [(Outcome::Succeeded, 1), (Outcome::Failed, 1)];
    assert_eq!(balance.ended, ended.into());
    assert_eq!(
        (balance.streams, balance.callbacks, balance.letters),
        (1, 1, 1)
    );
    assert_eq!((balance.turns, balance.dead_letters), (1, 1));
}

#[test]
fn an_empty_run_is_clean() {
    assert!(balance(&Evidence::default()).is_clean());
}

/// What happens to the evidence.
type Harm = fn(&mut Evidence);

fn a(evidence: &mut Evidence) -> &mut Order {
    &mut evidence.orders[0]
}

fn log_of<'a>(evidence: &'a mut Evidence, job: &str) -> &'a mut Log {
    evidence.logs.get_mut(job).unwrap()
}

fn turns(evidence: &mut Evidence) -> &mut Vec<Turn> {
    evidence.conversations.get_mut("c").unwrap()
}

#[test]
fn each_broken_promise_is_named_with_what_it_was_broken_for() {
    let cases: &[(&str, Harm, Promise, &str)] = &[
        (
            "never accepted",
            |it| a(it).jobs.clear(),
            Promise::Accepted,
            "order of a",
        ),
        (
            "accepted twice",
            |it| {
                a(it).jobs.insert("z".into());
            },
            Promise::Accepted,
            "order of a",
        ),
        (
            "without a log",
            |it| {
                it.logs.remove("a");
            },
            Promise::Ended,
            "a",
        ),
        (
            "without an end",
            |it| {
                log_of(it, "a").entries.pop();
                a(it).stream = None;
                a(it).heard = None;
            },
            Promise::Ended,
            "a",
        ),
        (
            "never heard of",
            |it| a(it).heard = None,
            Promise::Ended,
            "a",
        ),
        (
            "heard of otherwise",
            |it| a(it).heard = Some(Outcome::Cancelled),
            Promise::Ended,
            "a",
        ),
        (
            "left lying until its deadline",
            |it| {
                *log_of(it, "a") = log(&["job.accepted", "job.expired"]);
                *a(it) = Order {
                    heard: Some(Outcome::Expired),
                    stream: None,
                    ..a(it).clone()
                };
            },
            Promise::Ended,
            "a",
        ),
        (
            "two ends",
            |it| {
                *log_of(it, "b") = Log {
                    callback: Some("tells-b".into()),
                    failed_at: Some("rag".into()),
                    ..log(&["job.accepted", "job.failed", "job.failed"])
                }
            },
            Promise::OneEnd,
            "b",
        ),
        (
            "something after the end",
            |it| {
                *log_of(it, "tells-b") =
                    log(&["job.accepted", "job.completed", "stage.started webhook"])
            },
            Promise::OneEnd,
            "tells-b",
        ),
        (
            "a gap in the numbers",
            |it| log_of(it, "tells-b").entries[1].number = 3,
            Promise::Log,
            "tells-b",
        ),
        (
            "a stage completed twice",
            |it| {
                let twice = [
                    "job.accepted",
                    "stage.completed webhook",
                    "stage.completed webhook",
                    "job.completed",
                ];
                *log_of(it, "tells-b") = log(&twice);
            },
            Promise::Log,
            "tells-b",
        ),
        (
            "other words told than answered",
            |it| {
                log_of(it, "a").told = "Satu. Satu. Dua.".into();
                log_of(it, "a").answer = Some("Satu. Dua.".into());
                turns(it)[0].answer = "Satu. Dua.".into();
            },
            Promise::Log,
            "a",
        ),
        (
            "a turn twice",
            |it| turns(it).push(turn("a")),
            Promise::Turns,
            "a",
        ),
        (
            "a turn of nobody's",
            |it| turns(it).push(turn("z")),
            Promise::Turns,
            "z",
        ),
        ("no turn", |it| turns(it).clear(), Promise::Turns, "a"),
        (
            "another answer in the conversation",
            |it| turns(it)[0].answer = "Lain.".into(),
            Promise::Turns,
            "a",
        ),
        (
            "no conversation",
            |it| it.conversations.clear(),
            Promise::Turns,
            "a",
        ),
        (
            "an event missed in a stream",
            |it| {
                a(it).stream.as_mut().unwrap().remove(1);
            },
            Promise::Stream,
            "a",
        ),
        (
            "an event heard twice in a stream",
            |it| {
                let stream = a(it).stream.as_mut().unwrap();
                stream.insert(1, stream[0].clone());
            },
            Promise::Stream,
            "a",
        ),
        ("no letter", |it| it.letters.clear(), Promise::Callback, "b"),
        (
            "a letter under another name",
            |it| it.letters[0].id = "z".into(),
            Promise::Callback,
            "b",
        ),
        (
            "a letter with another end",
            |it| it.letters[0].outcome = Some(Outcome::Succeeded),
            Promise::Callback,
            "b",
        ),
        (
            "a letter that nobody asked for",
            |it| {
                it.letters.push(Letter {
                    id: "y".into(),
                    job: "a".into(),
                    outcome: Some(Outcome::Succeeded),
                });
            },
            Promise::Callback,
            "a",
        ),
        (
            "a callback that does not end",
            |it| *log_of(it, "tells-b") = log(&["job.accepted"]),
            Promise::Callback,
            "b",
        ),
        (
            "a message left in a work queue",
            |it| it.queues[0].messages = 2,
            Promise::Queues,
            "q.rag",
        ),
        (
            "a message left in a retry queue",
            |it| it.queues[1].messages = 1,
            Promise::Queues,
            "q.rag.retry.1s",
        ),
        (
            "something that was promised",
            |it| it.undone.push("turns:default:c".into()),
            Promise::Queues,
            "turns:default:c",
        ),
        (
            "a dead letter of no failed job",
            |it| it.queues.push(queue("q.tts.dead", 1)),
            Promise::DeadLetters,
            "q.tts.dead",
        ),
        (
            "a failed job without a dead letter",
            |it| it.queues[2].messages = 0,
            Promise::DeadLetters,
            "q.rag.dead",
        ),
        (
            "a program that ended by itself",
            |it| it.misbehaviours.push("rag-1 ended by itself".into()),
            Promise::Behaviour,
            "",
        ),
    ];
    for (case, harm, promise, of) in cases {
        let mut evidence = well();
        harm(&mut evidence);
        let balance = balance(&evidence);
        let named = balance.violations.iter();
        let named: Vec<_> = named.map(|it| (it.promise, it.of.as_str())).collect();
        assert!(named.contains(&(*promise, of)), "{case}: {named:?}");
        let others = named.iter().filter(|it| it.0 != *promise);
        let allowed: &[Promise] = match *promise {
            // What is not known of as accepted belongs to nobody.
            Promise::Accepted => &[Promise::Turns],
            // Who has no log has no stream of it either.
            Promise::Ended => &[Promise::Stream, Promise::Turns],
            _ => &[],
        };
        let unexpected: Vec<_> = others.filter(|it| !allowed.contains(&it.0)).collect();
        assert!(unexpected.is_empty(), "{case}: {unexpected:?}");
        assert!(!balance.is_clean());
    }
}

#[test]
fn a_letter_may_come_twice_and_a_cancelled_job_may_have_had_its_turn() {
    let mut evidence = well();
    evidence.letters.push(evidence.letters[0].clone());
    *log_of(&mut evidence, "a") = log(&["job.accepted", "job.cancelled"]);
    *a(&mut evidence) = Order {
        heard: Some(Outcome::Cancelled),
        stream: None,
        ..evidence.orders[0].clone()
    };
    let balance = balance(&evidence);
    assert!(balance.is_clean(), "{balance:?}");
}
