//! Hearing with Whisper in this process.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use common::turn::Transcript;
use tracing::warn;

use crate::{
    blocking::StopOnDrop,
    handler::StageError,
    providers::{
        SpeechToText,
        whisper::{LoadError, Options, TranscribeError, Whisper},
    },
    recording::Recording,
    slots::EnginePool,
};

const PROVIDER: &str = "whisper";

pub struct LocalSpeechToText {
    model: Arc<Whisper>,
    options: Options,
    threads: usize,
    engines: EnginePool,
}

impl LocalSpeechToText {
    /// Reads the weights in `folder`, which takes about a second. `threads` is
    /// how many work on one transcription; the first call of a process decides.
    ///
    /// # Errors
    ///
    /// See [`LoadError`].
    pub async fn load(
        folder: &Path,
        options: Options,
        threads: usize,
        engines: EnginePool,
    ) -> Result<Self, LoadError> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        if let Err(error) = pool.build_global() {
            warn!(%error, "the number of threads is as it was set before");
        }
        let folder = folder.to_owned();
        let model = tokio::task::spawn_blocking(move || Whisper::load(&folder))
            .await
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        Ok(Self {
            model: Arc::new(model),
            options,
            threads,
            engines,
        })
    }
}

#[async_trait]
impl SpeechToText for LocalSpeechToText {
    async fn transcribe(&self, recording: &Recording) -> Result<Transcript, StageError> {
        let slots = self.engines.slots_of_long_call(self.threads).await;
        let model = Arc::clone(&self.model);
        let options = self.options.clone();
        let clip = Arc::clone(&recording.clip);
        let stop = StopOnDrop::default();
        let stopped = stop.flag();
        let work = tokio::task::spawn_blocking(move || {
            // Until it has stopped, also when its caller has gone.
            let _slots = slots;
            model.transcribe(&clip.samples, &options, &stopped)
        });
        match work.await {
            Ok(Ok(heard)) => Ok(Transcript {
                text: heard.text,
                language: heard.language,
                provider: PROVIDER.to_owned(),
            }),
            Ok(Err(TranscribeError::TooLong { limit, .. })) => Err(StageError::unprocessable(
                "audio_too_long",
                format!("The audio is longer than {} seconds.", limit.as_secs()),
            )),
            Ok(Err(error)) => Err(StageError::internal("whisper_failed", error)),
            Err(error) => Err(StageError::broken_off("whisper_failed", &error)),
        }
    }
}
