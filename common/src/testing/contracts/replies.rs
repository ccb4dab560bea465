//! The promises of [`crate::reply`].

use std::time::Duration;

use futures::StreamExt as _;
use tokio::time::timeout;

use crate::{
    backends::Backends,
    envelope::Job,
    ids::MessageId,
    job::store::FIRST_EPOCH,
    pipeline::{Route, Stage},
    reply::{Appended, Begun, CompletedStage, Event, Record, Run, StageStarted, Told, Withdrawn},
    testing::fixtures::{answer, job, speech, text_turn},
};

const SOON: Duration = Duration::from_secs(20);

fn delta(text: &str) -> Event {
    Event::AnswerDelta { text: text.into() }
}

fn completed() -> Event {
    Event::Completed {
        turn: Box::new(text_turn("apa?")),
    }
}

fn started(stage: Stage) -> StageStarted {
    StageStarted { stage, attempt: 1 }
}

async fn follow_to_the_end(backends: &Backends, job: &Job, cursor: u64) -> Vec<Record> {
    let records = backends
        .replies
        .follow(job.correlation_id, cursor)
        .map(Result::unwrap)
        .collect();
    timeout(SOON, records).await.expect("not in time")
}

pub async fn events_are_numbered_from_1_in_order(backends: Backends) {
    let job = job(Route::Text);
    let log = &backends.replies;
    log.open(&job).await.unwrap();
    log.append(job.correlation_id, &[delta("a"), delta("b")])
        .await
        .unwrap();
    log.append(job.correlation_id, &[completed()])
        .await
        .unwrap();
    let records = log.read(job.correlation_id, 0).await.unwrap();
    let numbers: Vec<_> = records
        .iter()
        .map(|record| record.sequence_number)
        .collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    assert_eq!(records[0].event, Event::Accepted { job: job.clone() });
    assert_eq!(records[2].event, delta("b"));
    let tail = log.read(job.correlation_id, 3).await.unwrap();
    assert_eq!(tail, records[3..]);
}

pub async fn nothing_follows_a_terminal_event(backends: Backends) {
    let job = job(Route::Text);
    let log = &backends.replies;
    log.open(&job).await.unwrap();
    let id = job.correlation_id;
    let first = log.append(id, &[Event::Cancelled]).await;
    assert_eq!(first, Ok(Appended::Recorded));
    assert_eq!(log.append(id, &[completed()]).await, Ok(Appended::Closed));
    let begun = log.begin_stage(&job, started(Stage::Rag)).await;
    assert_eq!(begun, Ok(Begun::Closed));
    assert_eq!(log.read(id, 0).await.unwrap().len(), 2);
}

pub async fn a_job_is_withdrawn_unless_a_stage_has_begun_on_it(backends: Backends) {
    let log = &backends.replies;
    let (waiting, begun) = (job(Route::Text), job(Route::Text));
    for job in [&waiting, &begun] {
        log.open(job).await.unwrap();
    }
    let id = waiting.correlation_id;
    for _ in 0..2 {
        let withdrawn = log.withdraw(id, &Event::Cancelled).await;
        assert_eq!(withdrawn, Ok(Withdrawn::Ended));
    }
    let late = log.begin_stage(&waiting, started(Stage::Rag)).await;
    assert_eq!(late, Ok(Begun::Closed));
    assert_eq!(log.read(id, 0).await.unwrap().len(), 2);

    let id = begun.correlation_id;
    log.begin_stage(&begun, started(Stage::Rag)).await.unwrap();
    let withdrawn = log.withdraw(id, &Event::Cancelled).await;
    assert_eq!(withdrawn, Ok(Withdrawn::Begun));
    let goes_on = log.append(id, &[completed()]).await;
    assert_eq!(goes_on, Ok(Appended::Recorded));
    let withdrawn = log.withdraw(id, &Event::Cancelled).await;
    assert_eq!(withdrawn, Ok(Withdrawn::Begun));
}

pub async fn a_job_that_another_process_submits_too_is_withdrawn_by_none(backends: Backends) {
    let job = job(Route::Text);
    let (log, id) = (&backends.replies, job.correlation_id);
    assert_eq!(log.resubmit(id).await, Ok(true));
    assert_eq!(log.read(id, 0).await, Ok(Vec::new()), "makes no log");
    log.open(&job).await.unwrap();
    assert_eq!(log.resubmit(id).await, Ok(true));
    let withdrawn = log.withdraw(id, &Event::Cancelled).await;
    assert_eq!(withdrawn, Ok(Withdrawn::Resubmitted));
    // Whoever it belongs to still calls it off.
    let cancelled = log.append(id, &[Event::Cancelled]).await;
    assert_eq!(cancelled, Ok(Appended::Recorded));
    let withdrawn = log.withdraw(id, &Event::Cancelled).await;
    assert_eq!(withdrawn, Ok(Withdrawn::Ended));
}

