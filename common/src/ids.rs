//! Identifiers. Each is its own type, so that one cannot stand for another.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::pipeline::Stage;

/// An identifier that is not of the form its kind demands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} must be {expected}")]
pub struct InvalidId {
    pub kind: &'static str,
    pub expected: &'static str,
}

/// Names one job from acceptance to its end, in every process, log and key.
///
/// A UUIDv7 (RFC 9562): unguessable enough in its 74 random bits, and sortable
/// by time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CorrelationId(Uuid);

impl CorrelationId {
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// Another job that is named by this one: the same each time (UUIDv5).
    pub fn derived(self, name: &str) -> Self {
        Self(Uuid::new_v5(&self.0, name.as_bytes()))
    }
}

impl Default for CorrelationId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for CorrelationId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Uuid::try_parse(text).map(Self).map_err(|_| InvalidId {
            kind: "a job id",
            expected: "a UUID",
        })
    }
}

/// Names one message: the same for every copy of it, so that a duplicate can be
/// told from a new message.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(String);

impl MessageId {
    /// The one message that takes job `correlation_id` to `stage`.
    pub fn of(correlation_id: CorrelationId, stage: Stage) -> Self {
        Self(format!("{correlation_id}/{stage}"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A client's name for a conversation: 1 to 128 of `A-Z a-z 0-9 _ -`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ConversationId(String);

/// Who a job belongs to: the name of the API key that submitted it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tenant(String);

impl Tenant {
    /// The tenant of a service with a single unnamed key.
    pub const DEFAULT: &'static str = "default";

    pub fn is_default(&self) -> bool {
        self.0 == Self::DEFAULT
    }
}

impl Default for Tenant {
    fn default() -> Self {
        Self(Self::DEFAULT.to_owned())
    }
}

/// Names one HTTP request in logs and answers: 1 to 128 of `A-Z a-z 0-9 _ -`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RequestId(String);

impl RequestId {
    pub fn new() -> Self {
        Self(Uuid::now_v7().to_string())
    }
}

impl Default for RequestId {
    fn default() -> Self {
        Self::new()
    }
}

fn is_word(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

macro_rules! word {
    ($type:ident, $kind:literal) => {
        impl $type {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                if is_word(&text) {
                    Ok(Self(text))
                } else {
                    Err(InvalidId {
                        kind: $kind,
                        expected: "1 to 128 letters, digits, '_' or '-'",
                    })
                }
            }
        }

        impl FromStr for $type {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.to_owned().try_into()
            }
        }

        impl From<$type> for String {
            fn from(id: $type) -> String {
                id.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

word!(ConversationId, "a conversation id");
word!(Tenant, "a tenant name");
word!(RequestId, "a request id");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_id_is_one_to_128_plain_characters() {
        let longest = "a".repeat(128);
        for good in ["a", "A_b-9", "0", longest.as_str()] {
            assert!(good.parse::<ConversationId>().is_ok(), "{good}");
        }
        let too_long = "a".repeat(129);
        for bad in ["", " ", "a b", "a/b", "é", "a\n", "a:b", too_long.as_str()] {
            assert!(bad.parse::<ConversationId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_message_id_of_a_stage_is_the_same_each_time() {
        let job = CorrelationId::new();
        assert_eq!(
            MessageId::of(job, Stage::Rag),
            MessageId::of(job, Stage::Rag)
        );
        assert_ne!(
            MessageId::of(job, Stage::Rag),
            MessageId::of(job, Stage::Tts)
        );
    }

    #[test]
    fn a_correlation_id_survives_being_written() {
        let id = CorrelationId::new();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("not-a-uuid".parse::<CorrelationId>().is_err());
    }
}
