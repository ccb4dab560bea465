//! Language models.

use std::{num::NonZeroU32, sync::Arc};

use async_trait::async_trait;
use common::config::Secret;
use serde_json::{Map, Value, json};

use super::{Endpoint, EndpointError, connection::Connection};
use crate::{
    handler::StageError,
    providers::{ChatMessage, ChatModel, ChatRole, Completion},
};
use decoder::Decoder;
use thoughts::Habit;

mod chunk;
mod decoder;
mod events;
mod stream;
mod thoughts;

pub use thoughts::ThoughtStyle;

/// The default model of OpenRouter.
const OPENROUTER_MODEL: &str = "qwen/qwen3-235b-a22b";

/// The default model of OpenAI.
const OPENAI_MODEL: &str = "gpt-4o-mini";

/// Tokens of an answer: a spoken one has some hundreds, but thoughts count
/// too, and a bound that they use up leaves no answer.
const DEFAULT_TOKENS: NonZeroU32 = NonZeroU32::new(4_096).expect("4,096 is not zero");

/// Settings of a language model.
#[derive(Clone, Debug)]
pub struct ChatOptions {
    pub endpoint: Endpoint,
    /// As the service names it.
    pub model: String,
    /// The most tokens that it may write, thoughts included.
    pub token_limit: TokenLimit,
    /// `None` leaves it out: some models accept none but their own.
    pub temperature: Option<f32>,
    pub thought_style: ThoughtStyle,
    /// More fields of the request, which win over ours. Thoughts are switched
    /// off by `{"reasoning": {"enabled": false}}` at OpenRouter and by
    /// `{"chat_template_kwargs": {"enable_thinking": false}}` with vLLM.
    pub more: Map<String, Value>,
}

/// A bound of tokens, under the name that the service has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenLimit {
    /// `max_tokens`, which all but OpenAI's newer models know.
    MaxTokens(NonZeroU32),
    /// `max_completion_tokens`, OpenAI's name for it since 2024.
    MaxCompletionTokens(NonZeroU32),
}

impl ChatOptions {
    /// [`OPENROUTER`](super::OPENROUTER) with `qwen/qwen3-235b-a22b`.
    pub fn openrouter(key: Secret) -> Self {
        Self::new(Endpoint::openrouter(key), OPENROUTER_MODEL)
    }

    /// [`OPENAI`](super::OPENAI) with `gpt-4o-mini`.
    pub fn openai(key: Secret) -> Self {
        Self {
            token_limit: TokenLimit::MaxCompletionTokens(DEFAULT_TOKENS),
            ..Self::new(Endpoint::openai(key), OPENAI_MODEL)
        }
    }

    /// Any other service; a local one often wants no key.
    pub fn custom(
        base_url: impl Into<String>,
        model: impl Into<String>,
        key: Option<Secret>,
    ) -> Self {
        Self::new(Endpoint::custom(base_url, key), model)
    }

    fn new(endpoint: Endpoint, model: impl Into<String>) -> Self {
        Self {
            endpoint,
            model: model.into(),
            token_limit: TokenLimit::MaxTokens(DEFAULT_TOKENS),
            temperature: Some(0.0),
            thought_style: ThoughtStyle::default(),
            more: Map::new(),
        }
    }
}

/// A language model of an OpenAI-compatible service, streamed.
///
/// A completion fails with the codes of [`failure`](crate::providers::failure).
/// It counts as whole when the service says why it ended or that it is done; a
/// stream that simply stops has failed. Text may have been handed on before.
pub struct OpenAiChat {
    connection: Connection,
    options: ChatOptions,
    habit: Arc<Habit>,
}

impl OpenAiChat {
    /// Connects with the first completion.
    ///
    /// # Errors
    ///
    /// The endpoint cannot be called, as a setting of it is wrong.
    pub fn new(options: ChatOptions) -> Result<Self, EndpointError> {
        Ok(Self {
            connection: Connection::new(&options.endpoint, &["chat", "completions"])?,
            habit: Arc::new(Habit::new(options.thought_style)),
            options,
        })
    }

    fn request(&self, messages: &[ChatMessage]) -> Value {
        let messages: Vec<Value> = messages
            .iter()
            .map(|message| json!({"role": role(message.role), "content": message.content}))
            .collect();
        let (limit_field, limit) = match self.options.token_limit {
            TokenLimit::MaxTokens(limit) => ("max_tokens", limit),
            TokenLimit::MaxCompletionTokens(limit) => ("max_completion_tokens", limit),
        };
        let mut request = Map::new();
        request.insert("model".into(), json!(self.options.model));
        request.insert("messages".into(), json!(messages));
        request.insert("stream".into(), json!(true));
        request.insert("stream_options".into(), json!({"include_usage": true}));
        request.insert(limit_field.into(), json!(limit));
        if let Some(temperature) = self.options.temperature {
            request.insert("temperature".into(), json!(temperature));
        }
        request.extend(self.options.more.clone());
        Value::Object(request)
    }
}

fn role(role: ChatRole) -> &'static str {
    match role {
        ChatRole::System => "system",
        ChatRole::User => "user",
        ChatRole::Assistant => "assistant",
    }
}

#[async_trait]
impl ChatModel for OpenAiChat {
    async fn complete(&self, messages: &[ChatMessage]) -> Result<Completion, StageError> {
        let asked = messages.iter().map(|message| message.content.clone());
        let body = self
            .connection
            .post(&self.request(messages), asked.collect())
            .await?;
        let decoder = Decoder::new(Arc::clone(&self.habit));
        Ok(stream::stream(body, decoder))
    }

    fn name(&self) -> &str {
        self.connection.name()
    }

    fn token_limit(&self) -> u64 {
        let (TokenLimit::MaxTokens(limit) | TokenLimit::MaxCompletionTokens(limit)) =
            self.options.token_limit;
        limit.get().into()
    }
}