pub async fn a_job_that_is_over_is_submitted_by_nobody(backends: Backends) {
    let job = job(Route::Text);
    let (log, id) = (&backends.replies, job.correlation_id);
    log.open(&job).await.unwrap();
    log.withdraw(id, &Event::Cancelled).await.unwrap();
    assert_eq!(log.resubmit(id).await, Ok(false));
}

/// The store has lost it, or kept it for so long. Without its beginning a log
/// could be read by nobody.
pub async fn a_log_that_is_gone_is_begun_with_its_job_or_not_at_all(backends: Backends) {
    let log = &backends.replies;
    let (gone, failed, expired) = (job(Route::Voice), job(Route::Text), job(Route::Text));
    let id = gone.correlation_id;
    let run = Run::new(FIRST_EPOCH, Stage::Rag, 1);
    let turn = text_turn("apa?");
    let completed = CompletedStage {
        stage: Stage::Rag,
        run: &run,
        turn: &turn,
        withheld: None,
    };
    let one = [delta("a")];
    for appended in [
        log.append(id, &one).await,
        log.narrate(id, &run, 1, &one).await,
        log.complete_stage(id, &one, &completed).await,
        log.release_stage(id, Stage::Rag, None, &one).await,
    ] {
        assert_eq!(appended, Ok(Appended::Lost));
    }
    assert_eq!(log.read(id, 0).await, Ok(Vec::new()));

    // Begun again by another message, it knows nothing of that run.
    log.begin_stage(&gone, started(Stage::Tts)).await.unwrap();
    let late = log.narrate(id, &run, 1, &one).await;
    assert_eq!(late, Ok(Appended::Lost));

    let message = MessageId::of(failed.correlation_id, Stage::Rag);
    let why = super::resumptions::failure();
    let by = log.fail(&failed, &message, Some(&run), &why).await;
    assert_eq!(by, Ok(Appended::Recorded));
    assert_eq!(log.expire(&expired).await, Ok(Appended::Recorded));
    for job in [failed, expired] {
        let records = log.read(job.correlation_id, 0).await.unwrap();
        assert_eq!(records.len(), 3);
        assert_eq!(records[0].event, Event::Accepted { job });
        assert_eq!(records[1].event, Event::AnswerRestarted);
    }
}

pub async fn opening_twice_leaves_one_beginning(backends: Backends) {
    let job = job(Route::Text);
    let log = &backends.replies;
    log.open(&job).await.unwrap();
    log.open(&job).await.unwrap();
    assert_eq!(log.read(job.correlation_id, 0).await.unwrap().len(), 1);
}

pub async fn a_completed_stage_is_known_with_its_turn(backends: Backends) {
    let job = job(Route::Voice);
    let log = &backends.replies;
    log.open(&job).await.unwrap();
    let run = begun(&backends, &job, Stage::Rag).await;

    let mut turn = text_turn("apa?");
    turn.answer = Some(answer("itu"));
    let done = CompletedStage {
        stage: Stage::Rag,
        run: &run,
        turn: &turn,
        withheld: None,
    };
    log.complete_stage(job.correlation_id, &[delta("itu")], &done)
        .await
        .unwrap();

    let again = log.begin_stage(&job, started(Stage::Rag)).await;
    assert_eq!(
        again,
        Ok(Begun::AlreadyCompleted {
            turn: Box::new(turn),
            begun: vec![Stage::Rag],
        })
    );
    let other = log.begin_stage(&job, started(Stage::Tts)).await;
    assert!(matches!(other, Ok(Begun::Started(_))), "{other:?}");
}

async fn run_of_rag(backends: &Backends, job: &Job) -> Run {
    backends.replies.open(job).await.unwrap();
    begun(backends, job, Stage::Rag).await
}

pub async fn of_two_runs_of_a_stage_the_newer_one_writes(backends: Backends) {
    let job = job(Route::Text);
    let log = &backends.replies;
    let id = job.correlation_id;
    let older = run_of_rag(&backends, &job).await;
    assert_eq!(older.told, Told::default());
    let told = log
        .narrate(id, &older, 1, &[delta("Itu "), delta("ada")])
        .await;
    assert_eq!(told, Ok(Appended::Recorded));

    let newer = run_of_rag(&backends, &job).await;
    assert_eq!(newer.told.text, "Itu ada");
    let late = log.narrate(id, &older, 2, &[delta(" di")]).await;
    assert_eq!(late, Ok(Appended::Superseded));
    let turn = text_turn("apa?");
    let completed_by = |run| CompletedStage {
        stage: Stage::Rag,
        run,
        turn: &turn,
        withheld: None,
    };
    let late = log.complete_stage(id, &[], &completed_by(&older)).await;
    assert_eq!(late, Ok(Appended::Superseded));
    let anew = [Event::AnswerRestarted, delta("Ini")];
    let told = log.narrate(id, &newer, 1, &anew).await;
    assert_eq!(told, Ok(Appended::Recorded));
    let newest = run_of_rag(&backends, &job).await;
    let expected = Told {
        has_begun: true,
        text: "Ini".into(),
    };
    assert_eq!(newest.told, expected);
    let done = log.complete_stage(id, &[], &completed_by(&newest)).await;
    assert_eq!(done, Ok(Appended::Recorded));
    let again = log.begin_stage(&job, started(Stage::Rag)).await;
    let turn = Box::new(turn.clone());
    let begun = vec![Stage::Rag];
    assert_eq!(again, Ok(Begun::AlreadyCompleted { turn, begun }));
}

