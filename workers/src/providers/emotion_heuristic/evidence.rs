//! Evidence added up to scores and a label.

use std::collections::BTreeMap;

use common::turn::EmotionLabel;

use super::{Emotion, MAX_CONFIDENCE};

/// Points for each label, in the order of [`EmotionLabel::ALL`]; one clear word
/// such as "senang" is worth 1.
pub(super) type Points = [f32; 7];

/// What the words of a transcript say.
#[derive(Debug, Clone, Default)]
pub(super) struct Words {
    pub(super) points: Points,
    /// Whether there was any word to judge.
    pub(super) any: bool,
}

/// Points of `neutral` when words were understood and none was emotional.
const NEUTRAL: f32 = 0.8;
/// Points of `neutral` when there was nothing to read.
const NEUTRAL_UNHEARD: f32 = 0.3;
/// Every label's points before any evidence: keeps the scores from certainty.
const DOUBT: f32 = 0.03;
/// A label below this score is not claimed.
const CLEAR: f32 = 0.33;
/// A label this close to the next one is not claimed.
const LEAD: f32 = 0.06;

/// How much of an aroused voice each emotion gains (or, below 0, loses).
const AROUSED: Points = [-0.35, 0.3, -0.3, 0.4, 0.25, 0.4, 0.05];
/// Points that an extremely aroused voice alone gives; too few for a label.
const AROUSED_ALONE: Points = [0.0, 0.1, 0.0, 0.1, 0.08, 0.12, 0.0];
/// Points that an extremely flat voice alone gives.
const FLAT_ALONE: Points = [0.0, 0.0, 0.12, 0.0, 0.0, 0.0, 0.02];

/// Turns points and the voice's arousal (−1 flat to 1 agitated) into a guess.
pub(super) fn weigh(words: &Words, arousal: Option<f32>) -> Emotion {
    let mut points = words.points;
    points[EmotionLabel::Neutral.index()] += if words.any { NEUTRAL } else { NEUTRAL_UNHEARD };
    if let Some(arousal) = arousal {
        add_voice(&mut points, arousal);
    }
    claim(&shares(&points))
}

fn add_voice(points: &mut Points, arousal: f32) {
    let alone = if arousal > 0.0 {
        AROUSED_ALONE
    } else {
        FLAT_ALONE
    };
    for ((point, gain), alone) in points.iter_mut().zip(AROUSED).zip(alone) {
        *point = *point * (1.0 + gain * arousal) + alone * arousal.abs();
    }
}

/// Shares that sum to 1, none above [`MAX_CONFIDENCE`].
fn shares(points: &Points) -> Points {
    let sum: f32 = points.iter().map(|point| point + DOUBT).sum();
    let mut shares = points.map(|point| (point + DOUBT) / sum);
    let top = top(&shares);
    let surplus = shares[top] - MAX_CONFIDENCE;
    if surplus > 0.0 {
        shares[top] = MAX_CONFIDENCE;
        spread(&mut shares, top, surplus);
    }
    shares
}

fn spread(shares: &mut Points, except: usize, surplus: f32) {
    let others = (shares.len() - 1) as f32;
    for (index, share) in shares.iter_mut().enumerate() {
        if index != except {
            *share += surplus / others;
        }
    }
}

fn claim(shares: &Points) -> Emotion {
    let mut shares = *shares;
    let best = top(&shares);
    let second = second(&shares, best);
    if shares[best] < CLEAR || shares[best] - second < LEAD {
        doubt(&mut shares, best);
    }
    let label = EmotionLabel::ALL[top(&shares)];
    Emotion {
        label,
        scores: EmotionLabel::ALL
            .iter()
            .copied()
            .zip(shares)
            .collect::<BTreeMap<_, _>>(),
        confidence: shares[label.index()],
    }
}

/// Lifts `neutral` just above what could not be claimed, so that the scores
/// agree with the label.
fn doubt(shares: &mut Points, best: usize) {
    let neutral = EmotionLabel::Neutral.index();
    shares[neutral] = shares[best] * 1.05;
    let sum: f32 = shares.iter().sum();
    for share in shares.iter_mut() {
        *share /= sum;
    }
}

/// The highest share; the first, `neutral` above all, when several are equal.
fn top(shares: &Points) -> usize {
    (0..shares.len()).fold(0, |best, index| {
        if shares[index] > shares[best] {
            index
        } else {
            best
        }
    })
}

fn second(shares: &Points, best: usize) -> f32 {
    let others = shares
        .iter()
        .enumerate()
        .filter(|(index, _)| *index != best);
    others.map(|(_, share)| *share).fold(0.0, f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(label: EmotionLabel, points: f32) -> Words {
        let mut words = Words {
            any: true,
            ..Words::default()
        };
        words.points[label.index()] = points;
        words
    }

    #[test]
    fn nothing_heard_is_neutral_without_confidence() {
        let guess = weigh(&Words::default(), None);
        assert_eq!(guess.label, EmotionLabel::Neutral);
        assert!(guess.confidence < 0.7, "{}", guess.confidence);
    }

    #[test]
    fn overwhelming_evidence_stays_below_certainty() {
        let guess = weigh(&words(EmotionLabel::Angry, 1e6), Some(1.0));
        assert_eq!(guess.label, EmotionLabel::Angry);
        assert!(guess.confidence <= MAX_CONFIDENCE);
    }

    #[test]
    fn two_equal_emotions_are_not_claimed() {
        let mut both = words(EmotionLabel::Happy, 3.0);
        both.points[EmotionLabel::Sad.index()] = 3.0;
        assert_eq!(weigh(&both, None).label, EmotionLabel::Neutral);
    }

    #[test]
    fn a_voice_alone_names_no_emotion_but_lowers_the_confidence() {
        let plain = words(EmotionLabel::Neutral, 0.0);
        let silent = weigh(&plain, None);
        for arousal in [-1.0, 1.0] {
            let guess = weigh(&plain, Some(arousal));
            assert_eq!(guess.label, EmotionLabel::Neutral);
            assert!(guess.confidence < silent.confidence || arousal < 0.0);
        }
    }

    #[test]
    fn scores_sum_to_one_and_agree_with_the_label() {
        for points in [0.0, 0.3, 0.7, 0.9, 2.0, 50.0] {
            for arousal in [None, Some(-1.0), Some(0.2), Some(1.0)] {
                for label in EmotionLabel::ALL {
                    let guess = weigh(&words(*label, points), arousal);
                    let sum: f32 = guess.scores.values().sum();
                    assert!((sum - 1.0).abs() < 1e-4, "{sum}");
                    let highest = guess.scores.values().copied().fold(0.0, f32::max);
                    assert_eq!(guess.scores[&guess.label], highest);
                    assert_eq!(guess.confidence, highest);
                }
            }
        }
    }
}
