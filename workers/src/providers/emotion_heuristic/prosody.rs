//! How aroused a voice is, against the speaker's own average in the clip.
//!
//! Absolute loudness and pitch say more about the microphone and the speaker
//! than about a feeling, so only variation inside the clip counts: the spread
//! of pitch in semitones, the spread of loudness of syllables, and the change
//! of syllable rate.

use std::ops::Range;

use super::pitch;

/// The rate that [`arousal`] expects.
const INPUT_RATE: usize = 16_000;
const DECIMATION: usize = INPUT_RATE / pitch::RATE;
/// A frame every 20 ms.
const HOP: usize = pitch::RATE / 50;
/// Longer clips are judged by [`WINDOWS`] pieces spread over them.
const WHOLE: usize = 12 * INPUT_RATE;
const WINDOWS: usize = 6;
/// Pitch is spread over too few syllables below half a second of voice.
const MIN_VOICED: usize = 25;
/// Frames this far below the loudest are pauses.
const PAUSE_DB: f32 = 30.0;

/// The spreads of calm speech, from read-out sentences to relaxed talk. The
/// literature gives 2 to 3 semitones for neutral reading and about double for
/// lively speech; eSpeak NG (voice `id`), flatter than people, has 1.1 to 2.2
/// semitones and 3.5 to 4.1 dB. Inside a range the voice says nothing.
const CALM_PITCH: Range<f32> = 1.1..3.3;
const CALM_LOUDNESS: Range<f32> = 3.0..5.0;
const CALM_TEMPO: Range<f32> = 0.04..0.25;

struct Frame {
    /// Relative to full scale.
    decibels: f32,
    /// Semitones above 55 Hz, if voiced.
    semitones: Option<f32>,
}

/// −1 (flat) to 1 (agitated), or nothing when the clip holds too little voice.
pub(super) fn arousal(samples_16k: &[f32]) -> Option<f32> {
    let frames: Vec<Frame> = windows(samples_16k).flat_map(frames).collect();
    let loudest = frames
        .iter()
        .map(|frame| frame.decibels)
        .fold(f32::MIN, f32::max);
    let spoken: Vec<&Frame> = frames
        .iter()
        .filter(|frame| frame.decibels > loudest - PAUSE_DB)
        .collect();
    let pitches: Vec<f32> = spoken.iter().filter_map(|frame| frame.semitones).collect();
    if pitches.len() < MIN_VOICED {
        return None;
    }
    let voiced = spoken.iter().filter(|frame| frame.semitones.is_some());
    let loudness: Vec<f32> = voiced.map(|frame| frame.decibels).collect();
    let pitch = excess(spread(&pitches), CALM_PITCH);
    let loudness = excess(spread(&loudness), CALM_LOUDNESS);
    let tempo = tempo_change(&frames, loudest).map_or(0.0, |change| excess(change, CALM_TEMPO));
    Some((0.6 * pitch + 0.25 * loudness + 0.15 * tempo).clamp(-1.0, 1.0))
}

/// Doublings of `measured` above the calm range, or (negative) halvings below.
fn excess(measured: f32, calm: Range<f32>) -> f32 {
    let nearest = measured.clamp(calm.start, calm.end);
    (measured.max(0.01) / nearest).log2().clamp(-1.0, 1.0)
}

/// The whole of a short clip, evenly spaced pieces of a long one.
fn windows(samples: &[f32]) -> impl Iterator<Item = &[f32]> {
    let (count, length) = if samples.len() <= WHOLE {
        (1, samples.len())
    } else {
        (WINDOWS, WHOLE / WINDOWS)
    };
    let room = samples.len() - length;
    (0..count).map(move |n| {
        let start = if count > 1 { room / (count - 1) * n } else { 0 };
        &samples[start..start + length]
    })
}

fn frames(window: &[f32]) -> Vec<Frame> {
    let low: Vec<f32> = window.chunks_exact(DECIMATION).map(average).collect();
    let mut frames = Vec::with_capacity(low.len() / HOP);
    let mut start = 0;
    while let Some(frame) = low.get(start..start + pitch::FRAME) {
        frames.push(Frame {
            decibels: decibels(frame),
            semitones: semitones(frame),
        });
        start += HOP;
    }
    frames
}

/// A mean is filter enough here: pitch lies far below the new Nyquist rate.
fn average(samples: &[f32]) -> f32 {
    let sound = samples.iter().filter(|sample| sample.is_finite());
    sound.map(|sample| sample.clamp(-1.0, 1.0)).sum::<f32>() / DECIMATION as f32
}

fn decibels(frame: &[f32]) -> f32 {
    let power = frame.iter().map(|sample| sample * sample).sum::<f32>() / frame.len() as f32;
    10.0 * power.max(1e-10).log10()
}

