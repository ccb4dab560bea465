//! The promises of [`crate::reply`] about jobs that fail and are resumed.

use std::time::Duration;

use futures::StreamExt as _;
use tokio::time::timeout;

use crate::{
    backends::Backends,
    envelope::Job,
    ids::{CorrelationId, MessageId},
    pipeline::{Route, Stage},
    reply::{
        Appended, Begun, CompletedStage, Ending, Event, Failure, FailureKind, Record, Resumed,
        Resumption, StageStarted,
    },
    testing::fixtures::{answer, job, text_turn},
    time::UnixMillis,
};

const SOON: Duration = Duration::from_secs(20);

fn started(stage: Stage) -> StageStarted {
    StageStarted { stage, attempt: 1 }
}

pub(super) fn failure() -> Failure {
    Failure {
        code: "vendor_away".into(),
        message: "…".into(),
        kind: FailureKind::Unavailable,
        stage: Some(Stage::Tts),
    }
}

fn completed() -> Event {
    let turn = Box::new(text_turn("apa?"));
    Event::Completed { turn }
}

/// `job` as it is once it is resumed.
fn later(job: &Job) -> Job {
    Job {
        deadline: job.deadline.after(Duration::from_secs(60)),
        ..job.clone()
    }
}

fn resumption(job: &Job) -> Resumption {
    Resumption {
        deadline: later(job).deadline,
        callback: None,
    }
}

async fn failed(backends: &Backends, message: &MessageId, job: &Job) -> Appended {
    let failure = failure();
    let fail = backends.replies.fail(job, message, None, &failure);
    fail.await.unwrap()
}

/// A job whose answer is written, and which failed while it was spoken.
async fn failed_speaking(backends: &Backends) -> Job {
    let job = job(Route::Voice);
    let log = &backends.replies;
    log.open(&job).await.unwrap();
    let begun = log.begin_stage(&job, started(Stage::Rag)).await;
    let Ok(Begun::Started(run)) = begun else {
        panic!("it begins: {begun:?}")
    };
    let mut turn = text_turn("apa?");
    turn.answer = Some(answer("Kalimat 1. Kalimat 2."));
    let done = CompletedStage {
        stage: Stage::Rag,
        run: &run,
        turn: &turn,
        withheld: None,
    };
    let id = job.correlation_id;
    log.complete_stage(id, &[], &done).await.unwrap();
    let message = MessageId::of(id, Stage::Tts);
    assert_eq!(failed(backends, &message, &job).await, Appended::Recorded);
    job
}

async fn resume(backends: &Backends, job: &Job) -> Resumed {
    let resumption = resumption(job);
    let resume = backends.replies.resume(job.correlation_id, &resumption);
    resume.await.unwrap()
}

fn types(records: &[Record]) -> Vec<String> {
    let name = |record: &Record| {
        let event = serde_json::to_value(&record.event).unwrap();
        event["type"].as_str().unwrap().to_owned()
    };
    records.iter().map(name).collect()
}

pub async fn a_job_that_failed_is_resumed_and_ends_once_more(backends: Backends) {
    let job = failed_speaking(&backends).await;
    let standing = Resumed::UnderWay(Some(resumption(&job)));
    assert_eq!(resume(&backends, &job).await, standing);
    let log = &backends.replies;
    let id = job.correlation_id;

    // What is complete stays so, and the rest is done.
    let again = log.begin_stage(&later(&job), started(Stage::Rag)).await;
    assert!(
        matches!(again, Ok(Begun::AlreadyCompleted { .. })),
        "{again:?}"
    );
    let next = log.begin_stage(&later(&job), started(Stage::Tts)).await;
    assert!(matches!(next, Ok(Begun::Started(_))), "{next:?}");
    let end = [completed()];
    assert_eq!(log.append(id, &end).await, Ok(Appended::Recorded));
    assert_eq!(log.append(id, &end).await, Ok(Appended::Closed));
    let records = log.read(id, 0).await.unwrap();
    let numbers = records.iter().map(|record| record.sequence_number);
    assert!(numbers.eq(1..=6));
    let expected = [
        "job.accepted",
        "stage.started",
        "job.failed",
        "job.resumed",
        "stage.started",
        "job.completed",
    ];
    assert_eq!(types(&records), expected);
    assert_eq!(resume(&backends, &job).await, Resumed::Over);
}

