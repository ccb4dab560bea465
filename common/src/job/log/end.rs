//! Waiting for the end of a job.

use tokio::time::timeout;

use super::{JobLog, LOOK_ANYWAY};
use crate::{
    ids::CorrelationId,
    job::watch::{News, Watch},
    retry::Backoff,
};

/// The end of a job.
pub struct End {
    pub(super) log: JobLog,
    pub(super) id: CorrelationId,
    pub(super) watch: Watch,
}

impl End {
    pub fn job(&self) -> CorrelationId {
        self.id
    }

    /// Returns when the job is over. Asks the store only where an announcement may have been missed; so one that was over
    /// before this was made is noticed late.
    pub async fn comes(&mut self) {
        loop {
            if let Ok(News::Certain) = timeout(LOOK_ANYWAY, self.watch.changed()).await {
                return;
            }
            if self.is_there().await {
                return;
            }
        }
    }

    /// Whether the job is over now. Waits for a store that is away.
    pub(super) async fn is_there(&self) -> bool {
        let mut backoff = Backoff::reconnecting();
        loop {
            match self.log.ending(self.id).await {
                Ok(ending) => return ending.is_some(),
                Err(_) => backoff.wait().await,
            }
        }
    }
}
