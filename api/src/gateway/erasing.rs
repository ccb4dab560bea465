//! Erasing what is stored of a job or a conversation.

use std::{sync::Arc, time::Duration};

use common::{
    broker::dead_letters::DeadLetter,
    conversation::ConversationKey,
    erasure::{self, ErasureError},
    ids::{ConversationId, CorrelationId, Tenant},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};
use tracing::info;

use super::{Gateway, GatewayError};
use crate::job::JobView;

/// Time to look through the dead letters, those before included who do.
const SWEEP: Duration = Duration::from_secs(30);

/// Jobs of one conversation that are erased at the same time.
const AT_ONCE: usize = 16;

/// When the last sweep began that came to its end. One at a time: each goes
/// through all dead letters, and serves all that were erased before it.
pub type LastSweep = Mutex<Option<Instant>>;

impl From<ErasureError> for GatewayError {
    fn from(error: ErasureError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl Gateway {
    /// Erases all data of a job, which is cancelled if it is under way. `false`
    /// when `tenant` has no such job. May be repeated, also after an error.
    pub async fn erase(
        self: &Arc<Self>,
        tenant: Tenant,
        id: CorrelationId,
    ) -> Result<bool, GatewayError> {
        let gateway = Arc::clone(self);
        to_its_end(async move {
            let records = gateway.backends.replies.read(id, 0).await?;
            let view = JobView::of(&records).filter(|view| view.belongs_to(&tenant));
            let Some(view) = view else {
                return Ok(false);
            };
            erasure::erase(&gateway.backends, &view, &records).await?;
            info!(correlation_id = %id, "job erased");
            gateway.sweep_erased().await?;
            Ok(true)
        })
        .await
    }

    /// Erases a conversation, if there is one, and all data of its jobs; those
    /// under way are cancelled. May be repeated, also after an error.
    pub async fn forget(
        self: &Arc<Self>,
        tenant: Tenant,
        id: ConversationId,
    ) -> Result<(), GatewayError> {
        let gateway = Arc::clone(self);
        to_its_end(async move {
            let key = ConversationKey { tenant, id };
            let jobs = gateway.backends.conversations.forget(&key).await?;
            stream::iter(jobs)
                .map(Ok)
                .try_for_each_concurrent(AT_ONCE, |job| gateway.erase_from(&key, job))
                .await?;
            gateway.sweep_conversation(&key).await
        })
        .await
    }

    async fn erase_from(
        &self,
        key: &ConversationKey,
        id: CorrelationId,
    ) -> Result<(), GatewayError> {
        let records = self.backends.replies.read(id, 0).await?;
        let is_of_it = |view: &JobView| ConversationKey::of(&view.job).as_ref() == Some(key);
        match JobView::of(&records).filter(is_of_it) {
            Some(view) => {
                erasure::erase(&self.backends, &view, &records).await?;
            }
            None => {
                self.backends.conversations.erase(key, id).await?;
            }
        }
        Ok(())
    }

    /// For jobs that are erased by now.
    async fn sweep_erased(&self) -> Result<(), GatewayError> {
        let erased_by = Instant::now();
        within_time(async {
            let mut last = self.last_sweep.lock().await;
            if last.is_some_and(|began| began > erased_by) {
                return Ok(());
            }
            let began = Instant::now();
            erasure::sweep(&self.backends, &|_| false).await?;
            *last = Some(began);
            Ok(())
        })
        .await
    }

    /// Also where nothing else is known any more of the jobs.
    async fn sweep_conversation(&self, key: &ConversationKey) -> Result<(), GatewayError> {
        let is_of_it = |letter: &DeadLetter| {
            let job = letter.envelope().map(|envelope| &envelope.job);
            job.and_then(ConversationKey::of).as_ref() == Some(key)
        };
        within_time(async {
            let _last = self.last_sweep.lock().await;
            erasure::sweep(&self.backends, &is_of_it).await?;
            Ok(())
        })
        .await
    }
}

async fn within_time(
    sweep: impl Future<Output = Result<(), GatewayError>>,
) -> Result<(), GatewayError> {
    let too_slow = |_| GatewayError::Unavailable("too many dead letters to look through".into());
    timeout(SWEEP, sweep).await.map_err(too_slow)?
}

/// Also when the client goes away meanwhile, which ends its request.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, GatewayError>> + Send + 'static,
) -> Result<T, GatewayError> {
    let broken_off = |_| GatewayError::Unavailable("the erasure was broken off".into());
    tokio::spawn(work).await.map_err(broken_off)?
}
