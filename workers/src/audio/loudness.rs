//! How loud a clip is, to answer "no speech" without asking a recogniser, which would invent some.

use super::clip::{Clip, RATE};

/// What is below is reported as this: the floor of 20 bits, below any microphone.
pub const FLOOR_DBFS: f32 = -120.0;

/// A clip without any window louder than this holds no speech that a person could make out. Quiet speech into a distant
/// microphone measures -45 dBFS and up in its loudest window; the noise of an empty room through a laptop's, -65 to -55.
pub const SILENCE_DBFS: f32 = -55.0;

/// The window over which "loudest" is taken: about a syllable's vowel.
const WINDOW: usize = RATE as usize * 30 / 1000;

/// Levels in dB relative to full scale; 0 is the loudest there is, a sine at full scale has an RMS of -3.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loudness {
    /// The highest single sample.
    pub peak_dbfs: f32,
    /// The mean over the whole clip.
    pub rms_dbfs: f32,
    /// The mean over its loudest 30 ms, without any constant offset.
    pub loudest_dbfs: f32,
}

impl Loudness {
    /// Measures a clip; an empty one is at [`FLOOR_DBFS`].
    pub fn of(clip: &Clip) -> Self {
        let peak = clip
            .samples
            .iter()
            .fold(0.0f32, |peak, sample| peak.max(sample.abs()));
        let loudest = clip
            .samples
            .chunks(WINDOW)
            .map(power_without_offset)
            .fold(0.0, f64::max);
        Self {
            peak_dbfs: decibels(f64::from(peak).powi(2)),
            rms_dbfs: decibels(mean(
                clip.samples.iter().map(|&sample| f64::from(sample).powi(2)),
            )),
            loudest_dbfs: decibels(loudest),
        }
    }

    /// Whether nobody can be heard in it. False does not mean speech: noise and music are not silent.
    pub fn is_silent(&self) -> bool {
        self.loudest_dbfs < SILENCE_DBFS
    }
}

fn power_without_offset(window: &[f32]) -> f64 {
    let offset = mean(window.iter().map(|&sample| f64::from(sample)));
    mean(
        window
            .iter()
            .map(|&sample| (f64::from(sample) - offset).powi(2)),
    )
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len().max(1);
    values.sum::<f64>() / count as f64
}

fn decibels(power: f64) -> f32 {
    if power > 0.0 {
        ((10.0 * power.log10()) as f32).max(FLOOR_DBFS)
    } else {
        FLOOR_DBFS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(height: f32, offset: f32) -> Clip {
        let step = std::f32::consts::TAU * 200.0 / RATE as f32;
        Clip {
            samples: (0..RATE)
                .map(|n| (n as f32 * step).sin() * height + offset)
                .collect(),
        }
    }

    #[test]
    fn levels_are_those_of_the_textbook() {
        let full = Loudness::of(&sine(1.0, 0.0));
        assert!(
            full.peak_dbfs.abs() < 0.01 && (full.rms_dbfs + 3.01).abs() < 0.01,
            "{full:?}"
        );
        let tenth = Loudness::of(&sine(0.1, 0.0));
        assert!(
            (tenth.peak_dbfs + 20.0).abs() < 0.01 && (tenth.rms_dbfs + 23.01).abs() < 0.01,
            "{tenth:?}"
        );
    }

    #[test]
    fn silence_is_told_from_a_quiet_voice() {
        let mut word_in_silence = sine(0.0, 0.0);
        word_in_silence.samples[8_000..12_000].copy_from_slice(&sine(0.05, 0.0).samples[..4_000]);
        let cases = [
            ("nothing", Clip { samples: vec![] }, true),
            (
                "zeros",
                Clip {
                    samples: vec![0.0; 16_000],
                },
                true,
            ),
            (
                "a constant offset",
                Clip {
                    samples: vec![0.3; 16_000],
                },
                true,
            ),
            ("the last bit of 16", sine(1.0 / 32_768.0, 0.0), true),
            ("a quiet voice", sine(0.01, 0.0), false),
            ("one word in a second of silence", word_in_silence, false),
        ];
        for (name, clip, silent) in cases {
            assert_eq!(Loudness::of(&clip).is_silent(), silent, "{name}");
        }
    }
}
