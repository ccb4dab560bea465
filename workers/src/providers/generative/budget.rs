//! How much a model is given to read.

use common::conversation::PastTurn;

use super::units::units;
use crate::providers::{ChatMessage, ChatRole};

/// Letters of the ASCII range and spaces that are counted as one token. The tokenisers of current models take more of
/// Indonesian at once; what is estimated too high only leaves something out.
const LETTERS_PER_TOKEN: usize = 3;

/// What a chat template puts around a message.
pub const TOKENS_PER_MESSAGE: usize = 4;

/// How many tokens a text has at most, for all practical purposes: three letters to a token, and each digit, mark and
/// character outside ASCII a token of its own.
pub fn tokens(text: &str) -> usize {
    let letters = text.chars().filter(|c| is_letter(*c)).count();
    let others = text.chars().count() - letters;
    letters.div_ceil(LETTERS_PER_TOKEN) + others
}

fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic() || c == ' '
}

/// As much of the start of `text` as `budget` tokens hold: to the end of a sentence, or of a word when not even one
/// sentence fits.
pub fn cut(text: &str, budget: usize) -> &str {
    let Some(limit) = first_beyond(text, budget) else {
        return text;
    };
    let window = &text[..limit];
    // The last unit is one that the cut goes through.
    let mut whole = units(window);
    whole.pop();
    let end = match whole.last() {
        Some(unit) => unit.end,
        None => window.rfind(char::is_whitespace).unwrap_or(limit),
    };
    window[..end].trim_end()
}

/// Where the first character stands that is beyond `budget`.
fn first_beyond(text: &str, budget: usize) -> Option<usize> {
    let mut thirds = 0;
    let beyond = text.char_indices().find(|(_, c)| {
        thirds += if is_letter(*c) { 1 } else { LETTERS_PER_TOKEN };
        thirds > budget * LETTERS_PER_TOKEN
    });
    beyond.map(|(at, _)| at)
}

/// The newest turns that fit into `budget` tokens, the oldest of them first. What was said at great length is cut.
pub fn recent(history: &[PastTurn], budget: usize) -> Vec<ChatMessage> {
    let mut left = budget;
    let mut newest_first = Vec::new();
    for turn in history.iter().rev() {
        let said = [
            (ChatRole::Assistant, turn.assistant.as_str()),
            (ChatRole::User, turn.user.as_str()),
        ]
        .map(|(role, text)| (role, cut(text, budget / 3)));
        let cost: usize = said
            .iter()
            .map(|(_, text)| tokens(text) + TOKENS_PER_MESSAGE)
            .sum();
        if cost > left {
            break;
        }
        left -= cost;
        newest_first.extend(said);
    }
    let oldest_first = newest_first.into_iter().rev();
    oldest_first
        .filter(|(_, text)| !text.is_empty())
        .map(|(role, text)| ChatMessage {
            role,
            content: text.to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::{ids::CorrelationId, time::UnixMillis};

    #[test]
    fn texts_are_estimated_high() {
        for (text, count) in [
            ("", 0),
            ("ITB", 1),
            ("empat", 2),
            ("UKT 2024.", 7),
            ("日本", 2),
        ] {
            assert_eq!(tokens(text), count, "{text}");
        }
    }

    #[test]
    fn texts_are_cut_at_the_end_of_a_sentence_or_else_of_a_word() {
        let text = "Satu dua. Tiga empat. Lima enam.";
        for (budget, kept) in [
            (100, text),
            (10, "Satu dua. Tiga empat."),
            (9, "Satu dua. Tiga empat."),
            (8, "Satu dua."),
            (2, "Satu"),
            (0, ""),
        ] {
            assert_eq!(cut(text, budget), kept, "{budget}");
        }
        assert_eq!(cut("日本語", 2), "日本");
        for budget in 0..20 {
            assert!(tokens(cut(text, budget)) <= budget, "{budget}");
        }
    }

    fn turn(user: &str, assistant: &str) -> PastTurn {
        PastTurn {
            job: CorrelationId::new(),
            at: UnixMillis::now(),
            user: user.into(),
            assistant: assistant.into(),
        }
    }

    #[test]
    fn the_newest_turns_that_fit_are_kept_in_order() {
        let long = "kata ".repeat(2_000);
        let history = [
            turn("satu", "dua"),
            turn("tiga", "empat"),
            turn("lima", &long),
        ];
        for (budget, roles_and_lengths) in [(1_000, 6), (30, 2), (5, 0), (0, 0)] {
            let kept = recent(&history, budget);
            assert_eq!(kept.len(), roles_and_lengths, "{budget}: {kept:?}");
            let cost: usize = kept
                .iter()
                .map(|message| tokens(&message.content) + TOKENS_PER_MESSAGE)
                .sum();
            assert!(cost <= budget, "{budget}");
            for (message, role) in kept
                .iter()
                .zip([ChatRole::User, ChatRole::Assistant].iter().cycle())
            {
                assert_eq!(message.role, *role);
            }
        }
        assert_eq!(recent(&history, 1_000)[0].content, "satu");
    }
}
