//! Quotas inside one process, lost with it.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;

use super::{
    A_DAY, NewJob, PLACE_MAY_BE_FREE, Partition, Policy, QuotaError, Quotas, Refusal, Request,
    Reservation, Ruling, Standing, Usage, Why, until_midnight,
};
use crate::{
    ids::{CorrelationId, Tenant},
    time::{UnixMillis, whole_millis},
};
use spent::Spent;

mod spent;

#[derive(Default)]
pub struct MemoryQuotas(Mutex<Accounts>);

#[derive(Default)]
struct Accounts {
    of: HashMap<Partition, Account>,
    /// How many there were when the idle ones were last dropped.
    after_clearing: usize,
}

/// What is known of one partition.
#[derive(Default)]
struct Account {
    /// By the name of the policy: when all of it is there again.
    full_at: HashMap<&'static str, u64>,
    /// Those that have a place.
    jobs: HashMap<CorrelationId, Held>,
    spent: Spent,
    /// By its id.
    reserved: HashMap<String, SetAside>,
}

struct SetAside {
    estimate: Usage,
    until: UnixMillis,
}

struct Held {
    until: UnixMillis,
    is_interactive: bool,
}

#[derive(Clone, Copy)]
struct Now {
    micros: u64,
}

impl Now {
    fn read() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let micros = since.unwrap_or_default().as_micros();
        Self {
            micros: u64::try_from(micros).unwrap_or(u64::MAX),
        }
    }

    fn seconds(self) -> u64 {
        self.micros / 1_000_000
    }

    fn millis(self) -> UnixMillis {
        UnixMillis(self.micros / 1_000)
    }

    fn day(self) -> u64 {
        self.seconds() / A_DAY
    }
}

impl MemoryQuotas {
    /// No code panics while holding the lock, so a poisoned one is still whole.
    fn lock(&self) -> MutexGuard<'_, Accounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, tenant: &Tenant, act: impl FnOnce(&mut Account) -> T) -> Option<T> {
        let partition = Partition::Tenant(tenant.clone());
        self.lock().of.get_mut(&partition).map(act)
    }
}

/// One of the things of which a tenant may use so much in a day.
struct Stock {
    budget: Option<u64>,
    spent: u64,
    /// Of a job.
    estimate: u64,
    reserved: u64,
}

impl Stock {
    /// How long there is none for another job, if so.
    fn refused_for(&self, others: u64, now: Now) -> Option<Duration> {
        let budget = self.budget?;
        if self.spent >= budget {
            return Some(until_midnight(now.seconds()));
        }
        let held = self.reserved.max(others.saturating_mul(self.estimate));
        (self.spent.saturating_add(held) >= budget).then_some(PLACE_MAY_BE_FREE)
    }
}

impl Accounts {
    /// Drops the idle ones whenever there are twice as many as were left: who
    /// comes from ever new addresses leaves nothing behind for long.
    fn clear(&mut self, now: Now) {
        if self.of.len() > 2 * self.after_clearing + 64 {
            self.of.retain(|_, account| !account.is_idle(now));
            self.after_clearing = self.of.len();
        }
    }
}

impl Account {
    fn is_idle(&self, now: Now) -> bool {
        self.full_at.values().all(|full_at| *full_at <= now.micros)
            && self.jobs.values().all(|held| held.until <= now.millis())
            && self.spent.is_nothing()
            && self.reserved.values().all(|it| it.until <= now.millis())
    }

    fn admit(&mut self, request: &Request<'_>, now: Now) -> Ruling {
        self.jobs.retain(|_, held| held.until > now.millis());
        let refusal = self.refusal(request, now);
        if refusal.is_none() {
            self.count(request, now);
        }
        let (jobs_under_way, interactive_jobs) = match request.job {
            Some(_) => (
                self.count_jobs(|_| true),
                self.count_jobs(|held| held.is_interactive),
            ),
            None => (0, 0),
        };
        Ruling {
            refusal,
            standings: self.standings(request.policies, now),
            jobs_under_way,
            interactive_jobs,
        }
    }

    fn refusal(&mut self, request: &Request<'_>, now: Now) -> Option<Refusal> {
        self.too_often(request.policies, now).or_else(|| {
            let job = request.job?;
            self.overspent(&job, now).or_else(|| self.no_place(&job))
        })
    }

    /// By the policy that has no room for the longest time.
    fn too_often(&self, policies: &[Policy], now: Now) -> Option<Refusal> {
        let refusals = policies.iter().enumerate().filter_map(|(n, policy)| {
            let retry_after = policy.take(self.full_at(policy), now.micros).err()?;
            Some(Refusal {
                why: Why::Rate { policy: n },
                retry_after,
            })
        });
        // The first of those that are equal.
        refusals.rev().max_by_key(|refusal| refusal.retry_after)
    }

