//! Tokens that are no text: the ends, the task, the languages.

use std::collections::HashMap;

use super::Token;
use crate::providers::whisper::errors::LoadError;

/// Bounds what a vocabulary file may ask for: large-v3 has 51,866.
const MAX_TOKENS: usize = 200_000;

#[derive(Debug)]
pub(in crate::providers::whisper) struct Specials {
    /// Ends a transcript; all text tokens have lower numbers.
    pub(in crate::providers::whisper) end: Token,
    pub(in crate::providers::whisper) start: Token,
    pub(in crate::providers::whisper) transcribe: Token,
    pub(in crate::providers::whisper) no_timestamps: Token,
    /// Opens the prompt.
    pub(in crate::providers::whisper) previous: Token,
    /// Its probability right after `start` says that nobody speaks.
    pub(in crate::providers::whisper) no_speech: Token,
    /// By language code, such as `id`.
    pub(in crate::providers::whisper) languages: Vec<(String, Token)>,
}

impl Specials {
    /// `size` is how many tokens the model scores; all must be below it.
    pub(super) fn find(entries: &[String], size: usize) -> Result<Self, LoadError> {
        if entries.len() > size || size > MAX_TOKENS {
            return Err(LoadError::Vocabulary(format!(
                "{} entries for a model of {size} tokens",
                entries.len()
            )));
        }
        let by_name: HashMap<&str, Token> = entries
            .iter()
            .zip(0..)
            .filter_map(|(entry, token)| Some((inside_brackets(entry)?, token)))
            .collect();
        let token = |names: &[&str]| {
            names
                .iter()
                .find_map(|name| by_name.get(name).copied())
                .ok_or_else(|| LoadError::Vocabulary(format!("no token <|{}|>", names[0])))
        };
        let specials = Self {
            end: token(&["endoftext"])?,
            start: token(&["startoftranscript"])?,
            transcribe: token(&["transcribe"])?,
            no_timestamps: token(&["notimestamps"])?,
            previous: token(&["startofprev"])?,
            // The name changed between releases of the model.
            no_speech: token(&["nospeech", "nocaptions"])?,
            languages: languages(
                &by_name,
                token(&["startoftranscript"])?,
                token(&["translate"])?,
            ),
        };
        if specials.languages.is_empty() {
            return Err(LoadError::Vocabulary(
                "no languages: an English-only model".to_owned(),
            ));
        }
        Ok(specials)
    }

    pub(in crate::providers::whisper) fn language(&self, code: &str) -> Option<Token> {
        self.languages
            .iter()
            .find_map(|(known, token)| (known == code).then_some(*token))
    }
}

fn inside_brackets(entry: &str) -> Option<&str> {
    entry.strip_prefix("<|")?.strip_suffix("|>")
}

/// The languages stand between the start and the tasks, in the order of their numbers.
fn languages(by_name: &HashMap<&str, Token>, start: Token, tasks: Token) -> Vec<(String, Token)> {
    let mut found: Vec<(String, Token)> = by_name
        .iter()
        .filter(|&(_, &token)| start < token && token < tasks)
        .map(|(name, &token)| ((*name).to_owned(), token))
        .collect();
    found.sort_unstable_by_key(|&(_, token)| token);
    found
}
