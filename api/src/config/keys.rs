//! `API_KEY` and `API_KEYS`: who may ask. Keys are kept as digests alone.

use common::{
    api_key::{KeyDigest, SCHEME},
    config::{ConfigError, Environment},
    ids::Tenant,
};

use super::DEVELOPMENT_KEY;

/// An API key, and whom it stands for.
#[derive(Clone, Debug)]
pub struct NamedKey {
    pub tenant: Tenant,
    pub digest: KeyDigest,
}

impl NamedKey {
    pub(super) fn of_development() -> Self {
        Self {
            tenant: Tenant::default(),
            digest: KeyDigest::of(DEVELOPMENT_KEY),
        }
    }
}

/// `API_KEY` is the default tenant's; `API_KEYS` names one for each key. A tenant
/// may have several, so that a new one can be given out before the old one goes.
pub fn configured_keys(env: &Environment) -> Result<Vec<NamedKey>, ConfigError> {
    let mut keys = Vec::new();
    if let Some(key) = env.secret("API_KEY")? {
        let tenant = Tenant::default();
        let digest = digest("API_KEY", key.expose())?;
        keys.push(NamedKey { tenant, digest });
    }
    if let Some(list) = env.secret("API_KEYS")? {
        // In a file each may have a line.
        let entries = list.expose().split([',', '\n']).map(str::trim);
        let before = keys.len();
        for entry in entries.filter(|entry| !entry.is_empty()) {
            let key = named_key(entry)?;
            refuse_twice(&keys, &key)?;
            keys.push(key);
        }
        if keys.len() == before {
            return Err(not_understood());
        }
    }
    Ok(keys)
}

fn named_key(entry: &str) -> Result<NamedKey, ConfigError> {
    let (name, key) = entry.split_once(':').ok_or_else(not_understood)?;
    let tenant = name.trim().parse().map_err(|_| not_understood())?;
    match key.trim() {
        "" => Err(not_understood()),
        key => Ok(NamedKey {
            tenant,
            digest: digest("API_KEYS", key)?,
        }),
    }
}

/// Of a key, or the one that stands in its place.
fn digest(variable: &str, key: &str) -> Result<KeyDigest, ConfigError> {
    if !key.starts_with(SCHEME) {
        return Ok(KeyDigest::of(key));
    }
    key.parse().map_err(|_| {
        ConfigError::because(
            variable,
            "not understood: a key that begins with sha256: is a hashed one",
            "sha256: and 64 hexadecimal digits, as `itb-ops keys new` writes them",
        )
    })
}

/// A key that stands for two tenants would let one see what is the other's;
/// one that is given twice is not the rotation that was meant.
fn refuse_twice(keys: &[NamedKey], key: &NamedKey) -> Result<(), ConfigError> {
    let Some(same) = keys.iter().find(|it| it.digest == key.digest) else {
        return Ok(());
    };
    let problem = format!(
        "giving the same key to {} and to {}",
        same.tenant, key.tenant
    );
    let expected = "keys that all differ, several with one name among them";
    Err(ConfigError::because("API_KEYS", problem, expected))
}

/// The entries hold secrets, so they are not shown.
fn not_understood() -> ConfigError {
    ConfigError::because(
        "API_KEYS",
        "not understood",
        "name:key pairs separated by commas or lines, each name 1 to 128 letters, digits, '_' or '-', each key itself or hashed as sha256:…",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(pairs: &[(&str, &str)]) -> Result<Vec<(String, KeyDigest)>, ConfigError> {
        let keys = configured_keys(&pairs.iter().copied().collect())?;
        Ok(keys
            .into_iter()
            .map(|key| (key.tenant.to_string(), key.digest))
            .collect())
    }

    fn named(name: &str, key: &str) -> (String, KeyDigest) {
        (name.to_owned(), KeyDigest::of(key))
    }

    #[test]
    fn several_keys_name_their_tenants() {
        let list = "web:b, app:c:d\n\nweb:new,";
        assert_eq!(
            keys(&[("API_KEY", "a"), ("API_KEYS", list)]).unwrap(),
            [
                named("default", "a"),
                named("web", "b"),
                named("app", "c:d"),
                named("web", "new"),
            ]
        );
        assert_eq!(keys(&[]), Ok(Vec::new()));
    }

    #[test]
    fn a_hashed_key_stands_for_the_key() {
        let hashed = KeyDigest::of("b").to_string();
        let list = format!("web:{hashed}");
        let found = keys(&[("API_KEY", &hashed)]).unwrap();
        assert_eq!(found, [named("default", "b")]);
        let found = keys(&[("API_KEYS", &list)]).unwrap();
        assert_eq!(found, [named("web", "b")]);
    }

    #[test]
    fn keys_that_are_not_understood_are_refused_unseen() {
        for list in [
            "secret",
            ":secret",
            "a b:secret",
            "name:",
            "name:sha256:secret",
            ",",
            "a:1,secret",
        ] {
            let error = keys(&[("API_KEYS", list)]).unwrap_err();
            assert_eq!(error.variable, "API_KEYS", "{list}");
            assert!(!error.to_string().contains("secret"));
        }
        let error = keys(&[("API_KEY", "sha256:secret")]).unwrap_err();
        assert_eq!(error.variable, "API_KEY");
        assert!(!error.to_string().contains("secret"));
    }

    #[test]
    fn a_key_that_is_given_twice_is_refused_with_the_names() {
        let hashed = format!("app:{}", KeyDigest::of("secret"));
        for (key, list, names) in [
            ("", "web:secret,app:secret", "web and to app"),
            ("", "web:secret,web:secret", "web and to web"),
            ("secret", "web:secret", "default and to web"),
            ("secret", hashed.as_str(), "default and to app"),
        ] {
            let error = keys(&[("API_KEY", key), ("API_KEYS", list)]).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(names) && !text.contains("secret"), "{text}");
        }
    }
}
