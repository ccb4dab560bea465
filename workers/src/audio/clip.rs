//! The decoded recording, and how it is gathered.

use std::time::Duration;

use super::DecodeError;
use super::codec::{Sound, tame};
use super::resample::Resampler;

/// Samples per second of every [`Clip`]: what Whisper's mel filters are made for.
pub const RATE: u32 = 16_000;

/// Frames that coders pad at both ends may pass the limit by this much.
const GRACE: Duration = Duration::from_millis(250);

/// Times that a recording may change its rate. Chained recordings do, once or twice; to do so for each packet would be
/// work without end, since each rate needs a filter that is made for it.
const MAX_CHANGES: u32 = 8;

/// Mono audio at [`RATE`], samples finite and within -1.0..=1.0.
#[derive(Debug, Clone, PartialEq)]
pub struct Clip {
    /// The samples.
    pub samples: Vec<f32>,
}

impl Clip {
    /// Playing time.
    pub fn duration(&self) -> Duration {
        duration_of(self.samples.len() as u64, RATE)
    }

    /// The samples as `f32`, little endian.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let bytes = self.samples.iter().flat_map(|sample| sample.to_le_bytes());
        bytes.collect()
    }

    /// What [`to_bytes`](Self::to_bytes) made. The bytes come from a decoder that hostile input may have taken over, so
    /// the samples are made to keep the promise.
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        let (samples, _) = bytes.as_chunks();
        let samples = samples.iter().copied().map(f32::from_le_bytes);
        Self {
            samples: samples.map(tame).collect(),
        }
    }
}

pub(super) fn duration_of(frames: u64, rate: u32) -> Duration {
    Duration::from_secs_f64(frames as f64 / f64::from(rate.max(1)))
}

/// Takes decoded sound at any rate and keeps it at [`RATE`], up to a limit.
pub(super) struct Recording {
    samples: Vec<f32>,
    resampler: Option<Resampler>,
    changes: u32,
    heard: Duration,
    limit: Duration,
}

impl Recording {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            samples: Vec::new(),
            resampler: None,
            changes: 0,
            heard: Duration::ZERO,
            limit,
        }
    }

    /// Adds sound. The rate may change on the way, as it does in chained streams.
    pub(super) fn push(&mut self, sound: &Sound) -> Result<(), DecodeError> {
        let (heard, limit) = (self.heard + sound.duration(), self.limit);
        let resampler = self.at_rate(sound.rate)?;
        if heard > limit + GRACE {
            return Err(DecodeError::TooLong { limit });
        }
        resampler.push(&sound.samples)?;
        self.heard = heard;
        self.collect();
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Clip, DecodeError> {
        self.flush()?;
        Ok(Clip {
            samples: self.samples,
        })
    }

    fn at_rate(&mut self, rate: u32) -> Result<&mut Resampler, DecodeError> {
        if self
            .resampler
            .as_ref()
            .is_some_and(|resampler| resampler.rate() != rate)
        {
            self.changes += 1;
            if self.changes > MAX_CHANGES {
                return Err(DecodeError::unsupported(format!(
                    "a recording that changes its rate more than {MAX_CHANGES} times"
                )));
            }
            self.flush()?;
        }
        match &mut self.resampler {
            Some(resampler) => Ok(resampler),
            none => Ok(none.insert(Resampler::new(rate)?)),
        }
    }

    fn flush(&mut self) -> Result<(), DecodeError> {
        if let Some(resampler) = &mut self.resampler {
            resampler.finish()?;
        }
        self.collect();
        self.resampler = None;
        Ok(())
    }

    fn collect(&mut self) {
        if let Some(resampler) = &mut self.resampler {
            // The filter of a resampler can ring past full scale.
            self.samples
                .extend(resampler.take().map(|sample| sample.clamp(-1.0, 1.0)));
        }
    }
}
