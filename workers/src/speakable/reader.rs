//! The pass over the prose: at each place the first reading that fits is said.

use super::abbreviations::{self, Place};
use super::spoken::Spoken;
use super::{clock, dates, money, phone, quantity, symbols, web, words};

/// What was read last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Kind {
    #[default]
    Other,
    Word,
    /// Letters by their names.
    Spelled,
    Number,
    Time,
}

/// What stands before the place that is read.
#[derive(Debug, Default)]
pub(super) struct Before {
    pub(super) kind: Kind,
    /// The last word as written, in lower case; marks between do not matter.
    pub(super) word: String,
    /// No space since the last reading.
    pub(super) glued: bool,
    /// The place begins a word: after a space, a bracket or nothing.
    fresh: bool,
}

impl Before {
    pub(super) fn is_glued_number(&self) -> bool {
        self.glued && self.kind == Kind::Number
    }
}

/// A piece of the text, how long it is and how it is said.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// Bytes of the text, never 0.
    pub(super) length: usize,
    pub(super) words: String,
    pub(super) kind: Kind,
    pub(super) pause: Option<char>,
    pub(super) open: bool,
    pub(super) close: bool,
    pub(super) hyphen: bool,
}

impl Reading {
    pub(super) fn new(length: usize, words: impl Into<String>, kind: Kind) -> Self {
        Self {
            length,
            words: words.into(),
            kind,
            ..Self::default()
        }
    }

    pub(super) fn pause(length: usize, mark: char) -> Self {
        Self {
            pause: Some(mark),
            ..Self::new(length, "", Kind::Other)
        }
    }
}

/// The longest word that is remembered for the readings after it.
const REMEMBERED: usize = 16;

pub(super) fn read(prose: &str) -> String {
    let mut spoken = Spoken::default();
    let mut before = Before {
        fresh: true,
        ..Before::default()
    };
    let mut rest = prose;
    while let Some(c) = rest.chars().next() {
        if c.is_whitespace() {
            before.glued = false;
            before.fresh = true;
            rest = &rest[c.len_utf8()..];
            continue;
        }
        let reading = next(rest, c, &before);
        let (text, after) = rest.split_at(reading.length.clamp(c.len_utf8(), rest.len()));
        say(&reading, &mut spoken);
        remember(&mut before, text, &reading);
        rest = after;
    }
    spoken.finish()
}

fn next(rest: &str, c: char, before: &Before) -> Reading {
    let address = || before.fresh.then(|| web::read(rest)).flatten();
    let sum = || {
        (!before.glued || before.kind != Kind::Word)
            .then(|| money::read(rest))
            .flatten()
    };
    let reading = match c {
        '0'..='9' | '+' | '-' | '(' => address().or_else(|| figure(rest, c, before)),
        _ if c.is_alphabetic() => address()
            .or_else(sum)
            .or_else(|| {
                (!before.glued || before.kind != Kind::Word)
                    .then(|| lettered(rest, before))
                    .flatten()
            })
            .or_else(|| words::read(rest, before)),
        _ => address().or_else(sum),
    };
    reading.unwrap_or_else(|| symbols::read(rest, before))
}

fn figure(rest: &str, c: char, before: &Before) -> Option<Reading> {
    let code = before.glued && matches!(before.kind, Kind::Word | Kind::Spelled);
    let special = || {
        dates::read(rest)
            .or_else(|| phone::read(rest, before))
            .or_else(|| clock::read(rest, before))
    };
    let reading = if code || (c == '-' && before.glued) {
        None
    } else {
        special()
    };
    reading.or_else(|| (c != '(').then(|| quantity::read(rest, before)).flatten())
}

fn lettered(rest: &str, before: &Before) -> Option<Reading> {
    quantity::ordinal(rest)
        .or_else(|| abbreviation(rest))
        .or_else(|| words::degree(rest))
        .or_else(|| words::initials(rest, before))
}

fn abbreviation(rest: &str) -> Option<Reading> {
    let (found, length) = abbreviations::at_start(rest)?;
    let after = rest[length..].trim_start();
    let ends = found.place == Place::MayEndSentence
        && (after.is_empty() || after.starts_with(char::is_uppercase));
    let pause = ends.then_some('.');
    Some(Reading {
        pause,
        ..Reading::new(length, found.reading, Kind::Other)
    })
}

fn say(reading: &Reading, spoken: &mut Spoken) {
    if reading.open {
        spoken.open();
    }
    spoken.word(&reading.words);
    if let Some(mark) = reading.pause {
        spoken.pause(mark);
    }
    if reading.close {
        spoken.close();
    }
    if reading.hyphen {
        spoken.hyphen();
    }
}

fn remember(before: &mut Before, text: &str, reading: &Reading) {
    let silent = reading.words.is_empty() && !reading.hyphen;
    // "8 – 14": the range is seen across the space.
    before.kind = reading.kind;
    before.glued = !(silent && reading.pause.is_some());
    before.fresh = reading.open || silent && reading.kind == Kind::Other;
    if text.starts_with(char::is_alphabetic) {
        before.word.clear();
        before.word.extend(
            text.trim_end_matches('.')
                .chars()
                .take(REMEMBERED)
                .flat_map(char::to_lowercase),
        );
    } else if reading.words == "sampai" {
        "sampai".clone_into(&mut before.word);
    } else if !silent {
        before.word.clear();
    }
}
