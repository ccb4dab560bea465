//! What every request passes through.

pub mod authentication;
pub mod cors;
pub mod hosts;
pub mod limits;
pub mod panics;
pub mod request_context;
pub mod security_headers;
