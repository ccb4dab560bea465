//! Settings of the front door.

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use common::{
    api_key,
    backends::BackendConfig,
    callback::{CallbackConfig, Strength},
    config::{ConfigError, Environment},
    ids::Tenant,
};

use crate::{
    byte_budget::ByteLimits,
    client_address::Proxies,
    gateway::Terms,
    middleware::{cors::Origins, hosts::Hosts},
    page::PageConfig,
    qdrant::Qdrant,
    serve::connections::ConnectionLimits,
};
use keys::{NamedKey, configured_keys, random_key};
use limits::LimitConfig;

pub mod keys;
pub mod limits;

/// Taken when no key is configured; the server then listens on loopback only.
pub const DEVELOPMENT_KEY: &str = api_key::BUILT_IN;

#[derive(Clone, Debug)]
pub struct ApiConfig {
    pub host: IpAddr,
    pub port: u16,
    pub keys: Vec<NamedKey>,
    /// The keys are not configured: [`DEVELOPMENT_KEY`] is.
    pub is_development: bool,
    /// Bytes of an upload.
    pub max_upload: usize,
    /// Bytes of bodies in memory.
    pub bytes: ByteLimits,
    /// From acceptance to the end of a job.
    pub deadline: Duration,
    /// The silence in a stream of events after which a comment is sent, so that
    /// proxies do not take the line for dead.
    pub heartbeat: Duration,
    /// Time to answer what is in flight after the order to stop.
    pub grace: Duration,
    pub connections: ConnectionLimits,
    /// Pages of other sites that may ask.
    pub origins: Origins,
    /// Names of this server that are answered.
    pub hosts: Hosts,
    pub backends: BackendConfig,
    pub callbacks: CallbackConfig,
    pub qdrant: Option<Qdrant>,
    pub limits: LimitConfig,
    /// The page that people ask on, unless it is off.
    pub page: Option<PageConfig>,
    /// Whose word on where a request comes from is believed.
    pub proxies: Proxies,
}

impl ApiConfig {
    pub fn terms(&self) -> Terms {
        Terms {
            deadline: self.deadline,
            fair_share: self.limits.fair_share,
            retention: self.backends.retention.0,
        }
    }

    /// Where keys and webhook secrets do not agree: for the operator, who may have
    /// mistaken a name.
    pub fn mismatched_tenants(&self) -> Vec<String> {
        let with_key: BTreeSet<_> = self.keys.iter().map(|key| key.tenant.as_str()).collect();
        let secrets = self.callbacks.keys.iter();
        let with_secret: BTreeSet<_> = secrets.map(|(tenant, _)| tenant.as_str()).collect();
        if with_secret.is_empty() {
            return Vec::new();
        }
        let unknown = with_secret
            .difference(&with_key)
            .map(|name| format!("there is a webhook secret for the tenant {name}, but no API key"));
        let unsigned = with_key.difference(&with_secret).map(|name| {
            format!("the tenant {name} has no secret in WEBHOOK_SECRETS: its callbacks are refused")
        });
        unknown.chain(unsigned).collect()
    }

    pub fn from_environment(env: &Environment) -> Result<Self, ConfigError> {
        let host = env
            .parsed("HOST", "an IP address such as 127.0.0.1 or 0.0.0.0")?
            .unwrap_or(IpAddr::from([127, 0, 0, 1]));
        let keys = configured_keys(env, host)?;
        let is_development = keys.is_empty();
        let keys = match is_development {
            true => vec![built_in_key(host)?],
            false => keys,
        };
        let has_built_in_key_alone = keys.iter().all(NamedKey::is_built_in);
        // It is valid beside others too, and as a hash.
        let hosts = match keys.iter().any(NamedKey::is_built_in) {
            true => Hosts::Loopback,
            false => Hosts::Any,
        };
        let strength = match host.is_loopback() {
            true => Strength::Any,
            false => Strength::Unguessable,
        };
        let max_upload = env.number("MAX_CONTENT_LENGTH", 1_024..=1_073_741_824, 16_777_216)?;
        Ok(Self {
            host,
            port: env.number("PORT", 0..=u16::MAX, 8000)?,
            keys,
            is_development,
            max_upload,
            bytes: ByteLimits::from_environment(env, max_upload)?,
            deadline: env.seconds("JOB_DEADLINE", 1..=3_600, 120)?,
            heartbeat: env.seconds("EVENTS_HEARTBEAT", 1..=300, 15)?,
            grace: env.seconds("SHUTDOWN_GRACE", 0..=600, 30)?,
            connections: ConnectionLimits::from_environment(env)?,
            origins: origins(env, hosts)?,
            hosts,
            backends: BackendConfig::from_environment(env, "itb-api")?,
            callbacks: CallbackConfig::from_environment(env, strength)?,
            qdrant: Qdrant::from_environment(env)?,
            limits: LimitConfig::from_environment(env, has_built_in_key_alone)?,
            page: PageConfig::from_environment(env)?,
            proxies: Proxies::from_environment(env)?,
        })
    }
}

/// What is valid where no key is configured.
fn built_in_key(host: IpAddr) -> Result<NamedKey, ConfigError> {
    if host.is_loopback() {
        return Ok(NamedKey::of_development());
    }
    Err(ConfigError::because(
        "API_KEY",
        format!("not set, while HOST is {host}, which other machines can reach"),
        random_key(&Tenant::default()) + "; without any HOST must be a loopback address",
    ))
}

