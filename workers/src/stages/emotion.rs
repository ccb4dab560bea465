//! The speaker's emotion. It colours the answer and is never worth failing a
//! job: without a result the speaker counts as neutral.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use common::{
    envelope::Job,
    reply::Event,
    turn::{self, EmotionLabel, Turn},
};
use tracing::warn;

use crate::{
    handler::{Handler, Progress, StageError},
    kit::{Kit, KitError},
    providers::EmotionClassifier,
    recording::Recordings,
};

pub struct Emotion {
    recordings: Recordings,
    classifier: Arc<dyn EmotionClassifier>,
}

impl Emotion {
    pub fn new(kit: &Kit) -> Result<Self, KitError> {
        Ok(Self {
            recordings: kit.recordings(),
            classifier: kit.emotion()?,
        })
    }

    async fn classify(&self, turn: &Turn, job: &Job) -> Result<turn::Emotion, StageError> {
        let recording = self.recordings.of(&job.tenant, turn).await;
        if let Err(error) = &recording {
            warn!(%error, "judging the emotion by the words alone");
        }
        let words = turn.user_text().unwrap_or_default();
        self.classifier
            .classify(words, recording.as_ref().ok())
            .await
    }
}

#[async_trait]
impl Handler for Emotion {
    async fn handle(
        &self,
        mut turn: Turn,
        job: &Job,
        _: &dyn Progress,
    ) -> Result<Turn, StageError> {
        let emotion = self.classify(&turn, job).await.unwrap_or_else(|error| {
            warn!(%error, "no emotion could be told");
            neutral()
        });
        turn.emotion = Some(emotion);
        Ok(turn)
    }

    fn events(&self, turn: &Turn) -> Vec<Event> {
        let emotion = turn.emotion.iter();
        emotion
            .map(|emotion| Event::Emotion {
                label: emotion.label,
                scores: emotion.scores.clone(),
            })
            .collect()
    }
}

fn neutral() -> turn::Emotion {
    turn::Emotion {
        label: EmotionLabel::Neutral,
        scores: BTreeMap::new(),
        provider: "none".to_owned(),
    }
}
