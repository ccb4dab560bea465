//! The promises of [`crate::erasure`], and of the ports that it works with.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};

use crate::{
    backends::Backends,
    broker::{DeadLetterReason, dead_letters::DeadLetter},
    claim_check::{ClaimError, Item, Ticket},
    conversation::{ConversationKey, PastTurn},
    envelope::{Envelope, Job},
    erasure::{Erased, erase, sweep, sweep_erased},
    ids::{CorrelationId, MessageId, Tenant},
    job::{JobView, Outcome},
    pipeline::{Route, Stage},
    reply::{
        Appended, Begun, CompletedStage, Event, Failure, FailureKind, Resumed, Resumption, Run,
        StageStarted,
    },
    testing::fixtures,
    time::UnixMillis,
    turn::Speech,
};

const A_MINUTE: Duration = Duration::from_secs(60);

/// Of a conversation and a tenant that no other test has.
fn new_job(route: Route) -> Job {
    let name = || CorrelationId::new().to_string();
    Job {
        tenant: name().parse().unwrap(),
        conversation_id: name().parse().ok(),
        ..fixtures::job(route)
    }
}

async fn accepted(backends: &Backends, route: Route) -> Job {
    let job = new_job(route);
    open(backends, &job).await;
    job
}

async fn open(backends: &Backends, job: &Job) {
    backends.replies.open(job).await.unwrap();
    let (key, id) = (ConversationKey::of(job).unwrap(), job.correlation_id);
    let accept = backends.conversations.accept(&key, id, job.deadline);
    accept.await.unwrap();
}

fn started(stage: Stage) -> StageStarted {
    StageStarted { stage, attempt: 1 }
}

fn turn_of(job: &Job) -> PastTurn {
    PastTurn {
        job: job.correlation_id,
        at: UnixMillis(1),
        user: "apa?".into(),
        assistant: "itu".into(),
    }
}

async fn check_in(backends: &Backends, job: &Job, item: Item) -> Result<Ticket, ClaimError> {
    let bytes = Bytes::from_static(b"RIFF");
    let claims = &backends.claims;
    claims
        .check_in(job.correlation_id, item, bytes, A_MINUTE)
        .await
}

/// The answer of `job` is begun.
async fn begun(backends: &Backends, job: &Job) -> Run {
    let begun = backends.replies.begin_stage(job, started(Stage::Rag)).await;
    match begun {
        Ok(Begun::Started(run)) => run,
        other => panic!("it begins: {other:?}"),
    }
}

/// A spoken job that was answered, with all that is kept of one.
async fn answered(backends: &Backends) -> (Job, Vec<Ticket>) {
    let job = accepted(backends, Route::Voice).await;
    let id = job.correlation_id;
    let key = ConversationKey::of(&job).unwrap();
    let replies = &backends.replies;
    let run = begun(backends, &job).await;
    let mut tickets = Vec::new();
    for item in [
        Item::Input,
        Item::Sentence { revision: 0, n: 1 },
        Item::Speech,
    ] {
        tickets.push(check_in(backends, &job, item).await.unwrap());
    }
    let mut turn = fixtures::text_turn("apa?");
    turn.answer = Some(fixtures::answer("itu"));
    turn.speech = Some(Speech {
        ticket: tickets[2].clone(),
        ..fixtures::speech()
    });
    backends
        .conversations
        .append(&key, turn_of(&job))
        .await
        .unwrap();
    let events = [
        Event::Transcript {
            text: "apa?".into(),
        },
        Event::Completed {
            turn: Box::new(turn.clone()),
        },
    ];
    let completed = CompletedStage {
        stage: Stage::Rag,
        run: &run,
        turn: &turn,
        withheld: None,
    };
    let done = replies.complete_stage(id, &events, &completed).await;
    assert_eq!(done, Ok(Appended::Recorded));
    (job, tickets)
}

async fn erased(backends: &Backends, id: CorrelationId) -> Erased {
    let records = backends.replies.read(id, 0).await.unwrap();
    let view = JobView::of(&records).unwrap();
    erase(backends, &view, &records).await.unwrap()
}

