//! The promises of [`crate::job::store`].

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use tokio::time::timeout;

use crate::{
    backends::Backends,
    ids::CorrelationId,
    job::{
        state::JobState,
        store::{Append, FIRST_EPOCH, JobStore, Snapshot, Stored, Version},
        watch::Topic,
    },
    pipeline::Route,
    reply::{Event, Record},
    testing::fixtures::job,
    time::UnixMillis,
};

const SOON: Duration = Duration::from_secs(20);

/// The append that makes version `number` of a log that has `last` events, with `events` as the last of them.
fn append(number: u64, last: u64, events: &[Event]) -> Append {
    let first = last + 1 - events.len() as u64;
    let records = (first..)
        .zip(events)
        .map(|(sequence_number, event)| Record {
            sequence_number,
            at: UnixMillis(7),
            event: event.clone(),
        });
    let mut state = JobState::accepted();
    state.last = last;
    Append {
        records: records.collect(),
        snapshot: Snapshot {
            version: version(number),
            state,
        },
        erases: false,
    }
}

fn version(number: u64) -> Version {
    Version {
        epoch: FIRST_EPOCH,
        number,
        nonce: number,
    }
}

fn accepted() -> Event {
    Event::Accepted {
        job: job(Route::Text),
    }
}

fn delta(text: &str) -> Event {
    Event::AnswerDelta { text: text.into() }
}

async fn read(store: &Arc<dyn JobStore>, id: CorrelationId, after: u64) -> Vec<Record> {
    let reading = store.read(id, after).await.unwrap();
    if let Some(last) = reading.records.last() {
        assert_eq!(reading.last, last.sequence_number);
    }
    reading.records
}

fn store(backends: &Backends) -> Arc<dyn JobStore> {
    Arc::clone(backends.replies.store())
}

pub async fn an_append_is_stored_on_the_version_that_it_was_decided_on(backends: Backends) {
    let (store, id) = (store(&backends), CorrelationId::new());
    assert_eq!(store.load(id).await, Ok(None));
    let first = append(1, 1, &[accepted()]);
    let late = store.append_if(id, Some(version(1)), &first).await;
    assert_eq!(late, Ok(Stored::Conflict(None)));
    assert_eq!(
        store.append_if(id, None, &first).await,
        Ok(Stored::Appended)
    );
    let found = || Box::new(first.snapshot.clone());
    let again = store.append_if(id, None, &first).await;
    assert_eq!(again, Ok(Stored::Conflict(Some(found()))));
    let second = append(2, 3, &[delta("a"), delta("b")]);
    for other in [2, 7] {
        let refused = store.append_if(id, Some(version(other)), &second).await;
        assert_eq!(refused, Ok(Stored::Conflict(Some(found()))));
    }
    for other in [
        Version {
            epoch: 9,
            ..version(1)
        },
        Version {
            nonce: 9,
            ..version(1)
        },
    ] {
        let refused = store.append_if(id, Some(other), &second).await;
        assert_eq!(refused, Ok(Stored::Conflict(Some(found()))));
    }
    assert_eq!(read(&store, id, 0).await, first.records);
    let stored = store.append_if(id, Some(version(1)), &second).await;
    assert_eq!(stored, Ok(Stored::Appended));
    assert_eq!(store.load(id).await, Ok(Some(second.snapshot.clone())));
    assert_eq!(read(&store, id, 1).await, second.records);
    assert_eq!(read(&store, id, 2).await, second.records[1..]);
    assert_eq!(read(&store, id, 3).await, []);
    assert_eq!(read(&store, id, 9).await, []);
}

pub async fn of_many_appends_on_one_version_one_is_stored(backends: Backends) {
    let (store, id) = (store(&backends), CorrelationId::new());
    let first = append(1, 1, &[accepted()]);
    store.append_if(id, None, &first).await.unwrap();
    let texts: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    let appends = texts.iter().map(|text| {
        let (store, second) = (&store, append(2, 2, &[delta(text)]));
        async move {
            store
                .append_if(id, Some(version(1)), &second)
                .await
                .unwrap()
        }
    });
    let stored = join_all(appends).await;
    let appended = stored.iter().filter(|it| **it == Stored::Appended).count();
    assert_eq!(appended, 1);
    assert_eq!(read(&store, id, 0).await.len(), 2);
}

pub async fn a_state_is_kept_without_an_event(backends: Backends) {
    let (store, id) = (store(&backends), CorrelationId::new());
    let first = append(1, 1, &[accepted()]);
    store.append_if(id, None, &first).await.unwrap();
    let second = append(2, 1, &[]);
    store
        .append_if(id, Some(version(1)), &second)
        .await
        .unwrap();
    assert_eq!(store.load(id).await, Ok(Some(second.snapshot)));
    assert_eq!(read(&store, id, 0).await, first.records);
}

pub async fn what_is_erased_goes_and_the_numbers_go_on(backends: Backends) {
    let (store, id) = (store(&backends), CorrelationId::new());
    let first = append(1, 3, &[accepted(), delta("a"), delta("b")]);
    store.append_if(id, None, &first).await.unwrap();
    let mut last = append(2, 4, &[Event::Cancelled]);
    last.erases = true;
    last.snapshot.state.first = 4;
    store.append_if(id, Some(version(1)), &last).await.unwrap();
    for after in 0..4 {
        assert_eq!(read(&store, id, after).await, last.records, "{after}");
    }
    assert_eq!(read(&store, id, 4).await, []);
}

pub async fn who_watches_hears_of_what_comes(backends: Backends) {
    let log = &backends.replies;
    let job = job(Route::Text);
    let (store, id) = (store(&backends), job.correlation_id);
    for topic in [Topic::Growth(id), Topic::End(id)] {
        let mut watch = store.watch(topic);
        // A subscription tells of itself.
        let _ = timeout(Duration::from_millis(300), watch.changed()).await;
        let event = match topic {
            Topic::Growth(_) => {
                log.open(&job).await.unwrap();
                delta("a")
            }
            Topic::End(_) => Event::Cancelled,
        };
        log.append(id, &[event]).await.unwrap();
        timeout(SOON, watch.changed()).await.expect("news");
    }
}
