//! The message body on the wire: JSON with a version beside the envelope.
//!
//! Version 1 is held by the golden file `testdata/envelope-v2.json`. A field
//! may be added with a default without a new version; anything else needs one,
//! and the old one must be read until no queue can hold it any more.

use serde::{Deserialize, Serialize};

use crate::envelope::Envelope;

pub const VERSION: u32 = 2;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error("message version {0} is not known to this program, which speaks version {VERSION}")]
    UnknownVersion(u32),
    /// The text tells where, never what, the body holds.
    #[error("the message is not an envelope: {0}")]
    Malformed(String),
}

#[derive(Serialize)]
struct Outgoing<'a> {
    version: u32,
    #[serde(flatten)]
    envelope: &'a Envelope,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

pub fn encode(envelope: &Envelope) -> Vec<u8> {
    serde_json::to_vec(&Outgoing {
        version: VERSION,
        envelope,
    })
    .expect("an envelope holds nothing that JSON cannot")
}

pub fn decode(body: &[u8]) -> Result<Envelope, WireError> {
    let Version { version } = read(body)?;
    match version {
        VERSION => read(body),
        other => Err(WireError::UnknownVersion(other)),
    }
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, WireError> {
    serde_json::from_slice(body).map_err(|error| {
        WireError::Malformed(format!(
            "{:?} error at line {} column {}",
            error.classify(),
            error.line(),
            error.column()
        ))
    })
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) const GOLDEN: &str = include_str!("testdata/envelope-v2.json");

    #[test]
    fn this_version_reads_and_writes_as_its_golden_file() {
        let envelope = decode(GOLDEN.as_bytes()).unwrap();
        let written: serde_json::Value = serde_json::from_slice(&encode(&envelope)).unwrap();
        let golden: serde_json::Value = serde_json::from_str(GOLDEN).unwrap();
        assert_eq!(written, golden);
    }

    #[test]
    fn what_is_not_an_envelope_is_refused_without_quoting_it() {
        for body in ["", "{}", "secret", "[2]", r#"{"version":2}"#, "\u{0}\u{1}"] {
            let error = decode(body.as_bytes()).unwrap_err();
            assert!(matches!(error, WireError::Malformed(_)), "{body:?}");
            assert!(!error.to_string().contains("secret"));
        }
    }

    #[test]
    fn another_version_is_told_apart_from_garbage() {
        let newer = GOLDEN.replace(r#""version": 2"#, r#""version": 7"#);
        assert_eq!(decode(newer.as_bytes()), Err(WireError::UnknownVersion(7)));
    }
}
