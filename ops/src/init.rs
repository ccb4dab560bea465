//! `itb-ops init`: the passwords by which the parts of a deployment know each other, so that none of them has a default.

use std::path::PathBuf;

use anyhow::bail;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;
use common::{
    api_key::{KeyDigest, key_from, weakness},
    callback::{SigningKeys, Strength},
    config::Environment,
};

use crate::keys::random;

mod env_file;
mod folder;

#[derive(Args)]
pub struct Options {
    /// The settings for docker compose. What is set in it stays; a secret that is missing is added.
    #[arg(long, value_name = "FILE", default_value = ".env")]
    file: PathBuf,
    /// Instead, a folder of files, as docker-compose.yml hands them to its services: a secret is taken from the
    /// environment, else it stays as it is there, else it is made.
    #[arg(long, value_name = "FOLDER", conflicts_with = "file")]
    folder: Option<PathBuf>,
}

/// Prints what was done, and no secret.
pub fn run(env: &Environment, options: &Options) -> anyhow::Result<()> {
    match &options.folder {
        Some(folder) => folder::write(env, folder),
        None => env_file::write(&options.file),
    }
}

/// What is made where nobody has set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SecretKind {
    ApiKey,
    RabbitMq,
    Redis,
    Qdrant,
    Webhook,
}

impl SecretKind {
    const ALL: [Self; 5] = [
        Self::ApiKey,
        Self::RabbitMq,
        Self::Redis,
        Self::Qdrant,
        Self::Webhook,
    ];

    fn variable(self) -> &'static str {
        match self {
            Self::ApiKey => "API_KEY",
            Self::RabbitMq => "RABBITMQ_PASSWORD",
            Self::Redis => "REDIS_PASSWORD",
            Self::Qdrant => "QDRANT_API_KEY",
            Self::Webhook => "WEBHOOK_SECRET",
        }
    }

    /// Of 32 random bytes.
    fn generate(self) -> anyhow::Result<String> {
        let random = random()?;
        Ok(match self {
            Self::ApiKey => key_from(random),
            // As the Standard Webhooks specification writes it.
            Self::Webhook => format!("whsec_{}", STANDARD.encode(random)),
            Self::RabbitMq | Self::Redis | Self::Qdrant => hex(&random),
        })
    }

    /// Refuses what the servers' files and addresses could not hold as it is, and what stops the start of a program that
    /// other machines can reach.
    fn check(self, secret: &str) -> anyhow::Result<()> {
        let fits = match self {
            Self::ApiKey => KeyDigest::of_configured(secret)
                .is_ok_and(|digest| weakness(secret, &digest).is_none()),
            Self::RabbitMq | Self::Redis => {
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
                secret.len() >= 16 && secret.bytes().all(plain)
            }
            // It goes into a header.
            Self::Qdrant => secret.is_ascii(),
            Self::Webhook => {
                let env = [(self.variable(), secret)].into_iter().collect();
                SigningKeys::from_environment(&env, Strength::Unguessable).is_ok()
            }
        };
        if !fits || secret.contains(char::is_control) {
            bail!(
                "{} cannot be used: it may be {}, or empty for one that is made",
                self.variable(),
                self.expected()
            );
        }
        Ok(())
    }

    fn expected(self) -> &'static str {
        match self {
            Self::ApiKey => {
                "a random key of at least 16 bytes, which `itb-ops keys new` makes, or the digest of one"
            }
            Self::RabbitMq | Self::Redis => "16 or more letters, digits, - and _",
            Self::Qdrant => "a text of ASCII alone",
            Self::Webhook => {
                "whsec_ and base64 of at least 16 bytes, which `itb-ops keys webhook` makes, or any text of as many"
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn what_is_made_is_random_and_fits_where_it_goes() {
        let made: HashSet<String> = (0..20)
            .flat_map(|_| SecretKind::ALL.map(|kind| (kind, kind.generate().unwrap())))
            .map(|(kind, secret)| {
                kind.check(&secret).unwrap();
                assert!(secret.len() >= 50, "{kind:?}: {secret}");
                secret
            })
            .collect();
        assert_eq!(made.len(), 100);
    }

    #[test]
    fn a_password_that_would_break_a_file_or_an_address_is_refused_and_not_shown() {
        for wrong in [
            "short",
            "sixteen letters!",
            "with\nnewline-abcdef",
            "with@at-abcdefghij",
        ] {
            let error = SecretKind::Redis.check(wrong).unwrap_err().to_string();
            assert!(
                error.contains("REDIS_PASSWORD") && !error.contains(wrong),
                "{error}"
            );
        }
        assert!(SecretKind::Qdrant.check("eyJ.a+b/c=").is_ok());
    }

    #[test]
    fn what_a_program_would_not_start_with_is_refused_and_not_shown() {
        let digest = |key| KeyDigest::of(key).to_string();
        for (kind, wrong, hint) in [
            (SecretKind::ApiKey, "dev", "itb-ops keys new"),
            (SecretKind::ApiKey, &digest("dev"), "itb-ops keys new"),
            (SecretKind::ApiKey, "fifteen-letters", "itb-ops keys new"),
            (SecretKind::ApiKey, "sha256:0123456789", "itb-ops keys new"),
            (
                SecretKind::Webhook,
                "fifteen-letters",
                "itb-ops keys webhook",
            ),
            (SecretKind::Webhook, "whsec_eA==", "itb-ops keys webhook"),
            (
                SecretKind::Webhook,
                "whsec_no-base64!",
                "itb-ops keys webhook",
            ),
            (SecretKind::Qdrant, "kunci-é", "ASCII"),
        ] {
            let error = kind.check(wrong).unwrap_err().to_string();
            assert!(
                error.contains(kind.variable()) && error.contains(hint) && !error.contains(wrong),
                "{error}"
            );
        }
        for good in ["sixteen-letters-", &digest("any")] {
            SecretKind::ApiKey.check(good).unwrap();
        }
        SecretKind::Webhook.check("sixteen-letters-").unwrap();
    }
}
