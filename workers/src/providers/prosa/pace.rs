//! When a reply is complete that nothing ends: the service leaves its connection open, and says nothing more.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::audio::pieces::Pieces;

/// Nobody speaks faster: four times as fast as people do. What is shorter is a part of the reply.
const SHORTEST_CHARACTER: Duration = Duration::from_millis(17);

/// A silence of this many times the longest one within a reply is its end.
const OF_THE_LONGEST: u32 = 3;

/// Supposed of a service of which nothing is known.
const FIRST_SILENCE: Duration = Duration::from_millis(130);

/// A machine under load takes some of it to read what has come.
const SHORTEST: Duration = Duration::from_millis(100);

/// How a service sends its replies, learned from those before.
pub(super) struct Pace(Mutex<Learned>);

struct Learned {
    /// The longest within a reply, those of long ago counting less.
    silence: Duration,
    /// It has gone on after a file that was complete.
    sends_several_files: bool,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Learned {
            silence: FIRST_SILENCE,
            sends_several_files: false,
        }))
    }

    /// How long to wait for more of the reply to a text of so many `characters`; `None` when more must come.
    ///
    /// A file that is as long as its header says is the whole reply, unless nobody could speak the text so fast, or the
    /// service is known to go on after such a file. Of other replies a silence is the end, a long one where the speech is
    /// too short for its text.
    pub(super) fn patience(
        &self,
        audio: &Pieces,
        characters: usize,
        silence: Duration,
        longest: Duration,
    ) -> Option<Duration> {
        if audio.is_empty() || audio.is_cut() {
            return None;
        }
        let learned = self.lock();
        let characters = u32::try_from(characters).unwrap_or(u32::MAX);
        let could_be_all = audio.duration() >= SHORTEST_CHARACTER.saturating_mul(characters);
        if audio.is_whole() && could_be_all && !learned.sends_several_files {
            return Some(Duration::ZERO);
        }
        let quiet = learned.silence.max(silence) * OF_THE_LONGEST;
        let quiet = match could_be_all {
            true => quiet.max(SHORTEST),
            false => 2 * quiet.max(SHORTEST),
        };
        Some(quiet.min(longest))
    }

    /// Of a reply that has come, and the longest silence in it.
    pub(super) fn learn(&self, audio: &Pieces, silence: Duration) {
        let mut learned = self.lock();
        learned.silence = silence.max(learned.silence * 7 / 8);
        learned.sends_several_files |= audio.went_on();
    }

    /// No code panics while holding the lock, so a poisoned one is still whole.
    fn lock(&self) -> MutexGuard<'_, Learned> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::wav::{self, Format};

    const FORMAT: Format = Format::mono16(8_000);
    const LONGEST: Duration = Duration::from_secs(2);

    /// A second, with the size that its header says.
    fn second(size: u32) -> Vec<u8> {
        let mut file = wav::write(FORMAT, &[0; 16_000]);
        file[40..44].copy_from_slice(&size.to_le_bytes());
        file
    }

    fn of(pieces: &[Vec<u8>]) -> Pieces {
        let mut audio = Pieces::up_to(1 << 20);
        for piece in pieces {
            audio.push(piece).unwrap();
        }
        audio
    }

    #[test]
    fn how_long_to_wait_follows_from_the_header_and_from_what_could_be_spoken() {
        let (whole, unknown, cut) = (second(16_000), second(u32::MAX), second(20_000));
        let several = vec![whole.clone(), whole.clone()];
        let short = Some(FIRST_SILENCE * OF_THE_LONGEST);
        let twice = short.map(|short| 2 * short);
        let of_one = |file: &Vec<u8>| vec![file.clone()];
        let cases = [
            ("nothing", vec![], 10, None),
            ("cut", of_one(&cut), 10, None),
            ("whole", of_one(&whole), 50, Some(Duration::ZERO)),
            ("whole, and a part", of_one(&whole), 100, twice),
            ("several", several, 50, short),
            ("unknown", of_one(&unknown), 50, short),
            ("unknown, and a part", of_one(&unknown), 100, twice),
        ];
        for (name, pieces, characters, expected) in cases {
            let silence = Duration::ZERO;
            let patience = Pace::new().patience(&of(&pieces), characters, silence, LONGEST);
            assert_eq!(patience, expected, "{name}");
        }
    }

    #[test]
    fn a_service_is_waited_for_as_its_replies_have_it() {
        let pace = Pace::new();
        let reply = of(&[second(u32::MAX)]);
        let patience = |silence| pace.patience(&reply, 10, silence, LONGEST).unwrap();
        let slow = Duration::from_millis(400);
        assert_eq!(patience(slow), OF_THE_LONGEST * slow, "within this one");
        pace.learn(&reply, slow);
        assert_eq!(patience(Duration::ZERO), OF_THE_LONGEST * slow);
        assert_eq!(patience(LONGEST), LONGEST);
        for _ in 0..50 {
            pace.learn(&reply, Duration::ZERO);
        }
        assert_eq!(patience(Duration::ZERO), SHORTEST);
    }

    #[test]
    fn who_sends_several_files_is_waited_for_after_each() {
        let pace = Pace::new();
        let file = || second(16_000);
        pace.learn(&of(&[file(), file()]), Duration::ZERO);
        let patience = pace.patience(&of(&[file()]), 10, Duration::ZERO, LONGEST);
        assert!(patience > Some(Duration::ZERO));
    }
}
