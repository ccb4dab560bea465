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
        let spellings = |symbol: &str| [self.encode(symbol), self.encode(&format!(" {symbol}"))];
        let of_symbols = SYMBOLS
            .split(' ')
            .flat_map(spellings)
            .filter(|tokens| tokens.len() == 1);
        let of_notes = NOTES.split(' ').flat_map(spellings);
        // A dash or apostrophe opens a word in speech too, but not after a space.
        let of_dashes = [self.encode(" -"), self.encode(" '")];
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
