use common::{
    backends::{BackendConfig, connect},
    conversation::PastTurn,
    pipeline::Route,
    testing::fixtures,
};

use super::*;

/// A conversation in which some jobs have been accepted.
struct Scene {
    backends: Backends,
    key: ConversationKey,
}

impl Scene {
    async fn new() -> Self {
        let config = BackendConfig::from_environment(&Default::default(), "test").unwrap();
        let id = CorrelationId::new().to_string().parse().unwrap();
        Self {
            backends: connect(&config).await.unwrap(),
            key: ConversationKey {
                tenant: Default::default(),
                id,
            },
        }
    }

    async fn accepted(&self, route: Route) -> Job {
        self.accepted_for(route, Duration::from_secs(60)).await
    }

    async fn accepted_for(&self, route: Route, time: Duration) -> Job {
        let mut job = fixtures::job(route);
        job.conversation_id = Some(self.key.id.clone());
        job.deadline = UnixMillis::now().after(time);
        self.backends.replies.open(&job).await.unwrap();
        let conversations = &self.backends.conversations;
        let accept = conversations.accept(&self.key, job.correlation_id, job.deadline);
        accept.await.unwrap();
        job
    }

    async fn admit(&self, job: &Job) -> Admission {
        Line::new(&self.backends).admit(job).await
    }

    async fn tell(&self, job: &Job, event: Event) {
        let replies = &self.backends.replies;
        replies.append(job.correlation_id, &[event]).await.unwrap();
    }

    /// What the stage does at its end.
    async fn answer(&self, job: &Job) {
        let turn = PastTurn {
            job: job.correlation_id,
            at: UnixMillis::now(),
            user: "apa?".into(),
            assistant: "itu".into(),
        };
        let conversations = &self.backends.conversations;
        conversations.append(&self.key, turn).await.unwrap();
        let completed = Event::StageCompleted {
            stage: Stage::Rag,
            duration_ms: 1.0,
            queued_ms: 1.0,
        };
        self.tell(job, completed).await;
    }
}

fn retrying() -> Event {
    Event::StageRetrying {
        stage: Stage::Stt,
        attempt: 1,
        in_ms: 1_000,
        reason: "away".into(),
    }
}

#[tokio::test]
async fn the_first_and_a_job_without_a_conversation_begin_at_once() {
    let scene = Scene::new().await;
    let first = scene.accepted(Route::Voice).await;
    scene.accepted(Route::Text).await;
    assert_eq!(scene.admit(&first).await, Admission::Now);
    let alone = fixtures::job(Route::Text);
    assert_eq!(scene.admit(&alone).await, Admission::Now);
}

#[tokio::test]
async fn a_job_begins_as_soon_as_the_turns_before_it_are_there() {
    let scene = Scene::new().await;
    let first = scene.accepted(Route::Voice).await;
    let second = scene.accepted(Route::Text).await;
    let third = scene.accepted(Route::Text).await;
    let begun = Instant::now();
    let first_then_second = async {
        scene.answer(&first).await;
        assert_eq!(scene.admit(&second).await, Admission::Now);
        scene.answer(&second).await;
    };
    let (admission, ()) = tokio::join!(scene.admit(&third), first_then_second);
    assert_eq!(admission, Admission::Now);
    assert!(begun.elapsed() < WAIT_FURTHER_BACK);
}

#[tokio::test]
async fn a_job_that_has_ended_without_a_turn_leaves_no_gap() {
    let ends = [
        Event::Cancelled,
        Event::Expired,
        Event::Failed {
            error: common::reply::Failure {
                code: "c".into(),
                message: "m".into(),
                kind: common::reply::FailureKind::Internal,
                stage: None,
            },
        },
    ];
    for end in ends {
        let scene = Scene::new().await;
        let first = scene.accepted(Route::Text).await;
        let second = scene.accepted(Route::Text).await;
        let third = scene.accepted(Route::Text).await;
        let (admission, ()) = tokio::join!(scene.admit(&third), async {
            scene.tell(&second, end.clone()).await;
            scene.tell(&first, end).await;
        });
        assert_eq!(admission, Admission::Now);
    }
}

#[tokio::test]
async fn a_job_behind_one_that_is_tried_again_is_put_back_at_once() {
    let scene = Scene::new().await;
    let first = scene.accepted(Route::Voice).await;
    let second = scene.accepted(Route::Text).await;
    scene.tell(&first, retrying()).await;
    let begun = Instant::now();
    assert_eq!(scene.admit(&second).await, Admission::Later);
    assert!(begun.elapsed() < WAIT_FURTHER_BACK);
}

#[tokio::test]
async fn a_job_far_back_in_a_line_that_stands_is_put_back_soon() {
    let scene = Scene::new().await;
    scene.accepted(Route::Voice).await;
    scene.accepted(Route::Text).await;
    let third = scene.accepted(Route::Text).await;
    let begun = Instant::now();
    assert_eq!(scene.admit(&third).await, Admission::Later);
    assert!(begun.elapsed() < LONGEST_WAIT);
}

#[tokio::test]
async fn a_job_that_never_ran_is_waited_for_until_its_deadline() {
    let scene = Scene::new().await;
    let time = Duration::from_millis(300);
    scene.accepted_for(Route::Text, time).await;
    let second = scene.accepted(Route::Text).await;
    let begun = Instant::now();
    assert_eq!(scene.admit(&second).await, Admission::Now);
    assert!(begun.elapsed() < LONGEST_WAIT);
}

#[test]
fn only_the_last_try_counts() {
    let started = Event::StageStarted(common::reply::StageStarted {
        stage: Stage::Rag,
        attempt: 2,
    });
    let completed = |stage| Event::StageCompleted {
        stage,
        duration_ms: 1.0,
        queued_ms: 1.0,
    };
    for (events, expected) in [
        (vec![], Doing::Work),
        (vec![retrying()], Doing::Retry),
        (vec![retrying(), started.clone()], Doing::Work),
        (vec![started.clone(), completed(Stage::Stt)], Doing::Work),
        (vec![completed(Stage::Rag), retrying()], Doing::Done),
        (vec![completed(Stage::Rag), Event::Cancelled], Doing::Done),
        (vec![started, Event::Cancelled], Doing::Done),
    ] {
        assert_eq!(
            doing(&fixtures::log(events.iter().cloned())),
            expected,
            "{events:?}"
        );
    }
}

#[test]
fn a_job_that_is_resumed_is_about_its_turn_again() {
    let failed = || Event::Failed {
        error: common::reply::Failure {
            code: "c".into(),
            message: "m".into(),
            kind: common::reply::FailureKind::Internal,
            stage: Some(Stage::Rag),
        },
    };
    let resumed = || {
        Event::Resumed(common::reply::Resumption {
            deadline: UnixMillis::now(),
            callback: None,
        })
    };
    let answered = || Event::StageCompleted {
        stage: Stage::Rag,
        duration_ms: 1.0,
        queued_ms: 1.0,
    };
    for (events, expected) in [
        (vec![failed()], Doing::Done),
        (vec![retrying(), failed(), resumed()], Doing::Work),
        (vec![failed(), resumed(), retrying()], Doing::Retry),
        (vec![failed(), resumed(), failed()], Doing::Done),
        (vec![answered(), failed(), resumed()], Doing::Done),
    ] {
        let log = fixtures::log(events);
        assert_eq!(doing(&log), expected, "{log:?}");
    }
}