pub async fn of_a_job_that_is_erased_its_end_alone_is_left(backends: Backends) {
    let (job, tickets) = answered(&backends).await;
    let id = job.correlation_id;
    let expected = Erased {
        jobs: 1,
        audio: 3,
        turns: 1,
    };
    assert_eq!(erased(&backends, id).await, expected);
    let records = backends.replies.read(id, 0).await.unwrap();
    let [end] = &records[..] else {
        panic!("one event in {records:?}")
    };
    let kept = Box::new(job.erased());
    assert_eq!(end.event, Event::Erased { job: kept });
    assert_eq!(end.sequence_number, 5);
    let view = JobView::of(&records).unwrap();
    assert_eq!(view.outcome, Some(Outcome::Erased));
    assert!(view.belongs_to(&job.tenant));
    for ticket in &tickets {
        assert_eq!(backends.claims.redeem(ticket).await, Err(ClaimError::Gone));
    }
    let key = ConversationKey::of(&job).unwrap();
    assert_eq!(backends.conversations.history(&key).await, Ok(vec![]));
    let ending = backends.replies.ending(id).await.unwrap().unwrap();
    assert!(ending.is_erased);
}

pub async fn to_erase_again_changes_nothing(backends: Backends) {
    let (job, _) = answered(&backends).await;
    let id = job.correlation_id;
    erased(&backends, id).await;
    let before = backends.replies.read(id, 0).await.unwrap();
    let again = erased(&backends, id).await;
    assert_eq!((again.audio, again.turns), (0, 0));
    assert_eq!(backends.replies.read(id, 0).await.unwrap(), before);
    // Nor is anything made of a job that is not known.
    let unknown = new_job(Route::Text);
    backends.replies.erase(&unknown).await.unwrap();
    let unknown = unknown.correlation_id;
    assert_eq!(backends.replies.read(unknown, 0).await, Ok(vec![]));
    assert_eq!(backends.replies.ending(unknown).await, Ok(None));
}

/// One that was under way when it was erased.
pub async fn nothing_of_an_erased_job_is_taken_that_comes_late(backends: Backends) {
    let job = accepted(&backends, Route::Voice).await;
    let id = job.correlation_id;
    let replies = &backends.replies;
    let run = begun(&backends, &job).await;
    erased(&backends, id).await;
    let left = replies.read(id, 0).await.unwrap();

    replies.open(&job).await.unwrap();
    let begun = replies.begin_stage(&job, started(Stage::Stt)).await;
    assert_eq!(begun, Ok(Begun::Closed));
    let told = [Event::AnswerDelta { text: "itu".into() }];
    let turn = fixtures::text_turn("apa?");
    let completed = CompletedStage {
        stage: Stage::Rag,
        run: &run,
        turn: &turn,
        withheld: None,
    };
    let failure = Failure {
        code: "panicked".into(),
        message: "apa?".into(),
        kind: FailureKind::Internal,
        stage: Some(Stage::Rag),
    };
    let message = MessageId::of(id, Stage::Rag);
    for appended in [
        replies.append(id, &told).await,
        replies.narrate(id, &run, 1, &told).await,
        replies.complete_stage(id, &told, &completed).await,
        replies.fail(&job, &message, Some(&run), &failure).await,
        replies.expire(&job).await,
    ] {
        assert_eq!(appended, Ok(Appended::Closed));
    }
    let resumption = Resumption {
        deadline: UnixMillis::now().after(A_MINUTE),
        callback: None,
    };
    assert_eq!(replies.resume(id, &resumption).await, Ok(Resumed::Over));
    assert_eq!(replies.resubmit(id).await, Ok(false));
    assert_eq!(replies.read(id, 0).await.unwrap(), left);

    let late = check_in(&backends, &job, Item::Speech).await;
    assert_eq!(late, Err(ClaimError::Gone));
    let other = new_job(Route::Voice);
    assert!(check_in(&backends, &other, Item::Speech).await.is_ok());
    let key = ConversationKey::of(&job).unwrap();
    backends
        .conversations
        .append(&key, turn_of(&job))
        .await
        .unwrap();
    assert_eq!(backends.conversations.history(&key).await, Ok(vec![]));
}

