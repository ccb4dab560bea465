//! For tests alone: services that need no model, and what to ask them about.

pub mod embedder;
pub mod passages;
