//! Which of the jobs that wait for the same stage goes first.
//!
//! Each stage has a line for either priority. A line is first in, first out, so
//! that who floods one of them delays nobody who waits in the other; and neither
//! starves the other ([`Precedence`]).

use serde::{Deserialize, Serialize};
use strum::{AsRefStr, Display, EnumString, VariantArray};
use utoipa::ToSchema;

#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    AsRefStr,
    Display,
    EnumString,
    VariantArray,
    ToSchema,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Priority {
    /// Somebody waits for the answer.
    #[default]
    Interactive,
    /// The answer is fetched at leisure, or its tenant has more than its share
    /// under way.
    Batch,
}

impl Priority {
    pub const ALL: &'static [Self] = Self::VARIANTS;

    pub fn is_interactive(&self) -> bool {
        *self == Self::Interactive
    }

    pub(crate) fn other(self) -> Self {
        match self {
            Self::Interactive => Self::Batch,
            Self::Batch => Self::Interactive,
        }
    }
}

/// Interactive messages that a consumer takes in a row while others wait.
const IN_A_ROW: u8 = 4;

/// Whose turn it is at one consumer, when messages of both priorities wait.
#[derive(Debug, Default)]
pub(crate) struct Precedence {
    interactive: u8,
}

impl Precedence {
    /// The priority to look for first.
    pub fn first(&self) -> Priority {
        if self.interactive < IN_A_ROW {
            Priority::Interactive
        } else {
            Priority::Batch
        }
    }

    pub fn took(&mut self, priority: Priority) {
        self.interactive = match priority {
            Priority::Interactive => self.interactive.saturating_add(1),
            Priority::Batch => 0,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is taken, as a letter each, of `interactive` and `batch` messages
    /// that wait.
    fn taken(mut interactive: usize, mut batch: usize) -> String {
        let mut precedence = Precedence::default();
        let mut order = String::new();
        while interactive + batch > 0 {
            let first = precedence.first();
            let there = |priority| match priority {
                Priority::Interactive => interactive > 0,
                Priority::Batch => batch > 0,
            };
            let priority = if there(first) { first } else { first.other() };
            precedence.took(priority);
            match priority {
                Priority::Interactive => interactive -= 1,
                Priority::Batch => batch -= 1,
            }
            order.push(priority.as_ref().as_bytes()[0].into());
        }
        order
    }

    #[test]
    fn interactive_messages_go_first_and_starve_no_others() {
        for (interactive, batch, order) in [
            (3, 3, "iiibbb"),
            (9, 2, "iiiibiiiibi"),
            (0, 2, "bb"),
            (6, 0, "iiiiii"),
        ] {
            assert_eq!(taken(interactive, batch), order);
        }
    }
}
