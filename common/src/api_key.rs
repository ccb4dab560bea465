//! API keys as they may be kept: not themselves, but their digest.
//!
//! `itb-ops keys new` writes an entry, a front door reads it. The form is
//! `sha256:` and 64 hexadecimal digits. A fast hash is enough for a key that was
//! made here: its 256 random bits cannot be guessed, so there is nothing for a
//! slow hash to slow down.

use std::{fmt, str::FromStr};

use sha2::{Digest as _, Sha256};

/// How the entries of hashed keys begin.
pub const SCHEME: &str = "sha256:";

/// How the keys begin that are made here, so that a scanner of source code or
/// logs can tell one.
pub const PREFIX: &str = "itb_";

/// The key that is taken where none is configured. Everybody knows it.
pub const BUILT_IN: &str = "dev";

/// Bytes of a key that other machines may present: 128 bits of length, which
/// nobody guesses if they are random.
pub const SHORTEST: usize = 16;

/// The SHA-256 digest of a key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyDigest([u8; 32]);

/// A digest that is not written as `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hashed key is sha256: and 64 hexadecimal digits")]
pub struct InvalidDigest;

impl KeyDigest {
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    /// Of a key as it is configured: itself, or the digest in its place.
    ///
    /// # Errors
    /// It begins as a digest and is none.
    pub fn of_configured(key: &str) -> Result<Self, InvalidDigest> {
        match key.starts_with(SCHEME) {
            true => key.parse(),
            false => Ok(Self::of(key)),
        }
    }

    /// Whether it is that of [`BUILT_IN`].
    pub fn is_built_in(&self) -> bool {
        *self == Self::of(BUILT_IN)
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Why other machines could guess `key`, which is configured and has this
/// digest. Nothing is said of how random it looks: no rule tells that, and a
/// command makes good ones. The length of a hashed key is not known.
pub fn weakness(key: &str, digest: &KeyDigest) -> Option<&'static str> {
    if digest.is_built_in() {
        return Some("the built-in key, which everybody knows");
    }
    let is_short = key.len() < SHORTEST && !key.starts_with(SCHEME);
    is_short.then_some("a key of less than 16 bytes (128 bits)")
}

/// A key made of `random` bits.
pub fn key_from(random: [u8; 32]) -> String {
    format!("{PREFIX}{}", hex::encode(random))
}

impl FromStr for KeyDigest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let digits = text.strip_prefix(SCHEME).ok_or(InvalidDigest)?;
        let mut digest = [0; 32];
        hex::decode_to_slice(digits, &mut digest).map_err(|_| InvalidDigest)?;
        Ok(Self(digest))
    }
}

impl fmt::Display for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", hex::encode(self.0))
    }
}

impl fmt::Debug for KeyDigest {
    /// A digest of a short key tells the key to who tries all short ones.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_as_it_is_written_and_never_shown() {
        let digest = KeyDigest::of("alpha");
        // As `printf alpha | sha256sum` has it.
        let hex = "8ed3f6ad685b959ead7022518e1af76cd816f8e8ec7ccdda1ed4018e8f2223f8";
        assert_eq!(digest.to_string(), format!("sha256:{hex}"));
        assert_eq!(digest.to_string().parse(), Ok(digest));
        let upper = format!("sha256:{}", hex.to_uppercase());
        assert_eq!(upper.parse(), Ok(digest));
        assert!(!format!("{digest:?}").contains("8ed3"));
    }

    #[test]
    fn what_is_no_digest_is_refused() {
        let short = "a".repeat(63);
        let wrong = "g".repeat(64);
        for text in ["", "alpha", "sha256:", "md5:00"] {
            assert_eq!(text.parse::<KeyDigest>(), Err(InvalidDigest), "{text}");
        }
        for digits in [short, wrong] {
            let text = format!("sha256:{digits}");
            assert_eq!(text.parse::<KeyDigest>(), Err(InvalidDigest), "{text}");
        }
    }

    #[test]
    fn a_key_tells_by_its_beginning_what_it_is() {
        let key = key_from([0xab; 32]);
        assert_eq!(key, format!("itb_{}", "ab".repeat(32)));
    }
}
