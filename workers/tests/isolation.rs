//! Recordings that are expensive to decode, in the process that is made for them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use sandbox::Sandbox;
use workers::{
    audio::{
        DecodeError, Limits,
        isolated::{DecodeRecording, IsolatedError, decode_isolated},
        wav::{self, Format},
    },
    testing::forged,
};

fn sandbox() -> Sandbox<DecodeRecording> {
    Sandbox::of_program(env!("CARGO_BIN_EXE_itb-worker").into())
}

#[tokio::test]
async fn what_is_expensive_to_decode_is_refused_for_what_it_is() {
    let sandbox = sandbox();
    for (name, file) in forged::recordings() {
        let decoded = decode_isolated(&sandbox, &file, &Limits::default()).await;
        assert!(
            matches!(
                decoded,
                Err(IsolatedError::File(
                    DecodeError::TooCostly | DecodeError::Damaged { .. }
                ))
            ),
            "{name}, {} bytes: {decoded:?}",
            file.len()
        );
        println!("{name}, {} bytes: {}", file.len(), decoded.unwrap_err());
    }
}

#[tokio::test]
async fn a_recording_comes_out_as_if_it_were_decoded_here() {
    let samples: Vec<u8> = (0..=255).cycle().take(4_000_000).collect();
    let file = wav::write(Format::mono16(16_000), &samples);
    let here = workers::audio::decode(&file, &Limits::default(), &Default::default());
    let apart = decode_isolated(&sandbox(), &file, &Limits::default()).await;
    assert!(apart.unwrap() == here.unwrap());
}