/// The store did it, and its answer was lost on the way.
pub async fn what_is_repeated_is_told_once(backends: Backends) {
    let job = job(Route::Voice);
    let log = &backends.replies;
    let id = job.correlation_id;
    let run = run_of_rag(&backends, &job).await;
    for (step, text) in [(1, "Itu "), (1, "Itu "), (2, "ada"), (2, "ada"), (3, ".")] {
        let told = log.narrate(id, &run, step, &[delta(text)]).await;
        assert_eq!(told, Ok(Appended::Recorded));
    }
    let turn = text_turn("apa?");
    let completed = CompletedStage {
        stage: Stage::Rag,
        run: &run,
        turn: &turn,
        withheld: None,
    };
    for _ in 0..2 {
        let done = log.complete_stage(id, &[delta(" Ya.")], &completed).await;
        assert_eq!(done, Ok(Appended::Recorded));
    }
    let records = log.read(id, 0).await.unwrap();
    let told = Told::by(records.iter().map(|record| &record.event));
    assert_eq!(told.text, "Itu ada. Ya.");
}

fn spoken(revision: u64, n: u32) -> Event {
    Event::AudioDelta {
        revision,
        n,
        text: format!("Kalimat {n}."),
        speech: speech(),
    }
}

/// The numbers of the sentences that are told as speech.
async fn told_as_speech(backends: &Backends, job: &Job) -> Vec<u32> {
    let records = backends.replies.read(job.correlation_id, 0).await.unwrap();
    let audio = records.iter().filter_map(|record| match &record.event {
        Event::AudioDelta { n, .. } => Some(*n),
        _ => None,
    });
    audio.collect()
}

async fn begun(backends: &Backends, job: &Job, stage: Stage) -> Run {
    match backends.replies.begin_stage(job, started(stage)).await {
        Ok(Begun::Started(run)) => run,
        other => panic!("it begins: {other:?}"),
    }
}

pub async fn speech_of_an_answer_that_was_begun_anew_is_not_told(backends: Backends) {
    let job = job(Route::Voice);
    let log = &backends.replies;
    let id = job.correlation_id;
    let (rag, tts) = (
        run_of_rag(&backends, &job).await,
        begun(&backends, &job, Stage::Tts).await,
    );
    let told = log.narrate(id, &tts, 1, &[spoken(0, 1)]).await;
    assert_eq!(told, Ok(Appended::Recorded));
    let anew = [Event::AnswerRestarted, delta("Ini")];
    log.narrate(id, &rag, 1, &anew).await.unwrap();
    // It may not have heard of that yet, and is told nothing else.
    let late = log.narrate(id, &tts, 2, &[spoken(0, 2)]).await;
    assert_eq!(late, Ok(Appended::Recorded));
    assert_eq!(told_as_speech(&backends, &job).await, [1]);
    let records = log.read(id, 0).await.unwrap();
    let is_restart = |record: &&Record| record.event == Event::AnswerRestarted;
    let restart = records.iter().find(is_restart).unwrap().sequence_number;
    log.narrate(id, &tts, 3, &[spoken(restart, 1)])
        .await
        .unwrap();
    assert_eq!(told_as_speech(&backends, &job).await, [1, 1]);
}

