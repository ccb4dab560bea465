//! The promises of [`crate::conversation`].

use crate::{
    backends::Backends,
    conversation::{ConversationKey, KEPT_TURNS, PastTurn},
    ids::{CorrelationId, Tenant},
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
