//! Speech to text.

use std::sync::Arc;

use async_trait::async_trait;
use common::{envelope::Job, quota::Usage, reply::Event, turn::Turn};

use crate::{
    handler::{Handler, Progress, StageError},
    kit::{Kit, KitError},
    meter::Meter,
    providers::{SpeechToText, failure::is_free},
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
            meter: Meter::new(&kit.backends.quotas),
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
        let recording = self.recordings.of(&job.tenant, &turn).await?;
        // Silence costs as much, and so does what is broken off.
        let length = Usage::audio(recording.clip.duration());
        let mut spending = self.meter.begin(job, length).await;
        spending.is(length);
        let transcript = self.recogniser.transcribe(&recording).await;
        if transcript.as_ref().is_err_and(is_free) {
            spending.is(Usage::default());
        }
        spending.settle().await;
        let transcript = transcript?;
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

    async fn finish(&self) {
        self.meter.finish().await;
    }
}
