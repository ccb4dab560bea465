//! Decides by the quotas of a caller whether a request is worked on.
//!
//! What is answered with 429 counts against nothing. Everything else that has a
//! valid key counts as one request, whatever its answer: to find out that it is
//! wrong is work, too.

use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};

use common::{
    ids::{CorrelationId, Tenant},
    quota::{
        Budgets, NewJob, Partition, Policy, QuotaError, Quotas, Refusal, Request, Ruling, Usage,
        Why,
    },
    time::UnixMillis,
};
use metrics::counter;
use tracing::{info, warn};

use crate::{
    client_address::household,
    config::limits::{LimitConfig, Rates, WhenAway},
    error::Problem,
    job_slot::JobSlot,
    page::session::Visitor,
    rate_limit_fields::{RateLimitFields, whole_seconds},
    turned_away::TurnedAway,
};

/// Time for a request to be read, beyond the deadline of its job: so that the
/// store need not be told again when the job is accepted.
const TO_BE_READ: Duration = Duration::from_secs(30);

/// What a job is likely to use, for those that are admitted before it is known:
/// some 3,500 tokens of passages, question and history, and an answer of some
/// hundreds; a question of ten seconds, and its answer.
const TOKENS_OF_A_JOB: u64 = 4_000;
const AUDIO_OF_A_JOB: Duration = Duration::from_secs(30);

/// When to come again while too many ask at the same time.
const CROWD_LEAVES: Duration = Duration::from_secs(10);

pub struct Limiter {
    quotas: Arc<dyn Quotas>,
    config: LimitConfig,
    /// Of a job whose client gives it none.
    deadline: Duration,
    turned_away: TurnedAway,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A job with a written question.
    Chat,
    /// A job with a spoken one.
    Audio,
    /// Anything else.
    Read,
}

/// What becomes of a request, and what its caller is told of his quotas.
#[derive(Debug)]
pub enum Decision {
    Admitted {
        fields: RateLimitFields,
        /// For the job that it asks for.
        slot: Option<Arc<JobSlot>>,
    },
    Refused {
        fields: RateLimitFields,
        problem: Problem,
    },
}

impl Decision {
    /// Without counting it.
    fn admitted() -> Self {
        Self::Admitted {
            fields: RateLimitFields::default(),
            slot: None,
        }
    }
}

impl Limiter {
    pub fn new(quotas: Arc<dyn Quotas>, config: LimitConfig, deadline: Duration) -> Self {
        Self {
            quotas,
            config,
            deadline,
            turned_away: TurnedAway::default(),
        }
    }

    /// For a request of `tenant`, whose key was right.
    pub async fn admit(&self, tenant: &Tenant, class: Class) -> Decision {
        let policies = self.policies(class);
        let partition = Partition::Tenant(tenant.clone());
        self.weigh(tenant, &partition, &policies, self.new_job(class))
            .await
    }

    /// For a request of the page: how often one asks is counted by session, and by address, since anybody may begin another
    /// session; what is under way, by tenant.
    pub async fn admit_visitor(
        &self,
        tenant: &Tenant,
        visitor: &Visitor,
        class: Class,
    ) -> Decision {
        let policies = self.policies(class);
        let session = Partition::Session(visitor.session.to_string());
        // First: one that asks too often is not to use up what its neighbours have.
        let decision = self.weigh(tenant, &session, &policies, None).await;
        let Decision::Admitted { fields, .. } = decision else {
            return decision;
        };
        let of_address: Vec<_> = policies.iter().map(times_crowd).collect();
        let address = Partition::Address(household(visitor.address));
        let decision = self.weigh(tenant, &address, &of_address, None).await;
        let Decision::Admitted { .. } = decision else {
            return decision;
        };
        let of_tenant = Partition::Tenant(tenant.clone());
        let job = self.new_job(class);
        match self.weigh(tenant, &of_tenant, &[], job).await {
            Decision::Admitted { slot, .. } => Decision::Admitted { fields, slot },
            Decision::Refused { problem, .. } => Decision::Refused { fields, problem },
        }
    }

