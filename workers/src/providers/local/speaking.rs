//! Speaking with eSpeak NG on this machine.

use async_trait::async_trait;

use crate::{
    audio::wav::Wav,
    handler::StageError,
    providers::{
        SpeechSynthesizer, Spoken,
        espeak::{Espeak, SpeakError, Voice},
        failure,
    },
    slots::EnginePool,
};

const PROVIDER: &str = "espeak-ng";

pub struct LocalSpeech {
    espeak: Espeak,
    engines: EnginePool,
}

impl LocalSpeech {
    pub fn new(espeak: Espeak, engines: EnginePool) -> Self {
        Self { espeak, engines }
    }
}

#[async_trait]
impl SpeechSynthesizer for LocalSpeech {
    async fn speak(&self, text: &str, voice: Option<&str>) -> Result<Spoken, StageError> {
        let voice = match voice {
            None => Voice::default(),
            Some(name) => {
                let pace = Voice::default().words_per_minute();
                Voice::new(name, pace).map_err(|_| unknown_voice())?
            }
        };
        let _slot = self.engines.slot().await;
        let wav = self
            .espeak
            .speak(text, &voice)
            .await
            .map_err(|error| failure(error, &voice))?;
        let duration = Wav::read(&wav)
            .map_err(|error| StageError::internal("espeak_failed", error))?
            .duration();
        Ok(Spoken {
            wav: wav.into(),
            duration,
            provider: PROVIDER,
        })
    }
}

fn unknown_voice() -> StageError {
    StageError::unprocessable(
        failure::UNKNOWN_VOICE,
        "The synthesiser has no such voice; voices are named like id, en-us or id+f3.",
    )
}

fn failure(error: SpeakError, voice: &Voice) -> StageError {
    match error {
        SpeakError::Missing(_) | SpeakError::TimedOut { .. } => {
            StageError::transient("espeak_unavailable", error)
        }
        // The default voice is known to be there.
        SpeakError::Failed { .. } if *voice != Voice::default() => unknown_voice(),
        SpeakError::TooLong => {
            StageError::unprocessable("text_too_long", "The text is too long to be spoken.")
        }
        SpeakError::Failed { .. } | SpeakError::Empty => {
            StageError::internal("espeak_failed", error)
        }
    }
}
