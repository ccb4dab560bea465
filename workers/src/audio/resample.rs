//! From the file's rate to [`RATE`], in bounded memory.

use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Fft, FixedSync, Resampler as _, WindowFunction};

use super::DecodeError;
use super::clip::RATE;

/// Rates that recordings have. Below, speech is not intelligible; above, no recorder records, and the transform that
/// the ratio needs grows with the rate.
const RATES: std::ops::RangeInclusive<u32> = 4_000..=384_000;

/// The longest period of a rate and ours, in frames. The transform is as long as that, and one of a length that has no
/// divisors takes a second to plan: recorders have rates such as 44,100 and 22,255, with periods of hundreds or thousands.
const LONGEST_PERIOD: u32 = 48_000;

/// Frames that are transformed at once, at the least. Longer is a sharper filter.
const BLOCK: usize = 1024;

/// Turns a stream of mono samples into one at [`RATE`], of the same playing time, without delay.
pub(super) struct Resampler {
    rate: u32,
    transform: Option<Fft<f32>>,
    waiting: Vec<f32>,
    block: Vec<f32>,
    ready: Vec<f32>,
    /// Frames at the start that are only the filter's delay.
    to_skip: usize,
    frames_in: u64,
    frames_out: u64,
}

impl Resampler {
    /// # Errors
    ///
    /// `Unsupported` for a rate outside 4–384 kHz or one that no recorder has, `Damaged` for 0 Hz.
    pub(super) fn new(rate: u32) -> Result<Self, DecodeError> {
        if rate == 0 {
            return Err(DecodeError::damaged("it claims a sampling rate of 0 Hz"));
        }
        if !RATES.contains(&rate) || period(rate) > LONGEST_PERIOD {
            return Err(DecodeError::unsupported(format!(
                "a sampling rate of {rate} Hz"
            )));
        }
        let transform = (rate != RATE).then(|| transform(rate)).transpose()?;
        let to_skip = transform.as_ref().map_or(0, |fft| fft.output_delay());
        let block = vec![0.0; transform.as_ref().map_or(0, |fft| fft.output_frames_max())];
        Ok(Self {
            rate,
            transform,
            waiting: Vec::new(),
            block,
            ready: Vec::new(),
            to_skip,
            frames_in: 0,
            frames_out: 0,
        })
    }

    pub(super) fn rate(&self) -> u32 {
        self.rate
    }

    /// Takes samples in. What is ready is then had from [`Resampler::take`].
    pub(super) fn push(&mut self, samples: &[f32]) -> Result<(), DecodeError> {
        self.frames_in += samples.len() as u64;
        let Some(need) = self.transform.as_ref().map(|fft| fft.input_frames_next()) else {
            self.ready.extend_from_slice(samples);
            return Ok(());
        };
        self.waiting.extend_from_slice(samples);
        let mut used = 0;
        while self.waiting.len() - used >= need {
            self.transform_block(used, need)?;
            used += need;
        }
        self.waiting.drain(..used);
        Ok(())
    }

    /// Pushes silence until all that was put in has come out, and cuts what is over.
    pub(super) fn finish(&mut self) -> Result<(), DecodeError> {
        let Some(need) = self.transform.as_ref().map(|fft| fft.input_frames_next()) else {
            return Ok(());
        };
        let whole = (self.frames_in * u64::from(RATE)).div_ceil(u64::from(self.rate));
        while self.frames_out < whole {
            self.waiting.resize(need, 0.0);
            self.transform_block(0, need)?;
            self.waiting.clear();
        }
        let surplus = usize::try_from(self.frames_out - whole).unwrap_or(usize::MAX);
        self.ready
            .truncate(self.ready.len().saturating_sub(surplus));
        Ok(())
    }

