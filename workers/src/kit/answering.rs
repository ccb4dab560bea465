//! What finds the passages, and what answers from them.

use std::{path::Path, sync::Arc, time::Duration};

use common::{config::ConfigError, pipeline::Stage};
use tracing::{info, warn};

use super::{Kit, KitError};
use crate::{
    config::{
        WorkerConfig,
        providers::{AnswerProvider, KnowledgeProvider, ModelConfig, Vendor},
    },
    knowledge::{
        KnowledgeBase, KnowledgeError,
        hybrid::HybridIndex,
        index::MemoryIndex,
        lexicon::Lexicon,
        qdrant::{ConnectError, QdrantConfig, QdrantKnowledge},
        source::{self, Loaded},
        vocabulary::{UnlistedVocabulary, Vocabulary},
    },
    providers::{
        Answerer, Embedder,
        extractive::{Extractive, Institution},
        fallback::{Candidate, Fallback},
        generative::{self, GenerativeAnswerer},
        limited::Limited,
        local::LocalAnswerer,
        openai::{ChatOptions, EmbeddingOptions, OpenAiChat, OpenAiEmbeddings, Timeouts},
    },
    query::Interpreter,
    retrieval::Retriever,
    slots::ProviderLimit,
};

const QDRANT: &str = "qdrant";
const EMBEDDED: &str = "embedded";
const EXTRACTIVE: &str = "extractive";

/// Time for one call of the embedder: a query takes less than a second, a batch
/// of passages some.
const EMBEDDING_TIMEOUT: Duration = Duration::from_secs(30);

impl Kit {
    /// # Errors
    ///
    /// A setting, or a collection that does not fit the embedder.
    pub async fn answering(&self) -> Result<(Retriever, Arc<dyn Answerer>), KitError> {
        answering(&self.config).await
    }
}

/// What finds the passages, and what answers from them, as configured.
///
/// # Errors
///
/// A setting, or a collection that does not fit the embedder.
pub async fn answering(config: &WorkerConfig) -> Result<(Retriever, Arc<dyn Answerer>), KitError> {
    let lexicon = Arc::new(Lexicon::bundled());
    let embedder = embedder(config)?;
    let mut vocabulary: Arc<dyn Vocabulary> = Arc::new(UnlistedVocabulary);
    let mut sources: Vec<Candidate<dyn KnowledgeBase>> = Vec::new();
    for source in &config.providers.knowledge {
        sources.push(match source {
            KnowledgeProvider::Qdrant(qdrant) => {
                let collection = collection(qdrant, embedder.clone(), Arc::clone(&lexicon));
                let limit = ProviderLimit::new(config.providers.limits.qdrant);
                Candidate::remote(QDRANT, collection.await?, limit)
            }
            KnowledgeProvider::Embedded => {
                let (index, base) = in_memory(config, embedder.clone(), &lexicon)?;
                vocabulary = index;
                Candidate::local(EMBEDDED, base)
            }
        });
    }
    let interpreter = Interpreter::new(Arc::clone(&lexicon), Arc::clone(&vocabulary));
    let retriever = Retriever::new(interpreter, Fallback::new(sources));
    Ok((retriever, answerer(config, lexicon, vocabulary)?))
}

fn answerer(
    config: &WorkerConfig,
    lexicon: Arc<Lexicon>,
    vocabulary: Arc<dyn Vocabulary>,
) -> Result<Arc<dyn Answerer>, KitError> {
    let mut institution = Institution::bundled();
    if let Some(contact) = &config.help_contact {
        institution.contact.clone_from(contact);
    }
    let mut candidates: Vec<Candidate<dyn Answerer>> = Vec::new();
    for provider in &config.providers.answers {
        candidates.push(match provider {
            AnswerProvider::Model(model) => {
                let options = chat_options(model, config.call_timeout(Stage::Rag));
                let name = options.endpoint.name.clone();
                let limit = ProviderLimit::new(config.providers.limits.model(model.vendor));
                let model = OpenAiChat::new(options).map_err(KitError::provider)?;
                let options = generative::Options {
                    history_tokens: config.history_tokens,
                    ..generative::Options::default()
                };
                let answerer = GenerativeAnswerer::new(
                    Arc::new(model),
                    Arc::clone(&lexicon),
                    institution.clone(),
                    options,
                );
                Candidate::remote(name, Arc::new(answerer), limit)
            }
            AnswerProvider::Extractive => {
                let extractive = Extractive::new(
                    Arc::clone(&lexicon),
                    Arc::clone(&vocabulary),
                    institution.clone(),
                );
                Candidate::local(EXTRACTIVE, Arc::new(LocalAnswerer::new(extractive)))
            }
        });
    }
    Ok(Arc::new(Fallback::new(candidates)))
}

