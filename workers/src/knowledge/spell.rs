//! A state that is told of when it begins and when it ends, not each time it is met.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether something is wrong just now.
#[derive(Debug, Default)]
pub struct Spell(AtomicBool);

impl Spell {
    /// Notes that it is so; true when it was not so before.
    pub fn begins(&self) -> bool {
        !self.0.swap(true, Ordering::Relaxed)
    }

    /// Notes that it is no longer so; true when it was so before.
    pub fn ends(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_spell_begins_and_ends_once() {
        let spell = Spell::default();
        let met = [
            spell.ends(),
            spell.begins(),
            spell.begins(),
            spell.ends(),
            spell.ends(),
        ];
        assert_eq!(met, [false, true, false, true, false]);
        assert!(spell.begins());
    }
}
