//! The front door: validates requests, submits jobs to the pipeline, and
//! renders what their reply logs say.

pub mod accept;
pub mod answers;
pub mod audio_format;
pub mod byte_budget;
pub mod byte_range;
pub mod callback;
pub mod client_address;
pub mod config;
pub mod embedded;
pub mod error;
pub mod gateway;
pub mod idempotency;
pub mod job_slot;
pub mod limiter;
pub mod live;
pub mod middleware;
pub mod new_turn;
pub mod openapi;
pub mod page;
pub mod prefer;
mod probe;
pub mod qdrant;
pub mod rate_limit_fields;
pub mod render;
pub mod routes;
pub mod serve;
pub mod state;
pub mod submission;
pub mod turned_away;
pub mod wav;

pub use common::job;
