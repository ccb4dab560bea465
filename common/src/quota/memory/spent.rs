//! What was used in a day.

use std::collections::HashMap;

use super::super::Usage;
use crate::time::whole_millis;

#[derive(Default)]
pub struct Spent {
    /// Since the epoch.
    day: u64,
    pub tokens: u64,
    pub audio_ms: u64,
    /// What is counted, and the day on which it was.
    counted: HashMap<String, u64>,
}

impl Spent {
    pub fn is_nothing(&self) -> bool {
        self.counted.is_empty()
    }

    /// A new day begins with nothing spent. What was counted the day before is
    /// known for one more, since a job may run past midnight.
    pub fn begin(&mut self, day: u64) {
        if self.day == day {
            return;
        }
        self.counted.retain(|_, counted_on| *counted_on + 1 >= day);
        (self.day, self.tokens, self.audio_ms) = (day, 0, 0);
    }

    pub fn add(&mut self, day: u64, id: &str, used: Usage) {
        self.begin(day);
        if self.counted.insert(id.to_owned(), day).is_none() {
            self.tokens = self.tokens.saturating_add(used.tokens);
            self.audio_ms = self.audio_ms.saturating_add(whole_millis(used.audio));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_told_again_after_midnight_is_counted_on_its_day_alone() {
        let mut spent = Spent::default();
        let used = Usage {
            tokens: 10,
            audio: Duration::from_secs(1),
        };
        spent.add(20_000, "first", used);
        assert_eq!((spent.tokens, spent.audio_ms), (10, 1_000));
        spent.add(20_001, "first", used);
        assert_eq!((spent.tokens, spent.audio_ms), (0, 0));
        spent.add(20_001, "second", used);
        assert_eq!((spent.tokens, spent.audio_ms), (10, 1_000));
        spent.begin(20_003);
        assert!(spent.counted.is_empty());
    }
}
