//! A store that comes back with less than was known.

use tracing::warn;

use super::{append_of, epoch_now};
use crate::{
    ids::CorrelationId,
    job::{
        state::Draft,
        store::{Epoch, JobStore, Snapshot, Stored, epoch_of},
    },
    reply::{Event, Record, ReplyError},
};

/// The events after `cursor`, which is the number of an event that this store has had. Where the log has not come so far any
/// more, it is begun anew.
pub(super) async fn read_on(
    store: &dyn JobStore,
    id: CorrelationId,
    cursor: u64,
) -> Result<Vec<Record>, ReplyError> {
    let reading = store.read(id, cursor).await?;
    if reading.last == 0 || reading.last >= cursor {
        return Ok(reading.records);
    }
    if let Some(found) = store.load(id).await?
        && found.state.last < cursor
    {
        if found.state.is_terminal() {
            // Whoever has seen more than there is left is told how it ended.
            let mut whole = store.read(id, 0).await?.records;
            whole.drain(..whole.len().saturating_sub(1));
            return Ok(whole);
        }
        begin_anew(store, id, found, epoch_of(cursor)).await?;
    }
    Ok(store.read(id, cursor).await?.records)
}

/// See [`Draft::begin_anew`]; gives the log as it is then, in a later epoch than the one that was `seen`.
pub(super) async fn begin_anew(
    store: &dyn JobStore,
    id: CorrelationId,
    found: Snapshot,
    seen: Epoch,
) -> Result<Option<Snapshot>, ReplyError> {
    let records = store.read(id, 0).await?.records;
    let Some(Event::Accepted { job }) = records.first().map(|record| &record.event) else {
        return Ok(Some(found));
    };
    let epoch = epoch_now(job).max(found.version.epoch.max(seen) + 1);
    let mut draft = Draft::of(found.version.epoch, Some(found.state.clone()));
    draft.begin_anew(epoch, &records);
    let Some(append) = append_of(draft, Some(&found)) else {
        return Ok(Some(found));
    };
    warn!(correlation_id = %id, "the store came back with less of a job than was known; its log is begun anew");
    match store.append_if(id, Some(found.version), &append).await? {
        Stored::Appended => Ok(Some(append.snapshot)),
        Stored::Conflict(other) => Ok(other.map(|it| *it)),
    }
}
