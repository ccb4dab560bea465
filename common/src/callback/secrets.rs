//! `WEBHOOK_SECRET` and `WEBHOOK_SECRETS`: what each tenant's callbacks are
//! signed with.
//!
//! A secret that signs for several tenants would let the receiver of one forge
//! callbacks to another, and take another's for its own. So each is one tenant's.

use std::{collections::HashMap, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    config::{ConfigError, Environment},
    ids::Tenant,
};

/// How secrets begin that are written as the Standard Webhooks specification
/// has it; base64 follows.
pub const PREFIX: &str = "whsec_";

/// Secrets that a tenant may have at the same time: the one that its receivers
/// know, and the one that they are to know next.
pub const MOST: usize = 2;

/// Bytes of a secret that cannot be guessed by whoever sees a signed callback:
/// 128 bits, as of an API key. The specification recommends 24 to 64 bytes.
pub const SHORTEST: usize = 16;

/// A secret made of `random` bits.
pub fn secret_from(random: [u8; 32]) -> String {
    format!("{PREFIX}{}", STANDARD.encode(random))
}

/// A key that callbacks are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(Vec<u8>);

impl SigningKey {
    /// `whsec_` and base64, as the Standard Webhooks specification writes it,
    /// or any other text as it is. `None` for what is neither.
    pub fn parse(secret: &str) -> Option<Self> {
        let key = match secret.strip_prefix(PREFIX) {
            Some(encoded) => STANDARD.decode(encoded).ok()?,
            None => secret.as_bytes().to_vec(),
        };
        (!key.is_empty()).then_some(Self(key))
    }

    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// The keys of each tenant that has any, in the order in which they are given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SigningKeys(HashMap<Tenant, Vec<SigningKey>>);

/// Which secrets may be configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strength {
    Any,
    /// At least [`SHORTEST`] bytes.
    Unguessable,
}

impl SigningKeys {
    /// `WEBHOOK_SECRET` is the default tenant's; `WEBHOOK_SECRETS` names one for
    /// each secret.
    pub fn from_environment(env: &Environment, strength: Strength) -> Result<Self, ConfigError> {
        let mut keys = Self::default();
        if let Some(secret) = env.secret("WEBHOOK_SECRET")? {
            let expected = "whsec_ and base64, or any other secret text";
            let key = SigningKey::parse(secret.expose()).ok_or_else(|| {
                ConfigError::because("WEBHOOK_SECRET", "not understood", expected)
            })?;
            keys.add("WEBHOOK_SECRET", Tenant::default(), key, strength)?;
        }
        if let Some(list) = env.secret("WEBHOOK_SECRETS")? {
            // In a file each may have a line.
            let entries = list.expose().split([',', '\n']).map(str::trim);
            let mut entries = entries.filter(|entry| !entry.is_empty()).peekable();
            entries.peek().ok_or_else(not_understood)?;
            for entry in entries {
                let (tenant, key) = named_key(entry).ok_or_else(not_understood)?;
                keys.add("WEBHOOK_SECRETS", tenant, key, strength)?;
            }
        }
        Ok(keys)
    }

    /// Those of `tenant`; none for one whose callbacks cannot be signed.
    pub fn of(&self, tenant: &Tenant) -> &[SigningKey] {
        self.0.get(tenant).map_or(&[], Vec::as_slice)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Tenant, &[SigningKey])> {
        self.0
            .iter()
            .map(|(tenant, keys)| (tenant, keys.as_slice()))
    }