    pub(super) fn take(&mut self) -> impl Iterator<Item = f32> + '_ {
        self.ready.drain(..)
    }

    fn transform_block(&mut self, from: usize, frames: usize) -> Result<(), DecodeError> {
        let Some(fft) = &mut self.transform else {
            return Ok(());
        };
        let room = self.block.len();
        let made = (|| {
            let input = SequentialSlice::new(&self.waiting[from..], 1, frames).ok()?;
            let mut output = SequentialSlice::new_mut(&mut self.block, 1, room).ok()?;
            let (_, made) = fft.process_into_buffer(&input, &mut output, None).ok()?;
            Some(made)
        })()
        .ok_or_else(|| DecodeError::damaged("it could not be resampled"))?;
        let skip = self.to_skip.min(made);
        self.to_skip -= skip;
        self.frames_out += (made - skip) as u64;
        self.ready.extend_from_slice(&self.block[skip..made]);
        Ok(())
    }
}

fn transform(rate: u32) -> Result<Fft<f32>, DecodeError> {
    Fft::new_custom(
        rate as usize,
        RATE as usize,
        block_frames(rate),
        1,
        1,
        WindowFunction::BlackmanHarris2,
        FixedSync::Both,
    )
    .map_err(|_| DecodeError::unsupported(format!("a sampling rate of {rate} Hz")))
}

/// [`BLOCK`] frames or more: an even number of times the ratio. The filter is as long as the block and delays by half of
/// it, which would be half a frame off where the block is odd on either side.
fn block_frames(rate: u32) -> usize {
    let unit = period(rate) as usize;
    unit * BLOCK.div_ceil(unit).next_multiple_of(2)
}

/// Frames after which both rates are at a whole frame again.
fn period(rate: u32) -> u32 {
    rate / greatest_common_divisor(rate, RATE)
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(hertz: f64, rate: u32, seconds: f64) -> Vec<f32> {
        let frames = (seconds * f64::from(rate)) as usize;
        (0..frames)
            .map(|n| {
                (std::f64::consts::TAU * hertz * n as f64 / f64::from(rate)).sin() as f32 * 0.5
            })
            .collect()
    }

    fn resampled(samples: &[f32], rate: u32, piece: usize) -> Vec<f32> {
        let mut resampler = Resampler::new(rate).unwrap();
        let mut out = Vec::new();
        for piece in samples.chunks(piece) {
            resampler.push(piece).unwrap();
            out.extend(resampler.take());
        }
        resampler.finish().unwrap();
        out.extend(resampler.take());
        out
    }

    #[test]
    fn a_tone_keeps_its_length_place_and_height_at_every_rate() {
        for rate in [
            4_000, 8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 44_101, 48_000, 96_000,
            192_000,
        ] {
            let out = resampled(&sine(440.0, rate, 1.0), rate, 1152);
            let expected = sine(440.0, RATE, 1.0);
            assert_eq!(out.len(), expected.len(), "{rate} Hz");
            let worst = out[800..15_200]
                .iter()
                .zip(&expected[800..15_200])
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(worst < 0.002, "{rate} Hz: off by {worst}");
        }
    }

    #[test]
    fn what_16_khz_cannot_carry_is_removed_and_not_folded_down() {
        let out = resampled(&sine(11_000.0, 48_000, 1.0), 48_000, 960);
        let loudest = out[800..15_200]
            .iter()
            .fold(0.0f32, |peak, sample| peak.max(sample.abs()));
        assert!(loudest < 0.001, "{loudest}");
    }

    #[test]
    fn few_samples_come_out_as_few() {
        for frames in [1, 2, 3, 47, 48, 1024, 1025] {
            let out = resampled(&vec![0.1; frames], 48_000, 7);
            assert_eq!(out.len(), frames.div_ceil(3), "{frames} frames");
        }
    }

    #[test]
    fn a_rate_that_no_recording_has_is_refused() {
        assert!(matches!(
            Resampler::new(0),
            Err(DecodeError::Damaged { .. })
        ));
        for rate in [1, 3_999, 65_521, 384_001, u32::MAX] {
            assert!(
                matches!(Resampler::new(rate), Err(DecodeError::Unsupported { .. })),
                "{rate}"
            );
        }
    }
}