    /// For a browser at `address` that begins to use the page, whose jobs are those of `tenant`.
    pub async fn begin_session(&self, tenant: &Tenant, address: IpAddr) -> Result<(), Problem> {
        let policies = self.policies(Class::Chat).into_iter().map(|submit| Policy {
            name: "session",
            ..times_crowd(&submit)
        });
        let policies: Vec<_> = policies.collect();
        let partition = Partition::Address(household(address));
        match self.weigh(tenant, &partition, &policies, None).await {
            Decision::Admitted { .. } => Ok(()),
            Decision::Refused { problem, .. } => Err(problem),
        }
    }

    async fn weigh(
        &self,
        tenant: &Tenant,
        partition: &Partition,
        policies: &[Policy],
        job: Option<NewJob>,
    ) -> Decision {
        if policies.is_empty() && job.is_none() {
            return Decision::admitted();
        }
        let request = Request {
            partition,
            policies,
            job,
        };
        match self.quotas.admit(&request).await {
            Ok(ruling) => self.decide(tenant, &request, &ruling),
            Err(error) => match self.while_away(&error) {
                Ok(()) => Decision::admitted(),
                Err(problem) => Decision::Refused {
                    fields: RateLimitFields::default(),
                    problem,
                },
            },
        }
    }

    /// For a request from `address` without a right key. It is refused anyway;
    /// who tries many is told no more.
    ///
    /// A right key is never asked where it comes from: others behind the same
    /// address shall not be able to lock its owner out. Nobody finds a key by
    /// trying, with so many bits.
    pub async fn without_key(&self, address: IpAddr) -> Problem {
        let Some(Rates { wrong_key, .. }) = self.config.rates else {
            return Problem::unauthorized();
        };
        let address = household(address);
        if let Some(left) = self.turned_away.time_left(address, Instant::now()) {
            return too_many_wrong_keys(left);
        }
        let request = Request {
            partition: &Partition::Address(address),
            policies: &[wrong_key],
            job: None,
        };
        match self.quotas.admit(&request).await {
            Ok(ruling) => match ruling.refusal {
                None => Problem::unauthorized(),
                Some(Refusal { retry_after, .. }) => {
                    let now = Instant::now();
                    self.turned_away.remember(address, retry_after, now);
                    too_many_wrong_keys(retry_after)
                }
            },
            Err(error) => match self.while_away(&error) {
                Ok(()) => Problem::unauthorized(),
                Err(problem) => problem,
            },
        }
    }

    fn policies(&self, class: Class) -> Vec<Policy> {
        let Some(rates) = &self.config.rates else {
            return Vec::new();
        };
        match class {
            Class::Chat => vec![rates.submit],
            Class::Audio => std::iter::once(rates.submit).chain(rates.audio).collect(),
            Class::Read => vec![rates.read],
        }
    }

    fn new_job(&self, class: Class) -> Option<NewJob> {
        let Budgets { tokens, audio } = self.config.budgets;
        let (audio, spoken) = match class {
            Class::Audio => (audio, AUDIO_OF_A_JOB),
            Class::Chat => (None, Duration::ZERO),
            Class::Read => return None,
        };
        Some(NewJob {
            id: CorrelationId::new(),
            deadline: UnixMillis::now().after(self.deadline + TO_BE_READ),
            most: self.config.most_jobs,
            budgets: Budgets { tokens, audio },
            estimate: Usage {
                tokens: TOKENS_OF_A_JOB,
                audio: spoken,
            },
        })
    }

