//! Emotional words, and the words that turn, strengthen or weaken them.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::evidence::{Points, Words};
use super::tokens::{Token, tokens};
use common::turn::EmotionLabel;

use super::parse_label;

/// The longest phrase in the lists, in words.
const MAX_PHRASE: usize = 4;
/// A negation reaches over this many words: "tidak merasa terlalu senang".
const NEGATION_REACH: usize = 3;
const STRONGER: f32 = 1.5;
const WEAKER: f32 = 0.6;
/// "Apa bahayanya …?" asks about a feeling rather than showing one.
const ASKED_ABOUT: f32 = 0.45;
/// One exclamation mark; three count at most.
const EXCLAIMED: f32 = 0.15;
/// "?!" after anything.
const ASTONISHED: f32 = 0.45;
/// A happy word denied is a weaker sad one: "tidak senang".
const UNHAPPY: f32 = 0.95;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Meaning {
    Feeling(EmotionLabel, f32),
    Negation,
    Weaker,
    Stronger,
    Plain,
    Contrast,
    Asking,
    Self_,
}

/// A look-up per phrase; a word may be an opener as well as a modifier.
static LEXICON: LazyLock<HashMap<&'static str, Meaning>> = LazyLock::new(|| {
    let mut lexicon = HashMap::new();
    for (kind, phrase) in rows(include_str!("data/modifiers.tsv"), 1) {
        if let Some(meaning) = modifier(kind[0]) {
            lexicon.insert(phrase, meaning);
        }
    }
    for (row, phrase) in rows(include_str!("data/words.tsv"), 2) {
        if let (Ok(label), Ok(points)) = (parse_label(row[0]), row[1].parse()) {
            lexicon.insert(phrase, Meaning::Feeling(label, points));
        }
    }
    lexicon
});

/// Every phrase of a table with the columns before it.
fn rows(
    table: &'static str,
    columns: usize,
) -> impl Iterator<Item = (Vec<&'static str>, &'static str)> {
    let lines = table
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.flat_map(move |line| {
        let cells: Vec<&str> = line.splitn(columns + 1, '\t').collect();
        let phrases = cells.get(columns).copied().unwrap_or_default();
        phrases
            .split(',')
            .map(move |phrase| (cells.clone(), phrase.trim()))
    })
}

fn modifier(kind: &str) -> Option<Meaning> {
    Some(match kind {
        "negation" => Meaning::Negation,
        "weaker" => Meaning::Weaker,
        "stronger" => Meaning::Stronger,
        "plain" => Meaning::Plain,
        "contrast" => Meaning::Contrast,
        "asking" => Meaning::Asking,
        "feeling" => Meaning::Self_,
        _ => return None,
    })
}

/// What stands at one place of the transcript, after look-up.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Found {
    Known(Meaning),
    Other,
    ClauseEnd,
}

/// Adds up what the words of `transcript` say about each emotion.
pub(super) fn evidence(transcript: &str) -> Words {
    let tokens = tokens(transcript);
    let found = look_up(&tokens);
    let mut points = Points::default();
    for (index, item) in found.iter().enumerate() {
        if let Found::Known(Meaning::Feeling(label, base)) = *item {
            add(
                &mut points,
                label,
                base * emphasis(&found, index),
                negated(&found, index),
            );
        }
    }
    if is_plain_question(&found, &tokens) {
        points = points.map(|point| point * ASKED_ABOUT);
    }
    exclaim(&mut points, &tokens);
    Words {
        points,
        any: !found.is_empty(),
    }
}

fn look_up(tokens: &[Token]) -> Vec<Found> {
    let mut found = Vec::with_capacity(tokens.len());
    let mut rest = tokens;
    while let Some(first) = rest.first() {
        let (item, length) = match first {
            Token::Word(_) | Token::Mark(_) => longest(rest),
            _ => (Found::ClauseEnd, 1),
        };
        found.push(item);
        rest = &rest[length..];
    }
    found
}

fn longest(rest: &[Token]) -> (Found, usize) {
    let words: Vec<String> = rest
        .iter()
        .take(MAX_PHRASE)
        .map_while(Token::text)
        .collect();
    for length in (1..=words.len()).rev() {
        if let Some(meaning) = meaning(&words[..length].join(" ")) {
            return (Found::Known(meaning), length);
        }
    }
    (Found::Other, 1)
}

