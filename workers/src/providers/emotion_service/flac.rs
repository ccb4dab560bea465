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
    let stream = encode_with_fixed_block_size(&config, source, BLOCK)
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
