//! Which parts of a recording are speech, so that the decoder hears nothing else: on noise it invents text.
//!
//! Speech is told by three things together. It has **voice**: stretches that repeat themselves 70 to 400
//! times a second, which noise does not. Its **sound changes** from vowel to vowel, which hum, tones and
//! beeps do not. And it **stands out** from the recording's own floor. Nothing depends on absolute
//! loudness, save that a recording below -80 dBFS is taken for silence.

mod frames;
mod pieces;

use std::ops::Range;

use frames::{Analyser, BANDS, Frame, HOP};

/// Below this nothing is there: 16-bit samples at their smallest step are at about -90 dBFS.
const SILENCE_DB: f32 = -80.0;
/// What stands out is this much louder than the floor: the level of steady noise wanders by 1 dB …
const ABOVE_FLOOR_DB: f32 = 3.0;
/// … and no more than this much quieter than the loudest parts.
const BELOW_PEAK_DB: f32 = 40.0;
/// Sound this much quieter than its stretch's peak is an edge or an echo.
const EDGE_DB: f32 = 25.0;
/// Shortest run of voice, in frames of 10 ms: less is chance.
const SHORTEST_VOICE: usize = 5;
/// Least voice in a stretch: a short "ya" has 150 ms.
const LEAST_VOICE: usize = 8;
/// How much the bands' levels move, in dB (standard deviation, mean over the bands): speech has 6 to 9.
const LEAST_MOVEMENT_DB: f32 = 4.0;
/// A voice pauses for consonants. What sounds on for longer without a gap is a siren or a machine.
const LONGEST_DRONE: usize = 200;
/// Gaps inside a stretch: between words, or where noise hides them.
const LONGEST_GAP: usize = 60;
/// Frames around a stretch that may belong to it.
const MARGIN: usize = 25;

/// Parts to transcribe one by one, in samples, in order and apart: each at most 28 s. Empty: nobody speaks.
pub(super) fn find(samples: &[f32]) -> Vec<Range<usize>> {
    let frames = Analyser::new().frames(samples);
    pieces::cut(&stretches(&frames), &frames)
        .into_iter()
        .map(|piece| piece.start * HOP..(piece.end * HOP).min(samples.len()))
        .collect()
}

/// Stretches of frames with speech, consonants around the voice included.
fn stretches(frames: &[Frame]) -> Vec<Range<usize>> {
    let Some(threshold) = threshold(frames) else {
        return Vec::new();
    };
    let sounding = frames.iter().map(|frame| frame.level_db > threshold);
    let sounding: Vec<bool> = sounding.collect();
    let mut found: Vec<Range<usize>> = Vec::new();
    for run in runs(&sounding) {
        match found.last_mut() {
            Some(last) if run.start - last.end <= LONGEST_GAP => last.end = run.end,
            _ => found.push(run),
        }
    }
    found.retain(|stretch| is_speech(&frames[stretch.clone()], threshold));
    widen(&found, frames.len())
}

/// The level above which something sounds; `None` when nothing does.
fn threshold(frames: &[Frame]) -> Option<f32> {
    let mut levels: Vec<f32> = frames.iter().map(|frame| frame.level_db).collect();
    levels.sort_by(f32::total_cmp);
    let percentile = |percent: usize| levels.get(levels.len() * percent / 100).copied();
    let (floor, peak) = (percentile(5)?, percentile(98)?);
    if peak < SILENCE_DB {
        return None;
    }
    // A recording that is all speech has no floor to stand out from.
    let above = (floor + ABOVE_FLOOR_DB).min(peak - 2.0 * ABOVE_FLOOR_DB);
    Some(above.max(peak - BELOW_PEAK_DB).max(SILENCE_DB))
}

fn runs(flags: &[bool]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + flags[at..].iter().position(|&flag| flag)?;
        let length = flags[start..].iter().position(|&flag| !flag);
        at = length.map_or(flags.len(), |length| start + length);
        Some(start..at)
    })
}

fn is_speech(frames: &[Frame], threshold: f32) -> bool {
    let voiced: Vec<bool> = frames
        .iter()
        .map(|frame| frame.level_db > threshold && frame.is_voice())
        .collect();
    let lengths: Vec<usize> = runs(&voiced).map(|run| run.len()).collect();
    let longest = lengths.iter().copied().max().unwrap_or(0);
    (SHORTEST_VOICE..=LONGEST_DRONE).contains(&longest)
        && lengths.iter().sum::<usize>() >= LEAST_VOICE
        && movement(frames).max(movement_of_voice(frames, &voiced)) >= LEAST_MOVEMENT_DB
}

/// In noise the voice alone still moves.
fn movement_of_voice(frames: &[Frame], voiced: &[bool]) -> f32 {
    let voice: Vec<Frame> = frames
        .iter()
        .zip(voiced)
        .filter_map(|(frame, &voiced)| voiced.then(|| frame.clone()))
        .collect();
    movement(&voice)
}

/// How far the shape of the sound wanders, whatever its loudness does.
#[expect(clippy::cast_precision_loss, reason = "some thousand frames")]
fn movement(frames: &[Frame]) -> f32 {
    let peak = frames
        .iter()
        .map(|frame| frame.level_db)
        .fold(f32::MIN, f32::max);
    let loud: Vec<&Frame> = frames
        .iter()
        .filter(|frame| frame.level_db > peak - EDGE_DB)
        .collect();
    let count = loud.len().max(1) as f32;
    let deviation = |band: usize| {
        let values = || loud.iter().map(|frame| frame.shape_db[band]);
        let mean = values().sum::<f32>() / count;
        (values().map(|value| (value - mean).powi(2)).sum::<f32>() / count).sqrt()
    };
    (0..BANDS).map(deviation).sum::<f32>() / BANDS as f32
}

/// Adds the margins; stretches that meet become one.
fn widen(stretches: &[Range<usize>], frames: usize) -> Vec<Range<usize>> {
    let mut wide: Vec<Range<usize>> = Vec::new();
    for stretch in stretches {
        let widened = stretch.start.saturating_sub(MARGIN)..(stretch.end + MARGIN).min(frames);
        match wide.last_mut() {
            Some(last) if widened.start <= last.end => last.end = widened.end,
            _ => wide.push(widened),
        }
    }
    wide
}
