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
        .filter(|&(_, &voiced)| voiced)
        .map(|(frame, _)| frame.clone())
        .collect();
    movement(&voice)
}

/// How far the shape of the sound wanders, whatever its loudness does.
#[allow(clippy::cast_precision_loss, reason = "some thousand frames")]
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

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;

    use super::super::mel::SAMPLE_RATE;
    use super::*;

    fn sound(seconds: f32, at: impl FnMut(f32) -> f32) -> Vec<f32> {
        let count = (seconds * SAMPLE_RATE as f32) as usize;
        (0..count)
            .map(|index| index as f32 / SAMPLE_RATE as f32)
            .map(at)
            .collect()
    }

    fn noise(level: f32) -> impl FnMut(f32) -> f32 {
        let mut state = 1_u32;
        move |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            level * ((state >> 8) as f32 / (1 << 23) as f32 - 1.0)
        }
    }

    /// A saw-like voice at `pitch` whose two formants move, in syllables of 250 ms with gaps: speech-like
    /// to every measure taken here.
    fn babble(seconds: f32, level: f32) -> Vec<f32> {
        sound(seconds, |time| {
            let syllable = (time / 0.25).floor();
            if time / 0.25 - syllable > 0.7 {
                return 0.0;
            }
            let pitch = 120.0 + 10.0 * (syllable % 3.0);
            let formants = [
                400.0 + 150.0 * (syllable % 4.0),
                1_000.0 + 400.0 * (syllable % 5.0),
            ];
            let harmonics = (1..30).map(|harmonic| {
                let hz = pitch * harmonic as f32;
                let gain: f32 = formants
                    .iter()
                    .map(|formant| (-((hz - formant) / 150.0).powi(2)).exp())
                    .sum();
                (gain + 0.005) * (TAU * hz * time).sin()
            });
            level * 0.3 * harmonics.sum::<f32>()
        })
    }

    fn silence(seconds: f32) -> Vec<f32> {
        sound(seconds, |_| 0.0)
    }

    fn seconds(piece: &Range<usize>) -> (f32, f32) {
        let of = |samples: usize| samples as f32 / SAMPLE_RATE as f32;
        (of(piece.start), of(piece.end))
    }

    #[test]
    fn what_is_no_speech_gives_nothing() {
        let square = |hz: f32| move |time: f32| 0.3 * (TAU * hz * time).sin().signum();
        let hum = |time: f32| {
            (1..9)
                .map(|n| 0.1 * (TAU * 50.0 * n as f32 * time).sin())
                .sum::<f32>()
        };
        let mut brown = 0.0;
        let mut step = noise(0.05);
        let mut white = noise(0.3);
        let mut bursts = noise(0.5);
        let cases = [
            ("nothing", Vec::new()),
            ("a few samples", vec![0.1; 100]),
            ("silence", silence(3.0)),
            ("a constant", sound(2.0, |_| 0.5)),
            ("white noise", sound(4.0, &mut white)),
            ("faint noise", sound(4.0, noise(1e-4))),
            (
                "brown noise",
                sound(4.0, |time| {
                    brown = 0.995 * brown + step(time);
                    brown
                }),
            ),
            (
                "bursts of noise",
                sound(
                    4.0,
                    |time| if time % 0.6 < 0.3 { bursts(time) } else { 0.0 },
                ),
            ),
            (
                "a tone",
                sound(3.0, |time| 0.5 * (TAU * 440.0 * time).sin()),
            ),
            (
                "a whistle that rises",
                sound(3.0, |time| {
                    0.5 * (TAU * (300.0 + 300.0 * time) * time).sin()
                }),
            ),
            ("hum", sound(3.0, hum)),
            ("a buzzer", sound(3.0, square(220.0))),
            (
                "beeps",
                sound(4.0, |time| {
                    if time % 0.6 < 0.3 {
                        square(800.0)(time)
                    } else {
                        0.0
                    }
                }),
            ),
            (
                "clicks",
                sound(4.0, |time| if time % 0.25 < 0.001 { 0.9 } else { 0.0 }),
            ),
        ];
        for (name, samples) in cases {
            assert!(find(&samples).is_empty(), "{name}");
        }
    }

    #[test]
    fn speech_is_found_at_any_loudness() {
        for level in [1.0, 0.1, 0.01, 0.003] {
            let samples = [silence(1.0), babble(2.0, level), silence(1.0)].concat();
            let pieces = find(&samples);
            assert_eq!(pieces.len(), 1, "at {level}");
            let (start, end) = seconds(&pieces[0]);
            assert!(
                (0.5..=1.0).contains(&start) && (2.9..=3.5).contains(&end),
                "{start} to {end}"
            );
        }
    }

    #[test]
    fn speech_is_found_in_noise() {
        let mut hiss = noise(0.02);
        let speech = [silence(1.0), babble(2.0, 1.0), silence(1.0)].concat();
        let samples: Vec<f32> = speech.iter().map(|sample| sample + hiss(0.0)).collect();
        let pieces = find(&samples);
        assert_eq!(pieces.len(), 1);
        let (start, end) = seconds(&pieces[0]);
        assert!(start <= 1.0 && end >= 2.8, "{start} to {end}");
    }

    #[test]
    fn a_long_silence_parts_pieces_and_is_in_none() {
        let samples = [babble(2.0, 1.0), silence(6.0), babble(2.0, 1.0)].concat();
        let pieces = find(&samples);
        assert_eq!(pieces.len(), 2);
        assert!(seconds(&pieces[0]).1 < 3.0 && seconds(&pieces[1]).0 > 7.0);
    }

    #[test]
    fn no_piece_is_longer_than_the_model_hears() {
        let pauses = [babble(11.0, 1.0), silence(0.7)].concat().repeat(7);
        for (name, samples) in [("with pauses", pauses), ("without", babble(75.0, 1.0))] {
            let pieces = find(&samples);
            assert!(pieces.len() >= 3, "{name}");
            let mut end = 0;
            for piece in &pieces {
                assert!(piece.start >= end && piece.end <= samples.len(), "{name}");
                assert!(
                    piece.len() <= 28 * SAMPLE_RATE,
                    "{name}: {:?}",
                    seconds(piece)
                );
                end = piece.end;
            }
            let covered: usize = pieces.iter().map(ExactSizeIterator::len).sum();
            assert!(
                covered * 10 >= samples.len() * 9,
                "{name}: speech was left out"
            );
        }
    }
}
