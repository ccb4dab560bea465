//! What every adapter of a port promises, as tests that run over each.

pub mod broker;
pub mod claims;
pub mod conversations;
pub mod replies;
