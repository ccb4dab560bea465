//! The promises of [`crate::conversation`].

use std::time::Duration;

use crate::{
    backends::Backends,
    conversation::{Ahead, ConversationKey, KEPT_TURNS, PastTurn},
    envelope::Job,
    ids::{CorrelationId, Tenant},
    pipeline::Route,
    testing::fixtures::job,
    time::UnixMillis,
};

/// A conversation nobody else has.
fn key() -> ConversationKey {
    ConversationKey {
        tenant: Tenant::default(),
        id: CorrelationId::new()
            .to_string()
            .parse()
            .expect("a UUID is a word"),
    }
}

fn turn(user: &str) -> PastTurn {
    PastTurn {
        job: CorrelationId::new(),
        at: UnixMillis::now(),
        user: user.into(),
        assistant: format!("jawaban atas {user}"),
    }
}

pub async fn turns_come_back_in_the_order_in_which_they_were_added(backends: Backends) {
    let key = key();
    let turns = [turn("satu"), turn("dua \"kutip\" é"), turn("tiga")];
    assert_eq!(backends.conversations.history(&key).await, Ok(Vec::new()));
    for turn in &turns {
        let added = backends.conversations.append(&key, turn.clone()).await;
        assert_eq!(added, Ok(()));
    }
    let history = backends.conversations.history(&key).await.unwrap();
    assert_eq!(history, turns);
}

pub async fn the_turn_of_a_job_is_added_once(backends: Backends) {
    let key = key();
    let turn = turn("satu");
    for _ in 0..3 {
        backends
            .conversations
            .append(&key, turn.clone())
            .await
            .unwrap();
    }
    let history = backends.conversations.history(&key).await.unwrap();
    assert_eq!(history, [turn]);
}

pub async fn turns_added_at_the_same_moment_are_all_kept(backends: Backends) {
    let key = key();
    let adding = (0..10).map(|n| backends.conversations.append(&key, turn(&n.to_string())));
    for added in futures::future::join_all(adding).await {
        assert_eq!(added, Ok(()));
    }
    let history = backends.conversations.history(&key).await.unwrap();
    assert_eq!(history.len(), 10);
}

pub async fn another_tenant_sees_nothing_of_it(backends: Backends) {
    let key = key();
    backends
        .conversations
        .append(&key, turn("rahasia"))
        .await
        .unwrap();
    let other = ConversationKey {
        tenant: "other".parse().expect("a word"),
        ..key
    };
    assert_eq!(backends.conversations.history(&other).await, Ok(Vec::new()));
}

pub async fn the_newest_turns_are_kept(backends: Backends) {
    let key = key();
    for n in 0..KEPT_TURNS + 3 {
        backends
            .conversations
            .append(&key, turn(&n.to_string()))
            .await
            .unwrap();
    }
    let history = backends.conversations.history(&key).await.unwrap();
    assert_eq!(history.len(), KEPT_TURNS);
    assert_eq!(history[0].user, "3");
}

/// Far enough off for a test.
fn deadline() -> UnixMillis {
    UnixMillis::now().after(Duration::from_secs(60))
}

/// A turn whose job has been accepted.
async fn accepted(backends: &Backends, key: &ConversationKey, user: &str) -> PastTurn {
    let turn = turn(user);
    let accepting = backends.conversations.accept(key, turn.job, deadline());
    accepting.await.unwrap();
    turn
}

async fn ahead(backends: &Backends, key: &ConversationKey, turn: &PastTurn) -> Option<Ahead> {
    let asking = backends.conversations.ahead_of(key, turn.job);
    asking.await.unwrap()
}

async fn words(backends: &Backends, key: &ConversationKey) -> Vec<String> {
    let history = backends.conversations.history(key).await.unwrap();
    history.into_iter().map(|turn| turn.user).collect()
}

pub async fn jobs_have_their_turns_in_the_order_in_which_they_were_accepted(backends: Backends) {
    let key = key();
    let until = deadline();
    let turns = [turn("satu"), turn("dua"), turn("tiga")];
    for turn in &turns {
        let accepting = backends.conversations.accept(&key, turn.job, until);
        accepting.await.unwrap();
    }
    let [first, second, third] = &turns;
    let before = |jobs, nearest: &PastTurn| {
        let nearest = nearest.job;
        Some(Ahead {
            jobs,
            nearest,
            until,
        })
    };
    assert_eq!(ahead(&backends, &key, first).await, None);
    assert_eq!(ahead(&backends, &key, second).await, before(1, first));
    assert_eq!(ahead(&backends, &key, third).await, before(2, second));
    backends
        .conversations
        .append(&key, first.clone())
        .await
        .unwrap();
    assert_eq!(ahead(&backends, &key, second).await, None);
    assert_eq!(ahead(&backends, &key, third).await, before(1, second));
}

pub async fn accepting_a_job_again_leaves_it_where_it_is(backends: Backends) {
    let key = key();
    let first = accepted(&backends, &key, "satu").await;
    let second = accepted(&backends, &key, "dua").await;
    let again = backends
        .conversations
        .accept(&key, first.job, deadline())
        .await;
    assert_eq!(again, Ok(()));
    assert_eq!(ahead(&backends, &key, &first).await, None);
    let before = ahead(&backends, &key, &second).await.unwrap();
    assert_eq!((before.jobs, before.nearest), (1, first.job));
}

pub async fn a_job_that_was_never_accepted_waits_for_none(backends: Backends) {
    let key = key();
    accepted(&backends, &key, "satu").await;
    assert_eq!(ahead(&backends, &key, &turn("dua")).await, None);
}

