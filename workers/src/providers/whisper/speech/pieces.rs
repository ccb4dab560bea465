//! Stretches of speech to pieces the decoder can take.

use std::ops::Range;

use super::frames::Frame;

/// Longest piece, in frames: the network hears 30 s, of which some is silence around the piece.
const LONGEST: usize = 2_800;
/// Pauses up to this stay inside a piece, for the decoder gains from context.
const LONGEST_PAUSE: usize = 150;
/// A new piece begins at the next pause when one is this long …
const COMFORTABLE: usize = 2_000;
/// … and has come to a pause of this length.
const CLEAR_PAUSE: usize = 30;
/// A stretch without any pause is cut at its quietest point this far before the limit.
const SEARCH: usize = 800;

/// Joins and cuts `stretches`, both in frames.
pub(super) fn cut(stretches: &[Range<usize>], frames: &[Frame]) -> Vec<Range<usize>> {
    let mut pieces: Vec<Range<usize>> = Vec::new();
    for stretch in stretches {
        for part in split(stretch.clone(), frames) {
            match pieces.last_mut() {
                Some(last) if belongs(last, &part) => last.end = part.end,
                _ => pieces.push(part),
            }
        }
    }
    pieces
}

fn belongs(piece: &Range<usize>, part: &Range<usize>) -> bool {
    let pause = part.start - piece.end;
    let filled = piece.len() >= COMFORTABLE && pause >= CLEAR_PAUSE;
    pause <= LONGEST_PAUSE && part.end - piece.start <= LONGEST && !filled
}

fn split(mut stretch: Range<usize>, frames: &[Frame]) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    while stretch.len() > LONGEST {
        let limit = stretch.start + LONGEST;
        let at = quietest(limit - SEARCH..limit, frames);
        parts.push(stretch.start..at);
        stretch.start = at;
    }
    parts.push(stretch);
    parts
}

/// The middle of the quietest 100 ms.
fn quietest(range: Range<usize>, frames: &[Frame]) -> usize {
    const SPAN: usize = 10;
    let loudness = |start: usize| -> f32 {
        frames[start..start + SPAN]
            .iter()
            .map(|frame| frame.level_db)
            .sum()
    };
    (range.start..range.end - SPAN)
        .min_by(|&a, &b| loudness(a).total_cmp(&loudness(b)))
        .map_or(range.end, |start| start + SPAN / 2)
}