    fn decide(&self, tenant: &Tenant, request: &Request<'_>, ruling: &Ruling) -> Decision {
        let fields = self.fields(request, ruling);
        let Some(refusal) = ruling.refusal else {
            let slot = request.job.map(|job| {
                let quotas = Arc::clone(&self.quotas);
                let interactive = ruling.interactive_jobs;
                JobSlot::taken(quotas, tenant.clone(), job.id, job.deadline, interactive)
            });
            return Decision::Admitted {
                fields,
                slot: slot.map(Arc::new),
            };
        };
        let (code, problem) = problem(request, ruling, refusal);
        count(code);
        info!(%tenant, code, "a request is refused");
        Decision::Refused { fields, problem }
    }

    /// All policies, and how they stand; to who is refused only what is known
    /// before he is to come again.
    fn fields(&self, request: &Request<'_>, ruling: &Ruling) -> RateLimitFields {
        let mut fields = RateLimitFields::default();
        let retry_after = ruling.refusal.map(|refusal| refusal.retry_after);
        for (policy, standing) in request.policies.iter().zip(&ruling.standings) {
            let is_told = retry_after.is_none_or(|after| standing.more_in <= after);
            fields.add(policy, is_told.then_some(standing));
        }
        if let Some(most) = request.job.and_then(|job| job.most) {
            let is_full = matches!(ruling.refusal, Some(Refusal { why: Why::Jobs, .. }));
            let retry_after = retry_after.filter(|_| is_full);
            fields.add_jobs(most.get(), ruling.jobs_under_way, retry_after);
        }
        fields
    }

    fn while_away(&self, error: &QuotaError) -> Result<(), Problem> {
        warn!(%error, decision = ?self.config.when_away, "nobody knows what callers have used");
        match (error, self.config.when_away) {
            (QuotaError::Crowded, _) => {
                count("quotas_crowded");
                Err(Problem::overloaded(CROWD_LEAVES))
            }
            (QuotaError::Away(_), WhenAway::Allow) => Ok(()),
            (QuotaError::Away(_), WhenAway::Refuse) => {
                count("quotas_away");
                Err(Problem::dependency_away())
            }
        }
    }
}

/// Visitors that share an address, as behind the one of a campus.
const CROWD: u32 = 10;

/// What all of them together may ask.
fn times_crowd(policy: &Policy) -> Policy {
    Policy {
        quota: policy
            .quota
            .saturating_mul(NonZeroU32::new(CROWD).unwrap_or(NonZeroU32::MIN)),
        ..*policy
    }
}

fn too_many_wrong_keys(retry_after: Duration) -> Problem {
    let code = "too_many_wrong_keys";
    count(code);
    Problem::too_many(
        code,
        "Too many requests without a valid API key came from this address.",
        rounded(retry_after),
    )
}

fn problem(
    request: &Request<'_>,
    ruling: &Ruling,
    Refusal { why, retry_after }: Refusal,
) -> (&'static str, Problem) {
    let (code, detail) = match why {
        Why::Rate { policy } => ("rate_limited", too_often(&request.policies[policy])),
        Why::Jobs => (
            "too_many_jobs",
            format!(
                "{} jobs are under way already, and no more are allowed at the same time.",
                ruling.jobs_under_way
            ),
        ),
        Why::Tokens => ("budget_spent", spent("tokens of language models")),
        Why::Audio => ("budget_spent", spent("seconds of audio")),
    };
    (code, Problem::too_many(code, detail, rounded(retry_after)))
}

fn too_often(policy: &Policy) -> String {
    format!(
        "{} requests of this kind ({}) are allowed in {} seconds.",
        policy.quota,
        policy.name,
        policy.window.as_secs()
    )
}

fn spent(what: &str) -> String {
    format!(
        "The {what} that are allowed in a day are used, or set aside for jobs under way; a new day begins at midnight UTC."
    )
}

fn rounded(retry_after: Duration) -> Duration {
    Duration::from_secs(whole_seconds(retry_after))
}

/// `itb_requests_refused_total{code}`: requests that were not worked on.
fn count(code: &'static str) {
    counter!("itb_requests_refused_total", "code" => code).increment(1);
}
