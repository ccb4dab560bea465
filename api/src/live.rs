//! Bodies that grow with a job's log: its events, and its answer as speech.

pub mod events;
pub mod speech;
