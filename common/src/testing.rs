//! For tests alone: private servers, the contract suites of the ports, and
//! messages to put through them.

pub mod contracts;
pub mod fixtures;
pub mod process;
pub mod servers;
