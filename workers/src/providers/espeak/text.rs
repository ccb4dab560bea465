//! Text as the engine may have it: no commands in it, and in pieces that it takes in one go.

use super::SpeakError;

/// The longest text that is spoken, in characters.
pub const MAX_CHARACTERS: usize = 20_000;

/// The longest piece given to one process, in characters: two minutes of speech. A text cut in the middle of a sentence
/// is heard as such, so pieces are as long as a bounded process allows.
const PIECE: usize = 2_000;

/// Cleans the text and cuts it.
///
/// # Errors
///
/// `Empty` when nothing in it can be spoken, `TooLong` beyond [`MAX_CHARACTERS`].
pub(super) fn pieces(text: &str) -> Result<Vec<String>, SpeakError> {
    // Before anything is copied; a character has at most four bytes.
    if text.len() > 4 * MAX_CHARACTERS || text.chars().count() > MAX_CHARACTERS {
        return Err(SpeakError::TooLong);
    }
    let clean = cleaned(text);
    if !clean.chars().any(is_spoken) {
        return Err(SpeakError::Empty);
    }
    Ok(cut(&clean, PIECE))
}

/// Without what eSpeak NG takes for commands: control characters (its embedded commands start with U+0001) and `[[`,
/// which starts phoneme codes.
fn cleaned(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for character in text.chars() {
        let character = if character.is_control() && character != '\n' {
            ' '
        } else {
            character
        };
        if character == '[' && clean.ends_with('[') {
            clean.push(' ');
        }
        if !is_invisible(character) {
            clean.push(character);
        }
    }
    clean
}

/// Zero-width and direction marks, the byte order mark: they split words for the engine and sound like nothing.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

/// Letters, digits, and signs that have a name (emoji, ½, …); ASCII punctuation alone is only a pause.
fn is_spoken(character: char) -> bool {
    character.is_alphanumeric() || (!character.is_ascii() && !character.is_whitespace())
}

fn cut(text: &str, longest: usize) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut rest = text.trim();
    while let Some((limit, _)) = rest.char_indices().nth(longest) {
        let (piece, after) = rest.split_at(cutting_place(&rest[..limit]));
        pieces.push(piece.trim().to_owned());
        rest = after.trim_start();
    }
    if !rest.is_empty() {
        pieces.push(rest.to_owned());
    }
    pieces.retain(|piece| piece.chars().any(is_spoken));
    pieces
}

/// After the last sentence in the second half of the window, else at the last space there, else at its end.
fn cutting_place(window: &str) -> usize {
    let latter = window
        .char_indices()
        .nth(window.chars().count() / 2)
        .map_or(0, |(at, _)| at);
    let spaces = || {
        window[latter..]
            .char_indices()
            .filter(|(_, character)| character.is_whitespace())
    };
    let after_sentence = spaces().rfind(|&(at, character)| {
        character == '\n' || window[..latter + at].ends_with(['.', '!', '?', ':', ';', '…'])
    });
    after_sentence
        .or_else(|| spaces().next_back())
        .map_or(window.len(), |(at, _)| latter + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_to_the_engine_are_taken_out() {
        let cases = [
            ("halo", "halo"),
            ("a\0b", "a b"),
            ("\u{1}50S cepat", " 50S cepat"),
            ("[[h@'loU]]", "[ [h@'loU]]"),
            ("[[[[", "[ [ [ ["),
            ("[\u{200b}[x", "[ [x"),
            ("bela\u{200b}jar\u{feff}", "belajar"),
            ("baris\nbaru\ttab", "baris\nbaru tab"),
        ];
        for (text, expected) in cases {
            assert_eq!(cleaned(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_text_without_anything_to_say_is_empty() {
        for text in ["", " \n\t", "...", "\0\u{1}", "\u{200b}\u{feff}", "- - -"] {
            assert!(matches!(pieces(text), Err(SpeakError::Empty)), "{text:?}");
        }
        for text in ["a", "7", "🙂", "½"] {
            assert!(pieces(text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn length_is_counted_in_characters_and_bounded() {
        for (text, good) in [
            ("a".repeat(MAX_CHARACTERS), true),
            ("é".repeat(MAX_CHARACTERS), true),
            ("a".repeat(MAX_CHARACTERS + 1), false),
            ("🙂".repeat(MAX_CHARACTERS + 1), false),
        ] {
            assert_eq!(pieces(&text).is_ok(), good, "{} bytes", text.len());
        }
    }

    #[test]
    fn long_text_is_cut_after_sentences_then_at_spaces_then_anywhere() {
        let cases: [(&str, &[&str]); 6] = [
            ("pendek", &["pendek"]),
            (
                "Satu dua. Tiga empat lima",
                &["Satu dua.", "Tiga empat", "lima"],
            ),
            ("satu dua tiga empat", &["satu dua", "tiga empat"]),
            (
                "abcdefghijklmnopqrstuvwxyz",
                &["abcdefghijkl", "mnopqrstuvwx", "yz"],
            ),
            ("ééééééééééééé", &["éééééééééééé", "é"]),
            ("Satu dua\ntiga. ... ... ...", &["Satu dua", "tiga. ..."]),
        ];
        for (text, expected) in cases {
            let cut = cut(text, 12);
            assert_eq!(cut, expected, "{text:?}");
        }
    }
}
