//! What can go wrong, by what the caller can do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why a model folder could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file is absent or cannot be read: fetch it, or mend its permissions.
    #[error("{path}: {source}", path = path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The weights end before their index says they do: fetch them again.
    #[error("the weights file is cut short")]
    Truncated,
    /// The file is something else than a CTranslate2 conversion of Whisper.
    #[error("not Whisper weights in CTranslate2's format: {0}")]
    NotAModel(String),
    /// A valid conversion of a kind this engine does not read: use a float16 one.
    #[error("unsupported weights: {0}")]
    Unsupported(String),
    /// The weights lack a variable.
    #[error("the weights have no {0}")]
    Missing(String),
    /// A variable has other dimensions than the model's sizes ask for.
    #[error("{name} is {found:?}, expected {expected:?}")]
    Shape {
        name: String,
        found: Vec<usize>,
        expected: Vec<usize>,
    },
    /// The vocabulary cannot be parsed, or does not belong to these weights.
    #[error("vocabulary: {0}")]
    Vocabulary(String),
    /// The tensor library refused: a bug.
    #[error("tensor: {0}")]
    Tensor(#[from] candle_core::Error),
}

impl LoadError {
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}

/// Why a recording could not be transcribed.
#[derive(Debug, thiserror::Error)]
pub enum TranscribeError {
    /// The caller asked to stop; nothing is wrong.
    #[error("stopped on request")]
    Stopped,
    /// The recording is longer than the engine takes: split it.
    #[error("the recording lasts {length:?}, at most {limit:?} are taken")]
    TooLong { length: Duration, limit: Duration },
    /// A sample is not a finite number: the decoder before this engine is broken.
    #[error("the recording holds samples that are not finite numbers")]
    NotFinite,
    /// The option names a language this model does not know.
    #[error("the model does not know the language {0:?}")]
    UnknownLanguage(String),
    /// The tensor library refused: a bug.
    #[error("tensor: {0}")]
    Tensor(#[from] candle_core::Error),
}
