//! Words and letters: the table of readings, spelling, degrees.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::cardinal;
use super::reader::{Before, Kind, Reading};
use super::roman;

/// Names of the letters, from A, in the spelling that the voice reads rightly.
const LETTERS: [&str; 26] = [
    "a", "be", "ce", "de", "e", "ef", "ge", "ha", "i", "je", "ka", "el", "em", "en", "o", "pe",
    "ki", "er", "es", "te", "u", "fe", "we", "eks", "ye", "zet",
];
/// Longer runs of letters are never looked up or spelled.
const LONGEST: usize = 24;
const SUFFIXES: [&str; 6] = ["nya", "ku", "mu", "lah", "kah", "pun"];

static READINGS: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| {
    let lines = include_str!("data/words.tsv").lines();
    lines
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('\t'))
        .collect()
});

static ORDINARY: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let lines = include_str!("data/ordinary.txt").lines();
    lines
        .filter(|line| !line.starts_with('#'))
        .flat_map(str::split_whitespace)
        .collect()
});

/// A word at the start of `rest`.
pub(super) fn read(rest: &str, before: &Before) -> Option<Reading> {
    let run = letters(rest);
    if run.is_empty() {
        return None;
    }
    let (words, kind) = say(run, &before.word);
    Some(Reading::new(run.len(), words, kind))
}

/// "S1", "S-2", "D-III": the degrees.
pub(super) fn degree(rest: &str) -> Option<Reading> {
    let letter = rest
        .chars()
        .next()
        .filter(|c| matches!(c, 'S' | 'D' | 's' | 'd'))?;
    let after = rest[1..].strip_prefix('-').unwrap_or(&rest[1..]);
    let length = after
        .bytes()
        .take(5)
        .take_while(u8::is_ascii_alphanumeric)
        .count();
    let text = &after[..length];
    let level = text
        .parse()
        .ok()
        .or_else(|| roman::value(text))
        .filter(|n| (1..=4).contains(n))?;
    // "DI" is a word in capitals, "D-I" a degree.
    let hyphenated = letter.is_ascii_uppercase() && rest[1..].starts_with('-');
    let surely = hyphenated || text.starts_with(|c: char| c.is_ascii_digit());
    let ends = !after[length..].starts_with(char::is_alphanumeric);
    let words = format!(
        "{} {}",
        spell(letter.encode_utf8(&mut [0; 4])),
        cardinal::say(level)
    );
    let read = rest.len() - after.len() + length;
    (surely && ends).then(|| Reading::new(read, words, Kind::Spelled))
}

/// "B.J." and "B. Habibie": letters with dots.
pub(super) fn initials(rest: &str, before: &Before) -> Option<Reading> {
    let bytes = rest.as_bytes();
    let mut end = 0;
    while let [letter, b'.', ..] = bytes[end..] {
        if !letter.is_ascii_uppercase() || end >= LONGEST {
            break;
        }
        end += 2;
    }
    let after = rest[end..].trim_start_matches(' ');
    let is_numeral = roman::value_after(rest.get(..1)?, &before.word).is_some();
    if is_numeral && end == 2 {
        return None;
    }
    let name_follows = after.starts_with(char::is_uppercase);
    // A single letter at the end of a sentence keeps its stop.
    let length = if end == 2 && !name_follows { 1 } else { end };
    (end > 0).then(|| Reading::new(length, spell(&rest[..end]), Kind::Spelled))
}

/// Letters, with apostrophes inside: "Jum'at".
fn letters(rest: &str) -> &str {
    let is_part = |index: usize, c: char| {
        c.is_alphabetic()
            || c == '\'' && index > 0 && rest[index + 1..].starts_with(char::is_alphabetic)
    };
    let end = rest.char_indices().find(|(index, c)| !is_part(*index, *c));
    &rest[..end.map_or(rest.len(), |(index, _)| index)]
}

/// How a run of letters is said after `previous` (in lower case).
pub(super) fn say(run: &str, previous: &str) -> (String, Kind) {
    if run.len() > LONGEST || !run.is_ascii() {
        return (run.to_owned(), Kind::Word);
    }
    if let Some(known) = known(run) {
        return known;
    }
    if let Some(number) = roman::value_after(run, previous) {
        return (cardinal::say(number), Kind::Number);
    }
    if run.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return capitals(run);
    }
    if let Some((stem, suffix)) = suffixed(run) {
        let stem = known(stem).unwrap_or_else(|| capitals(stem)).0;
        return (
            format!(
                "{stem}{}{suffix}",
                if stem.contains(' ') { " " } else { "" }
            ),
            Kind::Spelled,
        );
    }
    if run.len() <= 4 && !has_vowel(run) {
        return (spell(run), Kind::Spelled);
    }
    (run.to_owned(), Kind::Word)
}

fn known(run: &str) -> Option<(String, Kind)> {
    let reading = READINGS
        .get(run)
        .or_else(|| READINGS.get(run.to_lowercase().as_str()))?;
    Some(match *reading {
        "*" => (spell(run), Kind::Spelled),
        reading if run.bytes().all(|byte| byte.is_ascii_uppercase()) => {
            (reading.to_owned(), Kind::Spelled)
        }
        reading => (reading.to_owned(), Kind::Word),
    })
}

/// "UKTnya": an abbreviation with an ending.
fn suffixed(run: &str) -> Option<(&str, &str)> {
    let split = SUFFIXES
        .iter()
        .find_map(|suffix| Some((run.strip_suffix(suffix)?, *suffix)));
    split.filter(|(stem, _)| stem.len() >= 2 && stem.bytes().all(|byte| byte.is_ascii_uppercase()))
}

/// Capitals are a word if they are one or can be said as one.
fn capitals(run: &str) -> (String, Kind) {
    let lower = run.to_ascii_lowercase();
    let is_word = ORDINARY.contains(lower.as_str()) || run.len() >= 4 && is_pronounceable(&lower);
    if is_word || run.len() > 7 {
        return (lower, Kind::Word);
    }
    (spell(run), Kind::Spelled)
}

/// Whether a word could be Indonesian by its shape: vowels in it, at most two
/// consonants together, one at the end; "ng", "ny", "sy" and "kh" count as one.
fn is_pronounceable(lower: &str) -> bool {
    let mut folded = lower.replace("ng", "n");
    for (pair, single) in [("ny", "n"), ("sy", "s"), ("kh", "k"), ("str", "sr")] {
        folded = folded.replace(pair, single);
    }
    let clusters: Vec<usize> = folded.split(is_vowel).map(str::len).collect();
    let edge = clusters.last().is_some_and(|last| *last <= 1);
    let start_is_light =
        clusters[0] <= 1 || folded.as_bytes().get(1).is_some_and(|c| b"lry".contains(c));
    clusters.len() > 2 && edge && start_is_light && clusters.iter().all(|length| *length <= 2)
}

fn is_vowel(c: char) -> bool {
    matches!(c.to_ascii_lowercase(), 'a' | 'e' | 'i' | 'o' | 'u')
}

fn has_vowel(run: &str) -> bool {
    run.contains(is_vowel)
}

/// The names of the ASCII letters of `text`.
pub(super) fn spell(text: &str) -> String {
    let letters = text.bytes().filter(u8::is_ascii_alphabetic);
    let names = letters.map(|byte| LETTERS[usize::from(byte.to_ascii_lowercase() - b'a')]);
    names.collect::<Vec<_>>().join(" ")
}
