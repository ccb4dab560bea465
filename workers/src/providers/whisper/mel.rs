//! Sound to what the network hears: the logarithm of energy on the mel scale, 100 frames a second.
//!
//! The numbers are those Whisper was trained with (`whisper/audio.py` in its reference code): windows of
//! 25 ms each 10 ms, reflected at both ends, Slaney's mel filters from 0 to 8 kHz, values below the
//! loudest less 80 dB raised to it.

use std::f32::consts::PI;
use std::sync::Arc;

use realfft::{RealFftPlanner, RealToComplex};

/// Samples a second, everywhere in this engine.
pub(super) const SAMPLE_RATE: usize = 16_000;
/// Samples from one frame to the next.
pub(super) const HOP: usize = 160;
const WINDOW: usize = 400;
const SPECTRUM: usize = WINDOW / 2 + 1;
/// Powers below are silence.
const FLOOR: f32 = 1e-10;
/// In powers of ten: 80 dB.
const RANGE: f32 = 8.0;

/// Mel values, one row of `frames` for each bin.
#[derive(Debug)]
pub(super) struct Mel {
    pub(super) values: Vec<f32>,
    pub(super) bins: usize,
    pub(super) frames: usize,
}

pub(super) struct MelExtractor {
    transform: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    filters: Vec<Filter>,
}

/// The weights of one mel bin over the neighbouring frequencies it covers.
#[derive(Debug, PartialEq)]
struct Filter {
    first: usize,
    weights: Vec<f32>,
}

impl MelExtractor {
    pub(super) fn new(bins: usize) -> Self {
        Self {
            transform: RealFftPlanner::new().plan_fft_forward(WINDOW),
            window: hann(WINDOW),
            filters: filters(bins),
        }
    }

    /// Mel values of the samples followed by silence up to `length` samples.
    pub(super) fn extract(&self, samples: &[f32], length: usize) -> Mel {
        let length = length.max(samples.len());
        let frames = length / HOP;
        let bins = self.filters.len();
        let mut values = vec![FLOOR.log10(); bins * frames];
        let mut windowed = self.transform.make_input_vec();
        let mut spectrum = self.transform.make_output_vec();
        for frame in 0..frames {
            self.window_at(samples, length, frame * HOP, &mut windowed);
            // The buffers come from the plan itself, which is all that can be wrong here.
            if self
                .transform
                .process(&mut windowed, &mut spectrum)
                .is_err()
            {
                continue;
            }
            let power: Vec<f32> = spectrum
                .iter()
                .map(realfft::num_complex::Complex::norm_sqr)
                .collect();
            for (bin, filter) in self.filters.iter().enumerate() {
                values[bin * frames + frame] = filter.energy(&power).max(FLOOR).log10();
            }
        }
        compress(&mut values);
        Mel {
            values,
            bins,
            frames,
        }
    }

    /// Fills `windowed` with the window centred at sample `centre`.
    fn window_at(&self, samples: &[f32], length: usize, centre: usize, windowed: &mut [f32]) {
        for (offset, (slot, weight)) in windowed.iter_mut().zip(&self.window).enumerate() {
            let position = reflect(centre + offset, length);
            *slot = samples.get(position).copied().unwrap_or(0.0) * weight;
        }
    }
}

/// Where to read for a position that counts from half a window before the first sample: beyond either
/// end the sound is mirrored, the last sample itself not repeated.
fn reflect(position: usize, length: usize) -> usize {
    let half = WINDOW / 2;
    let last = length.saturating_sub(1);
    if position < half {
        (half - position).min(last)
    } else if position - half > last {
        (2 * last).saturating_sub(position - half)
    } else {
        position - half
    }
}

impl Filter {
    fn energy(&self, power: &[f32]) -> f32 {
        power[self.first..]
            .iter()
            .zip(&self.weights)
            .map(|(power, weight)| power * weight)
            .sum()
    }
}

fn compress(values: &mut [f32]) {
    let loudest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for value in values {
        *value = (value.max(loudest - RANGE) + 4.0) / 4.0;
    }
}

/// Periodic, as for a spectrum: the first value is zero, the last is not.
#[allow(clippy::cast_precision_loss, reason = "hundreds")]
pub(super) fn hann(length: usize) -> Vec<f32> {
    (0..length)
        .map(|index| 0.5 - 0.5 * (2.0 * PI * index as f32 / length as f32).cos())
        .collect()
}

/// Slaney's scale: linear to 1 kHz, logarithmic above.
mod slaney {
    const LINEAR_HZ_PER_MEL: f64 = 200.0 / 3.0;
    const BREAK_HZ: f64 = 1_000.0;
    const BREAK_MEL: f64 = BREAK_HZ / LINEAR_HZ_PER_MEL;
    /// 27 mels to a factor of 6.4.
    const MELS_PER_FACTOR: f64 = 27.0;
    const FACTOR: f64 = 6.4;

