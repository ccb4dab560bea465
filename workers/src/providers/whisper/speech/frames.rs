//! What a stretch of 40 ms sounds like, each 10 ms.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use crate::providers::whisper::mel::{SAMPLE_RATE, hann};

/// Samples from one frame to the next: 10 ms.
pub(super) const HOP: usize = SAMPLE_RATE / 100;
/// Two periods of the lowest voice and some: 40 ms.
const WINDOW: usize = SAMPLE_RATE / 25;
/// Twice the window, so that the correlation does not wrap around.
const TRANSFORM: usize = 2 * WINDOW;
pub(super) const BANDS: usize = 12;
/// Where speech has its vowels.
const LOWEST_HZ: f32 = 100.0;
const HIGHEST_HZ: f32 = 4_000.0;
/// Pitch of men's lowest to children's highest voices.
const LOWEST_PITCH: usize = 70;
const HIGHEST_PITCH: usize = 420;
/// Correlation with itself one period later: 1 is a perfect repetition, noise stays below 0.4.
const LEAST_PERIODICITY: f32 = 0.5;
/// Part of the power in one narrow peak: a whistle or beep has nearly all, a voice spreads over harmonics.
const MOST_PURITY: f32 = 0.9;
/// Bands this much weaker than the strongest say nothing.
const SHAPE_RANGE_DB: f32 = 40.0;

#[derive(Debug, Clone)]
pub(super) struct Frame {
    /// Of the band where speech is; 0 is a full-scale sine.
    pub(super) level_db: f32,
    pub(super) periodicity: f32,
    pub(super) purity: f32,
    /// Levels of bands relative to their mean.
    pub(super) shape_db: [f32; BANDS],
}

impl Frame {
    pub(super) fn is_voice(&self) -> bool {
        self.periodicity >= LEAST_PERIODICITY && self.purity <= MOST_PURITY
    }
}

pub(super) struct Analyser {
    forward: Arc<dyn RealToComplex<f32>>,
    backward: Arc<dyn ComplexToReal<f32>>,
    window: Vec<f32>,
    /// Correlation of the window with itself, by which that of the sound is divided.
    window_correlation: Vec<f32>,
    /// First and last frequency index of the band.
    band: (usize, usize),
    edges: [usize; BANDS + 1],
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "hundreds"
)]
impl Analyser {
    pub(super) fn new() -> Self {
        let mut planner = RealFftPlanner::new();
        let index = |hz: f32| (hz * TRANSFORM as f32 / SAMPLE_RATE as f32).round() as usize;
        let edge = |number: usize| {
            index(LOWEST_HZ * (HIGHEST_HZ / LOWEST_HZ).powf(number as f32 / BANDS as f32))
        };
        let window = hann(WINDOW);
        let window_correlation = (0..=SAMPLE_RATE / LOWEST_PITCH)
            .map(|lag| window.iter().zip(&window[lag..]).map(|(a, b)| a * b).sum())
            .collect();
        Self {
            forward: planner.plan_fft_forward(TRANSFORM),
            backward: planner.plan_fft_inverse(TRANSFORM),
            window,
            window_correlation,
            band: (index(LOWEST_HZ), index(HIGHEST_HZ)),
            edges: std::array::from_fn(edge),
        }
    }

    pub(super) fn frames(&self, samples: &[f32]) -> Vec<Frame> {
        samples
            .windows(WINDOW)
            .step_by(HOP)
            .map(|window| self.frame(window))
            .collect()
    }

    fn frame(&self, samples: &[f32]) -> Frame {
        let spectrum = self.spectrum(samples);
        let power: Vec<f32> = spectrum.iter().map(Complex::norm_sqr).collect();
        let (first, last) = self.band;
        let total: f32 = power[first..last].iter().sum();
        // A full-scale sine has this sum of squares, half in each sideband.
        let full = TRANSFORM as f32 * self.window_correlation[0] / 4.0;
        Frame {
            level_db: decibel(total / full),
            periodicity: self.periodicity(&power),
            purity: purity(&power[first..last], total),
            shape_db: self.shape(&power),
        }
    }

    fn spectrum(&self, samples: &[f32]) -> Vec<Complex<f32>> {
        let mean = samples.iter().sum::<f32>() / samples.len() as f32;
        let mut input = self.forward.make_input_vec();
        for (slot, (sample, weight)) in input.iter_mut().zip(samples.iter().zip(&self.window)) {
            *slot = (sample - mean) * weight;
        }
        let mut spectrum = self.forward.make_output_vec();
        // Fails on buffers of a wrong length only, and these come from the plan; silence is the safe answer.
        if self.forward.process(&mut input, &mut spectrum).is_err() {
            spectrum.fill(Complex::default());
        }
        spectrum
    }

    /// The best correlation at any pitch's period. Weak high frequencies are raised (6 dB an octave, as
    /// speech falls), or the rumble of coloured noise would look periodic.
    fn periodicity(&self, power: &[f32]) -> f32 {
        let (first, last) = self.band;
        let mut spectrum = self.backward.make_input_vec();
        for index in first..last {
            let raised = power[index] * (index as f32 / last as f32).powi(2);
            spectrum[index] = Complex::new(raised, 0.0);
        }
        let mut correlation = self.backward.make_output_vec();
        if self
            .backward
            .process(&mut spectrum, &mut correlation)
            .is_err()
            || correlation[0] <= 0.0
        {
            return 0.0;
        }
        let of_window = |lag: usize| self.window_correlation[lag] / self.window_correlation[0];
        (SAMPLE_RATE / HIGHEST_PITCH..SAMPLE_RATE / LOWEST_PITCH)
            .map(|lag| correlation[lag] / correlation[0] / of_window(lag))
            .fold(0.0, f32::max)
    }

    fn shape(&self, power: &[f32]) -> [f32; BANDS] {
        let mut levels = [0.0; BANDS];
        for (level, edges) in levels.iter_mut().zip(self.edges.windows(2)) {
            let band = &power[edges[0]..edges[1].max(edges[0] + 1)];
            *level = decibel(band.iter().sum());
        }
        let strongest = levels.iter().copied().fold(f32::MIN, f32::max);
        for level in &mut levels {
            *level = level.max(strongest - SHAPE_RANGE_DB);
        }
        let mean = levels.iter().sum::<f32>() / BANDS as f32;
        levels.map(|level| level - mean)
    }
}

/// Part of the power within the width of the window's main lobe around the strongest frequency.
fn purity(power: &[f32], total: f32) -> f32 {
    const LOBE: usize = 4;
    let strongest = power
        .iter()
        .enumerate()
        .max_by(|a, b| a.1.total_cmp(b.1))
        .map_or(0, |(index, _)| index);
    let lobe = strongest.saturating_sub(LOBE)..(strongest + LOBE + 1).min(power.len());
    if total > 0.0 {
        power[lobe].iter().sum::<f32>() / total
    } else {
        1.0
    }
}

fn decibel(power: f32) -> f32 {
    10.0 * power.max(1e-20).log10()
}
