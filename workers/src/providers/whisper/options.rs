//! What a caller may choose, and what comes back.

use std::time::Duration;

/// How to transcribe. The thresholds' defaults are those of the reference decoder where it has them
/// (`whisper/transcribe.py`).
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Code as in `id` or `en`; `None` lets the model tell. Default `id`.
    pub language: Option<String>,
    /// Words that may come up, as a sentence or a list: the model spells them more readily. Default none.
    pub prompt: Option<String>,
    /// Hypotheses followed at once at temperature 0; 1 is greedy. Default 3: on synthetic Indonesian questions
    /// it had a tenth fewer wrong words than 1 and 5 was no better.
    pub beams: usize,
    /// Randomness of one attempt after another, until one passes the checks below.
    pub temperatures: Vec<f32>,
    /// An attempt is repeated when the mean natural logarithm of its tokens' probabilities is below this.
    pub least_avg_logprob: f32,
    /// An attempt is repeated when its text compresses (zlib) better than this: it goes in circles.
    pub most_compression: f32,
    /// A transcript below this mean logarithm is guesswork (music, babble) and dropped. Clear synthetic speech
    /// stays above -1.3; a melody of square waves came to -2.4.
    pub hopeless_avg_logprob: f32,
    /// A piece is taken for no speech when the model gives this probability to nobody speaking and the
    /// transcript is below `least_avg_logprob` as well. Default 0.9, above the reference's 0.6: noise was kept
    /// out before, and true but synthetic speech in short pieces comes to 0.8.
    pub no_speech: f32,
    /// Seed of the random numbers: the same recording and options give the same text.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            language: Some("id".to_owned()),
            prompt: None,
            beams: 3,
            temperatures: vec![0.0, 0.2, 0.4],
            least_avg_logprob: -1.0,
            most_compression: 2.4,
            hopeless_avg_logprob: -1.75,
            no_speech: 0.9,
            seed: 0x5EED,
        }
    }
}

/// What was said. An empty text means that no speech was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Transcript {
    pub text: String,
    /// The language asked for or, if none was, the one that was heard.
    pub language: String,
    pub segments: Vec<Segment>,
}

/// One stretch of speech between silences, at most 28 s.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// From the start of the recording.
    pub start: Duration,
    pub end: Duration,
    pub text: String,
    /// Mean natural logarithm of the tokens' probabilities: 0 is certain, below -1 is doubtful.
    pub avg_logprob: f32,
    /// 0 to 1.
    pub no_speech_prob: f32,
}
