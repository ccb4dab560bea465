//! What clients read: the JSON of a job, which callbacks have too, and the
//! stream of its events.

pub use common::render::*;

pub mod events;