pub async fn only_a_job_that_failed_and_not_by_its_input_is_resumed(backends: Backends) {
    let by_input = Failure {
        kind: FailureKind::UnprocessableInput,
        ..failure()
    };
    let never_queued = Failure {
        stage: None,
        ..failure()
    };
    for end in [
        completed(),
        Event::Cancelled,
        Event::Expired,
        Event::Failed { error: by_input },
        Event::Failed {
            error: never_queued,
        },
    ] {
        let job = job(Route::Text);
        let log = &backends.replies;
        log.open(&job).await.unwrap();
        assert_eq!(resume(&backends, &job).await, Resumed::UnderWay(None));
        log.append(job.correlation_id, &[end]).await.unwrap();
        assert_eq!(resume(&backends, &job).await, Resumed::Over);
        assert_eq!(log.read(job.correlation_id, 0).await.unwrap().len(), 2);
    }
    assert_eq!(resume(&backends, &job(Route::Text)).await, Resumed::Gone);
}

pub async fn to_resume_again_changes_nothing_and_tells_what_stands(backends: Backends) {
    let job = failed_speaking(&backends).await;
    let id = job.correlation_id;
    let first = Resumption {
        callback: Some(CorrelationId::new()),
        ..resumption(&job)
    };
    let second = resumption(&later(&job));
    for resumption in [&first, &second] {
        let standing = backends.replies.resume(id, resumption).await;
        assert_eq!(standing, Ok(Resumed::UnderWay(Some(first.clone()))));
    }
    let records = backends.replies.read(id, 0).await.unwrap();
    assert_eq!(records.last().unwrap().event, Event::Resumed(first));
    assert_eq!(records.len(), 4);

    // It may fail again, and be resumed again.
    let message = MessageId::of(id, Stage::Tts);
    let by = failed(&backends, &message, &later(&job)).await;
    assert_eq!(by, Appended::Recorded);
    let standing = backends.replies.resume(id, &second).await;
    assert_eq!(standing, Ok(Resumed::UnderWay(Some(second))));
}

pub async fn a_resumption_of_which_nothing_came_in_time_is_made_anew(backends: Backends) {
    let job = failed_speaking(&backends).await;
    let (log, id) = (&backends.replies, job.correlation_id);
    let lapsed = Resumption {
        deadline: UnixMillis(UnixMillis::now().0 - 1),
        callback: None,
    };
    let standing = Resumed::UnderWay(Some(lapsed.clone()));
    assert_eq!(log.resume(id, &lapsed).await, Ok(standing));
    let anew = Resumed::UnderWay(Some(resumption(&job)));
    assert_eq!(resume(&backends, &job).await, anew);
    let records = log.read(id, 0).await.unwrap();
    let last = records.last().map(|record| &record.event);
    assert_eq!(last, Some(&Event::Resumed(resumption(&job))));
    // That one has time left, and stands.
    assert_eq!(log.resume(id, &lapsed).await, Ok(anew));
}

/// Somebody has looked at the job after its time.
pub async fn a_resumption_of_which_nothing_came_is_made_anew_after_its_end(backends: Backends) {
    let job = failed_speaking(&backends).await;
    let (log, id) = (&backends.replies, job.correlation_id);
    resume(&backends, &job).await;
    let now = later(&job);
    assert_eq!(log.expire(&now).await, Ok(Appended::Recorded));
    let again = resumption(&now);
    let standing = Resumed::UnderWay(Some(again.clone()));
    assert_eq!(log.resume(id, &again).await, Ok(standing));
    let now = later(&now);
    let begun = log.begin_stage(&now, started(Stage::Tts)).await;
    assert!(matches!(begun, Ok(Begun::Started(_))), "{begun:?}");
    assert_eq!(log.expire(&now).await, Ok(Appended::Recorded));
    assert_eq!(resume(&backends, &now).await, Resumed::Over, "under way");
}

/// What has begun before tells nothing of what is under way.
pub async fn no_stage_of_a_job_that_is_resumed_has_begun(backends: Backends) {
    let job = failed_speaking(&backends).await;
    let log = &backends.replies;
    log.begin_stage(&job, started(Stage::Tts)).await.unwrap();
    resume(&backends, &job).await;
    let begin = async |stage| log.begin_stage(&later(&job), started(stage)).await.unwrap();
    let begun = async || match begin(Stage::Rag).await {
        Begun::AlreadyCompleted { begun, .. } => begun,
        other => panic!("it is complete: {other:?}"),
    };
    assert!(begun().await.is_empty());
    let Begun::Started(run) = begin(Stage::Tts).await else {
        panic!("it begins")
    };
    assert!(run.has_begun(Stage::Tts) && !run.has_begun(Stage::Rag));
    assert_eq!(begun().await, [Stage::Tts]);
}

