//! Token numbers to text and back, and the numbers that have a meaning of their own.

mod bpe;
mod files;
mod specials;

use std::collections::HashMap;
use std::path::Path;

use super::errors::LoadError;
pub(super) use specials::Specials;

/// A token's number.
pub(super) type Token = u32;

#[derive(Debug)]
pub(super) struct Vocabulary {
    /// Bytes of each text token; a token is a piece of UTF-8 and need not be whole characters.
    pieces: Vec<Vec<u8>>,
    by_piece: HashMap<Vec<u8>, Token>,
    pub(super) specials: Specials,
    /// Punctuation that stands for sounds which are not speech, such as `[` of `[Music]` and notes.
    pub(super) not_speech: Vec<Token>,
}

impl Vocabulary {
    /// Reads `vocabulary.txt`, `vocabulary.json` or `tokenizer.json`, whichever is there first.
    /// `size` is how many tokens the model scores.
    pub(super) fn load(dir: &Path, size: usize) -> Result<Self, LoadError> {
        Self::new(&files::entries(dir)?, size)
    }

    fn new(entries: &[String], size: usize) -> Result<Self, LoadError> {
        let specials = Specials::find(entries, size)?;
        let text = &entries[..specials.end as usize];
        let pieces = text
            .iter()
            .map(|entry| bpe::bytes_of(entry))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| LoadError::Vocabulary("an entry is not byte-level".to_owned()))?;
        let by_piece = pieces.iter().cloned().zip(0..).collect();
        let mut vocabulary = Self {
            pieces,
            by_piece,
            specials,
            not_speech: Vec::new(),
        };
        vocabulary.not_speech = vocabulary.find_not_speech();
        Ok(vocabulary)
    }

    /// Special tokens have no text; bytes that are no UTF-8 become U+FFFD.
    pub(super) fn decode(&self, tokens: &[Token]) -> String {
        let bytes: Vec<u8> = tokens
            .iter()
            .filter_map(|&token| self.pieces.get(token as usize))
            .flatten()
            .copied()
            .collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The tokens of ordinary text; what looks like a special token in it is text like any other.
    pub(super) fn encode(&self, text: &str) -> Vec<Token> {
        bpe::words(text)
            .flat_map(|word| bpe::merge(word.as_bytes(), &self.by_piece))
            .collect()
    }

    /// The list of the reference decoder (`non_speech_tokens` in `whisper/tokenizer.py`): each symbol alone
    /// and after a space, where that is one token; of the notes, whose tokens are shared, the first.
    fn find_not_speech(&self) -> Vec<Token> {
        const SYMBOLS: &str = "\" # ( ) * + / : ; < = > @ [ \\ ] ^ _ ` { | } ~ 「 」 『 』 << >> <<< >>> -- --- -( -[ (' (\" (( )) ((( ))) [[ ]] {{ }} ♪♪ ♪♪♪";
        const NOTES: &str = "♩ ♪ ♫ ♬ ♭ ♮ ♯";
        let spelling =
            |text: String| Some(self.encode(&text)).filter(|tokens| self.decode(tokens) == text);
        let spellings = |symbol: &str| {
            let both = [spelling(symbol.to_owned()), spelling(format!(" {symbol}"))];
            both.into_iter().flatten()
        };
        let of_symbols = SYMBOLS
            .split(' ')
            .flat_map(spellings)
            .filter(|tokens| tokens.len() == 1);
        let of_notes = NOTES.split(' ').flat_map(spellings);
        // A dash or apostrophe opens a word in speech too, but not after a space.
        let of_dashes = [" -", " '"]
            .map(str::to_owned)
            .into_iter()
            .filter_map(spelling);
        let mut found: Vec<Token> = of_symbols
            .chain(of_notes)
            .chain(of_dashes)
            .filter_map(|tokens| tokens.first().copied())
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SPECIALS: [&str; 9] = [
        "<|endoftext|>",
        "<|startoftranscript|>",
        "<|en|>",
        "<|id|>",
        "<|translate|>",
        "<|transcribe|>",
        "<|startofprev|>",
        "<|nocaptions|>",
        "<|notimestamps|>",
    ];

    fn entries() -> Vec<String> {
        let text = ["a", "b", "Ġ", "Ã", "©", "(", "Ġ(", "Ġa", "Ã©"];
        text.iter()
            .chain(&SPECIALS)
            .map(|&entry| entry.to_owned())
            .collect()
    }

    #[test]
    fn text_survives_there_and_back() {
        let vocabulary = Vocabulary::new(&entries(), 20).unwrap();
        for (text, expected) in [
            ("a b", vec![0, 2, 1]),
            (" a", vec![7]),
            ("é", vec![8]),
            ("", vec![]),
        ] {
            let tokens = vocabulary.encode(text);
            assert_eq!(tokens, expected, "{text}");
            assert_eq!(vocabulary.decode(&tokens), text);
        }
    }

    #[test]
    fn half_a_character_is_replaced_and_special_tokens_are_left_out() {
        let vocabulary = Vocabulary::new(&entries(), 20).unwrap();
        for (tokens, expected) in [
            (vec![0, 3], "a\u{FFFD}"),
            (vec![3, 4], "é"),
            (vec![10, 0, 9, 4_000_000], "a"),
        ] {
            assert_eq!(vocabulary.decode(&tokens), expected, "{tokens:?}");
        }
    }

    #[test]
    fn special_tokens_are_found_by_name() {
        let vocabulary = Vocabulary::new(&entries(), 20).unwrap();
        assert_eq!(vocabulary.specials.end, 9);
        assert_eq!(vocabulary.specials.no_speech, 16);
        assert_eq!(vocabulary.specials.language("id"), Some(12));
        assert_eq!(vocabulary.specials.language("translate"), None);
        assert_eq!(vocabulary.not_speech, [5, 6]);
    }

    #[test]
    fn a_special_token_in_a_prompt_is_no_special_token() {
        let vocabulary = Vocabulary::new(&entries(), 20).unwrap();
        assert!(
            vocabulary
                .encode("<|endoftext|>")
                .iter()
                .all(|&token| token < 9)
        );
    }

    #[test]
    fn a_vocabulary_that_does_not_fit_is_refused() {
        let without = |name: &str| {
            entries()
                .into_iter()
                .filter(|entry| entry != name)
                .collect::<Vec<_>>()
        };
        for (entries, size) in [
            (entries(), 17),
            (entries(), usize::MAX),
            (without("<|endoftext|>"), 20),
            (without("<|notimestamps|>"), 20),
            (Vec::new(), 20),
            ([vec!["漢".to_owned()], entries()].concat(), 20),
            (
                without("<|en|>")
                    .into_iter()
                    .filter(|entry| entry != "<|id|>")
                    .collect(),
                20,
            ),
        ] {
            assert!(matches!(
                Vocabulary::new(&entries, size),
                Err(LoadError::Vocabulary(_))
            ));
        }
    }

    #[test]
    fn all_three_files_give_the_same_vocabulary() {
        let entries = entries();
        let numbered =
            |range: std::ops::Range<usize>| range.map(|index| (entries[index].clone(), index));
        let added: Vec<_> = numbered(9..18)
            .map(|(content, id)| serde_json::json!({"id": id, "content": content}))
            .collect();
        let words: serde_json::Map<_, _> = numbered(0..9)
            .map(|(entry, id)| (entry, id.into()))
            .collect();
        let tokenizer = serde_json::json!({"model": {"vocab": words}, "added_tokens": added});
        for (name, text) in [
            ("vocabulary.txt", entries.join("\n")),
            ("vocabulary.json", serde_json::to_string(&entries).unwrap()),
            ("tokenizer.json", tokenizer.to_string()),
        ] {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join(name), text).unwrap();
            assert_eq!(files::entries(dir.path()).unwrap(), entries, "{name}");
        }
    }

    #[test]
    fn broken_or_missing_files_are_typed_errors() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(
            files::entries(dir.path()),
            Err(LoadError::Io { .. })
        ));
        for text in ["", "[1]", "{\"model\": {\"vocab\": {\"a\": 7}}}"] {
            fs::write(dir.path().join("tokenizer.json"), text).unwrap();
            let size = 20;
            assert!(
                matches!(
                    Vocabulary::load(dir.path(), size),
                    Err(LoadError::Vocabulary(_))
                ),
                "{text}"
            );
        }
    }
}
