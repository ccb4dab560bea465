//! The stages of the pipeline, and what they work with.
//!
//! A stage ([`stages`]) is code between a turn and a richer turn. It calls
//! providers ([`providers`]) and the knowledge base ([`knowledge`]) through
//! ports, and knows nothing of queues: the [`runner`] takes the messages, and
//! carries out what [`settlement`] decides.

pub mod audio;
pub mod blocking;
mod child;
pub mod config;
pub mod eval;
#[cfg(test)]
mod growth;
pub mod handler;
pub mod health;
pub mod kit;
pub mod knowledge;
pub mod meter;
pub mod narration;
pub mod pool;
pub mod program;
pub mod providers;
pub mod provision;
pub mod query;
pub mod recording;
mod relay;
pub mod retrieval;
pub mod runner;
#[cfg(debug_assertions)]
mod sabotage;
pub mod sentences;
pub mod settlement;
pub mod shares;
pub mod slots;
pub mod speakable;
pub mod stages;
pub mod telling;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