pub async fn of_a_job_that_nobody_can_resume_no_message_is_put_aside(backends: Backends) {
    let job = job(Route::Text);
    let log = &backends.replies;
    let why = Failure {
        kind: FailureKind::UnprocessableInput,
        ..failure()
    };
    let message = MessageId::of(job.correlation_id, Stage::Rag);
    let by = log.fail(&job, &message, None, &why).await;
    assert_eq!(by, Ok(Appended::Recorded));
    let ending = log.ending(job.correlation_id).await;
    assert_eq!(ending, Ok(Some(Ending::default())));
}

pub async fn what_is_left_of_the_life_before_is_void(backends: Backends) {
    let job = failed_speaking(&backends).await;
    resume(&backends, &job).await;
    let log = &backends.replies;
    let begun = log.begin_stage(&job, started(Stage::Stt)).await;
    assert_eq!(begun, Ok(Begun::Closed));
    assert_eq!(log.expire(&job).await, Ok(Appended::Void));
    let message = MessageId::of(job.correlation_id, Stage::Rag);
    let late = failed(&backends, &message, &job).await;
    assert_eq!(late, Appended::Void);

    let now = later(&job);
    let begun = log.begin_stage(&now, started(Stage::Tts)).await;
    assert!(matches!(begun, Ok(Begun::Started(_))), "{begun:?}");
    assert_eq!(log.expire(&now).await, Ok(Appended::Recorded));
    assert_eq!(log.expire(&now).await, Ok(Appended::Closed));
    assert_eq!(resume(&backends, &job).await, Resumed::Over);
}

pub async fn the_message_by_which_a_job_failed_is_known_until_it_is_resumed(backends: Backends) {
    let job = failed_speaking(&backends).await;
    let log = &backends.replies;
    let id = job.correlation_id;
    let first = MessageId::of(id, Stage::Tts);
    let by = log.ending(id).await.unwrap().expect("over").failed_by;
    let by = by.expect("known");
    assert_eq!((by.message, by.code.as_str()), (first, "vendor_away"));
    let second = MessageId::of(id, Stage::Rag);
    assert_eq!(failed(&backends, &second, &job).await, Appended::Closed);
    let by = log.ending(id).await.unwrap().expect("over").failed_by;
    let by = by.expect("known");
    assert_ne!(by.message, second);
    resume(&backends, &job).await;
    assert_eq!(log.ending(id).await, Ok(None));
    log.append(id, &[Event::Cancelled]).await.unwrap();
    let unknown = Ok(Some(Ending::default()));
    assert_eq!(log.ending(id).await, unknown);
}

pub async fn a_run_that_was_superseded_fails_nothing(backends: Backends) {
    let job = job(Route::Text);
    let log = &backends.replies;
    let begin = async || match log.begin_stage(&job, started(Stage::Rag)).await {
        Ok(Begun::Started(run)) => run,
        other => panic!("{other:?}"),
    };
    let (older, newer) = (begin().await, begin().await);
    let message = MessageId::of(job.correlation_id, Stage::Rag);
    let fail = async |run| log.fail(&job, &message, Some(run), &failure()).await;
    assert_eq!(fail(&older).await, Ok(Appended::Superseded));
    assert_eq!(fail(&newer).await, Ok(Appended::Recorded));
}

pub async fn who_follows_a_job_that_is_resumed_hears_it_to_its_last_end(backends: Backends) {
    let job = failed_speaking(&backends).await;
    let log = &backends.replies;
    let id = job.correlation_id;
    let follow = async |cursor| {
        let records = log.follow(id, cursor).map(Result::unwrap).collect();
        let records: Vec<Record> = timeout(SOON, records).await.expect("not in time");
        types(&records)
    };
    assert_eq!(follow(0).await.len(), 3, "until the end that holds");
    let resumed = async {
        resume(&backends, &job).await;
        log.append(id, &[completed()]).await.unwrap();
    };
    // One that stands at the end hears what comes behind it.
    let (heard, ()) = tokio::join!(follow(3), resumed);
    assert_eq!(heard, ["job.resumed", "job.completed"]);
    let whole = [
        "job.accepted",
        "stage.started",
        "job.failed",
        "job.resumed",
        "job.completed",
    ];
    for cursor in 0..5 {
        assert_eq!(
            follow(cursor).await,
            whole[usize::try_from(cursor).unwrap()..]
        );
    }
}
