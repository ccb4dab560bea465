//! The files a vocabulary comes in: all of them lists of byte-level entries, in the order of the numbers.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde_json::Value;

use crate::providers::whisper::errors::LoadError;

/// The largest published `tokenizer.json` has 2.5 MB.
const MAX_BYTES: u64 = 16 << 20;

pub(super) fn entries(dir: &Path) -> Result<Vec<String>, LoadError> {
    type Parse = fn(&str) -> Result<Vec<String>, LoadError>;
    const FILES: [(&str, Parse); 3] = [
        ("vocabulary.txt", |text| Ok(parse_lines(text))),
        ("vocabulary.json", parse_list),
        ("tokenizer.json", parse_tokenizer),
    ];
    for (name, parse) in FILES {
        let path = dir.join(name);
        match read(&path) {
            Ok(text) => return parse(&text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(LoadError::io(&path, error)),
        }
    }
    let path = dir.join(FILES[0].0);
    Err(LoadError::io(&path, io::ErrorKind::NotFound.into()))
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let mut file = File::open(path)?.take(MAX_BYTES + 1);
    file.read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(text)
}

/// `vocabulary.txt` of CTranslate2. Only a line feed parts entries: some hold other space characters.
fn parse_lines(text: &str) -> Vec<String> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.split('\n').map(str::to_owned).collect()
}

/// `vocabulary.json` of newer CTranslate2 releases: one array.
fn parse_list(text: &str) -> Result<Vec<String>, LoadError> {
    serde_json::from_str(text).map_err(|error| LoadError::Vocabulary(error.to_string()))
}

/// `tokenizer.json`: a map from entry to number, and the special tokens beside it.
fn parse_tokenizer(text: &str) -> Result<Vec<String>, LoadError> {
    let file: Value =
        serde_json::from_str(text).map_err(|error| LoadError::Vocabulary(error.to_string()))?;
    let words = file["model"]["vocab"].as_object().into_iter().flatten();
    let words = words.filter_map(|(entry, number)| Some((number.as_u64()?, entry.clone())));
    let added = file["added_tokens"].as_array().into_iter().flatten();
    let added = added
        .filter_map(|token| Some((token["id"].as_u64()?, token["content"].as_str()?.to_owned())));
    let mut by_number: HashMap<u64, String> = words.chain(added).collect();
    (0..by_number.len() as u64)
        .map(|number| {
            by_number
                .remove(&number)
                .ok_or_else(|| LoadError::Vocabulary(format!("no entry has number {number}")))
        })
        .collect()
}
