//! Text to speech: the answer, or the text that was sent in, as WAV.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use common::{
    claim_check::{ClaimCheck, ClaimError, Item, Ticket},
    envelope::Job,
    quota::Usage,
    reply::Event,
    time::{UnixMillis, whole_millis},
    turn::{Sentence, Speech, Turn},
};
use futures::future::try_join_all;
use tokio::join;

use crate::{
    handler::{Handler, Progress, StageError},
    kit::{Kit, KitError},
    meter::Meter,
    providers::{SpeechSynthesizer, Spoken, failure::is_free},
    speakable::speakable,
};

mod join;

pub struct Tts {
    claims: Arc<dyn ClaimCheck>,
    retention: Duration,
    synthesizer: Arc<dyn SpeechSynthesizer>,
    meter: Meter,
}

impl Tts {
    pub async fn new(kit: &Kit) -> Result<Self, KitError> {
        Ok(Self {
            claims: Arc::clone(&kit.backends.claims),
            retention: kit.config.retention.0,
            synthesizer: kit.text_to_speech().await?,
            meter: Meter::new(&kit.backends.quotas),
        })
    }
}

impl Tts {
    /// What is broken off counts as if it were spoken: it was asked for as a whole.
    async fn speak(&self, text: &str, turn: &Turn, job: &Job) -> Result<Spoken, StageError> {
        let likely = Usage::audio(likely_length(text));
        let mut spending = self.meter.begin(job, likely).await;
        spending.is(likely);
        let voice = turn.voice.as_deref();
        let next = async {
            // After the call for this one has begun: it takes what was made ready before.
            if turn.sentence.as_ref().is_some_and(|it| !it.last) {
                self.synthesizer.prepare(voice);
            }
        };
        let (spoken, ()) = join!(biased; self.synthesizer.speak(text, voice), next);
        match &spoken {
            Ok(spoken) => spending.is(Usage::audio(spoken.duration)),
            Err(error) if is_free(error) => spending.is(Usage::default()),
            Err(_) => {}
        }
        spending.settle().await;
        spoken
    }

    async fn keep(&self, job: &Job, item: Item, wav: Bytes) -> Result<Ticket, StageError> {
        // A sentence waits for the others until the job's end.
        let left = job.time_left(UnixMillis::now());
        let keep = self.retention.max(left * 2);
        let kept = self.claims.check_in(job.correlation_id, item, wav, keep);
        kept.await.map_err(unavailable)
    }

    async fn joined(&self, sentences: Vec<Speech>, job: &Job) -> Result<Speech, StageError> {
        let redeem = sentences.iter().map(|it| self.claims.redeem(&it.ticket));
        let files = try_join_all(redeem).await.map_err(unavailable)?;
        let wav = tokio::task::spawn_blocking(move || join::join(&files))
            .await
            .map_err(|error| StageError::broken_off("joining_failed", &error))??;
        Ok(Speech {
            duration_ms: sentences.iter().map(|it| it.duration_ms).sum(),
            provider: providers(&sentences),
            ticket: self.keep(job, Item::Speech, Bytes::from(wav)).await?,
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
        let item = match &turn.sentence {
            Some(Sentence { take, n, .. }) => Item::Sentence { take: *take, n: *n },
            None => Item::Speech,
        };
        let spoken = self.speak(&text, &turn, job).await?;
        turn.speech = Some(Speech {
            ticket: self.keep(job, item, spoken.wav).await?,
            duration_ms: whole_millis(spoken.duration),
            provider: spoken.provider.to_owned(),
        });
        Ok(turn)
    }

    async fn join(
        &self,
        mut turn: Turn,
        spoken: Vec<Speech>,
        job: &Job,
    ) -> Result<Turn, StageError> {
        turn.speech = match <[Speech; 1]>::try_from(spoken) {
            Ok([only]) => Some(only),
            Err(sentences) if sentences.is_empty() => None,
            Err(sentences) => Some(self.joined(sentences, job).await?),
        };
        Ok(turn)
    }

    fn events(&self, _: &Turn) -> Vec<Event> {
        Vec::new()
    }

    async fn finish(&self) {
        self.meter.finish().await;
    }
}

/// What a text is likely to take to be spoken: some 14 characters a second.
fn likely_length(text: &str) -> Duration {
    const OF_A_CHARACTER: u64 = 70;
    Duration::from_millis(text.chars().count() as u64 * OF_A_CHARACTER)
}

fn text_of(turn: &Turn) -> &str {
    match (&turn.sentence, &turn.answer) {
        (Some(sentence), _) => &sentence.text,
        (None, Some(answer)) => &answer.text,
        (None, None) => turn.user_text().unwrap_or_default(),
    }
}

/// The distinct providers, in the order in which they spoke.
fn providers(sentences: &[Speech]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for Speech { provider, .. } in sentences {
        if !names.contains(&provider.as_str()) {
            names.push(provider);
        }
    }
    names.join(", ")
}

fn unavailable(error: ClaimError) -> StageError {
    match error {
        ClaimError::Gone => StageError::internal("speech_gone", error),
        ClaimError::Unavailable(_) => StageError::transient("claim_check_unavailable", error),
    }
}
