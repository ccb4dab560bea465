//! Speech from text with eSpeak NG, an offline synthesiser that knows Indonesian.
//!
//! It always runs in a process of its own, either the installed `espeak-ng` or this program in its `speak` role with the
//! shared library loaded (see [`speak_role`]). eSpeak NG is GPL-3 and is linked to nothing here; a crash in it is an error
//! here, and a text that it chokes on ends with [`SpeakError::TimedOut`].
//!
//! The result is always a WAV with a true header, 16-bit mono at the voice's rate (22,050 Hz for `id`).
//!
//! Deliberately absent: normalising the text (numbers, abbreviations) and caching. Both belong to the stage.

#[expect(unsafe_code, reason = "calls a C library, in a process of its own")]
mod library;
mod process;
mod text;
mod voice;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

pub use library::speak_role;
pub use text::MAX_CHARACTERS;
pub use voice::{Voice, VoiceError};

use crate::{
    audio::wav::{self, Wav, WavError},
    child::{self, absolute, find_program, is_program},
};

/// The argument that puts our own program into the role of the synthesiser's process.
pub const SPEAK_ROLE: &str = "speak";

const PROGRAM: &str = "espeak-ng";

/// Environment variable with the path of the `espeak-ng` to use.
const PATH_OVERRIDE: &str = "ESPEAK_NG";

/// A sentence takes 0.1 s. This is for a machine that is out of breath, or an engine that hangs.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of audio that one call may give: 50 minutes at 22,050 Hz. [`MAX_CHARACTERS`] of prose are 20 minutes.
const MAX_AUDIO: usize = 128 << 20;

/// Why there is no speech.
#[derive(Debug, thiserror::Error)]
pub enum SpeakError {
    /// The engine is not there or cannot be started: provision it, or install `espeak-ng`.
    #[error("eSpeak NG cannot be started")]
    Missing(#[source] std::io::Error),
    /// The engine ran and refused or crashed; for an unknown voice or broken data, trying again does not help.
    #[error("eSpeak NG failed: {reason}")]
    Failed {
        /// What it said, shortened. Never the text.
        reason: String,
    },
    /// The engine did not finish in time and was killed; it may on a quieter machine.
    #[error("eSpeak NG did not finish within {} s", after.as_secs_f32())]
    TimedOut {
        /// The time that it had.
        after: Duration,
    },
    /// There is nothing to say in the text.
    #[error("there is nothing to speak in the text")]
    Empty,
    /// The text, or the speech that it becomes, is beyond the bounds: send less.
    #[error("the text is too long to speak in one go (limit: {MAX_CHARACTERS} characters)")]
    TooLong,
}

/// The synthesiser. Cheap to clone and to share; every call starts a process, so the caller bounds how many run at once.
#[derive(Debug, Clone)]
pub struct Espeak {
    engine: Engine,
    timeout: Duration,
}

#[derive(Debug, Clone)]
enum Engine {
    /// The `espeak-ng` program.
    Program(PathBuf),
    /// Our own program in the `speak` role, and what it loads.
    Library {
        speaker: PathBuf,
        library: PathBuf,
        data: PathBuf,
    },
}

impl Espeak {
    /// The `espeak-ng` that is installed: the one that `ESPEAK_NG` names, or else the first in `PATH`.
    pub fn installed() -> Option<Self> {
        let named = std::env::var_os(PATH_OVERRIDE)
            .filter(|path| !path.is_empty())
            .map(PathBuf::from);
        let found = match named {
            Some(path) => is_program(&path).then_some(path),
            None => find_program(PROGRAM, &std::env::var_os("PATH")?),
        };
        found.map(Self::from_program)
    }

    /// A certain `espeak-ng`.
    pub fn from_program(path: impl Into<PathBuf>) -> Self {
        Self::new(Engine::Program(absolute(path.into())))
    }

    /// The shared library and the data in `folder` (`libespeak-ng.so` and `espeak-ng-data/`), spoken with by
    /// `speaker`: a program that hands its arguments to [`speak_role`] when the first is [`SPEAK_ROLE`], usually
    /// `std::env::current_exe()`.
    pub fn from_library(folder: &Path, speaker: impl Into<PathBuf>) -> Self {
        let folder = absolute(folder.to_path_buf());
        Self::new(Engine::Library {
            speaker: absolute(speaker.into()),
            library: folder.join("libespeak-ng.so"),
            data: folder,
        })
    }

    fn new(engine: Engine) -> Self {
        Self {
            engine,
            timeout: DEFAULT_TIMEOUT,
        }
    }

    /// With another bound on the time of one call, 30 s if not said.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Speaks the text: a complete WAV file, 16-bit mono.
    ///
    /// Cancel-safe: when the future is dropped the process is killed.
    ///
    /// # Errors
    ///
    /// See [`SpeakError`].
    pub async fn speak(&self, text: &str, voice: &Voice) -> Result<Vec<u8>, SpeakError> {
        let pieces = text::pieces(text)?;
        tokio::time::timeout(self.timeout, self.speak_pieces(&pieces, voice))
            .await
            .unwrap_or(Err(SpeakError::TimedOut {
                after: self.timeout,
            }))
    }

    async fn speak_pieces(&self, pieces: &[String], voice: &Voice) -> Result<Vec<u8>, SpeakError> {
        let mut files = Vec::with_capacity(pieces.len());
        let mut room = MAX_AUDIO;
        for piece in pieces {
            let file = process::run(self.engine.command(voice), piece.as_bytes(), room).await?;
            room -= file.len().min(room);
            files.push(file);
        }
        let whole = wav::concatenate(&files).map_err(unusable)?;
        match Wav::read(&whole) {
            Ok(wav) if wav.data.is_empty() => Err(SpeakError::Empty),
            Ok(_) => Ok(whole),
            Err(error) => Err(unusable(error)),
        }
    }
}

fn unusable(error: WavError) -> SpeakError {
    SpeakError::Failed {
        reason: format!("its output is unusable: {error}"),
    }
}

impl Engine {
    fn command(&self, voice: &Voice) -> Command {
        match self {
            Self::Program(path) => {
                let mut command = child::command(path, &[]);
                command.args(["--stdin", "--stdout", "-b", "1", "-v", voice.name(), "-s"]);
                command.arg(voice.words_per_minute().to_string());
                command
            }
            Self::Library {
                speaker,
                library,
                data,
            } => {
                let mut command = child::command(speaker, &[]);
                command
                    .arg(SPEAK_ROLE)
                    .arg(library)
                    .arg(data)
                    .arg(voice.name());
                command.arg(voice.words_per_minute().to_string());
                command
            }
        }
    }
}

#[cfg(test)]
mod tests;
