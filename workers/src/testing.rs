//! For tests alone: what to keep, find and ask about.

pub mod passages;