pub async fn what_is_withheld_of_an_outcome_is_told_once_it_is_released(backends: Backends) {
    let job = job(Route::Voice);
    let log = &backends.replies;
    let id = job.correlation_id;
    let run = run_of_rag(&backends, &job).await;
    let turn = text_turn("apa?");
    let withheld = Event::StageCompleted {
        stage: Stage::Rag,
        duration_ms: 3.0,
        queued_ms: 1.0,
    };
    let completed = CompletedStage {
        stage: Stage::Rag,
        run: &run,
        turn: &turn,
        withheld: Some(withheld.clone()),
    };
    assert_eq!(log.outcome(id, Stage::Rag).await, Ok(None));
    let done = log.complete_stage(id, &[delta("Ya.")], &completed).await;
    assert_eq!(done, Ok(Appended::Recorded));
    assert_eq!(log.outcome(id, Stage::Rag).await, Ok(Some(turn.clone())));
    let told = async || {
        let records = log.read(id, 0).await.unwrap();
        let is_it = |record: &&Record| record.event == withheld;
        records.iter().filter(is_it).count()
    };
    assert_eq!(told().await, 0);

    // Its process may have ended, and another one finds the outcome.
    let again = log.begin_stage(&job, started(Stage::Rag)).await;
    let expected = Begun::AlreadyCompleted {
        turn: Box::new(turn.clone()),
        begun: vec![Stage::Rag],
    };
    assert_eq!(again, Ok(expected));
    for by in [None, Some(&run), None] {
        let released = log.release_stage(id, Stage::Rag, by, &[]).await;
        assert_eq!(released, Ok(Appended::Recorded));
        assert_eq!(told().await, 1);
    }
    let end = [self::completed()];
    let released = log.release_stage(id, Stage::Rag, None, &end).await;
    assert_eq!(released, Ok(Appended::Recorded));
    let released = log.release_stage(id, Stage::Rag, None, &end).await;
    assert_eq!(released, Ok(Appended::Closed));
}

pub async fn who_waits_for_the_end_of_a_job_hears_of_each_that_there_is(backends: Backends) {
    let log = &backends.replies;
    for end in 0..4 {
        let job = job(Route::Text);
        log.open(&job).await.unwrap();
        let id = job.correlation_id;
        let told = log.ended(id);
        tokio::pin!(told);
        log.append(id, &[delta("Ada")]).await.unwrap();
        assert!(
            timeout(Duration::from_millis(200), &mut told)
                .await
                .is_err()
        );
        match end {
            0 => log.append(id, &[completed()]).await,
            1 => log.append(id, &[Event::Cancelled]).await,
            2 => log.expire(&job).await,
            _ => {
                let message = MessageId::of(id, Stage::Rag);
                log.fail(&job, &message, None, &super::resumptions::failure())
                    .await
            }
        }
        .unwrap();
        timeout(Duration::from_secs(2), told)
            .await
            .expect("at once");
        timeout(SOON, log.ended(id)).await.expect("also after");
    }
}

pub async fn a_log_that_was_lost_is_begun_again_by_its_next_stage(backends: Backends) {
    let job = job(Route::Text);
    let log = &backends.replies;
    let begun = log.begin_stage(&job, started(Stage::Rag)).await;
    assert!(matches!(begun, Ok(Begun::Started(_))), "{begun:?}");
    let records = log.read(job.correlation_id, 0).await.unwrap();
    assert_eq!(records[0].event, Event::Accepted { job: job.clone() });
    assert_eq!(records[1].event, Event::AnswerRestarted);
    assert_eq!(records.len(), 3);
}

pub async fn a_follower_hears_the_past_and_the_future_once_and_in_order(backends: Backends) {
    let job = job(Route::Text);
    let log = backends.replies.clone();
    log.open(&job).await.unwrap();
    let id = job.correlation_id;
    let writer = tokio::spawn(async move {
        for n in 0..200 {
            log.append(id, &[delta(&n.to_string())]).await.unwrap();
        }
        log.append(id, &[completed()]).await.unwrap();
    });
    let tail = async {
        while backends
            .replies
            .read(job.correlation_id, 149)
            .await
            .unwrap()
            .is_empty()
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        follow_to_the_end(&backends, &job, 150).await
    };
    let (whole, tail) = tokio::join!(follow_to_the_end(&backends, &job, 0), tail);
    writer.await.unwrap();
    let expected: Vec<u64> = (1..=202).collect();
    let numbers: Vec<_> = whole.iter().map(|record| record.sequence_number).collect();
    assert_eq!(numbers, expected);
    assert_eq!(tail, whole[150..]);
}

pub async fn many_followers_of_one_log_all_hear_its_end(backends: Backends) {
    let job = job(Route::Text);
    let log = &backends.replies;
    log.open(&job).await.unwrap();
    let followers = (0..50).map(|_| follow_to_the_end(&backends, &job, 0));
    let followers = futures::future::join_all(followers);
    let end = async {
        log.append(job.correlation_id, &[completed()])
            .await
            .unwrap();
    };
    let (heard, ()) = tokio::join!(followers, end);
    assert!(heard.iter().all(|records| records.len() == 2));
}

pub async fn an_unknown_log_is_empty(backends: Backends) {
    let job = job(Route::Text);
    let records = backends.replies.read(job.correlation_id, 0).await;
    assert_eq!(records, Ok(Vec::new()));
    assert_eq!(backends.replies.ping().await, Ok(()));
}
