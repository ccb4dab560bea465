//! How much each caller may use.

use std::{
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

use common::{
    config::{ConfigError, Environment},
    quota::{Budgets, Policy},
};

#[derive(Clone, Debug)]
pub struct LimitConfig {
    /// `None` for as often as one likes.
    pub rates: Option<Rates>,
    /// Jobs of a tenant that may be under way.
    pub most_jobs: Option<NonZeroU32>,
    /// Those among them that do not wait behind other tenants' jobs.
    pub fair_share: u32,
    /// Of a tenant.
    pub budgets: Budgets,
    pub when_away: WhenAway,
}

/// How often one may ask.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Every request for a job, by tenant.
    pub submit: Policy,
    /// Those among them that are spoken.
    pub audio: Option<Policy>,
    /// All other requests, by tenant.
    pub read: Policy,
    /// Requests with a wrong key or none, by address.
    pub wrong_key: Policy,
}

/// What becomes of requests while the store of quotas is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString)]
#[strum(serialize_all = "lowercase")]
pub enum WhenAway {
    Refuse,
    Allow,
}

/// How much more is allowed with the built-in key: whoever tries the assistant
/// out on a machine of his own shall not be in his own way.
const DEVELOPMENT: u32 = 100;

/// Jobs of a tenant under way, where it is counted how often one asks.
const MOST_JOBS: u32 = 100;

/// As many as one worker answers at the same time by default.
pub const FAIR_SHARE: u32 = 32;

const HOUR: Duration = Duration::from_secs(3_600);
const MOST_AN_HOUR: u32 = 100_000_000;

impl LimitConfig {
    /// `is_development`: with the built-in key alone.
    pub fn from_environment(env: &Environment, is_development: bool) -> Result<Self, ConfigError> {
        let factor = if is_development { DEVELOPMENT } else { 1 };
        let rates = Rates::from_environment(env, factor)?;
        let is_enabled = env.flag("RATE_LIMIT_ENABLED", true)?;
        let most_jobs = if is_enabled { MOST_JOBS * factor } else { 0 };
        let most_jobs = env.number("MAX_CONCURRENT_JOBS", 0..=1_000_000, most_jobs)?;
        let when_away = env.parsed("RATE_LIMIT_WHEN_AWAY", "refuse or allow")?;
        Ok(Self {
            rates: Some(rates).filter(|_| is_enabled),
            most_jobs: NonZeroU32::new(most_jobs),
            fair_share: env.number("FAIR_SHARE_JOBS", 0..=1_000_000, FAIR_SHARE)?,
            budgets: Budgets {
                tokens: NonZeroU64::new(env.number("DAILY_TOKEN_BUDGET", 0..=u64::MAX >> 12, 0)?),
                audio: Some(env.seconds("DAILY_AUDIO_SECONDS", 0..=1_000_000_000, 0)?)
                    .filter(|audio| !audio.is_zero()),
            },
            when_away: when_away.unwrap_or(WhenAway::Refuse),
        })
    }
}

impl Rates {
    fn from_environment(env: &Environment, factor: u32) -> Result<Self, ConfigError> {
        let an_hour = |variable, name, default| {
            let quota = env.number(variable, NonZeroU32::MIN..=most(), default)?;
            Ok::<_, ConfigError>(Policy {
                name,
                quota,
                window: HOUR,
            })
        };
        let submit = an_hour("RATE_LIMIT_PER_HOUR", "submit", times(100, factor))?;
        let audio = match env.text("RATE_LIMIT_AUDIO_PER_HOUR") {
            Some(_) => Some(an_hour("RATE_LIMIT_AUDIO_PER_HOUR", "audio", most())?),
            None => None,
        };
        Ok(Self {
            submit,
            audio,
            read: an_hour("RATE_LIMIT_READS_PER_HOUR", "read", times(10_000, factor))?,
            wrong_key: an_hour("RATE_LIMIT_WRONG_KEYS_PER_HOUR", "wrong-key", times(60, 1))?,
        })
    }
}

fn times(quota: u32, factor: u32) -> NonZeroU32 {
    NonZeroU32::new(quota * factor).unwrap_or(NonZeroU32::MIN)
}

fn most() -> NonZeroU32 {
    times(MOST_AN_HOUR, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(pairs: &[(&str, &str)], is_development: bool) -> Result<LimitConfig, ConfigError> {
        LimitConfig::from_environment(&pairs.iter().copied().collect(), is_development)
    }

    #[test]
    fn a_hundred_questions_an_hour_are_the_default_and_more_with_the_built_in_key() {
        for (is_development, submit, read, jobs) in
            [(false, 100, 10_000, 100), (true, 10_000, 1_000_000, 10_000)]
        {
            let limits = limits(&[], is_development).unwrap();
            let rates = limits.rates.unwrap();
            assert_eq!(rates.submit.quota.get(), submit);
            assert_eq!(rates.read.quota.get(), read);
            assert_eq!(rates.wrong_key.quota.get(), 60);
            assert!(rates.audio.is_none());
            assert_eq!(limits.most_jobs, NonZeroU32::new(jobs));
            assert_eq!(limits.budgets, Budgets::default());
            assert_eq!(limits.when_away, WhenAway::Refuse);
        }
    }

    #[test]
    fn what_is_0_or_off_is_no_limit() {
        let off = [
            ("RATE_LIMIT_ENABLED", "false"),
            ("DAILY_TOKEN_BUDGET", "0"),
            ("DAILY_AUDIO_SECONDS", "0"),
        ];
        let limits = limits(&off, false).unwrap();
        assert!(limits.rates.is_none() && limits.most_jobs.is_none());
        assert_eq!(limits.budgets, Budgets::default());
        let any_number = self::limits(&[("MAX_CONCURRENT_JOBS", "0")], false).unwrap();
        assert!(any_number.most_jobs.is_none());
    }

    #[test]
    fn each_limit_may_be_set_and_a_wrong_one_is_named() {
        let limits = limits(
            &[
                ("RATE_LIMIT_PER_HOUR", "7"),
                ("RATE_LIMIT_AUDIO_PER_HOUR", "3"),
                ("RATE_LIMIT_WHEN_AWAY", "allow"),
                ("DAILY_TOKEN_BUDGET", "1000"),
                ("DAILY_AUDIO_SECONDS", "60"),
            ],
            true,
        );
        let limits = limits.unwrap();
        let rates = limits.rates.unwrap();
        assert_eq!(rates.submit.quota.get(), 7);
        assert_eq!(rates.audio.unwrap().quota.get(), 3);
        assert_eq!(limits.when_away, WhenAway::Allow);
        assert_eq!(limits.budgets.tokens, NonZeroU64::new(1_000));
        assert_eq!(limits.budgets.audio, Some(Duration::from_secs(60)));
        for (variable, value) in [
            ("RATE_LIMIT_PER_HOUR", "0"),
            ("RATE_LIMIT_AUDIO_PER_HOUR", "-1"),
            ("RATE_LIMIT_READS_PER_HOUR", "many"),
            ("RATE_LIMIT_WRONG_KEYS_PER_HOUR", "1.5"),
            ("RATE_LIMIT_WHEN_AWAY", "shrug"),
            ("MAX_CONCURRENT_JOBS", "-1"),
            ("FAIR_SHARE_JOBS", "-1"),
            ("DAILY_TOKEN_BUDGET", "1e6"),
            ("DAILY_AUDIO_SECONDS", "x"),
        ] {
            let error = self::limits(&[(variable, value)], false).unwrap_err();
            assert_eq!(error.variable, variable);
        }
    }
}
