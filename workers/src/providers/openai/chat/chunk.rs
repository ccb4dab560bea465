//! A completion, or a piece of one, as it is on the wire
//! (<https://platform.openai.com/docs/api-reference/chat-streaming>).
//!
//! Read leniently: fields that are not needed may have any shape.

use common::turn::TokenUsage;
use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
pub(super) struct Chunk {
    choices: Option<Vec<Choice>>,
    usage: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    /// Of a piece.
    delta: Option<Message>,
    /// Of a completion in one piece.
    message: Option<Message>,
    finish_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Message {
    content: Option<Content>,
    /// Thoughts, as DeepSeek and vLLM write them.
    reasoning_content: Option<Value>,
    /// The same, as OpenRouter and Ollama do.
    reasoning: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    /// Mistral's reasoning models write parts, thoughts among them.
    Parts(Vec<Part>),
}

#[derive(Debug, Deserialize)]
struct Part {
    r#type: Option<String>,
    text: Option<Value>,
}

/// Why there is no more text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FinishReason {
    Stop,
    /// The bound of tokens is reached.
    Length,
    ContentFilter,
    /// OpenRouter's word for a vendor that failed half-way.
    Error,
}

impl Chunk {
    /// The text of the first choice, without what is in fields for thoughts.
    pub(super) fn text(&self) -> String {
        let message = |choice: &Choice| -> Option<String> {
            let message = choice.delta.as_ref().or(choice.message.as_ref())?;
            Some(message.content.as_ref()?.text())
        };
        self.first().and_then(message).unwrap_or_default()
    }

    /// The thoughts of the first choice, in a field for them.
    pub(super) fn thoughts(&self) -> &str {
        let message = self
            .first()
            .and_then(|choice| choice.delta.as_ref().or(choice.message.as_ref()));
        let thoughts = message.and_then(|message| {
            let thoughts = message.reasoning_content.as_ref();
            thoughts.or(message.reasoning.as_ref())
        });
        thoughts.and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn finish_reason(&self) -> Option<FinishReason> {
        match self.first()?.finish_reason.as_deref()? {
            "" => None,
            "length" => Some(FinishReason::Length),
            "content_filter" => Some(FinishReason::ContentFilter),
            "error" => Some(FinishReason::Error),
            // `stop`, and words that only some vendors have.
            _ => Some(FinishReason::Stop),
        }
    }

    pub(super) fn usage(&self) -> Option<TokenUsage> {
        let count = |field| self.usage.as_ref()?.get(field)?.as_u64();
        let (input, output) = (count("prompt_tokens"), count("completion_tokens"));
        (input.is_some() || output.is_some()).then(|| TokenUsage {
            input_tokens: input.unwrap_or_default(),
            output_tokens: output.unwrap_or_default(),
        })
    }

    fn first(&self) -> Option<&Choice> {
        self.choices.as_ref()?.first()
    }
}

impl Content {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Parts(parts) => parts.iter().filter_map(Part::text).collect(),
        }
    }
}

impl Part {
    fn text(&self) -> Option<&str> {
        let is_text = self.r#type.as_deref().is_none_or(|kind| kind == "text");
        self.text.as_ref().filter(|_| is_text)?.as_str()
    }
}
