//! `itb-ops init`: the passwords by which the parts of a deployment know each other, so that none of them has a default.

use std::path::PathBuf;

use anyhow::bail;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;
use common::{api_key::key_from, config::Environment};

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

    /// Refuses what the servers' files and addresses could not hold as it is.
    fn check(self, secret: &str) -> anyhow::Result<()> {
        let fits = match self {
            Self::RabbitMq | Self::Redis => {
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
                secret.len() >= 16 && secret.bytes().all(plain)
            }
            _ => !secret.contains(char::is_control),
        };
        if !fits {
            bail!(
                "{} cannot be used: it may be 16 or more letters, digits, - and _, or empty for one that is made",
                self.variable()
            );
        }
        Ok(())
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
}