    pub(super) fn mel(hz: f64) -> f64 {
        if hz < BREAK_HZ {
            hz / LINEAR_HZ_PER_MEL
        } else {
            BREAK_MEL + (hz / BREAK_HZ).ln() / FACTOR.ln() * MELS_PER_FACTOR
        }
    }

    pub(super) fn hz(mel: f64) -> f64 {
        if mel < BREAK_MEL {
            mel * LINEAR_HZ_PER_MEL
        } else {
            BREAK_HZ * FACTOR.powf((mel - BREAK_MEL) / MELS_PER_FACTOR)
        }
    }
}

/// Triangles, equally wide in mels, each with the same area in hertz.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "frequencies up to 8,000 Hz"
)]
fn filters(bins: usize) -> Vec<Filter> {
    let highest = slaney::mel(SAMPLE_RATE as f64 / 2.0);
    let edge = |index: usize| slaney::hz(highest * index as f64 / (bins + 1) as f64);
    let hz = |index: usize| index as f64 * SAMPLE_RATE as f64 / WINDOW as f64;
    (0..bins)
        .map(|bin| {
            let (low, peak, high) = (edge(bin), edge(bin + 1), edge(bin + 2));
            let weight = |hz: f64| {
                let rising = (hz - low) / (peak - low);
                let falling = (high - hz) / (high - peak);
                (rising.min(falling).max(0.0) * 2.0 / (high - low)) as f32
            };
            let covered = |index: &usize| weight(hz(*index)) > 0.0;
            let first = (0..SPECTRUM).find(covered).unwrap_or(0);
            let weights = (first..SPECTRUM)
                .map(|index| weight(hz(index)))
                .take_while(|&weight| weight > 0.0)
                .collect();
            Filter { first, weights }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(hz: f32, seconds: f32) -> Vec<f32> {
        let count = (seconds * SAMPLE_RATE as f32) as usize;
        (0..count)
            .map(|index| 0.5 * (2.0 * PI * hz * index as f32 / SAMPLE_RATE as f32).sin())
            .collect()
    }

    /// Corner values of librosa's `filters.mel(sr=16000, n_fft=400, n_mels=80)`, which Whisper ships.
    #[test]
    fn filters_are_the_trained_ones() {
        let filters = filters(80);
        assert_eq!(filters.len(), 80);
        assert_eq!(filters[0].first, 1);
        assert!((filters[0].weights[0] - 0.024_862_59).abs() < 1e-6);
        assert!((filters[1].weights[0] - 0.001_990_82).abs() < 1e-6);
        let last = &filters[79];
        assert!(last.first + last.weights.len() <= SPECTRUM);
    }

    #[test]
    fn all_filters_weigh_something_for_both_sizes() {
        for bins in [80, 128] {
            let filters = filters(bins);
            assert!(
                filters.iter().all(|filter| !filter.weights.is_empty()),
                "{bins}"
            );
        }
    }

    #[test]
    fn a_tone_is_loudest_in_the_bin_of_its_pitch() {
        for hz in [250.0, 1_000.0, 4_000.0] {
            let mel = MelExtractor::new(80).extract(&sine(hz, 0.5), 0);
            let middle = mel.frames / 2;
            let loudest = (0..80)
                .max_by(|&a, &b| {
                    let of = |bin: usize| mel.values[bin * mel.frames + middle];
                    of(a).total_cmp(&of(b))
                })
                .unwrap();
            let mels = slaney::mel(f64::from(hz)) / slaney::mel(8_000.0) * 81.0 - 1.0;
            assert!(
                (loudest as f64 - mels).abs() <= 1.0,
                "{hz} Hz in bin {loudest}"
            );
        }
    }

    #[test]
    fn values_span_the_trained_range() {
        let mel = MelExtractor::new(80).extract(&sine(440.0, 1.0), 2 * SAMPLE_RATE);
        assert_eq!(mel.frames, 200);
        let highest = mel.values.iter().copied().fold(f32::MIN, f32::max);
        let lowest = mel.values.iter().copied().fold(f32::MAX, f32::min);
        assert!((highest - lowest - RANGE / 4.0).abs() < 1e-4);
    }

    #[test]
    fn silence_and_nothing_are_no_trouble() {
        let extractor = MelExtractor::new(80);
        let silence = extractor.extract(&[0.0; 1_600], 0);
        assert!(
            silence
                .values
                .iter()
                .all(|&value| (value + 1.5).abs() < 1e-4)
        );
        assert_eq!(extractor.extract(&[], 0).frames, 0);
        assert_eq!(extractor.extract(&[0.1; 3], 320).frames, 2);
    }

    #[test]
    fn both_ends_are_mirrored() {
        for (position, length, expected) in [
            (200, 1_000, 0),
            (199, 1_000, 1),
            (0, 1_000, 200),
            (1_199, 1_000, 999),
            (1_200, 1_000, 998),
        ] {
            assert_eq!(reflect(position, length), expected, "{position}");
        }
    }
}
