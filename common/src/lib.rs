//! The contract between the processes of the assistant.
//!
//! A thing lives here only if two programs must agree on it: the message and
//! its route, the queues, the log of a job, the place where audio is kept, the
//! conversation, what each caller may use, and the connections to them. Each is a port (a trait in
//! `foo.rs`) with adapters below it (`foo/memory.rs`, `foo/redis.rs`, …) that
//! one contract suite holds to the same promises.
//!
//! Deliberately absent: HTTP types, vendor clients, prompts and audio codecs.

pub mod api_key;
pub mod backends;
pub mod broker;
pub mod callback;
pub mod claim_check;
pub mod config;
pub mod conversation;
pub mod envelope;
pub mod erasure;
pub mod feedback;
pub mod follow_up;
pub mod idempotency;
pub mod ids;
pub mod job;
mod line;
pub mod outbox;
pub mod pipeline;
pub mod priority;
pub mod quota;
mod redis_link;
pub mod render;
pub mod reply;
pub mod retry;
pub mod shutdown;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;
pub mod turn;
pub mod web_address;
