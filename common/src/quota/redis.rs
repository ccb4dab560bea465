//! Quotas in Redis. What belongs to a partition is in one Cluster slot, since
//! its names have the partition in braces: `{tenant:web}` or
//! `{address:192.0.2.1}`.
//!
//! | key | holds |
//! |---|---|
//! | `quota:{…}:rates` | hash, by policy: µs since the epoch at which all of it is there again |
//! | `quota:{…}:jobs` | sorted set of jobs under way, by deadline, ms since the epoch |
//! | `quota:{…}:interactive` | the interactive ones of these, likewise |
//! | `quota:{…}:spent` | hash of what was used: `tokens`, `audio_ms` on the `day` since the epoch |
//! | `quota:{…}:counted:{job}` | set of the messages of a job whose use is counted |
//!
//! Each request is one script, so one round trip; the time in it is that of
//! Redis.

use std::{sync::LazyLock, time::Duration};

use async_trait::async_trait;
use redis::{Script, ScriptInvocation};

use super::{
    NewJob, PLACE_MAY_BE_FREE, Partition, Policy, QuotaError, Quotas, Refusal, Request, Ruling,
    Usage, Why, until_midnight,
};
use crate::{
    ids::{CorrelationId, MessageId, Tenant},
    redis_link::{LinkError, RedisLink},
    time::{UnixMillis, whole_millis},
};

pub struct RedisQuotas {
    link: RedisLink,
}

/// KEYS: rates, jobs, interactive, spent. ARGV: job or '', its deadline, the most jobs or 0,
/// tokens a day or 0, ms of audio a day or 0, and of each policy its name, the
/// µs in which one comes back, and those in which all do.
///
/// Answers why it is refused or '', for how many µs a policy has no room, seconds
/// since the epoch, jobs under way, the interactive ones among them, and of each
/// policy in how many µs all of it is there again.
///
/// Numbers are written by `%.0f`: Lua's own way keeps 14 digits, and a point in
/// time has 16.
static ADMIT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local rates, jobs, interactive, spent = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local job, most, tokens, audio = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local time = redis.call('TIME')
local seconds = tonumber(time[1])
local now = seconds * 1000000 + tonumber(time[2])

local why, wait, was, will = '', 0, {}, {}
for i = 6, #ARGV, 3 do
  local n = (i - 3) / 3
  was[n] = math.max(tonumber(redis.call('HGET', rates, ARGV[i]) or 0), now)
  will[n] = was[n] + tonumber(ARGV[i + 1])
  local early = will[n] - tonumber(ARGV[i + 2]) - now
  if early > wait then why, wait = 'rate:' .. (n - 1), early end
end

local function count(set)
  redis.call('ZREMRANGEBYSCORE', set, '-inf', math.floor(now / 1000))
  return redis.call('ZCARD', set)
end
local function add(set)
  local added = redis.call('ZADD', set, ARGV[2], job)
  redis.call('PEXPIRE', set, 86400000)
  return added
end
local under_way, of_these = 0, 0
if job ~= '' then
  under_way, of_these = count(jobs), count(interactive)
  local is_new = not redis.call('ZSCORE', jobs, job)
  local used = redis.call('HMGET', spent, 'day', 'tokens', 'audio_ms')
  local today = tonumber(used[1]) == math.floor(seconds / 86400)
  local function is_spent(budget, amount)
    return budget > 0 and today and tonumber(amount or 0) >= budget
  end
  if why == '' then
    if is_spent(tokens, used[2]) then why = 'tokens'
    elseif is_spent(audio, used[3]) then why = 'audio'
    elseif is_new and most > 0 and under_way >= most then why = 'jobs' end
  end
  if why == '' then
    under_way = under_way + add(jobs)
    of_these = of_these + add(interactive)
  end
end

local full_in = {}
for i = 6, #ARGV, 3 do
  local n = (i - 3) / 3
  local full_at = was[n]
  if why == '' then
    full_at = will[n]
    redis.call('HSET', rates, ARGV[i], string.format('%.0f', full_at))
    local ms = math.ceil((full_at - now) / 1000)
    if redis.call('PTTL', rates) < ms then redis.call('PEXPIRE', rates, ms) end
  end
  full_in[n] = full_at - now
end
return {why, math.ceil(wait), seconds, under_way, of_these, full_in}
",
    )
});

/// KEYS: spent, counted. ARGV: message, tokens, ms of audio.
static SPEND: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local spent, counted = KEYS[1], KEYS[2]
local is_new = redis.call('SADD', counted, ARGV[1])
redis.call('EXPIRE', counted, 2 * 86400)
if is_new == 0 then return end
local day = string.format('%.0f', math.floor(redis.call('TIME')[1] / 86400))
if redis.call('HGET', spent, 'day') ~= day then
  redis.call('DEL', spent)
  redis.call('HSET', spent, 'day', day)
end
redis.call('HINCRBY', spent, 'tokens', ARGV[2])
redis.call('HINCRBY', spent, 'audio_ms', ARGV[3])
redis.call('EXPIRE', spent, 2 * 86400)
",
    )
});

/// What [`ADMIT`] answers, in its order.
type Answer = (String, u64, u64, u32, u32, Vec<u64>);

impl RedisQuotas {
    pub(crate) fn new(link: RedisLink) -> Self {
        Self { link }
    }

