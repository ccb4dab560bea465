//! `itb-ops keys`: API keys.

use clap::Subcommand;
use common::{
    api_key::{KeyDigest, key_from},
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
}

pub fn run(command: Command) -> anyhow::Result<()> {
    let Command::New { name } = command;
    let mut random = [0; 32];
    getrandom::fill(&mut random)
        .map_err(|error| anyhow::anyhow!("this machine gives no random bytes: {error}"))?;
    print!("{}", told(&name, &key_from(random)));
    Ok(())
}

fn told(name: &Tenant, key: &str) -> String {
    let digest = KeyDigest::of(key);
    format!(
        "The key, for its user. It is shown only now and kept nowhere:\n\n    {key}\n\n\
         Its entry for API_KEYS, which does not tell the key:\n\n    {name}:{digest}\n"
    )
}

#[cfg(test)]
mod tests {
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
}
