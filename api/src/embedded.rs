//! The embedded mode: every stage in this process. The only place of the front
//! door that knows the workers.

use std::{ffi::OsString, process::ExitCode, sync::Arc};

use common::{
    backends::{BackendConfig, Backends},
    config::{ConfigError, Environment},
    pipeline::Stage,
    telemetry::LogFormat,
};
use tokio::sync::watch;
use workers::{
    config::WorkerConfig,
    kit::Kit,
    pool::{MemberState, Pool},
    provision::{Asset, AssetState},
};

use crate::state::{Speech, SpeechState};

pub struct Embedded {
    pool: Pool,
    speech: Arc<EmbeddedSpeech>,
}

impl Embedded {
    pub async fn start(env: &Environment, backends: &Backends) -> Result<Self, ConfigError> {
        let config = WorkerConfig::from_environment(env)?;
        let kit = Arc::new(Kit::new(backends.clone(), config));
        let pool = Pool::start(&kit, Stage::ALL);
        let engine = |stage, asset| Engine {
            member: pool.watch(stage).expect("every stage runs embedded"),
            asset: kit.provision.watch(asset),
        };
        let speech = EmbeddedSpeech {
            hearing: engine(Stage::Stt, Asset::SpeechToText),
            speaking: engine(Stage::Tts, Asset::TextToSpeech),
        };
        Ok(Self {
            pool,
            speech: Arc::new(speech),
        })
    }

    pub fn speech(&self) -> Arc<dyn Speech> {
        self.speech.clone()
    }

    /// Waits until it is certain that no question will ever be answered here: a
    /// setting is wrong, or the collection is another one than the settings
    /// say. Without engines for speech there are still answers in writing.
    pub async fn cannot_answer(&self) -> String {
        let mut answering = self
            .pool
            .watch(Stage::Rag)
            .expect("every stage runs embedded");
        let failed = |state: &MemberState| matches!(state, MemberState::Failed(_));
        match answering.wait_for(failed).await.as_deref() {
            Ok(MemberState::Failed(reason)) => reason.clone(),
            _ => std::future::pending().await,
        }
    }

    pub async fn stop(self) {
        self.pool.stop().await;
    }
}

struct EmbeddedSpeech {
    hearing: Engine,
    speaking: Engine,
}

struct Engine {
    member: watch::Receiver<MemberState>,
    asset: watch::Receiver<AssetState>,
}

impl Speech for EmbeddedSpeech {
    fn state(&self) -> [(&'static str, SpeechState); 2] {
        [
            ("speech_to_text", self.hearing.state()),
            ("text_to_speech", self.speaking.state()),
        ]
    }
}

impl Engine {
    fn state(&self) -> SpeechState {
        match (&*self.member.borrow(), &*self.asset.borrow()) {
            (MemberState::Consuming | MemberState::Disconnected, _) => SpeechState::Ready,
            (MemberState::Failed(_), _) => SpeechState::Failed,
            (MemberState::Preparing, asset) => preparing(asset),
        }
    }
}

fn preparing(asset: &AssetState) -> SpeechState {
    match asset {
        AssetState::Waiting => SpeechState::OnItsWay("not begun yet".into()),
        AssetState::Fetching { done, total, .. } => SpeechState::OnItsWay(format!(
            "{} % of {} MB are here",
            done * 100 / total.max(&1),
            total / 1_000_000
        )),
        AssetState::Verifying => SpeechState::OnItsWay("being checked".into()),
        AssetState::Ready(_) => SpeechState::OnItsWay("being loaded".into()),
        AssetState::Failed { .. } => SpeechState::Failed,
    }
}

/// Takes over when this process was started as a child of the workers.
pub fn child_role(arguments: &[OsString]) -> Option<ExitCode> {
    workers::program::child_role(arguments)
}

/// JSON where machines collect the logs of many processes.
pub fn log_format(env: &Environment) -> LogFormat {
    match BackendConfig::from_environment(env, "") {
        Ok(config) if config.mode.is_embedded() => LogFormat::Text,
        _ => LogFormat::Json,
    }
}