pub async fn who_follows_a_job_that_is_erased_hears_that_it_is_over(backends: Backends) {
    let job = accepted(&backends, Route::Text).await;
    let id = job.correlation_id;
    let replies = &backends.replies;
    replies
        .begin_stage(&job, started(Stage::Rag))
        .await
        .unwrap();
    let mut follower = replies.follow(id, 0);
    for _ in 0..2 {
        follower.next().await.unwrap().unwrap();
    }
    tokio::join!(replies.ended(id), erased(&backends, id));
    // Of the events before, some may be gone before they are heard.
    let rest: Vec<_> = follower.try_collect().await.unwrap();
    let last = rest.last().unwrap();
    assert!(last.event.is_terminal(), "{rest:?}");
    let whole: Vec<_> = replies.follow(id, 0).try_collect().await.unwrap();
    assert!(matches!(whole[..], [_]), "{whole:?}");
    assert!(matches!(whole[0].event, Event::Erased { .. }));
}

/// A job that failed, whose message is a dead letter.
async fn failed(backends: &Backends) -> Job {
    let job = accepted(backends, Route::Text).await;
    let turn = fixtures::text_turn("apa?");
    let envelope = Envelope::first(job.clone(), turn, UnixMillis::now());
    backends.broker.publish(&envelope).await.unwrap();
    let mut consumer = backends.broker.consume(Stage::Rag, 1).await;
    let delivery = consumer.receive().await;
    let reason = DeadLetterReason {
        code: "panicked".into(),
        detail: String::new(),
    };
    delivery.dead_letter(&reason).await.unwrap();
    consumer.stop().await;
    job
}

async fn dead_letters(backends: &Backends) -> Vec<CorrelationId> {
    let held = backends.broker.dead_letters(Stage::Rag, 100).await.unwrap();
    let mut jobs = Vec::new();
    for letter in held {
        jobs.extend(letter.letter.job());
        letter.put_back().await;
    }
    jobs
}

pub async fn the_dead_letters_of_an_erased_job_go_and_the_others_stay(backends: Backends) {
    let mut jobs = Vec::new();
    for _ in 0..4 {
        jobs.push(failed(&backends).await);
    }
    let ids = |jobs: &[Job]| -> Vec<_> { jobs.iter().map(|job| job.correlation_id).collect() };
    assert_eq!(sweep(&backends, &|_| false).await, Ok(0));
    assert_eq!(dead_letters(&backends).await, ids(&jobs));
    erased(&backends, jobs[1].correlation_id).await;
    assert_eq!(sweep(&backends, &|_| false).await, Ok(1));
    jobs.remove(1);
    assert_eq!(dead_letters(&backends).await, ids(&jobs));
    // Whose they are is enough where nothing else is known of their jobs.
    let tenant = jobs[0].tenant.clone();
    let is_theirs = |letter: &DeadLetter| {
        let envelope = letter.envelope();
        envelope.is_some_and(|envelope| envelope.job.tenant == tenant)
    };
    assert_eq!(sweep(&backends, &is_theirs).await, Ok(1));
    assert_eq!(dead_letters(&backends).await, ids(&jobs[1..]));
}

pub async fn a_dead_letter_that_another_held_goes_when_it_is_back(backends: Backends) {
    let job = failed(&backends).await.correlation_id;
    let held = backends.broker.dead_letters(Stage::Rag, 10).await.unwrap();
    erased(&backends, job).await;
    assert_eq!(sweep(&backends, &|_| false).await, Ok(0));
    for letter in held {
        letter.put_back().await;
    }
    let swept = sweep_erased(&backends, Stage::Rag, vec![job]).await;
    assert_eq!(swept, Ok(1));
    assert_eq!(dead_letters(&backends).await, []);
}

