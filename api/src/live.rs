//! Bodies that are made while they are sent: the events of a job and its answer
//! as speech, which grow with its log, and speech that is kept.

pub mod download;
pub mod events;
pub mod speech;
