//! An engine that is still on its way to this machine, behind a provider that
//! is there already.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use common::turn::Transcript;
use tokio::task::JoinHandle;
use tracing::error;

use super::{SpeechSynthesizer, SpeechToText, Spoken};
use crate::{handler::StageError, recording::Recording};

/// Fails with this code until the engine is there.
pub const ON_ITS_WAY: &str = "engine_not_ready";

pub struct Arriving<P: ?Sized> {
    engine: Arc<OnceLock<Arc<P>>>,
    task: JoinHandle<()>,
}

impl<P: ?Sized + Send + Sync + 'static> Arriving<P> {
    /// Fetches the engine in the background.
    pub fn new<E: std::fmt::Display>(
        fetch: impl Future<Output = Result<Arc<P>, E>> + Send + 'static,
    ) -> Self {
        let engine = Arc::new(OnceLock::new());
        let place = Arc::clone(&engine);
        let task = tokio::spawn(async move {
            match fetch.await {
                Ok(engine) => drop(place.set(engine)),
                Err(error) => error!(%error, "an engine cannot be used"),
            }
        });
        Self { engine, task }
    }

    fn engine(&self) -> Result<&P, StageError> {
        let engine = self.engine.get().map(AsRef::as_ref);
        engine.ok_or_else(|| {
            StageError::transient(ON_ITS_WAY, "the local engine has not arrived yet")
        })
    }
}

impl<P: ?Sized> Drop for Arriving<P> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[async_trait]
impl SpeechToText for Arriving<dyn SpeechToText> {
    async fn transcribe(&self, recording: &Recording) -> Result<Transcript, StageError> {
        self.engine()?.transcribe(recording).await
    }
}

#[async_trait]
impl SpeechSynthesizer for Arriving<dyn SpeechSynthesizer> {
    async fn speak(&self, text: &str, voice: Option<&str>) -> Result<Spoken, StageError> {
        self.engine()?.speak(text, voice).await
    }
}