    async fn run<T: redis::FromRedisValue>(
        &self,
        invocation: &ScriptInvocation<'_>,
    ) -> Result<T, QuotaError> {
        let mut connection = self.link.connection();
        self.link
            .bounded(0, invocation.invoke_async(&mut connection))
            .await
            .map_err(QuotaError::from)
    }

    async fn change(&self, commands: &redis::Pipeline) -> Result<(), QuotaError> {
        let mut connection = self.link.connection();
        self.link
            .bounded(0, commands.exec_async(&mut connection))
            .await
            .map_err(QuotaError::from)
    }
}

impl From<LinkError> for QuotaError {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Crowded => Self::Crowded,
            LinkError::Away(reason) | LinkError::Lost(reason) => Self::Away(reason),
        }
    }
}

fn name(partition: &Partition, what: &str) -> String {
    match partition {
        Partition::Tenant(tenant) => format!("quota:{{tenant:{tenant}}}:{what}"),
        Partition::Address(address) => format!("quota:{{address:{address}}}:{what}"),
    }
}

fn name_of_tenant(tenant: &Tenant, what: &str) -> String {
    name(&Partition::Tenant(tenant.clone()), what)
}

/// The sets of jobs.
const SETS: [&str; 2] = ["jobs", "interactive"];

fn removal(tenant: &Tenant, job: CorrelationId, sets: &[&str]) -> redis::Pipeline {
    let mut commands = redis::pipe();
    for set in sets {
        commands.zrem(name_of_tenant(tenant, set), job.to_string());
    }
    commands
}

fn add_job(script: &mut ScriptInvocation<'_>, job: Option<&NewJob>) {
    let Some(job) = job else {
        script.arg("").arg(0).arg(0).arg(0).arg(0);
        return;
    };
    script
        .arg(job.id.to_string())
        .arg(job.deadline.0)
        .arg(job.most.map_or(0, u32::from))
        .arg(job.budgets.tokens.map_or(0, u64::from))
        .arg(job.budgets.audio.map_or(0, whole_millis));
}

fn add_policy(script: &mut ScriptInvocation<'_>, policy: &Policy) {
    script
        .arg(policy.name)
        .arg(policy.interval())
        .arg(policy.fill_time());
}

fn ruling(policies: &[Policy], answer: Answer) -> Result<Ruling, QuotaError> {
    let (why, no_room, seconds, jobs_under_way, interactive_jobs, full_in) = answer;
    let refuse = |why, retry_after| Some(Refusal { why, retry_after });
    let refusal = match why.as_str() {
        "" => None,
        "tokens" => refuse(Why::Tokens, until_midnight(seconds)),
        "audio" => refuse(Why::Audio, until_midnight(seconds)),
        "jobs" => refuse(Why::Jobs, PLACE_MAY_BE_FREE),
        rate => {
            let policy = rate.strip_prefix("rate:").and_then(|n| n.parse().ok());
            let policy = policy.filter(|n| *n < policies.len());
            let policy =
                policy.ok_or_else(|| QuotaError::Away("the script is another one".into()))?;
            refuse(Why::Rate { policy }, Duration::from_micros(no_room))
        }
    };
    let standings = policies.iter().zip(full_in);
    Ok(Ruling {
        refusal,
        standings: standings
            .map(|(policy, full_in)| policy.standing(full_in))
            .collect(),
        jobs_under_way,
        interactive_jobs,
    })
}

#[async_trait]
impl Quotas for RedisQuotas {
    async fn admit(&self, request: &Request<'_>) -> Result<Ruling, QuotaError> {
        let mut script = ADMIT.key(name(request.partition, "rates"));
        script
            .key(name(request.partition, "jobs"))
            .key(name(request.partition, "interactive"))
            .key(name(request.partition, "spent"));
        add_job(&mut script, request.job.as_ref());
        for policy in request.policies {
            add_policy(&mut script, policy);
        }
        ruling(request.policies, self.run(&script).await?)
    }

    async fn hold(
        &self,
        tenant: &Tenant,
        job: CorrelationId,
        deadline: UnixMillis,
    ) -> Result<(), QuotaError> {
        let mut commands = redis::pipe();
        for set in SETS {
            commands
                .cmd("ZADD")
                .arg(name_of_tenant(tenant, set))
                .arg("XX")
                .arg("GT")
                .arg(deadline.0)
                .arg(job.to_string());
        }
        self.change(&commands).await
    }

    async fn demote(&self, tenant: &Tenant, job: CorrelationId) -> Result<(), QuotaError> {
        self.change(&removal(tenant, job, &["interactive"])).await
    }

    async fn leave(&self, tenant: &Tenant, job: CorrelationId) -> Result<(), QuotaError> {
        self.change(&removal(tenant, job, &SETS)).await
    }

    async fn spend(
        &self,
        tenant: &Tenant,
        job: CorrelationId,
        message: &MessageId,
        used: Usage,
    ) -> Result<(), QuotaError> {
        let mut script = SPEND.key(name_of_tenant(tenant, "spent"));
        script
            .key(name_of_tenant(tenant, &format!("counted:{job}")))
            .arg(message.as_str())
            .arg(used.tokens)
            .arg(whole_millis(used.audio));
        self.run(&script).await
    }
}
