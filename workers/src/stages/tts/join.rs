//! Sentences joined into one file.

use std::time::Duration;

use bytes::Bytes;
use sandbox::Progress;

use crate::{
    audio::{
        Clip, DecodeError, Limits, decode,
        wav::{self, WavError},
    },
    handler::StageError,
};

/// A sentence is no longer than this: what a synthesiser says of 240 characters
/// takes a fraction of it.
const LONGEST_SENTENCE: Limits = Limits {
    max_duration: Duration::from_secs(600),
};

/// One WAV of `files`. They differ in format when one provider stood in for
/// another in the middle of the answer; then all are brought to one.
pub fn join(files: &[Bytes]) -> Result<Vec<u8>, StageError> {
    match wav::concatenate(files) {
        Err(WavError::Mixed) => mixed(files).map_err(unusable),
        joined => joined.map_err(unusable),
    }
}

fn mixed(files: &[Bytes]) -> Result<Vec<u8>, DecodeError> {
    let progress = Progress::default();
    let clips = files
        .iter()
        .map(|file| decode(file, &LONGEST_SENTENCE, &progress))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(wav::from_clip(&Clip {
        samples: clips.into_iter().flat_map(|clip| clip.samples).collect(),
    }))
}

fn unusable(error: impl std::fmt::Display) -> StageError {
    StageError::internal("speech_not_joinable", error)
}

#[cfg(test)]
mod tests {
    use crate::audio::wav::{Format, Wav, write};

    use super::*;

    fn second_at(rate: u32) -> Bytes {
        write(Format::mono16(rate), &vec![1; rate as usize * 2]).into()
    }

    #[test]
    fn sentences_of_one_provider_are_joined_as_they_are() {
        let joined = join(&[second_at(22_050), second_at(22_050)]).unwrap();
        let wav = Wav::read(&joined).unwrap();
        assert_eq!(wav.format, Format::mono16(22_050));
        assert_eq!(wav.duration(), Duration::from_secs(2));
    }

    #[test]
    fn sentences_of_different_providers_are_brought_to_one_rate() {
        let joined = join(&[second_at(8_000), second_at(22_050)]).unwrap();
        let wav = Wav::read(&joined).unwrap();
        let off = wav.duration().abs_diff(Duration::from_secs(2));
        assert!(off < Duration::from_millis(20), "{:?}", wav.duration());
    }

    #[test]
    fn what_is_no_wav_is_refused() {
        assert!(join(&[Bytes::from_static(b"<html>")]).is_err());
    }
}
