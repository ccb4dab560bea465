//! What every request passes through.

pub mod authentication;
pub mod limits;
pub mod request_context;
