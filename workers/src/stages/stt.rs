//! Speech to text.

use std::sync::Arc;

use async_trait::async_trait;
use common::{envelope::Job, pipeline::Stage, reply::Event, turn::Turn};

use crate::{
    handler::{Handler, Progress, StageError},
    kit::{Kit, KitError},
    meter::Meter,
    providers::SpeechToText,
    recording::Recordings,
};

pub struct Stt {
    recordings: Recordings,
    recogniser: Arc<dyn SpeechToText>,
    meter: Meter,
}

impl Stt {
    pub async fn new(kit: &Kit) -> Result<Self, KitError> {
        Ok(Self {
            recordings: kit.recordings(),
            recogniser: kit.speech_to_text().await?,
            meter: Meter::of(Stage::Stt, &kit.backends.quotas),
        })
    }
}

#[async_trait]
impl Handler for Stt {
    async fn handle(
        &self,
        mut turn: Turn,
        job: &Job,
        _: &dyn Progress,
    ) -> Result<Turn, StageError> {
        let recording = self.recordings.of(&turn).await?;
        // Before it is listened to: silence costs as much.
        let length = recording.clip.duration();
        self.meter.audio(job, None, length).await;
        let transcript = self.recogniser.transcribe(&recording).await?;
        if transcript.text.trim().is_empty() {
            return Err(StageError::unprocessable(
                "no_speech",
                "No speech was found in the audio.",
            ));
        }
        turn.transcript = Some(transcript);
        Ok(turn)
    }

    fn events(&self, turn: &Turn) -> Vec<Event> {
        let transcript = turn.transcript.iter();
        transcript
            .map(|transcript| Event::Transcript {
                text: transcript.text.clone(),
            })
            .collect()
    }
}
