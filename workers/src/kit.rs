//! What the stages of a process work with, made when a stage first asks.

use std::{path::Path, sync::Arc};

use common::{backends::Backends, config::ConfigError};
use tokio::sync::OnceCell;

use crate::{
    config::WorkerConfig,
    knowledge::{index::MemoryIndex, lexicon::Lexicon, source},
    providers::{
        Answerer, EmotionClassifier, SpeechSynthesizer, SpeechToText,
        espeak::Espeak,
        extractive::{Extractive, Institution},
        local::{LocalAnswerer, LocalEmotion, LocalSpeech, LocalSpeechToText},
        whisper::{LoadError, Options},
    },
    provision::{self, AssetState, Place, Provision},
    query::Interpreter,
    retrieval::Retriever,
};

pub struct Kit {
    pub backends: Backends,
    pub config: WorkerConfig,
    provision: OnceCell<Provision>,
}

/// A stage cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum KitError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the model for speech to text cannot be used: {0}")]
    Model(#[from] LoadError),
    #[error("provisioning has ended")]
    ProvisionEnded,
    #[error("the path of this program is not known: {0}")]
    OwnPath(std::io::Error),
}

impl Kit {
    pub fn new(backends: Backends, config: WorkerConfig) -> Self {
        Self {
            backends,
            config,
            provision: OnceCell::new(),
        }
    }

    /// The provisioning of this process; begins with the first call.
    pub async fn provision(&self) -> &Provision {
        let start = async || provision::spawn(self.config.provision.clone());
        self.provision.get_or_init(start).await
    }

    /// Waits for the model.
    pub async fn speech_to_text(&self) -> Result<Arc<dyn SpeechToText>, KitError> {
        let place = ready(self.provision().await.speech_to_text.clone()).await?;
        let options = Options {
            prompt: Some(self.config.hearing.vocabulary.clone()),
            ..Options::default()
        };
        let threads = self.config.hearing.threads;
        let engine = LocalSpeechToText::load(place.path(), options, threads).await?;
        Ok(Arc::new(engine))
    }

    pub fn emotion(&self) -> Arc<dyn EmotionClassifier> {
        Arc::new(LocalEmotion)
    }

    /// What finds the passages, and what answers from them.
    pub fn answering(&self) -> Result<(Retriever, Arc<dyn Answerer>), KitError> {
        Ok(local_answering(&self.config)?)
    }

    /// Waits for the engine.
    pub async fn text_to_speech(&self) -> Result<Arc<dyn SpeechSynthesizer>, KitError> {
        let espeak = match ready(self.provision().await.text_to_speech.clone()).await? {
            Place::Program(program) => Espeak::from_program(program),
            Place::Folder(folder) => {
                let speaker = std::env::current_exe().map_err(KitError::OwnPath)?;
                Espeak::from_library(&folder, speaker)
            }
        };
        Ok(Arc::new(LocalSpeech::new(espeak)))
    }
}

/// Answers from the configured documents, or else the bundled ones.
pub fn local_answering(
    config: &WorkerConfig,
) -> Result<(Retriever, Arc<dyn Answerer>), ConfigError> {
    let documents = match &config.knowledge {
        None => source::bundled(),
        Some(path) => {
            source::load(path)
                .map_err(|error| unusable(path, &error))?
                .documents
        }
    };
    let mut institution = Institution::bundled();
    if let Some(contact) = &config.help_contact {
        institution.contact.clone_from(contact);
    }
    tracing::info!(documents = documents.len(), "the knowledge base is loaded");
    let lexicon = Arc::new(Lexicon::bundled());
    let index = Arc::new(MemoryIndex::build(&documents, &lexicon));
    let interpreter = Interpreter::new(Arc::clone(&lexicon), index.clone());
    let extractive = Extractive::new(lexicon, index.clone(), institution);
    let answerer = Arc::new(LocalAnswerer::new(extractive));
    Ok((Retriever::new(interpreter, index), answerer))
}

impl Drop for Kit {
    fn drop(&mut self) {
        if let Some(provision) = self.provision.get() {
            provision.task.abort();
        }
    }
}

fn unusable(path: &Path, error: &source::SourceError) -> ConfigError {
    ConfigError::because(
        "KNOWLEDGE_PATH",
        format!("{:?}, which cannot be used ({error})", path.display()),
        "a folder of Markdown files, or a file of JSON lines",
    )
}

async fn ready(mut state: tokio::sync::watch::Receiver<AssetState>) -> Result<Place, KitError> {
    let state = state
        .wait_for(|state| matches!(state, AssetState::Ready(_)))
        .await
        .map_err(|_| KitError::ProvisionEnded)?;
    match &*state {
        AssetState::Ready(place) => Ok(place.clone()),
        _ => Err(KitError::ProvisionEnded),
    }
}