    fn add(
        &mut self,
        variable: &str,
        tenant: Tenant,
        key: SigningKey,
        strength: Strength,
    ) -> Result<(), ConfigError> {
        self.refuse_twice(&tenant, &key)?;
        if strength == Strength::Unguessable && key.0.len() < SHORTEST {
            let problem = format!(
                "giving {tenant} a secret of less than {SHORTEST} bytes (128 bits), while HOST is one that other machines can reach"
            );
            let expected = format!(
                "whsec_ and base64 of 24 to 64 random bytes: `itb-ops keys webhook {tenant}` makes it"
            );
            return Err(ConfigError::because(variable, problem, expected));
        }
        let keys = self.0.entry(tenant.clone()).or_default();
        if keys.len() == MOST {
            let problem = format!("giving {tenant} more than {MOST} secrets");
            let expected = format!(
                "up to {MOST} of a name, the old one and the new one; of {} WEBHOOK_SECRET is one of them",
                Tenant::DEFAULT
            );
            return Err(ConfigError::because("WEBHOOK_SECRETS", problem, expected));
        }
        keys.push(key);
        Ok(())
    }

    /// One that two tenants share is the secret of neither; one that is given
    /// twice is not the rotation that was meant.
    fn refuse_twice(&self, tenant: &Tenant, key: &SigningKey) -> Result<(), ConfigError> {
        let Some((same, _)) = self.iter().find(|(_, keys)| keys.contains(key)) else {
            return Ok(());
        };
        let problem = format!("giving the same secret to {same} and to {tenant}");
        let expected = "secrets that all differ, up to two with one name";
        Err(ConfigError::because("WEBHOOK_SECRETS", problem, expected))
    }
}

fn named_key(entry: &str) -> Option<(Tenant, SigningKey)> {
    let (name, secret) = entry.split_once(':')?;
    let key = SigningKey::parse(secret.trim())?;
    Some((name.trim().parse().ok()?, key))
}