pub async fn the_callback_of_an_erased_job_is_erased_with_it(backends: Backends) {
    let mut job = new_job(Route::Text);
    let callback = new_job(Route::Webhook);
    let id = callback.correlation_id;
    job.callback = Some(id);
    backends.replies.open(&callback).await.unwrap();
    open(&backends, &job).await;
    erased(&backends, job.correlation_id).await;
    assert!(
        backends
            .replies
            .ending(id)
            .await
            .unwrap()
            .unwrap()
            .is_erased
    );
}

pub async fn every_job_that_is_not_erased_is_listed(backends: Backends) {
    let jobs = [
        accepted(&backends, Route::Text).await,
        accepted(&backends, Route::Voice).await,
    ];
    let listed = async || {
        let all: Vec<Job> = backends.replies.jobs().try_collect().await.unwrap();
        let of = |job: &Job| all.iter().any(|it| it == job);
        [of(&jobs[0]), of(&jobs[1])]
    };
    assert_eq!(listed().await, [true, true]);
    erased(&backends, jobs[1].correlation_id).await;
    assert_eq!(listed().await, [true, false]);
}

pub async fn a_conversation_that_is_forgotten_tells_its_jobs_until_they_are_erased(
    backends: Backends,
) {
    let conversations = &backends.conversations;
    let first = accepted(&backends, Route::Text).await;
    let key = ConversationKey::of(&first).unwrap();
    let mut others = Vec::new();
    for _ in 0..2 {
        let job = Job {
            correlation_id: CorrelationId::new(),
            ..first.clone()
        };
        open(&backends, &job).await;
        others.push(job.correlation_id);
    }
    // One has its turn, one never will, and one is under way.
    conversations.append(&key, turn_of(&first)).await.unwrap();
    let removed = conversations.remove_from_order(&key, others[0]).await;
    assert_eq!(removed, Ok(None));
    let mut known = [vec![first.correlation_id], others].concat();
    known.sort();
    for _ in 0..2 {
        let mut told = conversations.forget(&key).await.unwrap();
        told.sort();
        assert_eq!(told, known);
        assert_eq!(conversations.history(&key).await, Ok(vec![]));
    }
    while let Some(job) = known.pop() {
        conversations.erase(&key, job).await.unwrap();
        let mut told = conversations.forget(&key).await.unwrap();
        told.sort();
        assert_eq!(told, known);
    }
}

pub async fn a_turn_that_is_erased_is_not_added_again(backends: Backends) {
    let conversations = &backends.conversations;
    let first = accepted(&backends, Route::Text).await;
    let key = ConversationKey::of(&first).unwrap();
    let second = Job {
        correlation_id: CorrelationId::new(),
        ..first.clone()
    };
    open(&backends, &second).await;
    for job in [&first, &second] {
        conversations.append(&key, turn_of(job)).await.unwrap();
    }
    let erase = || conversations.erase(&key, first.correlation_id);
    assert_eq!(erase().await, Ok(true));
    assert_eq!(erase().await, Ok(false));
    conversations.append(&key, turn_of(&first)).await.unwrap();
    let left = conversations.history(&key).await;
    assert_eq!(left, Ok(vec![turn_of(&second)]));
}

pub async fn the_conversations_of_a_tenant_are_found(backends: Backends) {
    let conversations = &backends.conversations;
    let job = accepted(&backends, Route::Text).await;
    let name = job.conversation_id.clone().unwrap();
    let found = conversations.of_tenant(&job.tenant).await;
    assert_eq!(found, Ok(vec![name.clone()]));
    let other = new_job(Route::Text).tenant;
    assert_eq!(conversations.of_tenant(&other).await, Ok(vec![]));
    // The name of the default tenant is in no key.
    let key = ConversationKey {
        tenant: Tenant::default(),
        id: name.clone(),
    };
    conversations.append(&key, turn_of(&job)).await.unwrap();
    let found = conversations.of_tenant(&key.tenant).await.unwrap();
    assert!(found.contains(&name));
}