/// Looks a phrase up as it is, then without a particle: "sedihnya", "takutlah".
fn meaning(phrase: &str) -> Option<Meaning> {
    const PARTICLES: [&str; 7] = ["nya", "lah", "kah", "pun", "ku", "mu", "an"];
    LEXICON.get(phrase).copied().or_else(|| {
        let stems = PARTICLES
            .iter()
            .filter_map(|particle| phrase.strip_suffix(particle));
        stems
            .filter(|stem| stem.len() >= 4)
            .filter_map(|stem| LEXICON.get(stem).copied())
            .find(|meaning| matches!(meaning, Meaning::Feeling(..) | Meaning::Negation))
    })
}

fn add(points: &mut Points, label: EmotionLabel, amount: f32, negated: bool) {
    match (label, negated) {
        (EmotionLabel::Happy, true) => points[EmotionLabel::Sad.index()] += amount * UNHAPPY,
        // "Nggak sedih" and "jangan takut" deny; they do not say what is felt.
        (_, true) => {}
        (_, false) => points[label.index()] += amount,
    }
}

/// Intensifiers stand right before the word or within two words after it.
fn emphasis(found: &[Found], index: usize) -> f32 {
    let after = found[index + 1..].iter().take(2);
    let near = found[..index].last().into_iter().chain(after);
    near.take_while(|item| **item != Found::ClauseEnd)
        .map(|item| match item {
            Found::Known(Meaning::Stronger) => STRONGER,
            Found::Known(Meaning::Weaker) => WEAKER,
            _ => 1.0,
        })
        .product()
}

fn negated(found: &[Found], index: usize) -> bool {
    let before = found[..index].iter().rev().take(NEGATION_REACH);
    let mut clause = before.take_while(|item| {
        !matches!(
            item,
            Found::ClauseEnd
                | Found::Known(Meaning::Feeling(..) | Meaning::Contrast | Meaning::Plain)
        )
    });
    clause.any(|item| *item == Found::Known(Meaning::Negation))
}

/// "Apa … ?" without an "I": the emotional word is the topic.
fn is_plain_question(found: &[Found], tokens: &[Token]) -> bool {
    let asks = found
        .iter()
        .take(4)
        .any(|item| *item == Found::Known(Meaning::Asking));
    let own = found.contains(&Found::Known(Meaning::Self_));
    asks && !own && !tokens.contains(&Token::Exclamation)
}

fn exclaim(points: &mut Points, tokens: &[Token]) {
    let count = tokens
        .iter()
        .filter(|token| **token == Token::Exclamation)
        .take(3)
        .count();
    *points = points.map(|point| point * (1.0 + EXCLAIMED * count as f32));
    let astonished = tokens
        .windows(2)
        .any(|pair| pair.contains(&Token::Exclamation) && pair.contains(&Token::Question));
    if astonished {
        points[EmotionLabel::Surprised.index()] += ASTONISHED;
    }
}

#[cfg(test)]
mod tests {
    use super::super::tokens;
    use super::*;

    #[test]
    fn every_listed_phrase_can_be_found() {
        for (table, columns) in [
            (include_str!("data/words.tsv"), 2),
            (include_str!("data/modifiers.tsv"), 1),
        ] {
            for (row, phrase) in rows(table, columns) {
                assert!(!phrase.is_empty(), "empty phrase in {row:?}");
                let words: Vec<String> = tokens::tokens(phrase)
                    .iter()
                    .filter_map(Token::text)
                    .collect();
                assert!(words.len() <= MAX_PHRASE, "{phrase} is too long");
                assert!(
                    meaning(&words.join(" ")).is_some(),
                    "{phrase} folds to {words:?}"
                );
            }
        }
    }

    #[test]
    fn every_row_has_a_known_kind() {
        for (row, _) in rows(include_str!("data/modifiers.tsv"), 1) {
            assert!(modifier(row[0]).is_some(), "{row:?}");
        }
        for (row, _) in rows(include_str!("data/words.tsv"), 2) {
            assert!(parse_label(row[0]).is_ok() && row[1].parse::<f32>().is_ok());
        }
    }
}
