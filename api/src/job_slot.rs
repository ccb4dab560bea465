//! The slot of a job among those of its tenant, from before the request is
//! read until the job is accepted.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use common::{
    ids::{CorrelationId, Tenant},
    quota::Quotas,
    time::UnixMillis,
};
use tracing::{debug, warn};

/// Given back when no job comes of the request. What an accepted job holds is
/// freed by whoever ends the job, at the latest by its deadline.
pub struct JobSlot {
    quotas: Arc<dyn Quotas>,
    tenant: Tenant,
    job: CorrelationId,
    deadline: UnixMillis,
    interactive_jobs: u32,
    /// The job has it, or it was given back.
    is_settled: AtomicBool,
}

impl JobSlot {
    /// That which `job` got until `deadline`, as the last of
    /// `interactive_jobs`.
    pub fn taken(
        quotas: Arc<dyn Quotas>,
        tenant: Tenant,
        job: CorrelationId,
        deadline: UnixMillis,
        interactive_jobs: u32,
    ) -> Self {
        Self {
            quotas,
            tenant,
            job,
            deadline,
            interactive_jobs,
            is_settled: AtomicBool::new(false),
        }
    }

    /// What the job is to be called.
    pub fn job(&self) -> CorrelationId {
        self.job
    }

    /// Of the tenant, this one included until it is demoted.
    pub fn interactive_jobs(&self) -> u32 {
        self.interactive_jobs
    }

    /// The job is not an interactive one.
    pub async fn demote(&self) {
        if let Err(error) = self.quotas.demote(&self.tenant, self.job).await {
            debug!(correlation_id = %self.job, %error, "a batch job counts as interactive until its end");
        }
    }

    /// The job is accepted, and has until `deadline`.
    pub async fn keep(&self, deadline: UnixMillis) {
        self.is_settled.store(true, Ordering::Relaxed);
        if deadline <= self.deadline {
            return;
        }
        let held = self.quotas.hold(&self.tenant, self.job, deadline).await;
        if let Err(error) = held {
            warn!(correlation_id = %self.job, %error, "a job may lose its slot before its deadline");
        }
    }

    /// Gives it back, unless the job has it.
    pub async fn settle(&self) {
        if !self.is_settled.swap(true, Ordering::Relaxed) {
            give_back(self.quotas.as_ref(), &self.tenant, self.job).await;
        }
    }
}

async fn give_back(quotas: &dyn Quotas, tenant: &Tenant, job: CorrelationId) {
    if let Err(error) = quotas.leave(tenant, job).await {
        debug!(correlation_id = %job, %error, "a slot is free at its deadline only");
    }
}

impl Drop for JobSlot {
    /// A client that hangs up before its request is answered ends the request,
    /// and with it all that could wait for the store.
    fn drop(&mut self) {
        if *self.is_settled.get_mut() {
            return;
        }
        let quotas = Arc::clone(&self.quotas);
        let (tenant, job) = (self.tenant.clone(), self.job);
        // Nobody waits for it: it is over as soon as the store answers or is
        // known to be away, and without it the slot is free at the deadline.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { give_back(quotas.as_ref(), &tenant, job).await });
        }
    }
}

impl fmt::Debug for JobSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobSlot({})", self.job)
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU32, time::Duration};

    use common::quota::{Budgets, NewJob, Partition, Request, Usage, memory::MemoryQuotas};

    use super::*;

    struct One(Arc<dyn Quotas>);

    impl One {
        fn new() -> Self {
            Self(Arc::new(MemoryQuotas::default()))
        }

        /// The one slot that there is, if it is free.
        async fn take(&self, left: Duration) -> Option<JobSlot> {
            let id = CorrelationId::new();
            let deadline = UnixMillis::now().after(left);
            let job = NewJob {
                id,
                deadline,
                most: Some(NonZeroU32::MIN),
                budgets: Budgets::default(),
                estimate: Usage::default(),
            };
            let request = Request {
                partition: &Partition::Tenant(Tenant::default()),
                policies: &[],
                job: Some(job),
            };
            let ruling = self.0.admit(&request).await.unwrap();
            let slot = || {
                let quotas = Arc::clone(&self.0);
                JobSlot::taken(quotas, Tenant::default(), id, deadline, 1)
            };
            ruling.is_admitted().then(slot)
        }
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_place_of_which_no_job_came_is_free_again() {
        let one = One::new();
        let first = one.take(MINUTE).await.unwrap();
        assert!(one.take(MINUTE).await.is_none());
        first.settle().await;
        let second = one.take(MINUTE).await.unwrap();
        // Dropped as a request is whose client hangs up.
        drop(second);
        tokio::task::yield_now().await;
        assert!(one.take(MINUTE).await.is_some());
    }

    #[tokio::test]
    async fn the_place_of_an_accepted_job_is_kept_until_the_deadline_that_it_got() {
        let one = One::new();
        let slot = one.take(Duration::ZERO).await.unwrap();
        slot.keep(UnixMillis::now().after(MINUTE)).await;
        slot.settle().await;
        drop(slot);
        tokio::task::yield_now().await;
        assert!(one.take(MINUTE).await.is_none());
    }
}
