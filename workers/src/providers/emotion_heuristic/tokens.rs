//! A transcript cut into words, marks and clause ends.

/// Longer transcripts are judged by their beginning.
const MAX_BYTES: usize = 4_000;

/// One word, mark or clause end, folded for look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// Lower case, drawn-out letters shortened: `Seneeeng` is `seneng`.
    Word(String),
    /// A symbol that may stand in the lists, an emoji for instance.
    Mark(char),
    Exclamation,
    Question,
    /// Ends the reach of a negation.
    Clause,
}

impl Token {
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Word(word) => Some(word.clone()),
            Self::Mark(mark) => Some(mark.to_string()),
            _ => None,
        }
    }
}

pub(super) fn tokens(transcript: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut word = String::new();
    for c in beginning(transcript).chars() {
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
            continue;
        }
        // Hyphens and apostrophes join: "sedih-sedih" is two words, "don't" one.
        if matches!(c, '\'' | '’') && !word.is_empty() {
            continue;
        }
        close(&mut word, &mut tokens);
        tokens.extend(mark(c));
    }
    close(&mut word, &mut tokens);
    tokens
}

fn mark(c: char) -> Option<Token> {
    match c {
        '!' => Some(Token::Exclamation),
        '?' => Some(Token::Question),
        ',' | '.' | ';' | ':' | '…' | '\n' => Some(Token::Clause),
        _ if c.is_ascii() || c.is_whitespace() => None,
        _ => Some(Token::Mark(c)),
    }
}

fn close(word: &mut String, tokens: &mut Vec<Token>) {
    if word.is_empty() {
        return;
    }
    tokens.push(Token::Word(shorten(word)));
    word.clear();
}

/// Three or more of the same letter are emphasis, not spelling.
fn shorten(word: &str) -> String {
    let chars: Vec<char> = word.chars().collect();
    chars
        .chunk_by(|a, b| a == b)
        .flat_map(|run| &run[..if run.len() >= 3 { 1 } else { run.len() }])
        .collect()
}

fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_BYTES)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> Token {
        Token::Word(text.to_owned())
    }

    #[test]
    fn words_are_folded_and_marks_kept() {
        assert_eq!(
            tokens("WOOOW, I don't… 😭?!"),
            [
                word("wow"),
                Token::Clause,
                word("i"),
                word("dont"),
                Token::Clause,
                Token::Mark('😭'),
                Token::Question,
                Token::Exclamation,
            ]
        );
        assert_eq!(
            tokens("maaf-maaf saat"),
            [word("maaf"), word("maaf"), word("saat")]
        );
    }

    #[test]
    fn a_long_transcript_is_cut_between_characters() {
        assert_eq!(tokens(&"é ".repeat(100_000)).len(), MAX_BYTES / 3);
    }
}
