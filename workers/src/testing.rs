//! For tests alone: services that answer on the wire, and what to ask them about.

pub mod embedder;
pub mod passages;
pub mod qdrant;
pub mod questions;
