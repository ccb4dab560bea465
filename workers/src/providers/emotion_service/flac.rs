//! A clip as FLAC (RFC 9639): 16 bits, mono, at the clip's rate.

use flacenc::{
    bitsink::ByteSink, component::BitRepr, config, encode_with_fixed_block_size, error::Verify,
    source::MemSource,
};

use crate::audio::{Clip, RATE};

/// Samples in a block, as the reference encoder takes them.
const BLOCK: usize = 4_096;

/// The encoder refused, which no clip is a reason for.
#[derive(Debug, thiserror::Error)]
#[error("the recording could not be written as FLAC: {0}")]
pub(super) struct FlacError(String);

/// Blocking: some 10 ms of CPU for a minute of audio.
pub(super) fn encode(clip: &Clip) -> Result<Vec<u8>, FlacError> {
    let samples: Vec<i32> = clip.samples.iter().copied().map(sixteen_bits).collect();
    let config = config::Encoder::default()
        .into_verified()
        .map_err(|(_, error)| FlacError(error.to_string()))?;
    let source = MemSource::from_samples(&samples, 1, 16, RATE as usize);
    let mut stream = encode_with_fixed_block_size(&config, source, BLOCK)
        .map_err(|error| FlacError(error.to_string()))?;
    // The encoder counts the last block, which may be shorter, into the smallest size, which RFC 9639 (section 8.2) says
    // not to: strict decoders then take the file for one of variable blocks and find no frame in it.
    stream
        .stream_info_mut()
        .set_block_sizes(BLOCK, BLOCK)
        .map_err(|error| FlacError(error.to_string()))?;
    let mut file = ByteSink::new();
    stream
        .write(&mut file)
        .map_err(|error| FlacError(error.to_string()))?;
    Ok(file.into_inner())
}

fn sixteen_bits(sample: f32) -> i32 {
    let full_scale = f32::from(i16::MAX);
    (sample.clamp(-1.0, 1.0) * full_scale).round() as i32
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        process::{Command, Stdio},
    };

    use super::*;
    use crate::audio::{self, Limits};

    /// Tones, noise, silence and full scale, as many samples as asked for.
    fn clip(length: usize) -> Clip {
        let mut noise = 1_u32;
        let samples = (0..length).map(|at| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            match at / 3_000 % 4 {
                0 => (at as f32 / 30.0).sin() * 0.7,
                1 => noise as f32 / u32::MAX as f32 * 2.0 - 1.0,
                2 => 0.0,
                _ => [1.0, -1.0][at % 2],
            }
        });
        Clip {
            samples: samples.collect(),
        }
    }

    fn expected(clip: &Clip) -> Vec<i32> {
        clip.samples.iter().copied().map(sixteen_bits).collect()
    }

    #[test]
    fn what_is_encoded_is_decoded_sample_for_sample() {
        for length in [1_600, 4_096, 4_097, 50_000] {
            let clip = clip(length);
            let file = encode(&clip).unwrap();
            let limits = Limits::default();
            let heard = audio::decode(&file, &limits, &Default::default()).unwrap();
            let heard: Vec<i32> = heard
                .samples
                .iter()
                .map(|sample| (sample * 32_768.0).round() as i32)
                .collect();
            assert_eq!(heard, expected(&clip), "{length} samples");
        }
    }

    #[test]
    fn another_decoder_agrees() {
        for length in [1, 15, 16, 17, 4_095, 50_000] {
            let clip = clip(length);
            let Some(heard) = with_ffmpeg(&encode(&clip).unwrap()) else {
                return;
            };
            assert_eq!(heard, expected(&clip), "{length} samples");
        }
    }

    /// `None` where ffmpeg is not installed.
    fn with_ffmpeg(file: &[u8]) -> Option<Vec<i32>> {
        let arguments = "-v error -xerror -f flac -i pipe:0 -f s16le pipe:1";
        let spawned = Command::new("ffmpeg")
            .args(arguments.split(' '))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut ffmpeg) = spawned else {
            assert!(std::env::var_os("CI").is_none(), "ffmpeg is not installed");
            eprintln!("skipped: ffmpeg is not installed");
            return None;
        };
        let mut stdin = ffmpeg.stdin.take().unwrap();
        let file = file.to_vec();
        let writing = std::thread::spawn(move || stdin.write_all(&file));
        let output = ffmpeg.wait_with_output().unwrap();
        writing.join().unwrap().unwrap();
        assert!(output.status.success());
        let samples = output.stdout.chunks(2);
        Some(
            samples
                .map(|pair| i16::from_le_bytes([pair[0], pair[1]]).into())
                .collect(),
        )
    }
}
