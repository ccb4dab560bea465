//! The promises of [`crate::conversation`].

use std::time::Duration;

use crate::{
    backends::Backends,
    conversation::{ConversationKey, KEPT_TURNS, PastTurn, Place, Ready},
    envelope::{Envelope, Job},
    ids::{CorrelationId, Tenant},
    pipeline::Route,
    testing::fixtures::{job, text_turn},
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
        assert_eq!(added, Ok(None));
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
        assert_eq!(added, Ok(None));
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

/// The message of `turn` at a stage that takes turns.
fn message(turn: &PastTurn) -> Envelope {
    let job = Job {
        correlation_id: turn.job,
        ..job(Route::Text)
    };
    Envelope::first(job, text_turn(&turn.user), UnixMillis(7))
}

/// Whether its message may go; has it held otherwise.
async fn place(backends: &Backends, key: &ConversationKey, turn: &PastTurn) -> Place {
    let hold = backends.conversations.hold(key, &message(turn)).await;
    hold.unwrap()
}

/// Of whom the messages may go, and whether others are held.
async fn ready(backends: &Backends, key: &ConversationKey) -> (Vec<CorrelationId>, bool) {
    let ready = backends.conversations.ready(key).await.unwrap();
    let Ready {
        messages,
        holds_more,
    } = ready;
    let jobs = messages.iter().map(Envelope::correlation_id);
    (jobs.collect(), holds_more)
}

async fn words(backends: &Backends, key: &ConversationKey) -> Vec<String> {
    let history = backends.conversations.history(key).await.unwrap();
    history.into_iter().map(|turn| turn.user).collect()
}

pub async fn jobs_have_their_turns_in_the_order_in_which_they_were_accepted(backends: Backends) {
    let key = key();
    let conversations = &backends.conversations;
    let turns = [turn("satu"), turn("dua"), turn("tiga")];
    for (turn, expected) in turns
        .iter()
        .zip([Place::Next, Place::Behind, Place::Behind])
    {
        let place = conversations.accept(&key, turn.job, deadline()).await;
        assert_eq!(place, Ok(expected));
    }
    let [first, second, third] = &turns;
    assert_eq!(place(&backends, &key, first).await, Place::Next);
    for held in [third, second] {
        assert_eq!(place(&backends, &key, held).await, Place::Behind);
    }
    assert_eq!(ready(&backends, &key).await, (vec![], true));
    for _ in 0..2 {
        // The process that adds it may end before it has published the next one.
        let next = conversations.append(&key, first.clone()).await;
        assert_eq!(next, Ok(Some(message_of(&backends, &key, second).await)));
    }
    assert_eq!(ready(&backends, &key).await, (vec![second.job], true));
    conversations.published(&key, second.job).await.unwrap();
    assert_eq!(ready(&backends, &key).await, (vec![], true));
    let next = conversations.remove_from_order(&key, second.job).await;
    assert_eq!(next.unwrap().unwrap().correlation_id(), third.job);
    conversations.published(&key, third.job).await.unwrap();
    assert_eq!(ready(&backends, &key).await, (vec![], false));
}

/// As it is held.
async fn message_of(backends: &Backends, key: &ConversationKey, turn: &PastTurn) -> Envelope {
    let ready = backends.conversations.ready(key).await.unwrap();
    let mut messages = ready.messages.into_iter();
    let held = messages.find(|it| it.correlation_id() == turn.job);
    let held = held.expect("it is held");
    assert_eq!(held.turn, message(turn).turn);
    held
}

pub async fn a_message_whose_job_has_no_time_left_may_go(backends: Backends) {
    let key = key();
    accepted(&backends, &key, "satu").await;
    let late = turn("dua");
    let soon = UnixMillis::now().after(Duration::from_millis(300));
    let accepting = backends.conversations.accept(&key, late.job, soon).await;
    assert_eq!(accepting, Ok(Place::Behind));
    assert_eq!(place(&backends, &key, &late).await, Place::Behind);
    tokio::time::sleep(Duration::from_millis(320)).await;
    // Its worker ends it.
    assert_eq!(ready(&backends, &key).await, (vec![late.job], false));
}

pub async fn accepting_a_job_again_leaves_it_where_it_is(backends: Backends) {
    let key = key();
    let first = accepted(&backends, &key, "satu").await;
    let second = accepted(&backends, &key, "dua").await;
    for (turn, expected) in [(&first, Place::Next), (&second, Place::Behind)] {
        let accept = backends.conversations.accept(&key, turn.job, deadline());
        assert_eq!(accept.await, Ok(expected));
        assert_eq!(place(&backends, &key, turn).await, expected);
    }
}

pub async fn a_job_that_was_never_accepted_waits_for_none(backends: Backends) {
    let key = key();
    accepted(&backends, &key, "satu").await;
    assert_eq!(place(&backends, &key, &turn("dua")).await, Place::Next);
}

pub async fn a_job_that_is_removed_blocks_none_and_adds_no_turn(backends: Backends) {
    let key = key();
    let first = accepted(&backends, &key, "satu").await;
    let second = accepted(&backends, &key, "dua").await;
    for _ in 0..2 {
        let removed = backends.conversations.remove_from_order(&key, first.job);
        assert_eq!(removed.await, Ok(None));
    }
    assert_eq!(place(&backends, &key, &second).await, Place::Next);
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
    assert_eq!(place(&backends, &key, &next).await, Place::Next);
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
    assert_eq!(place(&backends, &key, &under_way[1]).await, Place::Behind);
    for _ in 0..2 {
        assert!(backends.conversations.forget(&key).await.is_ok());
    }
    assert_eq!(ready(&backends, &key).await, (vec![], false));
    assert_eq!(place(&backends, &key, &under_way[1]).await, Place::Next);
    for turn in [&past, &under_way[0], &under_way[1]] {
        append(turn).await.unwrap();
    }
    assert_eq!(backends.conversations.history(&key).await, Ok(Vec::new()));

    let next = accepted(&backends, &key, "baru").await;
    assert_eq!(place(&backends, &key, &next).await, Place::Next);
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

pub async fn a_job_that_is_resumed_comes_last(backends: Backends) {
    let key = key();
    let conversations = &backends.conversations;
    let first = accepted(&backends, &key, "satu").await;
    let second = accepted(&backends, &key, "dua").await;
    conversations
        .remove_from_order(&key, first.job)
        .await
        .unwrap();
    for turn in [&first, &second] {
        let job = resumed(turn, turn.at);
        for _ in 0..2 {
            conversations.accept_again(&key, &job).await.unwrap();
        }
    }
    assert_eq!(place(&backends, &key, &second).await, Place::Next);
    assert_eq!(place(&backends, &key, &first).await, Place::Behind);
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
    assert_eq!(place(&backends, &key, &turn).await, Place::Next);
    conversations.append(&key, turn).await.unwrap();
    assert!(words(&backends, &key).await.is_empty());
}

pub async fn the_orders_of_two_tenants_are_apart(backends: Backends) {
    let key = key();
    accepted(&backends, &key, "satu").await;
    let other = ConversationKey {
        tenant: "other".parse().expect("a word"),
        ..key.clone()
    };
    let theirs = accepted(&backends, &other, "dua").await;
    assert_eq!(place(&backends, &other, &theirs).await, Place::Next);
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
