//! Audio of any accepted kind, made into what the engines hear: mono, 16 kHz, `f32`.
//!
//! # Guarantees
//!
//! * The kind of file is read from its content. Names and media types are never consulted.
//! * Work and memory follow [`Limits::max_duration`], not what a header claims: the limit is enforced while decoding,
//!   so a small file that would decode to hours ends after the first minutes of it.
//! * Any sequence of bytes gives a [`Clip`] or a [`DecodeError`], unless a codec asks for more memory than there is or
//!   for minutes of work: then [`isolated`] bounds it. A panic inside a codec is caught and reported as
//!   [`DecodeError::Damaged`] (this needs `panic = "unwind"`, the default).
//! * A file that was cut short gives what is there, unless that is less than [`SHORTEST_REMAINDER`].
//!
//! # Deliberately absent
//!
//! Encoding to anything but WAV, tags, and seeking.

pub mod isolated;
pub mod loudness;
pub mod pieces;
pub mod wav;

mod clip;
mod codec;
mod container;
mod fragments;
mod opus;
mod resample;
mod riff;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use sandbox::Progress;
use serde::{Deserialize, Serialize};
use symphonia::core::errors::Error as ReadError;
use symphonia::core::formats::FormatReader;

use clip::Recording;
pub use clip::{Clip, RATE};
use codec::Decoder;

/// The least that a cut file must still hold to be worth an answer; nobody says a word in less.
pub const SHORTEST_REMAINDER: Duration = Duration::from_millis(100);

/// Packets in a row that may give no audio before the file is given up. A crafted index can name billions of empty
/// packets in a few bytes; real files have a handful (pictures between the sounds of a video, a lost page).
const MAX_BARREN_PACKETS: u32 = 10_000;

/// Recordings that may be chained in one file. Each sets up a decoder, which a file of nothing but headers would have done
/// a hundred thousand times.
const MAX_RECORDINGS: u32 = 100;

/// What a file may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The longest audio accepted, in playing time.
    pub max_duration: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_duration: Duration::from_secs(300),
        }
    }
}

/// Why there is no clip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum DecodeError {
    /// None of the accepted kinds of file: the caller should send another kind.
    #[error("the file is not wav, mp3, flac, ogg, m4a or webm audio")]
    Unrecognised,
    /// A known kind of file with something inside that is not: the caller should convert it.
    #[error("the audio cannot be read: {what} is not supported")]
    Unsupported {
        /// What was met, as a noun phrase.
        what: String,
    },
    /// Not decodable, or cut so short that nothing useful is left: the caller should send it again.
    #[error("the audio is damaged: {reason}")]
    Damaged {
        /// What is wrong with it, for a person.
        reason: String,
    },
    /// A sound file with no sound in it (zero samples; silence is not empty).
    #[error("the audio is empty")]
    Empty,
    /// Longer than [`Limits::max_duration`]: the caller should send less.
    #[error("the audio is longer than {} s", limit.as_secs_f32())]
    TooLong {
        /// The limit that it passed.
        limit: Duration,
    },
    /// It takes more memory or time to decode than any honest recording of its length.
    #[error("the audio takes more memory or time to decode than is allowed")]
    TooCostly,
}

impl DecodeError {
    fn damaged(reason: impl Into<String>) -> Self {
        Self::Damaged {
            reason: reason.into(),
        }
    }

    fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported { what: what.into() }
    }
}

/// Decodes a whole file in this process. Blocking: about 0.1–1 s of CPU for five minutes of audio. For files that this
/// program or its operator made; what callers send goes through [`isolated`].
///
/// # Errors
///
/// See [`DecodeError`]; all are properties of the file and will not change when tried again.
pub fn decode(bytes: &[u8], limits: &Limits, progress: &Progress) -> Result<Clip, DecodeError> {
    // The codecs are other people's code over hostile input. Nothing that they touch outlives the call.
    catch_unwind(AssertUnwindSafe(|| {
        decode_unguarded(bytes, limits, progress)
    }))
    .unwrap_or_else(|_| Err(DecodeError::damaged("its codec gave up on it")))
}

fn decode_unguarded(
    bytes: &[u8],
    limits: &Limits,
    progress: &Progress,
) -> Result<Clip, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    let mut container = container::open(bytes)?;
    let mut recording = Recording::new(limits.max_duration);
    let end = record(container.reader.as_mut(), &mut recording, progress)?;
    let whole = end == End::Whole && !container.cut;
    judge(recording.finish()?, whole)
}

/// How the reading of a file ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Every packet was read and decoded.
    Whole,
    /// It stopped before it said it would, or a packet could not be decoded.
    Flawed,
}

fn record(
    reader: &mut dyn FormatReader,
    recording: &mut Recording,
    progress: &Progress,
) -> Result<End, DecodeError> {
    let mut decoder = Decoder::for_first_track(reader)?;
    let mut end = End::Whole;
    let mut barren = 0;
    let mut recordings = 1;
    while barren < MAX_BARREN_PACKETS {
        barren += 1;
        let packet = match reader.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => return Ok(end),
            // A chained stream: another recording follows in the same file, with headers of its own.
            Err(ReadError::ResetRequired) if recordings == MAX_RECORDINGS => {
                return Err(DecodeError::unsupported(format!(
                    "a file of more than {MAX_RECORDINGS} recordings"
                )));
            }
            Err(ReadError::ResetRequired) => {
                recordings += 1;
                decoder = Decoder::for_first_track(reader)?;
                continue;
            }
            Err(_) => return Ok(End::Flawed),
        };
        if packet.track_id != decoder.track_id() {
            continue;
        }
        match decoder.decode(&packet) {
            Ok(sound) if sound.is_empty() => {}
            Ok(sound) => {
                barren = 0;
                recording.push(sound)?;
                progress.earn(isolated::earned(sound.duration()));
            }
            // One bad packet is a click; the rest of the file may be whole.
            Err(_) => end = End::Flawed,
        }
    }
    Ok(End::Flawed)
}

fn judge(clip: Clip, whole: bool) -> Result<Clip, DecodeError> {
    match (clip.samples.is_empty(), whole) {
        (true, false) => Err(DecodeError::damaged("no part of it could be decoded")),
        (true, true) => Err(DecodeError::Empty),
        (false, false) if clip.duration() < SHORTEST_REMAINDER => Err(DecodeError::damaged(
            "it is cut short and less than 0.1 s is left",
        )),
        (false, _) => Ok(clip),
    }
}
