//! Waiting for the end of a job.

use tokio::time::timeout;

use super::{JobLog, LOOK_ANYWAY};
use crate::{ids::CorrelationId, job::watch::Watch, retry::Backoff};

/// The end of a job.
pub struct End {
    pub(super) log: JobLog,
    pub(super) id: CorrelationId,
    pub(super) watch: Watch,
}

impl End {
    /// Returns when the job is over.
    pub async fn comes(&mut self) {
        let mut backoff = Backoff::reconnecting();
        loop {
            match self.log.ending(self.id).await {
                Ok(Some(_)) => return,
                Ok(None) => {
                    backoff.reset();
                    let _ = timeout(LOOK_ANYWAY, self.watch.changed()).await;
                }
                Err(_) => backoff.wait().await,
            }
        }
    }
}
