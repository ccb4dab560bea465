//! For tests alone: private servers, the contract suites of the ports, messages
//! to put through them, and inputs made up by chance.

pub mod contracts;
pub mod fixtures;
pub mod fuzz;
pub mod growth;
pub mod mutate;
pub mod process;
pub mod servers;
pub mod stored;