    fn overspent(&mut self, job: &NewJob, now: Now) -> Option<Refusal> {
        self.spent.begin(now.day());
        let (budgets, estimate) = (job.budgets, job.estimate);
        let (tokens, audio_ms) = self.set_aside(now);
        let of_tokens = Stock {
            budget: budgets.tokens.map(u64::from),
            spent: self.spent.tokens,
            estimate: estimate.tokens,
            reserved: tokens,
        };
        let of_audio = Stock {
            budget: budgets.audio.map(whole_millis),
            spent: self.spent.audio_ms,
            estimate: whole_millis(estimate.audio),
            reserved: audio_ms,
        };
        let others = self.jobs.keys().filter(|id| **id != job.id).count() as u64;
        let refusal = |stock: Stock, why| {
            let retry_after = stock.refused_for(others, now)?;
            Some(Refusal { why, retry_after })
        };
        refusal(of_tokens, Why::Tokens).or_else(|| refusal(of_audio, Why::Audio))
    }

    /// Tokens, and ms of audio.
    fn set_aside(&mut self, now: Now) -> (u64, u64) {
        self.reserved.retain(|_, it| it.until > now.millis());
        let all = self.reserved.values().map(|it| it.estimate);
        all.fold((0, 0), |(tokens, audio), it| {
            (tokens + it.tokens, audio + whole_millis(it.audio))
        })
    }

    fn no_place(&self, job: &NewJob) -> Option<Refusal> {
        let most = usize::try_from(job.most?.get()).unwrap_or(usize::MAX);
        let is_new = !self.jobs.contains_key(&job.id);
        (is_new && self.jobs.len() >= most).then_some(Refusal {
            why: Why::Jobs,
            retry_after: PLACE_MAY_BE_FREE,
        })
    }

    fn count(&mut self, request: &Request<'_>, now: Now) {
        for policy in request.policies {
            if let Ok(full_at) = policy.take(self.full_at(policy), now.micros) {
                self.full_at.insert(policy.name, full_at);
            }
        }
        if let Some(job) = request.job {
            let held = Held {
                until: job.deadline,
                is_interactive: true,
            };
            self.jobs.insert(job.id, held);
        }
    }

    fn count_jobs(&self, which: impl Fn(&Held) -> bool) -> u32 {
        let count = self.jobs.values().filter(|held| which(held)).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    fn full_at(&self, policy: &Policy) -> u64 {
        self.full_at.get(policy.name).copied().unwrap_or_default()
    }

    fn standings(&self, policies: &[Policy], now: Now) -> Vec<Standing> {
        let standing =
            |policy: &Policy| policy.standing(self.full_at(policy).saturating_sub(now.micros));
        policies.iter().map(standing).collect()
    }
}

#[async_trait]
impl Quotas for MemoryQuotas {
    async fn admit(&self, request: &Request<'_>) -> Result<Ruling, QuotaError> {
        let now = Now::read();
        let mut accounts = self.lock();
        accounts.clear(now);
        let account = accounts.of.entry(request.partition.clone()).or_default();
        Ok(account.admit(request, now))
    }

    async fn hold(
        &self,
        tenant: &Tenant,
        job: CorrelationId,
        deadline: UnixMillis,
    ) -> Result<(), QuotaError> {
        self.with(tenant, |account| {
            if let Some(held) = account.jobs.get_mut(&job) {
                held.until = deadline.max(held.until);
            }
        });
        Ok(())
    }

    async fn demote(&self, tenant: &Tenant, job: CorrelationId) -> Result<(), QuotaError> {
        self.with(tenant, |account| {
            if let Some(held) = account.jobs.get_mut(&job) {
                held.is_interactive = false;
            }
        });
        Ok(())
    }

    async fn leave(&self, tenant: &Tenant, job: CorrelationId) -> Result<(), QuotaError> {
        self.with(tenant, |account| account.jobs.remove(&job));
        Ok(())
    }

    async fn reserve(&self, tenant: &Tenant, reservation: &Reservation) -> Result<(), QuotaError> {
        let partition = Partition::Tenant(tenant.clone());
        let mut accounts = self.lock();
        let account = accounts.of.entry(partition).or_default();
        let now = Now::read().millis();
        account.reserved.retain(|_, it| it.until > now);
        let set_aside = SetAside {
            estimate: reservation.estimate,
            until: now.after(reservation.time),
        };
        account.reserved.insert(reservation.id.clone(), set_aside);
        Ok(())
    }

    async fn settle(
        &self,
        tenant: &Tenant,
        reservation: &Reservation,
        used: Usage,
    ) -> Result<(), QuotaError> {
        let partition = Partition::Tenant(tenant.clone());
        let mut accounts = self.lock();
        let account = accounts.of.entry(partition).or_default();
        account.reserved.remove(&reservation.id);
        account.spent.add(Now::read().day(), &reservation.id, used);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy {
        name: "submit",
        quota: std::num::NonZeroU32::MIN,
        window: Duration::from_secs(60),
    };

    #[tokio::test]
    async fn callers_from_ever_new_addresses_are_forgotten() {
        let quotas = MemoryQuotas::default();
        let window = Duration::from_micros(1);
        for n in 0..10_000_u32 {
            let partition = Partition::Address(std::net::Ipv4Addr::from(n).into());
            let request = Request {
                partition: &partition,
                policies: &[Policy { window, ..POLICY }],
                job: None,
            };
            quotas.admit(&request).await.unwrap();
        }
        let kept = quotas.lock().of.len();
        assert!(kept < 1_000, "{kept}");
    }
}
