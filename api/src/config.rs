//! Settings of the front door.

use std::{net::IpAddr, time::Duration};

use common::{
    backends::BackendConfig,
    callback::CallbackConfig,
    config::{ConfigError, Environment, Secret},
    ids::Tenant,
};

use crate::{middleware::cors::Origins, qdrant::Qdrant, serve::connections::ConnectionLimits};

/// Taken when no key is configured; the server then listens on loopback only.
pub const DEVELOPMENT_KEY: &str = "dev";

#[derive(Clone, Debug)]
pub struct ApiConfig {
    pub host: IpAddr,
    pub port: u16,
    pub keys: Vec<NamedKey>,
    /// The keys are not configured: [`DEVELOPMENT_KEY`] is.
    pub is_development: bool,
    /// Bytes of an upload.
    pub max_upload: usize,
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
    pub backends: BackendConfig,
    pub callbacks: CallbackConfig,
    pub qdrant: Option<Qdrant>,
}

/// An API key, and whom it stands for.
#[derive(Clone, Debug)]
pub struct NamedKey {
    pub tenant: Tenant,
    pub key: Secret,
}

impl ApiConfig {
    pub fn from_environment(env: &Environment) -> Result<Self, ConfigError> {
        let host = env
            .parsed("HOST", "an IP address such as 127.0.0.1 or 0.0.0.0")?
            .unwrap_or(IpAddr::from([127, 0, 0, 1]));
        let keys = configured_keys(env)?;
        let is_development = keys.is_empty();
        if is_development && !host.is_loopback() {
            return Err(ConfigError::because(
                "API_KEY",
                format!("not set, while HOST is {host}, which other machines can reach"),
                "any secret text; without it HOST must be a loopback address",
            ));
        }
        Ok(Self {
            host,
            port: env.number("PORT", 0..=u16::MAX, 8000)?,
            keys: if is_development {
                vec![development_key()]
            } else {
                keys
            },
            is_development,
            max_upload: env.number("MAX_CONTENT_LENGTH", 1_024..=1_073_741_824, 16_777_216)?,
            deadline: env.seconds("JOB_DEADLINE", 1..=3_600, 120)?,
            heartbeat: env.seconds("EVENTS_HEARTBEAT", 1..=300, 15)?,
            grace: env.seconds("SHUTDOWN_GRACE", 0..=600, 30)?,
            connections: ConnectionLimits::from_environment(env)?,
            origins: Origins::from_environment(env)?,
            backends: BackendConfig::from_environment(env, "itb-api")?,
            callbacks: CallbackConfig::from_environment(env)?,
            qdrant: Qdrant::from_environment(env)?,
        })
    }
}

fn development_key() -> NamedKey {
    NamedKey {
        tenant: Tenant::default(),
        key: Secret::new(DEVELOPMENT_KEY),
    }
}

/// `API_KEY` is the default tenant's; `API_KEYS` names one for each key.
fn configured_keys(env: &Environment) -> Result<Vec<NamedKey>, ConfigError> {
    let mut keys = Vec::new();
    if let Some(key) = env.secret("API_KEY")? {
        let tenant = Tenant::default();
        keys.push(NamedKey { tenant, key });
    }
    if let Some(list) = env.secret("API_KEYS")? {
        for pair in list.expose().split(',').map(str::trim) {
            keys.push(named_key(pair)?);
        }
    }
    Ok(keys)
}

fn named_key(pair: &str) -> Result<NamedKey, ConfigError> {
    // The pair holds a secret, so it is not shown.
    let wrong = || {
        ConfigError::because(
            "API_KEYS",
            "not understood",
            "name:key pairs separated by commas, each name 1 to 128 letters, digits, '_' or '-'",
        )
    };
    let (name, key) = pair.split_once(':').ok_or_else(wrong)?;
    let tenant = name.trim().parse().map_err(|_| wrong())?;
    match key.trim() {
        "" => Err(wrong()),
        key => Ok(NamedKey {
            tenant,
            key: Secret::new(key),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Result<ApiConfig, ConfigError> {
        ApiConfig::from_environment(&pairs.iter().copied().collect())
    }

    #[test]
    fn without_a_key_only_loopback_is_served_and_the_key_is_dev() {
        let config = config(&[]).unwrap();
        assert!(config.host.is_loopback() && config.is_development);
        assert_eq!(config.keys[0].key.expose(), "dev");
    }

    #[test]
    fn an_open_host_needs_a_key() {
        for host in ["0.0.0.0", "::", "192.0.2.1"] {
            let error = config(&[("HOST", host)]).unwrap_err();
            assert_eq!(error.variable, "API_KEY");
            assert!(config(&[("HOST", host), ("API_KEY", "k")]).is_ok());
        }
        assert!(config(&[("HOST", "::1")]).is_ok());
    }

    #[test]
    fn several_keys_name_their_tenants() {
        let config = config(&[("API_KEY", "a"), ("API_KEYS", "web:b, app:c:d")]).unwrap();
        let named: Vec<_> = config
            .keys
            .iter()
            .map(|key| (key.tenant.as_str(), key.key.expose()))
            .collect();
        assert_eq!(named, [("default", "a"), ("web", "b"), ("app", "c:d")]);
    }

    #[test]
    fn keys_that_are_not_understood_are_refused_unseen() {
        for list in ["secret", ":secret", "a b:secret", "name:"] {
            let error = config(&[("API_KEYS", list)]).unwrap_err();
            assert!(!error.to_string().contains("secret"));
        }
    }
}
