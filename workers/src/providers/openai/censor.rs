//! What operators may see of a vendor's message.

use common::config::Secret;

/// Characters of a message that are kept.
const LONGEST: usize = 200;

/// So many characters in a row that are also in the request are a quotation
/// of it; shorter ones may be chance.
const QUOTATION: usize = 24;

/// A text of fewer characters than this says too little to be looked for.
const TELLING: usize = 6;

/// Knows what must not be told: keys, addresses, and what users wrote.
pub(super) struct Censor {
    secrets: Vec<Secret>,
    asked: Vec<String>,
}

impl Censor {
    pub(super) fn new(secrets: Vec<Secret>, asked: Vec<String>) -> Self {
        Self { secrets, asked }
    }

    /// The beginning of `message` on one line, without keys and addresses.
    /// Nothing when it quotes what was asked, or says nothing.
    pub(super) fn excerpt(&self, message: &str) -> Option<String> {
        let words: Vec<&str> = message
            .split(|c: char| c.is_whitespace() || c.is_control())
            .filter(|word| !word.is_empty())
            .map(|word| if self.is_secret(word) { "…" } else { word })
            .collect();
        let excerpt: String = words.join(" ").chars().take(LONGEST).collect();
        (!excerpt.is_empty() && !self.quotes(message)).then_some(excerpt)
    }

    fn is_secret(&self, word: &str) -> bool {
        let known = |secret: &Secret| {
            let secret = secret.expose();
            !secret.is_empty() && word.contains(secret)
        };
        // Vendors show the ends of a key that they do not know, as in
        // `sk-ab***yz`.
        self.secrets.iter().any(known) || word.contains("sk-") || word.contains("://")
    }

    fn quotes(&self, message: &str) -> bool {
        let written: Vec<char> = message.chars().take(LONGEST * 4).collect();
        let runs = written.windows(QUOTATION).map(String::from_iter);
        let short = |asked: &&String| {
            let length = asked.trim().chars().take(QUOTATION).count();
            (TELLING..QUOTATION).contains(&length)
        };
        let mut shorter = self.asked.iter().filter(short);
        shorter.any(|asked| message.contains(asked.trim()))
            || runs
                .into_iter()
                .any(|run| self.asked.iter().any(|asked| asked.contains(&run)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn censor() -> Censor {
        Censor::new(
            vec![Secret::new("k3y-of-ours")],
            vec![
                "Kamu asisten ITB. Jawab singkat dan hanya dari dokumen.".to_owned(),
                "Saya gagal UTS".to_owned(),
            ],
        )
    }

    #[test]
    fn an_excerpt_shows_no_key_no_address_and_no_text_of_users() {
        for (message, expected) in [
            ("model not found", Some("model not found")),
            ("two\r\n\tlines\u{0}here", Some("two lines here")),
            ("wrong key (k3y-of-ours).", Some("wrong key …")),
            ("wrong key: sk-proj-a***bcd.", Some("wrong key: …")),
            (
                "see https://u:p@host/x?key=1 for help",
                Some("see … for help"),
            ),
            ("bad input 'Saya gagal UTS'", None),
            ("bad: asisten ITB. Jawab singkat dan hanya", None),
            (" \n", None),
            ("", None),
        ] {
            assert_eq!(
                censor().excerpt(message).as_deref(),
                expected,
                "{message:?}"
            );
        }
    }

    #[test]
    fn an_excerpt_is_bounded() {
        let excerpt = censor().excerpt(&"é ".repeat(100_000)).unwrap();
        assert_eq!(excerpt.chars().count(), LONGEST);
    }
}