/// A collection that is not there or does not answer may come; one that does
/// not fit the embedder never will.
async fn collection(
    config: &QdrantConfig,
    embedder: Option<Arc<dyn Embedder>>,
    lexicon: Arc<Lexicon>,
) -> Result<Arc<dyn KnowledgeBase>, KitError> {
    let collection = QdrantKnowledge::new(config, embedder, lexicon).map_err(KitError::provider)?;
    match collection.verify().await {
        Ok(()) => {}
        Err(ConnectError::Knowledge(error @ KnowledgeError::Misconfigured(_))) => {
            return Err(KitError::provider(error));
        }
        Err(error) => warn!(%error, "the knowledge base in Qdrant cannot be searched yet"),
    }
    Ok(Arc::new(collection))
}

/// The documents of `KNOWLEDGE_PATH`, or the bundled ones: the words they hold,
/// and the knowledge base that they make.
fn in_memory(
    config: &WorkerConfig,
    embedder: Option<Arc<dyn Embedder>>,
    lexicon: &Lexicon,
) -> Result<(Arc<MemoryIndex>, Arc<dyn KnowledgeBase>), KitError> {
    let loaded = match &config.knowledge {
        None => Loaded {
            documents: source::bundled(),
            passages: Vec::new(),
        },
        Some(path) => source::load(path).map_err(|error| unusable(path, &error))?,
    };
    if loaded.passages.is_empty() {
        info!(
            documents = loaded.documents.len(),
            "the knowledge base is loaded"
        );
        let index = Arc::new(MemoryIndex::build(&loaded.documents, lexicon));
        return Ok((Arc::clone(&index), index));
    }
    let passages = loaded.into_passages();
    let index = Arc::new(MemoryIndex::from_passages(&passages, lexicon));
    let with_vectors = passages.iter().any(|passage| passage.vector.is_some());
    info!(
        passages = passages.len(),
        with_vectors, "the knowledge base is loaded"
    );
    match embedder.filter(|_| with_vectors) {
        Some(embedder) => {
            let hybrid = HybridIndex::new(Arc::clone(&index), &passages, embedder);
            Ok((index, Arc::new(hybrid.map_err(KitError::provider)?)))
        }
        None => Ok((Arc::clone(&index), index)),
    }
}

/// What makes vectors of texts, if one is configured.
///
/// # Errors
///
/// A setting.
pub fn embedder(config: &WorkerConfig) -> Result<Option<Arc<dyn Embedder>>, KitError> {
    let Some(model) = &config.providers.embedder else {
        return Ok(None);
    };
    let embeddings = OpenAiEmbeddings::new(embedding_options(model)).map_err(KitError::provider)?;
    let limit = ProviderLimit::new(config.providers.limits.embeddings);
    Ok(Some(Arc::new(Limited::new(embeddings, limit))))
}

fn chat_options(config: &ModelConfig, timeout: Duration) -> ChatOptions {
    let key = config.key.clone();
    let model = config.model.clone();
    let mut options = match (config.vendor, key) {
        (Vendor::OpenRouter, Some(key)) => ChatOptions::openrouter(key),
        (Vendor::OpenAi, Some(key)) => ChatOptions::openai(key),
        (_, key) => ChatOptions::custom(String::new(), String::new(), key),
    };
    if let Some(base_url) = &config.base_url {
        options.endpoint.base_url.clone_from(base_url);
    }
    if let Some(model) = model {
        options.model = model;
    }
    options.endpoint.timeouts = match config.vendor {
        Vendor::Custom => Timeouts::patient(timeout),
        Vendor::OpenRouter | Vendor::OpenAi => Timeouts::within(timeout),
    };
    options
}

fn embedding_options(config: &ModelConfig) -> EmbeddingOptions {
    let key = config.key.clone();
    let mut options = match (config.vendor, key) {
        (Vendor::OpenRouter, Some(key)) => EmbeddingOptions::openrouter(key),
        (Vendor::OpenAi, Some(key)) => EmbeddingOptions::openai(key),
        (_, key) => EmbeddingOptions::custom(String::new(), String::new(), 0, key),
    };
    if let Some(base_url) = &config.base_url {
        options.endpoint.base_url.clone_from(base_url);
    }
    options.endpoint.timeouts = Timeouts::patient(EMBEDDING_TIMEOUT);
    let model = config
        .model
        .clone()
        .unwrap_or_else(|| options.model.clone());
    let dimension = config.dimension.unwrap_or(options.dimension);
    options.with_model(model, dimension)
}

fn unusable(path: &Path, error: &source::SourceError) -> ConfigError {
    ConfigError::because(
        "KNOWLEDGE_PATH",
        format!("{:?}, which cannot be used ({error})", path.display()),
        "a folder of Markdown files, or a file of JSON lines",
    )
}
