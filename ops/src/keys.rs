//! `itb-ops keys`: API keys, and secrets of webhooks.

use clap::Subcommand;
use common::{
    api_key::{KeyDigest, key_from},
    callback::secret_from,
    ids::Tenant,
};

#[derive(Subcommand)]
pub enum Command {
    /// Makes a key, and prints it once, together with its entry for API_KEYS.
    New {
        /// Whom the key stands for: what one of them submits no other sees. A
        /// name may have several keys.
        #[arg(default_value = Tenant::DEFAULT)]
        name: Tenant,
    },
    /// Makes a secret that signs the callbacks of a tenant, and prints its entry
    /// for WEBHOOK_SECRETS.
    Webhook {
        /// Whose callbacks it signs: the name of their API keys. A name may have
        /// two secrets, so that its receivers can take up the new one.
        #[arg(default_value = Tenant::DEFAULT)]
        name: Tenant,
    },
}

pub fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::New { name } => print!("{}", told(&name, &key_from(random()?))),
        Command::Webhook { name } => print!("{}", signing(&name, &secret_from(random()?))),
    }
    Ok(())
}

pub fn random() -> anyhow::Result<[u8; 32]> {
    let mut random = [0; 32];
    getrandom::fill(&mut random)
        .map_err(|error| anyhow::anyhow!("this machine gives no random bytes: {error}"))?;
    Ok(random)
}

fn told(name: &Tenant, key: &str) -> String {
    let digest = KeyDigest::of(key);
    format!(
        "The key, for its user. It is shown only now and kept nowhere:\n\n    {key}\n\n\
         Its entry for API_KEYS, which does not tell the key:\n\n    {name}:{digest}\n"
    )
}

fn signing(name: &Tenant, secret: &str) -> String {
    format!(
        "The entry for WEBHOOK_SECRETS of the front doors and the webhook workers. What follows\n\
         the colon is the secret, for the receivers of {name} alone:\n\n    {name}:{secret}\n"
    )
}

#[cfg(test)]
mod tests {
    use common::callback::{SigningKeys, Strength};

    use super::*;

    #[test]
    fn the_entry_tells_the_name_and_the_digest_of_the_key_alone() {
        let name = "web".parse().unwrap();
        let key = key_from([1; 32]);
        let text = told(&name, &key);
        assert_eq!(text.matches(&key).count(), 1);
        let entry = text.lines().last().unwrap().trim();
        assert_eq!(entry, format!("web:{}", KeyDigest::of(&key)));
    }

    #[test]
    fn the_entry_of_a_secret_is_taken_as_it_is_printed() {
        let name = "web".parse().unwrap();
        let text = signing(&name, &secret_from([1; 32]));
        let entry = text.lines().last().unwrap().trim();
        let env = [("WEBHOOK_SECRETS", entry)].into_iter().collect();
        let keys = SigningKeys::from_environment(&env, Strength::Unguessable).unwrap();
        assert_eq!(keys.of(&name)[0].expose(), [1; 32]);
    }
}
