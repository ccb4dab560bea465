//! Embeddings.

use std::num::NonZeroUsize;

use async_trait::async_trait;
use common::config::Secret;
use serde_json::{Value, json};

use super::{Endpoint, EndpointError, Timeouts, connection::Connection};
use crate::{
    handler::StageError,
    providers::{Embedder, Purpose},
};

mod batches;
mod vectors;

pub use vectors::WRONG_DIMENSION;

/// The default model of OpenAI, and the length of its vectors
/// (<https://platform.openai.com/docs/guides/embeddings>).
const OPENAI_MODEL: (&str, usize) = ("text-embedding-3-large", 3_072);

/// The default model of OpenRouter, and the length of its vectors
/// (<https://huggingface.co/Qwen/Qwen3-Embedding-8B>).
const OPENROUTER_MODEL: (&str, usize) = ("qwen/qwen3-embedding-8b", 4_096);

/// The task that Qwen3's retrieval scores were measured with
/// (<https://huggingface.co/Qwen/Qwen3-Embedding-8B>).
const RETRIEVAL_TASK: &str =
    "Given a web search query, retrieve relevant passages that answer the query";

/// Settings of an embedding model.
#[derive(Clone, Debug)]
pub struct EmbeddingOptions {
    pub endpoint: Endpoint,
    /// As the service names it.
    pub model: String,
    /// Numbers of a vector.
    pub dimension: usize,
    pub sizing: Sizing,
    pub query_form: QueryForm,
    /// The most texts of one call.
    pub batch_texts: NonZeroUsize,
    /// The most characters of one call. A longer text has a call of its own.
    pub batch_characters: usize,
}

/// Who decides how long a vector is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sizing {
    /// The model has one length.
    Native,
    /// `dimensions` is sent, for models that can shorten their vectors
    /// (`text-embedding-3-*`, Qwen3).
    Requested,
}

/// How a query is written; passages are always embedded as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryForm {
    Plain,
    /// `Instruct: {task}\nQuery:{query}`, as Qwen3 learned it.
    Instructed {
        task: String,
    },
}

impl QueryForm {
    /// The form that `model` was made for, told by its name.
    pub fn of_model(model: &str) -> Self {
        match model.to_ascii_lowercase().contains("qwen3-embedding") {
            true => Self::Instructed {
                task: RETRIEVAL_TASK.to_owned(),
            },
            false => Self::Plain,
        }
    }

    fn write(&self, query: &str) -> String {
        match self {
            Self::Plain => query.to_owned(),
            Self::Instructed { task } => format!("Instruct: {task}\nQuery:{query}"),
        }
    }
}

impl EmbeddingOptions {
    /// [`OPENROUTER`](super::OPENROUTER) with `qwen/qwen3-embedding-8b`.
    pub fn openrouter(key: Secret) -> Self {
        let (model, dimension) = OPENROUTER_MODEL;
        Self::new(Endpoint::openrouter(key), model, dimension)
    }

    /// [`OPENAI`](super::OPENAI) with `text-embedding-3-large`.
    pub fn openai(key: Secret) -> Self {
        let (model, dimension) = OPENAI_MODEL;
        Self::new(Endpoint::openai(key), model, dimension)
    }

    /// Any other service; a local one often wants no key.
    pub fn custom(
        base_url: impl Into<String>,
        model: impl Into<String>,
        dimension: usize,
        key: Option<Secret>,
    ) -> Self {
        Self::new(Endpoint::custom(base_url, key), model, dimension)
    }

    /// The same service with another model, or other vectors of its default
    /// one, which are then asked for.
    #[must_use]
    pub fn with_model(self, model: impl Into<String>, dimension: usize) -> Self {
        let model = model.into();
        let is_shortened = model == self.model && dimension != self.dimension;
        Self {
            query_form: QueryForm::of_model(&model),
            sizing: match is_shortened {
                true => Sizing::Requested,
                false => self.sizing,
            },
            model,
            dimension,
            ..self
        }
    }

    fn new(mut endpoint: Endpoint, model: impl Into<String>, dimension: usize) -> Self {
        let model = model.into();
        // Vectors come all at once, after a silence.
        endpoint.timeouts = Timeouts::patient(endpoint.timeouts.whole);
        Self {
            endpoint,
            dimension,
            sizing: Sizing::Native,
            query_form: QueryForm::of_model(&model),
            model,
            batch_texts: NonZeroUsize::new(64).expect("64 is not zero"),
            // About 25,000 tokens; OpenAI takes 300,000 in one call, servers
            // nearby take less.
            batch_characters: 100_000,
        }
    }
}

/// An embedding model of an OpenAI-compatible service.
///
/// Texts go in batches, one after the other; each call has the whole of
/// [`Timeouts`]. A failure of one is the failure of all, with the codes of
/// [`failure`](crate::providers::failure) or [`WRONG_DIMENSION`].
pub struct OpenAiEmbeddings {
    connection: Connection,
    options: EmbeddingOptions,
}

impl OpenAiEmbeddings {
    /// Connects with the first call.
    ///
    /// # Errors
    ///
    /// The endpoint cannot be called, as a setting of it is wrong.
    pub fn new(options: EmbeddingOptions) -> Result<Self, EndpointError> {
        Ok(Self {
            connection: Connection::new(&options.endpoint, &["embeddings"])?,
            options,
        })
    }

    fn written(&self, text: &str, purpose: Purpose) -> String {
        // OpenAI refuses a whole call for one empty text.
        let text = if text.is_empty() { " " } else { text };
        match purpose {
            Purpose::Query => self.options.query_form.write(text),
            Purpose::Passage => text.to_owned(),
        }
    }

    async fn embed_batch(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>, StageError> {
        let expected = vectors::Expected {
            count: texts.len(),
            dimension: self.options.dimension,
        };
        let request = self.request(&texts);
        let body = self.connection.post(&request, texts).await?;
        let mut body = body.of_at_most(expected.longest_answer());
        let bytes = body.rest().await?;
        vectors::read(&bytes, &expected, body.call())
    }

    fn request(&self, texts: &[String]) -> Value {
        let mut request = json!({
            "model": self.options.model,
            "input": texts,
            "encoding_format": "float",
        });
        if self.options.sizing == Sizing::Requested {
            request["dimensions"] = json!(self.options.dimension);
        }
        request
    }
}

#[async_trait]
impl Embedder for OpenAiEmbeddings {
    async fn embed(&self, texts: &[String], purpose: Purpose) -> Result<Vec<Vec<f32>>, StageError> {
        let written: Vec<String> = texts
            .iter()
            .map(|text| self.written(text, purpose))
            .collect();
        let limits = batches::Limits {
            texts: self.options.batch_texts,
            characters: self.options.batch_characters,
        };
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in batches::split(written, &limits) {
            vectors.extend(self.embed_batch(batch).await?);
        }
        Ok(vectors)
    }

    fn dimension(&self) -> usize {
        self.options.dimension
    }

    fn model(&self) -> &str {
        &self.options.model
    }
}
