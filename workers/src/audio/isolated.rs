//! Decoding in a process of its own: what a caller sends can hurt nobody but that process.

use std::time::Duration;

use sandbox::{Limits as Cost, Outcome, Progress, Sandbox, SandboxError, Task};

use super::{Clip, DecodeError, Limits, RATE, decode};

/// Memory of a codec, whatever it decodes.
const CODEC_MEMORY: u64 = 64 * 1024 * 1024;

/// Times its length that a file is held: as it came, tidied, and as tables of its packets.
const COPIES: u64 = 4;

/// Processor time to get at the first sound. Real files take milliseconds, also with an hour of tables in front.
const FIRST_SOUND: Duration = Duration::from_millis(250);

/// Sound must come ten times as fast as it plays. The slowest codec here is a hundred times as fast.
const SLOWEST: u32 = 10;

/// [`decode`] in a child process.
pub struct DecodeRecording;

/// Why there is no clip of a file that was decoded apart.
#[derive(Debug, thiserror::Error)]
pub enum IsolatedError {
    /// The file is at fault; trying again is no use.
    #[error(transparent)]
    File(#[from] DecodeError),
    /// Nothing is known of the file.
    #[error("the decoder is not available: {0}")]
    Unavailable(#[source] SandboxError),
}

/// The processor time that `sound` is worth.
pub(super) fn earned(sound: Duration) -> Duration {
    sound / SLOWEST
}

impl Task for DecodeRecording {
    const NAME: &'static str = "decode-recording";
    /// One that takes long makes way for another.
    const PER_PROCESSOR: usize = 2;
    type Request = Limits;
    type Reply = Result<(), DecodeError>;

    fn limits(request: &Limits, length: usize) -> Cost {
        // A second more than is accepted, which is found out by decoding it.
        let longest = request.max_duration + Duration::from_secs(1);
        let samples = (longest.as_secs_f64() * f64::from(RATE)) as u64;
        let output = samples * size_of::<f32>() as u64 + 4096;
        Cost {
            // The samples grow by doubling, and are copied into the reply.
            memory: CODEC_MEMORY + COPIES * length as u64 + 4 * output,
            stack: 8 * 1024 * 1024,
            cpu: FIRST_SOUND,
            cpu_ceiling: FIRST_SOUND + earned(longest),
            output,
        }
    }

    fn run(request: Limits, bytes: Vec<u8>, progress: &Progress) -> Outcome<Self::Reply> {
        match decode(&bytes, &request, progress) {
            Ok(clip) => Outcome {
                reply: Ok(()),
                bytes: clip.to_bytes(),
            },
            Err(error) => Err(error).into(),
        }
    }
}

/// Decodes a whole file in a process of its own.
///
/// # Errors
///
/// See [`IsolatedError`].
pub async fn decode_isolated(
    sandbox: &Sandbox<DecodeRecording>,
    bytes: &[u8],
    limits: &Limits,
) -> Result<Clip, IsolatedError> {
    let outcome = sandbox.run(limits, bytes).await?;
    outcome.reply?;
    Ok(Clip::from_bytes(&outcome.bytes))
}

impl From<SandboxError> for IsolatedError {
    fn from(error: SandboxError) -> Self {
        match error {
            SandboxError::OutOfMemory(_)
            | SandboxError::OutOfTime(_)
            | SandboxError::TooMuchOutput(_) => DecodeError::TooCostly.into(),
            error if error.is_permanent() => DecodeError::damaged("its codec gave up on it").into(),
            error => Self::Unavailable(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_come_back_as_they_were() {
        let clip = Clip {
            samples: vec![0.0, -1.0, 1.0, 1.0e-7, -0.25],
        };
        assert_eq!(Clip::from_bytes(&clip.to_bytes()), clip);
    }

    #[test]
    fn what_a_recording_may_cost_follows_its_length_and_the_limit() {
        let limits = Limits::default();
        let small = DecodeRecording::limits(&limits, 1_000);
        let large = DecodeRecording::limits(&limits, 16 << 20);
        assert!(small.memory < 160 << 20 && large.memory < 256 << 20);
        assert_eq!(small.cpu_ceiling, large.cpu_ceiling);
        assert!(small.output >= 300 * 16_000 * 4);
    }

    #[test]
    fn only_what_the_file_did_is_held_against_it() {
        let cases = [
            (SandboxError::OutOfMemory(1), Some(DecodeError::TooCostly)),
            (
                SandboxError::OutOfTime(Duration::ZERO),
                Some(DecodeError::TooCostly),
            ),
            (SandboxError::TooMuchOutput(1), Some(DecodeError::TooCostly)),
            (
                SandboxError::Crashed(11),
                Some(DecodeError::damaged("its codec gave up on it")),
            ),
            (SandboxError::Killed, None),
            (SandboxError::Starved(Duration::ZERO), None),
        ];
        for (error, expected) in cases {
            let name = error.to_string();
            let found = match IsolatedError::from(error) {
                IsolatedError::File(error) => Some(error),
                IsolatedError::Unavailable(_) => None,
            };
            assert_eq!(found, expected, "{name}");
        }
    }
}
