//! What the stages of a process work with, made when a stage first asks.

use std::sync::{Arc, OnceLock};

use common::{backends::Backends, config::ConfigError};

use crate::{
    config::WorkerConfig,
    providers::whisper::LoadError,
    provision::Provision,
    recording::{Decoder, Recordings},
    slots::EnginePool,
};

mod answering;
mod speech;

pub use answering::{answering, embedder};

pub struct Kit {
    pub backends: Backends,
    pub config: WorkerConfig,
    pub provision: Provision,
    engines: EnginePool,
    decoder: OnceLock<Arc<Decoder>>,
}

/// A stage cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum KitError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the model for speech to text cannot be used: {0}")]
    Model(#[from] LoadError),
    #[error("a provider cannot be used: {0}")]
    Provider(String),
    #[error("provisioning has ended")]
    ProvisionEnded,
    #[error("the path of this program is not known: {0}")]
    OwnPath(std::io::Error),
}

impl KitError {
    pub(crate) fn provider(error: impl std::fmt::Display) -> Self {
        Self::Provider(error.to_string())
    }
}

impl Kit {
    pub fn new(backends: Backends, config: WorkerConfig) -> Self {
        Self {
            backends,
            provision: Provision::new(config.provision.clone()),
            engines: EnginePool::new(config.engine_calls),
            config,
            decoder: OnceLock::new(),
        }
    }

    /// Where recordings come from; one decoder for all stages of the process. Must be called within a runtime.
    pub fn recordings(&self) -> Recordings {
        let decoder = self.decoder.get_or_init(|| Arc::new(Decoder::new()));
        Recordings {
            claims: Arc::clone(&self.backends.claims),
            decoder: Arc::clone(decoder),
            limits: self.config.audio,
        }
    }
}
