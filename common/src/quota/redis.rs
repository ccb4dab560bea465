//! Quotas in Redis. What belongs to a partition is in one Cluster slot, since
//! its names have the partition in braces: `{tenant:web}`, `{address:192.0.2.1}`
//! or `{session:…}`.
//!
//! | key | holds |
//! |---|---|
//! | `quota:{…}:rates` | hash, by policy: µs since the epoch at which all of it is there again |
//! | `quota:{…}:jobs` | sorted set of jobs under way, by deadline, ms since the epoch |
//! | `quota:{…}:interactive` | the interactive ones of these, likewise |
//! | `quota:{…}:spent` | hash of what was used: `tokens`, `audio_ms` on the `day` since the epoch |
//! | `quota:{…}:reserved` | sorted set of what is set aside, as `{tokens} {ms of audio} {id}`, by until when, ms since the epoch |
//! | `quota:{…}:counted:{job}` | set of the reservations of a job that are settled |
//!
//! Each request is one script, so one round trip; the time in it is that of
//! Redis.

use std::{sync::LazyLock, time::Duration};

use async_trait::async_trait;
use redis::{Script, ScriptInvocation};

use super::{
    NewJob, PLACE_MAY_BE_FREE, Partition, Policy, QuotaError, Quotas, Refusal, Request,
    Reservation, Ruling, Usage, Why, until_midnight,
};
use crate::{
    ids::{CorrelationId, Tenant},
    redis_link::{LinkError, RedisLink},
    time::{UnixMillis, whole_millis},
};

pub struct RedisQuotas {
    link: RedisLink,
}

/// KEYS: rates, jobs, interactive, spent, reserved. ARGV: job or '', its deadline,
/// the most jobs or 0, tokens a day or 0, ms of audio a day or 0, tokens and ms of
/// audio that a job is likely to use, and of each policy its name, the µs in
/// which one comes back, and those in which all do.
///
/// Answers why it is refused or '' (`:reserved` when no more than that is in the
/// way of it), for how many µs a policy has no room, seconds
/// since the epoch, jobs under way, the interactive ones among them, and of each
/// policy in how many µs all of it is there again.
///
/// Numbers are written by `%.0f`: Lua's own way keeps 14 digits, and a point in
/// time has 16.
static ADMIT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local rates, jobs, interactive, spent, reserved = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local job, most, tokens, audio = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local time = redis.call('TIME')
local seconds = tonumber(time[1])
local now = seconds * 1000000 + tonumber(time[2])

local why, wait, was, will = '', 0, {}, {}
for i = 8, #ARGV, 3 do
  local n = (i - 5) / 3
  was[n] = math.max(tonumber(redis.call('HGET', rates, ARGV[i]) or 0), now)
  will[n] = was[n] + tonumber(ARGV[i + 1])
  local early = will[n] - tonumber(ARGV[i + 2]) - now
  if early > wait then why, wait = 'rate:' .. (n - 1), early end
end

local function clear(set) redis.call('ZREMRANGEBYSCORE', set, '-inf', math.floor(now / 1000)) end
local function count(set)
  clear(set)
  return redis.call('ZCARD', set)
end
local function add(set)
  local added = redis.call('ZADD', set, ARGV[2], job)
  redis.call('PEXPIRE', set, 86400000)
  return added
end
local function set_aside()
  clear(reserved)
  local of_tokens, of_audio = 0, 0
  for _, member in ipairs(redis.call('ZRANGE', reserved, 0, -1)) do
    local these, those = string.match(member, '^(%d+) (%d+) ')
    of_tokens, of_audio = of_tokens + tonumber(these), of_audio + tonumber(those)
  end
  return of_tokens, of_audio
