//! What hears, feels and speaks.

use std::sync::Arc;

use common::pipeline::Stage;
use tokio::sync::watch;

use super::{Kit, KitError};
use crate::{
    config::{
        HearingConfig,
        providers::{Account, EmotionProvider, HearingProvider, SpeakingProvider},
    },
    providers::{
        EmotionClassifier, SpeechSynthesizer, SpeechToText,
        arriving::Arriving,
        emotion_service::{self, EmotionService},
        espeak::Espeak,
        fallback::{Candidate, Fallback},
        local::{LocalEmotion, LocalSpeech, LocalSpeechToText},
        prosa::{
            self, ProsaSpeechToText, ProsaTextToSpeech, SpeechToTextOptions, TextToSpeechOptions,
        },
        whisper::Options,
    },
    provision::{Asset, AssetState, Place},
    slots::{EnginePool, ProviderLimit},
};

const WHISPER: &str = "whisper";
const ESPEAK: &str = "espeak-ng";
const HEURISTIC: &str = "heuristic";

impl Kit {
    /// Waits for the local engine when it is the first to be asked.
    pub async fn speech_to_text(&self) -> Result<Arc<dyn SpeechToText>, KitError> {
        let limits = &self.config.providers.limits;
        let mut candidates: Vec<Candidate<dyn SpeechToText>> = Vec::new();
        for provider in &self.config.providers.speech_to_text {
            candidates.push(match provider {
                HearingProvider::Prosa(account) => Candidate::remote(
                    prosa::PROVIDER,
                    self.prosa_hearing(account)?,
                    ProviderLimit::new(limits.prosa_hearing),
                ),
                HearingProvider::Whisper => {
                    let state = self.provision.need(Asset::SpeechToText);
                    let engine = whisper(state, self.config.hearing.clone(), self.engines.clone());
                    let whisper: Arc<dyn SpeechToText> = match candidates.is_empty() {
                        true => engine.await?,
                        false => Arc::new(Arriving::new(engine)),
                    };
                    Candidate::local(WHISPER, whisper)
                }
            });
        }
        Ok(Arc::new(Fallback::new(candidates)))
    }

    fn prosa_hearing(&self, account: &Account) -> Result<Arc<dyn SpeechToText>, KitError> {
        let mut options = SpeechToTextOptions::new(account.key.clone());
        if let Some(endpoint) = &account.endpoint {
            options.endpoint = endpoint.clone();
        }
        options.timeouts = prosa::Timeouts::of_call(self.config.call_timeout(Stage::Stt));
        let prosa = ProsaSpeechToText::new(options).map_err(KitError::provider)?;
        Ok(Arc::new(prosa))
    }

    pub fn emotion(&self) -> Result<Arc<dyn EmotionClassifier>, KitError> {
        let limits = &self.config.providers.limits;
        let mut candidates: Vec<Candidate<dyn EmotionClassifier>> = Vec::new();
        for provider in &self.config.providers.emotion {
            candidates.push(match provider {
                EmotionProvider::Service(address) => {
                    let mut options = emotion_service::Options::new(address.clone());
                    options.timeout = self.config.call_timeout(Stage::Emotion);
                    let service = EmotionService::new(options).map_err(KitError::provider)?;
                    Candidate::remote(
                        emotion_service::PROVIDER,
                        Arc::new(service),
                        ProviderLimit::new(limits.emotion),
                    )
                }
                EmotionProvider::Heuristic => {
                    let heuristic = LocalEmotion::new(self.engines.clone());
                    Candidate::local(HEURISTIC, Arc::new(heuristic))
                }
            });
        }
        Ok(Arc::new(Fallback::new(candidates)))
    }

    /// Waits for the local engine when it is the first to be asked.
    pub async fn text_to_speech(&self) -> Result<Arc<dyn SpeechSynthesizer>, KitError> {
        let limits = &self.config.providers.limits;
        let mut candidates: Vec<Candidate<dyn SpeechSynthesizer>> = Vec::new();
        for provider in &self.config.providers.text_to_speech {
            candidates.push(match provider {
                SpeakingProvider::Prosa(account) => Candidate::remote(
                    prosa::PROVIDER,
                    self.prosa_speaking(account),
                    ProviderLimit::new(limits.prosa_speaking),
                ),
                SpeakingProvider::Espeak => {
                    let state = self.provision.need(Asset::TextToSpeech);
                    let engine = espeak(state, self.engines.clone());
                    let espeak: Arc<dyn SpeechSynthesizer> = match candidates.is_empty() {
                        true => engine.await?,
                        false => Arc::new(Arriving::new(engine)),
                    };
                    Candidate::local(ESPEAK, espeak)
                }
            });
        }
        Ok(Arc::new(Fallback::new(candidates)))
    }

    fn prosa_speaking(&self, account: &Account) -> Arc<dyn SpeechSynthesizer> {
        let mut options = TextToSpeechOptions::new(account.key.clone());
        if let Some(endpoint) = &account.endpoint {
            options.endpoint = endpoint.clone();
        }
        options.timeouts = prosa::Timeouts::of_call(self.config.call_timeout(Stage::Tts));
        if let Some(most) = self.config.providers.limits.prosa_speaking {
            options.max_concurrent = most;
        }
        Arc::new(ProsaTextToSpeech::new(options))
    }
}

type Arrival = watch::Receiver<AssetState>;

async fn whisper(
    state: Arrival,
    hearing: HearingConfig,
    engines: EnginePool,
) -> Result<Arc<dyn SpeechToText>, KitError> {
    let place = ready(state).await?;
    let options = Options {
        prompt: Some(hearing.vocabulary),
        ..Options::default()
    };
    let engine = LocalSpeechToText::load(place.path(), options, hearing.threads, engines).await?;
    Ok(Arc::new(engine))
}

async fn espeak(
    state: Arrival,
    engines: EnginePool,
) -> Result<Arc<dyn SpeechSynthesizer>, KitError> {
    let espeak = match ready(state).await? {
        Place::Program(program) => Espeak::from_program(program),
        Place::Folder(folder) => {
            let speaker = std::env::current_exe().map_err(KitError::OwnPath)?;
            Espeak::from_library(&folder, speaker)
        }
    };
    Ok(Arc::new(LocalSpeech::new(espeak, engines)))
}

async fn ready(mut state: Arrival) -> Result<Place, KitError> {
    let state = state
        .wait_for(|state| matches!(state, AssetState::Ready(_)))
        .await
        .map_err(|_| KitError::ProvisionEnded)?;
    match &*state {
        AssetState::Ready(place) => Ok(place.clone()),
        _ => Err(KitError::ProvisionEnded),
    }
}