fn semitones(frame: &[f32]) -> Option<f32> {
    pitch::hertz(frame).map(|hertz| 12.0 * (hertz / 55.0).log2())
}

/// Half the distance between the 10th and the 90th percentile, scaled to a
/// standard deviation: octave errors in a few frames do not move it.
fn spread(values: &[f32]) -> f32 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f32::total_cmp);
    let at = |share: f32| sorted[((sorted.len() - 1) as f32 * share) as usize];
    (at(0.9) - at(0.1)) / 2.56
}

/// The relative change of syllable rate between the thirds of the clip.
fn tempo_change(frames: &[Frame], loudest: f32) -> Option<f32> {
    let third = frames.len() / 3;
    if third < 25 {
        return None;
    }
    let rates: Vec<f32> = frames
        .chunks(third)
        .take(3)
        .filter_map(|part| syllables_per_second(part, loudest - PAUSE_DB))
        .collect();
    let mean = rates.iter().sum::<f32>() / rates.len() as f32;
    let deviation = rates.iter().map(|rate| (rate - mean).abs()).sum::<f32>() / rates.len() as f32;
    (rates.len() >= 2 && mean > 0.0).then(|| deviation / mean)
}

/// Peaks of loudness, per second that is not a pause. A syllable's peak stands
/// out by 2 dB among its neighbours of 100 ms on both sides.
fn syllables_per_second(frames: &[Frame], pause: f32) -> Option<f32> {
    const NEIGHBOURS: usize = 5;
    const PROMINENCE: f32 = 2.0;
    let peaks = frames.windows(2 * NEIGHBOURS + 1).filter(|near| {
        let middle = near[NEIGHBOURS].decibels;
        let lowest = |side: &[Frame]| side.iter().map(|f| f.decibels).fold(f32::MAX, f32::min);
        middle > pause
            && near.iter().all(|frame| frame.decibels <= middle)
            && middle - lowest(&near[..NEIGHBOURS]) > PROMINENCE
            && middle - lowest(&near[NEIGHBOURS..]) > PROMINENCE
    });
    let spoken = frames.iter().filter(|frame| frame.decibels > pause).count();
    let seconds = spoken as f32 * HOP as f32 / pitch::RATE as f32;
    (seconds >= 0.3).then(|| peaks.count() as f32 / seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A voice-like tone whose pitch swings by `semitones` and whose loudness
    /// pulses four times a second by `decibels`.
    fn voice(seconds: usize, semitones: f32, decibels: f32) -> Vec<f32> {
        let mut phase = 0.0_f32;
        (0..seconds * INPUT_RATE)
            .map(|n| {
                let time = n as f32 / INPUT_RATE as f32;
                let swing = (time * 3.1).sin() * semitones;
                phase +=
                    std::f32::consts::TAU * 140.0 * 2_f32.powf(swing / 12.0) / INPUT_RATE as f32;
                phase %= std::f32::consts::TAU;
                let loudness = ((time * 25.0).sin() - 1.0) * decibels / 2.0;
                0.3 * 10_f32.powf(loudness / 20.0) * (phase.sin() + 0.5 * (2.0 * phase).sin())
            })
            .collect()
    }

    #[test]
    fn livelier_voices_are_more_aroused() {
        let flat = arousal(&voice(5, 0.4, 2.0)).unwrap();
        let calm = arousal(&voice(5, 3.2, 12.0)).unwrap();
        let lively = arousal(&voice(5, 8.0, 25.0)).unwrap();
        assert!(flat < -0.5 && lively > 0.4, "{flat} {calm} {lively}");
        assert!(flat < calm && calm < lively, "{flat} {calm} {lively}");
    }

    #[test]
    fn the_recording_level_does_not_matter() {
        let loud = voice(4, 5.0, 15.0);
        let quiet: Vec<f32> = loud.iter().map(|sample| sample * 0.05).collect();
        let (loud, quiet) = (arousal(&loud).unwrap(), arousal(&quiet).unwrap());
        assert!((loud - quiet).abs() < 0.05, "{loud} {quiet}");
    }

    #[test]
    fn clips_without_voice_say_nothing() {
        let broken = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX].repeat(20_000);
        let clips: [&[f32]; 5] = [&[], &[0.1; 100], &[0.0; 48_000], &[0.7; 48_000], &broken];
        for clip in clips {
            assert_eq!(arousal(clip), None, "{} samples", clip.len());
        }
    }

    #[test]
    fn a_long_clip_is_judged_by_pieces_up_to_its_end() {
        let clip = voice(300, 4.0, 12.0);
        let pieces: Vec<&[f32]> = windows(&clip).collect();
        assert_eq!(pieces.iter().map(|piece| piece.len()).sum::<usize>(), WHOLE);
        let end = pieces.last().unwrap().as_ptr_range().end;
        assert!(clip.as_ptr_range().end as usize - (end as usize) < 4 * WINDOWS);
    }
}