end
local under_way, of_these = 0, 0
if job ~= '' then
  under_way, of_these = count(jobs), count(interactive)
  local is_new = not redis.call('ZSCORE', jobs, job)
  local used = redis.call('HMGET', spent, 'day', 'tokens', 'audio_ms')
  local today = tonumber(used[1]) == math.floor(seconds / 86400)
  local others = is_new and under_way or under_way - 1
  local function spend_of(name, budget, amount, estimate, aside)
    if budget == 0 then return '' end
    amount = today and tonumber(amount or 0) or 0
    if amount >= budget then return name end
    if amount + math.max(others * tonumber(estimate), aside) >= budget then
      return name .. ':reserved'
    end
    return ''
  end
  if why == '' and tokens + audio > 0 then
    local of_tokens, of_audio = set_aside()
    why = spend_of('tokens', tokens, used[2], ARGV[6], of_tokens)
    if why == '' then why = spend_of('audio', audio, used[3], ARGV[7], of_audio) end
  end
  if why == '' then
    if is_new and most > 0 and under_way >= most then why = 'jobs' end
  end
  if why == '' then
    under_way = under_way + add(jobs)
    of_these = of_these + add(interactive)
  end
end

local full_in = {}
for i = 8, #ARGV, 3 do
  local n = (i - 5) / 3
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

/// KEYS: reserved. ARGV: member, ms until it is free again.
static RESERVE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function whole(number) return string.format('%.0f', number) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', whole(now))
redis.call('ZADD', KEYS[1], whole(now + tonumber(ARGV[2])), ARGV[1])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
",
    )
});

/// KEYS: spent, counted, reserved. ARGV: reservation, tokens, ms of audio, member.
static SETTLE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local spent, counted = KEYS[1], KEYS[2]
redis.call('ZREM', KEYS[3], ARGV[4])
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

    async fn run<T: redis::FromRedisValue + Send>(
        &self,
        invocation: &ScriptInvocation<'_>,
    ) -> Result<T, QuotaError> {
        self.link.run(0, invocation).await.map_err(QuotaError::from)
    }

    async fn change(&self, commands: &redis::Pipeline) -> Result<(), QuotaError> {
        self.link.run(0, commands).await.map_err(QuotaError::from)
    }
}

impl From<LinkError> for QuotaError {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Crowded => Self::Crowded,
            error => Self::Away(error.to_string()),
        }
    }
}

fn name(partition: &Partition, what: &str) -> String {
    match partition {
        Partition::Tenant(tenant) => format!("quota:{{tenant:{tenant}}}:{what}"),
        Partition::Address(address) => format!("quota:{{address:{address}}}:{what}"),
        Partition::Session(session) => format!("quota:{{session:{session}}}:{what}"),
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

/// As it stands in the set of what is set aside.
fn member(reservation: &Reservation) -> String {
    let Reservation { id, estimate, .. } = reservation;
    let Usage { tokens, audio } = estimate;
    format!("{tokens} {} {id}", whole_millis(*audio))
}

fn add_job(script: &mut ScriptInvocation<'_>, job: Option<&NewJob>) {
    let Some(job) = job else {
        script.arg("").arg(0).arg(0).arg(0).arg(0).arg(0).arg(0);
        return;
    };
    script
        .arg(job.id.to_string())
        .arg(job.deadline.0)
        .arg(job.most.map_or(0, u32::from))
        .arg(job.budgets.tokens.map_or(0, u64::from))
        .arg(job.budgets.audio.map_or(0, whole_millis))
        .arg(job.estimate.tokens)
        .arg(whole_millis(job.estimate.audio));
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
        "tokens:reserved" => refuse(Why::Tokens, PLACE_MAY_BE_FREE),
        "audio:reserved" => refuse(Why::Audio, PLACE_MAY_BE_FREE),
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
            .key(name(request.partition, "spent"))
            .key(name(request.partition, "reserved"));
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

    async fn reserve(&self, tenant: &Tenant, reservation: &Reservation) -> Result<(), QuotaError> {
        let mut script = RESERVE.key(name_of_tenant(tenant, "reserved"));
        script
            .arg(member(reservation))
            .arg(whole_millis(reservation.time).max(1));
        self.run(&script).await
    }

    async fn settle(
        &self,
        tenant: &Tenant,
        reservation: &Reservation,
        used: Usage,
    ) -> Result<(), QuotaError> {
        let counted = format!("counted:{}", reservation.job);
        let mut script = SETTLE.key(name_of_tenant(tenant, "spent"));
        script
            .key(name_of_tenant(tenant, &counted))
            .key(name_of_tenant(tenant, "reserved"))
            .arg(&reservation.id)
            .arg(used.tokens)
            .arg(whole_millis(used.audio))
            .arg(member(reservation));
        self.run(&script).await
    }
}
