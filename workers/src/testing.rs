//! For tests alone: services that answer on the wire, and what to ask them about.

pub mod embedder;
pub mod forged;
pub mod passages;
pub mod prosa;
pub mod qdrant;
pub mod questions;
pub mod vendor;
