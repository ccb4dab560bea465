//! Speech recognition with Whisper, on the CPU and in pure Rust.

mod attempts;
mod cache;
mod decode;
mod decoder;
mod encoder;
mod errors;
mod hypotheses;
mod layers;
mod linear;
mod listening;
mod mel;
mod model;
mod options;
mod rules;
mod speech;
mod tokens;
mod transcribe;
mod weights;

use std::path::Path;
use std::sync::atomic::AtomicBool;

pub use errors::{LoadError, TranscribeError};
pub use options::{Options, Segment, Transcript};

use mel::MelExtractor;
use model::Model;
use rules::Suppression;
use tokens::Vocabulary;
use weights::WeightsFile;

/// A loaded model. One serves any number of calls at the same time; each call keeps its own state.
pub struct Whisper {
    model: Model,
    vocabulary: Vocabulary,
    suppression: Suppression,
    mel: MelExtractor,
}

impl Whisper {
    /// Loads `model.bin` in CTranslate2's format (float16, bfloat16 or float32) and the vocabulary beside it
    /// (`vocabulary.txt`, `vocabulary.json` or `tokenizer.json`).
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn load(dir: &Path) -> Result<Self, LoadError> {
        let model = Model::load(WeightsFile::open(&dir.join("model.bin"))?)?;
        let vocabulary = Vocabulary::load(dir, model.vocabulary)?;
        Ok(Self {
            suppression: Suppression::new(&vocabulary),
            mel: MelExtractor::new(model.mel_bins),
            model,
            vocabulary,
        })
    }

    /// Writes down what is said in `samples`: one channel, 16,000 a second, from -1 to 1.
    ///
    /// Takes from a tenth to the whole of the recording's length on two cores: call it where blocking is
    /// allowed. `stop` is looked at before each piece and each token.
    ///
    /// # Errors
    /// See [`TranscribeError`].
    pub fn transcribe(
        &self,
        samples: &[f32],
        options: &Options,
        stop: &AtomicBool,
    ) -> Result<Transcript, TranscribeError> {
        transcribe::run(self, samples, options, stop)
    }
}

#[cfg(test)]
mod tests;
