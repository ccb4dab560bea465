//! What the stages use on behalf of tenants, so that a daily budget can be kept:
//! set aside before, and counted after, also where a stage is broken off.

use std::{sync::Arc, time::Duration};

use common::{
    envelope::Job,
    ids::Tenant,
    quota::{Quotas, Reservation, Usage},
    time::UnixMillis,
};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tracing::warn;

/// Time to count what was used, beyond the deadline of the job.
const TO_SETTLE: Duration = Duration::from_secs(60);

/// What cannot be counted is not: an answer that was paid for is worth more than
/// its place in an account.
#[derive(Clone)]
pub struct Meter {
    quotas: Arc<dyn Quotas>,
    /// Counts of work that was broken off.
    late: TaskTracker,
}

/// Where what a job uses is counted.
#[derive(Clone, Copy)]
pub struct Account<'a> {
    pub meter: &'a Meter,
    pub job: &'a Job,
}

impl Meter {
    pub fn new(quotas: &Arc<dyn Quotas>) -> Self {
        Self {
            quotas: Arc::clone(quotas),
            late: TaskTracker::new(),
        }
    }

    /// Sets `estimate` aside for something that `job` is about to use.
    pub async fn begin(&self, job: &Job, estimate: Usage) -> Spending {
        let time = job.time_left(UnixMillis::now()) + TO_SETTLE;
        let reservation = Reservation::new(job.correlation_id, estimate, time);
        if let Err(error) = self.quotas.reserve(&job.tenant, &reservation).await {
            warn!(%error, "what a stage is about to use is not set aside");
        }
        Spending {
            used: Usage::default(),
            open: Some(Open {
                meter: self.clone(),
                tenant: job.tenant.clone(),
                reservation,
            }),
        }
    }

    /// Waits until all is counted that was broken off.
    pub async fn finish(&self) {
        self.late.close();
        self.late.wait().await;
    }

    async fn settle(&self, tenant: &Tenant, reservation: &Reservation, used: Usage) {
        if let Err(error) = self.quotas.settle(tenant, reservation, used).await {
            warn!(%error, "what a stage used is not counted");
        }
    }
}

/// Something that is being used. Dropped, as work is that takes too long or whose
/// job is cancelled, it counts what was used until then.
pub struct Spending {
    used: Usage,
    /// Until it is settled; `None` where nobody counts.
    open: Option<Open>,
}

struct Open {
    meter: Meter,
    tenant: Tenant,
    reservation: Reservation,
}

impl Spending {
    pub async fn of(account: Option<Account<'_>>, estimate: Usage) -> Self {
        match account {
            Some(Account { meter, job }) => meter.begin(job, estimate).await,
            None => Self {
                used: Usage::default(),
                open: None,
            },
        }
    }

    /// As far as is known now, this much is used in all.
    pub fn is(&mut self, used: Usage) {
        self.used = used;
    }

    pub async fn settle(mut self) {
        if let Some(Open {
            meter,
            tenant,
            reservation,
        }) = &self.open
        {
            meter.settle(tenant, reservation, self.used).await;
        }
        self.open = None;
    }
}

impl Drop for Spending {
    fn drop(&mut self) {
        let (Some(open), Ok(runtime)) = (self.open.take(), Handle::try_current()) else {
            return;
        };
        let used = self.used;
        let late = open.meter.late.clone();
        late.spawn_on(
            async move {
                let Open {
                    meter,
                    tenant,
                    reservation,
                } = &open;
                meter.settle(tenant, reservation, used).await;
            },
            &runtime,
        );
    }
}

#[cfg(test)]
pub mod tests {
    use std::num::NonZeroU64;

    use common::{
        ids::CorrelationId,
        pipeline::Route,
        quota::{Budgets, NewJob, Partition, Request, memory::MemoryQuotas},
        testing::fixtures,
    };

    use super::*;

    /// A meter of its own, and a job.
    pub fn account() -> (Meter, Job) {
        let quotas: Arc<dyn Quotas> = Arc::new(MemoryQuotas::default());
        (Meter::new(&quotas), fixtures::job(Route::Text))
    }

    impl Meter {
        /// The most tokens in a day with which there is nothing left for a job.
        pub async fn tokens(&self, job: &Job) -> u64 {
            let mut budget = 0;
            while self.has_used(&job.tenant, budget + 1).await {
                budget += 1;
            }
            budget
        }

        async fn has_used(&self, tenant: &Tenant, budget: u64) -> bool {
            let job = NewJob {
                id: CorrelationId::new(),
                deadline: UnixMillis::now(),
                most: None,
                budgets: Budgets {
                    tokens: NonZeroU64::new(budget),
                    audio: None,
                },
                estimate: Usage::default(),
            };
            let request = Request {
                partition: &Partition::Tenant(tenant.clone()),
                policies: &[],
                job: Some(job),
            };
            !self.quotas.admit(&request).await.unwrap().is_admitted()
        }
    }

    #[tokio::test]
    async fn what_is_broken_off_counts_as_far_as_it_came() {
        let (meter, job) = account();
        let mut spending = meter.begin(&job, Usage::tokens(50)).await;
        assert_eq!(meter.tokens(&job).await, 50);
        spending.is(Usage::tokens(7));
        drop(spending);
        meter.finish().await;
        assert_eq!(meter.tokens(&job).await, 7);
        let mut spending = meter.begin(&job, Usage::tokens(50)).await;
        spending.is(Usage::tokens(4));
        spending.settle().await;
        assert_eq!(meter.tokens(&job).await, 11);
    }
}
