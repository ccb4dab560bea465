//! Greetings, thanks and the like.

use serde::{Deserialize, Serialize};

use super::words::Word;
use crate::knowledge::lexicon::Lexicon;

/// A message that asks nothing of the documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmallTalk {
    Greeting,
    Thanks,
    Farewell,
    /// Who are you, what can you do?
    Identity,
    /// Thoughts of suicide or of hurting oneself, whatever else the message says.
    Distress,
}

impl SmallTalk {
    /// The variant with this name in the data files.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "greeting" => Self::Greeting,
            "thanks" => Self::Thanks,
            "farewell" => Self::Farewell,
            "identity" => Self::Identity,
            "distress" => Self::Distress,
            _ => return None,
        })
    }
}

/// Takes small talk out of a message: what it was, the most telling first, and the words that are left.
pub fn strip(words: Vec<Word>, lexicon: &Lexicon) -> (Option<SmallTalk>, Vec<Word>) {
    let texts: Vec<String> = words.iter().map(|word| word.text.clone()).collect();
    let mut found = Vec::new();
    let mut left = Vec::with_capacity(words.len());
    let mut at = 0;
    while at < words.len() {
        match lexicon.small_talk.longest_at(&texts[at..]) {
            Some((length, talk)) => {
                found.push(*talk);
                at += length;
            }
            None => {
                left.push(words[at].clone());
                at += 1;
            }
        }
    }
    let order = [
        SmallTalk::Distress,
        SmallTalk::Identity,
        SmallTalk::Thanks,
        SmallTalk::Farewell,
        SmallTalk::Greeting,
    ];
    (order.into_iter().find(|talk| found.contains(talk)), left)
}
