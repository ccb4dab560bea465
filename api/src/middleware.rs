//! What every request passes through.

pub mod authentication;
pub mod request_context;
