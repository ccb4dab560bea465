use super::*;
use crate::{
    pipeline::Route,
    reply::StageStarted,
    testing::fixtures::{job, log, text_turn},
};

fn kept_nowhere() -> crate::turn::Speech {
    let ticket = serde_json::json!({ "name": "a", "bytes": 1 });
    crate::turn::Speech {
        ticket: serde_json::from_value(ticket).unwrap(),
        duration_ms: 1,
        provider: "test".into(),
    }
}

fn started(attempt: u32) -> Event {
    Event::StageStarted(StageStarted {
        stage: Stage::Rag,
        attempt,
    })
}

#[test]
fn the_status_follows_from_the_last_thing_that_happened() {
    let accepted = Event::Accepted {
        job: job(Route::Text),
    };
    let completed = Event::Completed {
        turn: Box::new(text_turn("apa?")),
    };
    for (then, expected) in [
        (vec![], Status::Queued),
        (vec![started(1)], Status::Running),
        (vec![started(1), completed], Status::Succeeded),
        (vec![Event::Cancelled], Status::Cancelled),
        (vec![started(1), Event::Expired], Status::Expired),
    ] {
        let mut events = vec![accepted.clone()];
        events.extend(then);
        assert_eq!(JobView::of(&log(events)).unwrap().status(), expected);
    }
    assert_eq!(JobView::of(&log([])), None);
}

#[test]
fn a_stage_keeps_its_tries_and_times() {
    let events = vec![
        Event::Accepted {
            job: job(Route::Text),
        },
        started(1),
        started(2),
        Event::StageCompleted {
            stage: Stage::Rag,
            duration_ms: 1500.0,
            queued_ms: 2.5,
        },
    ];
    let view = JobView::of(&log(events)).unwrap();
    assert_eq!(view.stages.len(), 1);
    assert_eq!(view.stages[0].attempts, 2);
    let times = view.times_of(Stage::Rag).unwrap();
    assert_eq!(times.work, Duration::from_millis(1500));
    assert_eq!(times.queued, Duration::from_micros(2500));
}

fn retrying(attempt: u32) -> Event {
    Event::StageRetrying {
        stage: Stage::Rag,
        attempt,
        in_ms: 5_000,
        reason: "vendor_away".into(),
    }
}

fn failed() -> Event {
    let error = Failure {
        code: "vendor_gone".into(),
        message: "…".into(),
        kind: crate::reply::FailureKind::Unavailable,
        stage: Some(Stage::Rag),
    };
    Event::Failed { error }
}

/// The view of a job with these events, one a second from second 1.
fn view_of(events: Vec<Event>) -> JobView {
    let accepted = Event::Accepted {
        job: job(Route::Text),
    };
    let mut records = log(std::iter::once(accepted).chain(events));
    for record in &mut records {
        record.at = UnixMillis(1_000 * (record.sequence_number - 1));
    }
    JobView::of(&records).unwrap()
}

#[test]
fn a_stage_tells_why_its_tries_failed_and_when_the_next_is_due() {
    let stage = |events| view_of(events).stages.remove(0);
    let waiting = stage(vec![started(1), retrying(1)]);
    assert!(waiting.waits);
    assert_eq!(waiting.failures[0].reason, "vendor_away");
    assert_eq!(waiting.failures[0].next_at(), Some(UnixMillis(7_000)));
    let at_work = stage(vec![started(1), retrying(1), started(2)]);
    assert!(!at_work.waits);
    assert_eq!((at_work.attempts, at_work.failures.len()), (2, 1));
    let last = stage(vec![started(1), retrying(1), started(2), failed()]);
    let reasons: Vec<_> = last.failures.iter().map(|it| &*it.reason).collect();
    assert_eq!(reasons, ["vendor_away", "vendor_gone"]);
    assert_eq!(
        (last.failures[1].attempt, last.failures[1].next_at()),
        (2, None)
    );
}

#[test]
fn a_stage_has_the_status_that_its_job_leaves_it() {
    let completed = Event::StageCompleted {
        stage: Stage::Rag,
        duration_ms: 1.0,
        queued_ms: 1.0,
    };
    for (events, expected) in [
        (vec![started(1)], StageStatus::Running),
        (vec![started(1), retrying(1)], StageStatus::Retrying),
        (
            vec![started(1), completed, failed()],
            StageStatus::Completed,
        ),
        (vec![started(1), failed()], StageStatus::Failed),
        (vec![started(1), Event::Cancelled], StageStatus::Stopped),
    ] {
        let view = view_of(events);
        assert_eq!(view.status_of(&view.stages[0]), expected);
    }
}