/// With the built-in key, which every page knows, to let any page ask would be
/// to ask for no key.
fn origins(env: &Environment, hosts: Hosts) -> Result<Origins, ConfigError> {
    let origins = Origins::from_environment(env)?;
    if (hosts, &origins) == (Hosts::Loopback, &Origins::Any) {
        let problem = "*, while the built-in key is valid, which every page knows";
        let expected = "origins such as http://localhost:5173, or * with an API_KEY of your own";
        return Err(ConfigError::because("CORS_ORIGINS", problem, expected));
    }
    Ok(origins)
}

#[cfg(test)]
mod tests {
    use common::api_key::KeyDigest;

    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Result<ApiConfig, ConfigError> {
        ApiConfig::from_environment(&pairs.iter().copied().collect())
    }

    #[test]
    fn without_a_key_only_loopback_is_served_and_the_key_is_dev() {
        let config = config(&[]).unwrap();
        assert!(config.host.is_loopback() && config.is_development);
        assert_eq!(config.keys[0].digest, KeyDigest::of("dev"));
    }

    #[test]
    fn who_tries_it_out_with_the_built_in_key_has_room() {
        let quota = |pairs: &[(&str, &str)]| config(pairs).unwrap().limits.rates.unwrap().submit;
        let built_in = quota(&[]).quota;
        assert_eq!(quota(&[("API_KEY", "dev")]).quota, built_in);
        assert!(quota(&[("API_KEY", "k")]).quota < built_in);
        let both = [("API_KEY", "dev"), ("API_KEYS", "web:k")];
        assert!(quota(&both).quota < built_in);
    }

    #[test]
    fn an_open_host_needs_a_key() {
        for host in ["0.0.0.0", "::", "192.0.2.1"] {
            let error = config(&[("HOST", host)]).unwrap_err();
            assert_eq!(error.variable, "API_KEY");
            assert!(error.to_string().contains("itb-ops keys new"), "{error}");
            let key = ("API_KEY", "kunci-panjang-yang-acak");
            assert!(config(&[("HOST", host), key]).is_ok());
        }
        assert!(config(&[("HOST", "::1")]).is_ok());
    }

    #[test]
    fn while_the_built_in_key_is_valid_only_this_machine_is_answered() {
        let hashed = KeyDigest::of("dev").to_string();
        let hashed = format!("web:{hashed}");
        for (key, list, hosts) in [
            ("", "", Hosts::Loopback),
            ("dev", "", Hosts::Loopback),
            ("dev", "web:k", Hosts::Loopback),
            ("k", "web:dev", Hosts::Loopback),
            ("k", &hashed, Hosts::Loopback),
            ("k", "", Hosts::Any),
            ("", "web:k", Hosts::Any),
        ] {
            let pairs = [("API_KEY", key), ("API_KEYS", list), ("CORS_ORIGINS", "")];
            assert_eq!(config(&pairs).unwrap().hosts, hosts, "{pairs:?}");
            let named = [&pairs[..2], &[("CORS_ORIGINS", "http://localhost:5173")]].concat();
            assert!(config(&named).is_ok(), "{pairs:?}");
            let any = config(&[&pairs[..2], &[("CORS_ORIGINS", "*")]].concat());
            match hosts {
                Hosts::Any => assert!(any.is_ok(), "{pairs:?}"),
                Hosts::Loopback => assert_eq!(any.unwrap_err().variable, "CORS_ORIGINS"),
            }
        }
    }

    #[test]
    fn webhook_secrets_are_as_hard_to_guess_as_keys_where_others_reach_us() {
        let key = ("API_KEY", "kunci-panjang-yang-acak");
        for (host, secret, is_taken) in [
            ("127.0.0.1", "rahasia", true),
            ("0.0.0.0", "rahasia", false),
            ("0.0.0.0", "rahasia-yang-panjang", true),
        ] {
            let list = format!("web:{secret}");
            for secret in [("WEBHOOK_SECRET", secret), ("WEBHOOK_SECRETS", &list)] {
                let found = config(&[("HOST", host), key, secret]);
                assert_eq!(found.is_ok(), is_taken, "{host} {secret:?}");
            }
        }
    }

    #[test]
    fn secrets_without_keys_and_keys_without_secrets_are_spoken_of() {
        let keys = ("API_KEYS", "web:k,app:l,app:m");
        for (first, list, names) in [
            ("", "", &[][..]),
            ("", "web:a,app:b", &[]),
            ("", "web:a,ap:b", &["ap", "app"]),
            // What signed for all until each tenant had its own.
            ("a", "", &["default", "app", "web"]),
        ] {
            let secrets = [("WEBHOOK_SECRET", first), ("WEBHOOK_SECRETS", list)];
            let found = config(&[&secrets[..], &[keys]].concat()).unwrap();
            let found = found.mismatched_tenants();
            assert_eq!(found.len(), names.len(), "{found:?}");
            for (text, name) in found.iter().zip(names) {
                assert!(text.contains(&format!("the tenant {name}")), "{text}");
            }
        }
    }
}
