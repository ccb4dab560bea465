//! Text to speech: the answer, or the text that was sent in, as WAV.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use common::{
    claim_check::{ClaimCheck, Item},
    envelope::Job,
    reply::Event,
    turn::{Speech, Turn},
};

use crate::{
    handler::{Handler, Progress, StageError},
    kit::{Kit, KitError},
    providers::SpeechSynthesizer,
    speakable::speakable,
};

pub struct Tts {
    claims: Arc<dyn ClaimCheck>,
    keep: Duration,
    synthesizer: Arc<dyn SpeechSynthesizer>,
}

impl Tts {
    pub async fn new(kit: &Kit) -> Result<Self, KitError> {
        Ok(Self {
            claims: Arc::clone(&kit.backends.claims),
            keep: kit.config.retention.0,
            synthesizer: kit.text_to_speech().await?,
        })
    }
}

#[async_trait]
impl Handler for Tts {
    async fn handle(
        &self,
        mut turn: Turn,
        job: &Job,
        _: &dyn Progress,
    ) -> Result<Turn, StageError> {
        let text = speakable(text_of(&turn));
        if text.trim().is_empty() {
            // Nothing to say is no failure: the written answer stands.
            return Ok(turn);
        }
        let spoken = self.synthesizer.speak(&text, turn.voice.as_deref()).await?;
        let ticket = self
            .claims
            .check_in(job.correlation_id, Item::Speech, spoken.wav, self.keep)
            .await
            .map_err(|error| StageError::transient("claim_check_unavailable", error))?;
        turn.speech = Some(Speech {
            ticket,
            duration_ms: common::time::whole_millis(spoken.duration),
            provider: spoken.provider.to_owned(),
        });
        Ok(turn)
    }

    fn events(&self, _: &Turn) -> Vec<Event> {
        Vec::new()
    }
}

fn text_of(turn: &Turn) -> &str {
    match &turn.answer {
        Some(answer) => &answer.text,
        None => turn.user_text().unwrap_or_default(),
    }
}
