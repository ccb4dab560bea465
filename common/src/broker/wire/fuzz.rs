//! Whatever lies in a queue.

use proptest::{collection::vec, prelude::*, sample::Index};

use super::{tests::GOLDEN, *};
use crate::testing::fuzz::explore;

/// A message with something done to it.
#[derive(Clone, Debug)]
enum Damage {
    Cut(Index),
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    /// One part put in the place of another.
    Move(Index, Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let pieces = prop::sample::select(vec![
        "null",
        "-1",
        "1e999",
        "\"\"",
        "[]",
        "{}",
        "[[[[",
        "\\ud800",
        "\"\\u0000\"",
        "true,",
        "18446744073709551616",
        "\"version\":1,",
        "\"stage\":\"tts\"",
    ]);
    prop_oneof![
        any::<Index>().prop_map(Damage::Cut),
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        (any::<Index>(), pieces)
            .prop_map(|(at, text)| Damage::Insert(at, text.as_bytes().to_vec())),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Damage::Move(from, to)),
    ]
}

impl Damage {
    fn to(&self, message: &mut Vec<u8>) {
        if message.is_empty() {
            return;
        }
        let length = message.len();
        match self {
            Self::Cut(at) => message.truncate(at.index(length)),
            Self::Set(at, byte) => message[at.index(length)] = *byte,
            Self::Insert(at, bytes) => {
                let at = at.index(length);
                message.splice(at..at, bytes.iter().copied());
            }
            Self::Move(from, to) => {
                let from = from.index(length);
                let part = message[from..(from + 40).min(length)].to_vec();
                let to = to.index(length);
                message.splice(to..(to + part.len()).min(length), part);
            }
        }
    }
}

/// It is an envelope, which is written and read as the same one, or an error
/// that quotes nothing of it.
fn stands(message: &[u8]) -> Result<(), TestCaseError> {
    match decode(message) {
        Ok(envelope) => prop_assert_eq!(decode(&encode(&envelope)), Ok(envelope)),
        Err(WireError::UnknownVersion(version)) => prop_assert_ne!(version, VERSION),
        Err(WireError::Malformed(where_)) => {
            prop_assert!(
                where_.len() < 60 && where_.contains(" error at line "),
                "{}",
                where_
            );
        }
    }
    Ok(())
}

#[test]
fn a_damaged_message_is_an_envelope_or_an_error_that_quotes_nothing() {
    explore(&vec(damage(), 0..6), |damages| {
        let mut message = GOLDEN.as_bytes().to_vec();
        damages.iter().for_each(|damage| damage.to(&mut message));
        stands(&message)
    });
}

#[test]
fn any_bytes_are_an_envelope_or_an_error_that_quotes_nothing() {
    explore(&vec(any::<u8>(), 0..300), |message| stands(&message));
}
