//! What every adapter of a port promises, as tests that run over each.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

pub mod broker;
pub mod claims;
pub mod conversations;
pub mod erasures;
pub mod idempotency;
pub mod outbox;
pub mod quotas;
pub mod replies;
pub mod resumptions;
pub mod stores;
