//! From samples to what the decoder keeps of them.

use candle_core::{Device, Tensor};

use super::Whisper;
use super::cache::LayerCache;
use super::errors::TranscribeError;
use super::mel::{HOP, SAMPLE_RATE};
use super::tokens::Token;

/// Silence put before each piece: a recording that begins with its first consonant loses it otherwise.
const LEAD: usize = SAMPLE_RATE / 4;
/// Silence put after each piece. The model was trained on recordings filled up with silence to 30 s; some of
/// it tells that a sentence is over, and more costs time and gains nothing.
const TAIL: usize = SAMPLE_RATE * 3 / 2;

/// Keys and values of one piece of audio for each decoder layer.
pub(super) type Audio = Vec<LayerCache>;

/// `samples` beyond what the model can place (30 s, silence included) are not heard.
pub(super) fn hear(whisper: &Whisper, samples: &[f32]) -> Result<Audio, TranscribeError> {
    let model = &whisper.model;
    let longest = model.audio_positions * 2 * HOP;
    let mut padded = vec![0.0; LEAD];
    padded.extend_from_slice(samples);
    padded.truncate(longest);
    let length = (padded.len() + TAIL).min(longest);
    let mel = whisper.mel.extract(&padded, length);
    let mel = Tensor::from_vec(mel.values, (1, mel.bins, mel.frames), &Device::Cpu)?;
    Ok(model.decoder.listen(&model.encoder.forward(&mel)?)?)
}

/// The likeliest language: its code and token.
pub(super) fn language(
    whisper: &Whisper,
    audio: &Audio,
) -> Result<(String, Token), TranscribeError> {
    let specials = &whisper.vocabulary.specials;
    let decoder = &whisper.model.decoder;
    let start = Tensor::new(&[[specials.start]], &Device::Cpu)?;
    let mut cache: Audio = audio.iter().map(LayerCache::fresh).collect();
    let scores = decoder.scores(&decoder.forward(&start, &mut cache)?)?;
    let score = |token: Token| {
        let scores = scores.first()?;
        scores.get(token as usize).copied()
    };
    let best = specials.languages.iter().max_by(|a, b| {
        score(a.1)
            .partial_cmp(&score(b.1))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    // `Specials` refuses a vocabulary without languages.
    best.cloned()
        .ok_or_else(|| TranscribeError::UnknownLanguage("any".to_owned()))
}
