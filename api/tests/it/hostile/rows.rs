//! The table of hostile requests, by what is wrong with them.

mod addresses;
mod bodies;
mod callbacks;
mod forms;
mod heads;
mod others;

use super::{Row, Victim, row};

pub fn all(victim: &Victim) -> Vec<Row> {
    [
        heads::rows(),
        addresses::rows(victim),
        bodies::rows(),
        forms::rows(),
        callbacks::rows(),
        others::rows(victim),
    ]
    .into_iter()
    .flatten()
    .collect()
}
