//! Language models and embeddings over any service that speaks the API of
//! OpenAI: OpenRouter, OpenAI itself, and Ollama, vLLM or llama.cpp nearby.
//!
//! An answer is read as what it is, not as what its headers say, because these
//! services differ: some report failures with status 200, some answer a
//! streamed request in one piece, gateways answer with HTML. Each such answer
//! ends in a typed error or a completion, within the [`Timeouts`] and within a
//! bound of bytes.
//!
//! Deliberately absent: retries and fallbacks, which are decided above the
//! ports, and every part of the API that the pipeline does not use (tools,
//! images, several choices).

mod body;
mod call;
mod censor;
mod chat;
mod complaint;
mod connection;
mod embeddings;
mod endpoint;

#[cfg(test)]
mod tests;

pub use chat::{ChatOptions, OpenAiChat, ThoughtStyle, TokenLimit};
pub use embeddings::{EmbeddingOptions, OpenAiEmbeddings, QueryForm, Sizing, WRONG_DIMENSION};
pub use endpoint::{Endpoint, EndpointError, OPENAI, OPENROUTER, Timeouts};
