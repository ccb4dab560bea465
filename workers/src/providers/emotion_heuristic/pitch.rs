//! Fundamental frequency of one frame, after YIN (de Cheveigné and Kawahara,
//! 2002): the cumulative mean normalised difference function, its first dip
//! below a threshold, and a parabola through that dip.

/// Samples per second that the frame must have.
pub(super) const RATE: usize = 4_000;
/// 400 Hz, above a raised female voice.
const SHORTEST_LAG: usize = RATE / 400;
/// 60 Hz, below a low male voice.
const LONGEST_LAG: usize = RATE / 60;
/// Samples compared at each lag: 40 ms.
const WINDOW: usize = RATE / 25;
/// Samples that [`hertz`] needs.
pub(super) const FRAME: usize = WINDOW + LONGEST_LAG + 1;
/// Above this the frame is not periodic; the paper uses 0.1 to 0.15 on clean
/// speech at a higher rate.
const APERIODIC: f32 = 0.25;

/// The pitch of the first [`FRAME`] samples in hertz, if they are voiced.
pub(super) fn hertz(frame: &[f32]) -> Option<f32> {
    let frame = frame.get(..FRAME)?;
    let mut normalised = [1.0_f32; LONGEST_LAG + 1];
    let mut sum = 0.0;
    for (lag, value) in normalised.iter_mut().enumerate().skip(1) {
        let difference = difference(frame, lag);
        sum += difference;
        if sum > 0.0 {
            *value = difference * lag as f32 / sum;
        }
    }
    let lag = first_dip(&normalised)?;
    Some(RATE as f32 / refined(&normalised, lag))
}

fn difference(frame: &[f32], lag: usize) -> f32 {
    let pairs = frame[..WINDOW].iter().zip(&frame[lag..lag + WINDOW]);
    pairs.map(|(a, b)| (a - b) * (a - b)).sum()
}

fn first_dip(normalised: &[f32]) -> Option<usize> {
    let mut lag = (SHORTEST_LAG..LONGEST_LAG).find(|lag| normalised[*lag] < APERIODIC)?;
    while lag + 1 < LONGEST_LAG && normalised[lag + 1] < normalised[lag] {
        lag += 1;
    }
    Some(lag)
}

fn refined(normalised: &[f32], lag: usize) -> f32 {
    let (left, middle, right) = (normalised[lag - 1], normalised[lag], normalised[lag + 1]);
    let curve = left - 2.0 * middle + right;
    let shift = if curve > 0.0 {
        0.5 * (left - right) / curve
    } else {
        0.0
    };
    lag as f32 + shift.clamp(-0.5, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hertz: f32) -> Vec<f32> {
        let step = std::f32::consts::TAU * hertz / RATE as f32;
        (0..FRAME)
            .map(|n| (n as f32 * step).sin() + 0.4 * (n as f32 * step * 2.0).sin())
            .collect()
    }

    #[test]
    fn tones_are_measured_within_two_percent() {
        for expected in [75.0, 110.0, 150.0, 220.0, 300.0, 380.0] {
            let measured = hertz(&tone(expected)).unwrap();
            assert!(
                (measured / expected - 1.0).abs() < 0.02,
                "{expected}: {measured}"
            );
        }
    }

    #[test]
    fn silence_noise_and_short_frames_have_no_pitch() {
        assert_eq!(hertz(&[0.0; FRAME]), None);
        assert_eq!(hertz(&[0.5; FRAME - 1]), None);
        let mut state = 1_u32;
        let noise: Vec<f32> = (0..FRAME)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect();
        assert_eq!(hertz(&noise), None);
    }
}
