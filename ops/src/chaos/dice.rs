//! Chance that can be repeated: the same seed gives the same throws, on every
//! machine and with every version of the compiler.

use std::time::Duration;

/// SplitMix64 (Steele, Lea, Flood, *Fast splittable pseudorandom number
/// generators*, 2014): ten lines, and good enough to break things by.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Of their own for each `purpose`, so that one who throws more often
    /// changes nothing for the others.
    pub fn for_purpose(seed: u64, purpose: &str) -> Self {
        let mut dice = Self(seed);
        for byte in purpose.bytes() {
            dice.0 = dice.next() ^ u64::from(byte);
        }
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to `sides` - 1.
    pub fn below(&mut self, sides: usize) -> usize {
        let sides = u64::try_from(sides.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.next() % sides).unwrap_or(0)
    }

    pub fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    pub fn millis(&mut self, from: u64, to: u64) -> Duration {
        let range = to.saturating_sub(from) + 1;
        Duration::from_millis(from + self.next() % range)
    }

    /// One of `choices`, each as likely as its weight.
    pub fn weighted<'a, T>(&mut self, choices: &'a [(T, usize)]) -> &'a T {
        let all = choices.iter().map(|(_, weight)| weight).sum();
        let mut thrown = self.below(all);
        for (choice, weight) in choices {
            if thrown < *weight {
                return choice;
            }
            thrown -= weight;
        }
        &choices[0].0
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_throws_and_another_purpose_others() {
        let throws = |seed, purpose| {
            let mut dice = Dice::for_purpose(seed, purpose);
            (0..20).map(|_| dice.below(1_000)).collect::<Vec<_>>()
        };
        assert_eq!(throws(7, "a"), throws(7, "a"));
        assert_ne!(throws(7, "a"), throws(8, "a"));
        assert_ne!(throws(7, "a"), throws(7, "b"));
    }

    #[test]
    fn a_choice_is_as_likely_as_its_weight() {
        let mut dice = Dice::for_purpose(1, "weights");
        let choices = [("never", 0), ("often", 9), ("seldom", 1)];
        let thrown: Vec<_> = (0..1_000).map(|_| *dice.weighted(&choices)).collect();
        let count = |name| thrown.iter().filter(|it| **it == name).count();
        assert_eq!(count("never"), 0);
        assert!((60..=140).contains(&count("seldom")), "{}", count("seldom"));
    }

    #[test]
    fn times_stay_within_their_bounds() {
        let mut dice = Dice::for_purpose(1, "times");
        let times: Vec<_> = (0..1_000).map(|_| dice.millis(5, 8).as_millis()).collect();
        assert_eq!(times.iter().min(), Some(&5));
        assert_eq!(times.iter().max(), Some(&8));
    }
}