#[test]
fn a_job_that_is_resumed_begins_its_tries_anew_and_remembers_why_they_failed() {
    let next = CorrelationId::new();
    let resumed = Event::Resumed(Resumption {
        deadline: UnixMillis(99_000),
        callback: Some(next),
    });
    let spoken = Event::StageStarted(StageStarted {
        stage: Stage::Tts,
        attempt: 3,
    });
    let done = Event::StageCompleted {
        stage: Stage::Tts,
        duration_ms: 1.0,
        queued_ms: 1.0,
    };
    let mut events = vec![started(1), started(2), failed(), resumed];
    let view = view_of([vec![spoken, done], events.clone()].concat());
    assert_eq!(view.stages[0].attempts, 3, "that of a complete stage");
    assert_eq!(view.stages[1].attempts, 0);
    let view = view_of(events.clone());
    assert_eq!(
        (view.status(), view.outcome.is_none()),
        (Status::Running, true)
    );
    assert_eq!(view.resumed_at, Some(UnixMillis(4_000)));
    assert_eq!(view.job.deadline, UnixMillis(99_000));
    assert_eq!(view.job.callback, Some(next));
    assert_eq!(view.stages[0].attempts, 0);
    assert_eq!(view.stages[0].failures[0].attempt, 2);
    events.extend([started(1), Event::Expired]);
    let view = view_of(events);
    assert_eq!(
        (view.status(), view.stages[0].attempts),
        (Status::Expired, 1)
    );
}

#[test]
fn each_end_of_a_job_is_told_by_its_own_callback() {
    let [first, second] = [CorrelationId::new(), CorrelationId::new()];
    let mut accepted = job(Route::Text);
    accepted.callback = Some(first);
    let resumed = Event::Resumed(Resumption {
        deadline: accepted.deadline.after(Duration::from_secs(60)),
        callback: Some(second),
    });
    let job = Event::Accepted { job: accepted };
    let records = log([job, started(1), failed(), resumed, Event::Expired]);
    let status =
        |seen: usize, by| JobView::at_end_told_by(&records[..seen], by).map(|view| view.status());
    assert_eq!((status(2, first), status(4, second)), (None, None));
    for seen in 3..=5 {
        assert_eq!(status(seen, first), Some(Status::Failed), "{seen}");
    }
    assert_eq!(status(5, second), Some(Status::Expired));
}

#[test]
fn the_first_token_and_the_first_audio_are_those_of_the_answer_that_stands() {
    let job = job(Route::Voice);
    let delta = |text: &str| Event::AnswerDelta { text: text.into() };
    let speech = |n| Event::AudioDelta {
        revision: 0,
        n,
        text: "a".into(),
        speech: kept_nowhere(),
    };
    // Ten milliseconds between one event and the next.
    let first = |events: Vec<Event>| {
        let accepted = Event::Accepted { job: job.clone() };
        let mut records = log(std::iter::once(accepted).chain(events));
        for record in &mut records {
            record.at = UnixMillis(job.accepted_at.0 + 10 * record.sequence_number);
        }
        let view = JobView::of(&records).unwrap();
        let since = |at: Option<UnixMillis>| at.map(|at| view.since_accepted(at).as_millis());
        (since(view.first_token), since(view.first_audio))
    };
    for (events, expected) in [
        (vec![], (None, None)),
        (vec![delta("")], (None, None)),
        (vec![delta(""), delta("a"), delta("b")], (Some(30), None)),
        (vec![delta("a"), speech(1), speech(2)], (Some(20), Some(30))),
        (
            vec![delta("a"), speech(1), Event::AnswerRestarted],
            (None, None),
        ),
        (
            vec![
                delta("a"),
                speech(1),
                Event::AnswerRestarted,
                delta("b"),
                speech(1),
            ],
            (Some(50), Some(60)),
        ),
    ] {
        assert_eq!(first(events.clone()), expected, "{events:?}");
    }
}