/// The entries hold secrets, so they are not shown.
fn not_understood() -> ConfigError {
    ConfigError::because(
        "WEBHOOK_SECRETS",
        "not understood",
        "name:secret pairs separated by commas or lines, each name that of API keys, each secret whsec_ and base64 or any other text",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(pairs: &[(&str, &str)], strength: Strength) -> Result<SigningKeys, ConfigError> {
        SigningKeys::from_environment(&pairs.iter().copied().collect(), strength)
    }

    fn of(keys: &SigningKeys, tenant: &str) -> Vec<String> {
        let keys = keys.of(&tenant.parse().unwrap()).iter();
        keys.map(|key| String::from_utf8_lossy(key.expose()).into_owned())
            .collect()
    }

    #[test]
    fn a_signing_key_is_base64_behind_its_prefix_and_text_without() {
        for (secret, key) in [
            ("whsec_AAECAw==", Some(&[0, 1, 2, 3][..])),
            ("rahasia", Some(&b"rahasia"[..])),
            ("AAECAw==", Some(&b"AAECAw=="[..])),
            ("whsec_", None),
            ("whsec_not base64", None),
        ] {
            let parsed = SigningKey::parse(secret);
            assert_eq!(parsed.as_ref().map(SigningKey::expose), key, "{secret}");
        }
        let made = secret_from([7; 32]);
        assert_eq!(SigningKey::parse(&made).unwrap().expose(), [7; 32]);
    }

    #[test]
    fn each_tenant_has_its_own_and_two_while_they_rotate() {
        let list = "web:old, app:a:b\n\nweb : new,default:next";
        let pairs = [("WEBHOOK_SECRET", "first"), ("WEBHOOK_SECRETS", list)];
        let found = keys(&pairs, Strength::Any).unwrap();
        for (tenant, expected) in [
            ("default", &["first", "next"][..]),
            ("web", &["old", "new"]),
            ("app", &["a:b"]),
            ("other", &[]),
        ] {
            assert_eq!(of(&found, tenant), expected, "{tenant}");
        }
        // What signed for all before is the default tenant's alone.
        let found = keys(&pairs[..1], Strength::Any).unwrap();
        assert_eq!(
            (of(&found, "default").len(), of(&found, "web").len()),
            (1, 0)
        );
        assert_eq!(keys(&[], Strength::Unguessable), Ok(SigningKeys::default()));

        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "web:one\nweb:two\n").unwrap();
        let path = file.path().to_str().unwrap();
        let found = keys(&[("WEBHOOK_SECRETS_FILE", path)], Strength::Any).unwrap();
        assert_eq!(of(&found, "web"), ["one", "two"]);
    }

    #[test]
    fn what_is_not_understood_shared_or_too_much_is_refused_unseen() {
        for (first, list, variable, word) in [
            ("whsec_s3cret?", "", "WEBHOOK_SECRET", "not understood"),
            ("", "s3cret", "WEBHOOK_SECRETS", "not understood"),
            ("", ":s3cret", "WEBHOOK_SECRETS", "not understood"),
            ("", "web:", "WEBHOOK_SECRETS", "not understood"),
            ("", "a b:s3cret", "WEBHOOK_SECRETS", "not understood"),
            ("", "web:whsec_s3cret?", "WEBHOOK_SECRETS", "not understood"),
            ("", "web:a,s3cret", "WEBHOOK_SECRETS", "not understood"),
            ("", ",", "WEBHOOK_SECRETS", "not understood"),
            (
                "",
                "web:s3cret,app:s3cret",
                "WEBHOOK_SECRETS",
                "web and to app",
            ),
            (
                "",
                "web:s3cret,web:s3cret",
                "WEBHOOK_SECRETS",
                "web and to web",
            ),
            (
                "s3cret",
                "web:s3cret",
                "WEBHOOK_SECRETS",
                "default and to web",
            ),
            // The same bytes, written in the other way.
            (
                "s3cret",
                "web:whsec_czNjcmV0",
                "WEBHOOK_SECRETS",
                "default and to web",
            ),
            (
                "",
                "web:a,web:b,web:s3cret",
                "WEBHOOK_SECRETS",
                "more than 2",
            ),
            (
                "a",
                "default:b,default:s3cret",
                "WEBHOOK_SECRETS",
                "more than 2",
            ),
        ] {
            let pairs = [("WEBHOOK_SECRET", first), ("WEBHOOK_SECRETS", list)];
            let error = keys(&pairs, Strength::Any).unwrap_err();
            let text = error.to_string();
            assert_eq!(error.variable, variable, "{list}");
            assert!(text.contains(word) && !text.contains("s3cret"), "{text}");
        }
    }

    #[test]
    fn a_secret_that_can_be_guessed_is_refused_where_that_matters() {
        let bytes = |count| format!("whsec_{}", STANDARD.encode(vec![b'x'; count]));
        for (secret, is_strong) in [
            ("rahasia".to_owned(), false),
            ("rahasia-panjang".to_owned(), false),
            ("rahasia-panjang!".to_owned(), true),
            (bytes(15), false),
            (bytes(16), true),
            (bytes(64), true),
        ] {
            let entry = format!("web:{secret}");
            for pair in [("WEBHOOK_SECRET", &secret), ("WEBHOOK_SECRETS", &entry)] {
                let (variable, value) = pair;
                let pairs = [(variable, value.as_str())];
                assert!(keys(&pairs, Strength::Any).is_ok(), "{secret}");
                let found = keys(&pairs, Strength::Unguessable);
                assert_eq!(found.is_ok(), is_strong, "{secret}");
                if let Err(error) = found {
                    let text = error.to_string();
                    assert_eq!(error.variable, variable);
                    assert!(text.contains("itb-ops keys webhook") && !text.contains(&secret));
                }
            }
        }
    }

    #[test]
    fn the_secret_of_the_default_tenant_counts_among_its_two_and_the_error_says_so() {
        let pairs = [
            ("WEBHOOK_SECRET", "first"),
            ("WEBHOOK_SECRETS", "default:second,default:third"),
        ];
        let text = keys(&pairs, Strength::Any).unwrap_err().to_string();
        assert!(
            text.contains("WEBHOOK_SECRET is one of them") && !text.contains("third"),
            "{text}"
        );
    }

    #[test]
    fn keys_are_not_shown() {
        let found = keys(&[("WEBHOOK_SECRETS", "web:s3cret")], Strength::Any).unwrap();
        assert!(!format!("{found:?}").contains("s3cret"));
    }
}
