//! Emotion by heuristic, in this process.

use std::sync::Arc;

use async_trait::async_trait;
use common::turn::Emotion;

use crate::{
    handler::StageError,
    providers::{EmotionClassifier, emotion_heuristic},
    recording::Recording,
    slots::EnginePool,
};

const PROVIDER: &str = "heuristic";

pub struct LocalEmotion {
    engines: EnginePool,
}

impl LocalEmotion {
    pub fn new(engines: EnginePool) -> Self {
        Self { engines }
    }
}

#[async_trait]
impl EmotionClassifier for LocalEmotion {
    async fn classify(
        &self,
        transcript: &str,
        recording: Option<&Recording>,
    ) -> Result<Emotion, StageError> {
        let transcript = transcript.to_owned();
        let clip = recording.map(|recording| Arc::clone(&recording.clip));
        let slot = self.engines.slot().await;
        tokio::task::spawn_blocking(move || {
            let _slot = slot;
            let samples = clip.as_ref().map(|clip| clip.samples.as_slice());
            let guess = emotion_heuristic::classify(&transcript, samples);
            Emotion {
                label: guess.label,
                scores: guess.scores,
                provider: PROVIDER.to_owned(),
            }
        })
        .await
        .map_err(|error| StageError::broken_off("emotion_failed", &error))
    }
}