pub async fn a_job_passed_over_blocks_none_and_adds_no_turn(backends: Backends) {
    let key = key();
    let first = accepted(&backends, &key, "satu").await;
    let second = accepted(&backends, &key, "dua").await;
    for _ in 0..2 {
        let passed = backends.conversations.pass_over(&key, first.job).await;
        assert_eq!(passed, Ok(()));
    }
    assert_eq!(ahead(&backends, &key, &second).await, None);
    for turn in [second, first] {
        backends.conversations.append(&key, turn).await.unwrap();
    }
    assert_eq!(words(&backends, &key).await, ["dua"]);
}

pub async fn a_job_past_its_deadline_blocks_none(backends: Backends) {
    let key = key();
    let late = turn("satu");
    let now = UnixMillis::now();
    let accepting = backends.conversations.accept(&key, late.job, now);
    accepting.await.unwrap();
    let next = accepted(&backends, &key, "dua").await;
    assert_eq!(ahead(&backends, &key, &next).await, None);
}

pub async fn the_turn_of_a_job_is_not_added_again_once_it_is_kept_no_longer(backends: Backends) {
    let key = key();
    let first = accepted(&backends, &key, "pertama").await;
    let append = |turn| backends.conversations.append(&key, turn);
    append(first.clone()).await.unwrap();
    for n in 0..KEPT_TURNS {
        append(turn(&n.to_string())).await.unwrap();
    }
    append(first).await.unwrap();
    let words = words(&backends, &key).await;
    assert_eq!(words.len(), KEPT_TURNS);
    assert_eq!(
        (words[0].as_str(), words[KEPT_TURNS - 1].as_str()),
        ("0", "49")
    );
}

pub async fn to_forget_is_to_forget_all_that_was_accepted_before(backends: Backends) {
    let key = key();
    let past = accepted(&backends, &key, "lama").await;
    let append = |turn: &PastTurn| backends.conversations.append(&key, turn.clone());
    append(&past).await.unwrap();
    let under_way = [
        accepted(&backends, &key, "satu").await,
        accepted(&backends, &key, "dua").await,
    ];
    for _ in 0..2 {
        assert!(backends.conversations.forget(&key).await.is_ok());
    }
    assert_eq!(ahead(&backends, &key, &under_way[1]).await, None);
    for turn in [&past, &under_way[0], &under_way[1]] {
        append(turn).await.unwrap();
    }
    assert_eq!(backends.conversations.history(&key).await, Ok(Vec::new()));

    let next = accepted(&backends, &key, "baru").await;
    assert_eq!(ahead(&backends, &key, &next).await, None);
    append(&next).await.unwrap();
    assert_eq!(words(&backends, &key).await, ["baru"]);
}

/// The job of `turn` as it is resumed.
fn resumed(turn: &PastTurn, accepted_at: UnixMillis) -> Job {
    Job {
        correlation_id: turn.job,
        accepted_at,
        deadline: deadline(),
        ..job(Route::Text)
    }
}

pub async fn a_job_that_is_resumed_stands_at_the_end_of_the_line(backends: Backends) {
    let key = key();
    let conversations = &backends.conversations;
    let first = accepted(&backends, &key, "satu").await;
    let second = accepted(&backends, &key, "dua").await;
    conversations.pass_over(&key, first.job).await.unwrap();
    for turn in [&first, &second] {
        let job = resumed(turn, turn.at);
        for _ in 0..2 {
            conversations.accept_again(&key, &job).await.unwrap();
        }
    }
    assert_eq!(ahead(&backends, &key, &second).await, None);
    let before = ahead(&backends, &key, &first).await.unwrap();
    assert_eq!((before.jobs, before.nearest), (1, second.job));
    for turn in [second, first] {
        conversations.append(&key, turn).await.unwrap();
    }
    assert_eq!(words(&backends, &key).await, ["dua", "satu"]);
}

pub async fn a_job_that_is_resumed_after_it_was_forgotten_adds_no_turn(backends: Backends) {
    let key = key();
    let conversations = &backends.conversations;
    let turn = accepted(&backends, &key, "lama").await;
    conversations.forget(&key).await.unwrap();
    let job = resumed(&turn, turn.at);
    conversations.accept_again(&key, &job).await.unwrap();
    assert_eq!(ahead(&backends, &key, &turn).await, None);
    conversations.append(&key, turn).await.unwrap();
    assert!(words(&backends, &key).await.is_empty());
}

pub async fn the_lines_of_two_tenants_are_apart(backends: Backends) {
    let key = key();
    accepted(&backends, &key, "satu").await;
    let other = ConversationKey {
        tenant: "other".parse().expect("a word"),
        ..key.clone()
    };
    let theirs = accepted(&backends, &other, "dua").await;
    assert_eq!(ahead(&backends, &other, &theirs).await, None);
    backends.conversations.forget(&key).await.unwrap();
    backends.conversations.append(&other, theirs).await.unwrap();
    assert_eq!(words(&backends, &other).await, ["dua"]);
}

/// For backends that keep a conversation for three seconds.
pub async fn each_turn_renews_the_time_to_live(backends: Backends) {
    let key = key();
    let pause = || tokio::time::sleep(Duration::from_millis(1_700));
    let append = |word| backends.conversations.append(&key, turn(word));
    append("satu").await.unwrap();
    pause().await;
    append("dua").await.unwrap();
    pause().await;
    assert_eq!(words(&backends, &key).await, ["satu", "dua"]);
    pause().await;
    assert!(words(&backends, &key).await.is_empty());
}
