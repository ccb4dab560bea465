//! The promises of [`crate::outbox`].

use std::time::Duration;

use tokio::time::sleep;

use crate::{
    backends::Backends,
    ids::CorrelationId,
    outbox::{Entry, Taken},
    time::UnixMillis,
};

const LEASE: Duration = Duration::from_millis(400);

fn entry() -> Entry {
    Entry::Callback {
        job: CorrelationId::new(),
        callback: CorrelationId::new(),
    }
}

async fn take(backends: &Backends, entry: &Entry) -> Option<Taken> {
    let taken = backends.outbox.take(1_000, LEASE).await.unwrap();
    taken.into_iter().find(|taken| taken.entry == *entry)
}

/// Takes `entry` once nobody else has a lease on it.
async fn taken(backends: &Backends, entry: &Entry) -> Taken {
    for _ in 0..100 {
        if let Some(taken) = take(backends, entry).await {
            return taken;
        }
        sleep(LEASE / 8).await;
    }
    panic!("it is not due")
}

pub async fn what_is_due_is_given_to_one_at_a_time_until_it_is_struck_out(backends: Backends) {
    let (now, later) = (entry(), entry());
    let outbox = &backends.outbox;
    outbox.note(&now, UnixMillis::now()).await.unwrap();
    let in_a_minute = UnixMillis::now().after(Duration::from_secs(60));
    outbox.note(&later, in_a_minute).await.unwrap();
    taken(&backends, &now).await;
    assert_eq!(take(&backends, &now).await, None, "it is leased");
    let again = taken(&backends, &now).await;
    outbox.settle(&again, None).await.unwrap();
    outbox.strike(&later).await.unwrap();
    sleep(LEASE).await;
    assert_eq!(take(&backends, &now).await, None);
    assert_eq!(take(&backends, &later).await, None);
}

pub async fn what_is_noted_again_is_not_settled_by_who_took_it_before(backends: Backends) {
    let entry = entry();
    let outbox = &backends.outbox;
    outbox.note(&entry, UnixMillis::now()).await.unwrap();
    let before = taken(&backends, &entry).await;
    outbox.note(&entry, UnixMillis::now()).await.unwrap();
    outbox.settle(&before, None).await.unwrap();
    let again = taken(&backends, &entry).await;
    let later = UnixMillis::now().after(Duration::from_secs(60));
    outbox.settle(&again, Some(later)).await.unwrap();
    sleep(LEASE).await;
    assert_eq!(take(&backends, &entry).await, None);
    outbox.note(&entry, later.after(LEASE)).await.unwrap();
    outbox.note(&entry, UnixMillis::now()).await.unwrap();
    taken(&backends, &entry).await;
    outbox.strike(&entry).await.unwrap();
}

pub async fn what_is_hastened_is_due_sooner_unless_it_is_done(backends: Backends) {
    let entry = entry();
    let outbox = &backends.outbox;
    let in_a_minute = UnixMillis::now().after(Duration::from_secs(60));
    outbox.note(&entry, in_a_minute).await.unwrap();
    outbox
        .hasten(&entry, in_a_minute.after(LEASE))
        .await
        .unwrap();
    assert_eq!(take(&backends, &entry).await, None);
    outbox.hasten(&entry, UnixMillis::now()).await.unwrap();
    taken(&backends, &entry).await;
    outbox.strike(&entry).await.unwrap();
    outbox.hasten(&entry, UnixMillis::now()).await.unwrap();
    sleep(LEASE).await;
    assert_eq!(take(&backends, &entry).await, None);
}
