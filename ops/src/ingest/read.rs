//! READERS: one for each format, told by the ending of a file and checked by its content.
//!
//! A reader gets the whole file and gives documents. It may panic, loop or ask for too much: it runs in a process of its
//! own ([`isolated`]), and what it is given is bounded.

use std::path::Path;

use serde::{Deserialize, Serialize};

use workers::knowledge::{
    DocumentRef, document::Document, markdown::Section, store::StoredPassage,
};

mod archive;
mod comma_separated;
mod encoding;
#[cfg(test)]
mod growth;
mod html;
mod isolated;
mod json;
mod markdown;
#[cfg(test)]
mod nothing_lost;
mod office;
mod pdf;
mod row;
mod sheet;
mod text;

pub use isolated::{ReadDocument, ReadFailure, Readable, Readers};

/// Bytes of one file.
pub const MAX_FILE: u64 = 100 * 1024 * 1024;

/// Bytes of text in one file, when its marks are gone.
pub const MAX_TEXT: usize = 32 * 1024 * 1024;

/// Bytes of all that is packed in one file.
const MAX_UNPACKED: u64 = 512 * 1024 * 1024;

const MAX_PAGES: usize = 5_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    Markdown,
    Text,
    Html,
    Pdf,
    Word,
    Sheet,
    CommaSeparated,
    Json,
    JsonLines,
}

impl Format {
    /// By the ending of the name.
    pub fn of(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        Some(match ending.as_str() {
            "md" | "markdown" => Self::Markdown,
            "txt" | "text" => Self::Text,
            "html" | "htm" | "xhtml" => Self::Html,
            "pdf" => Self::Pdf,
            "docx" | "docm" => Self::Word,
            "xlsx" | "xlsm" => Self::Sheet,
            "csv" | "tsv" => Self::CommaSeparated,
            "json" => Self::Json,
            "jsonl" | "ndjson" => Self::JsonLines,
            _ => return None,
        })
    }

    fn reader(self) -> fn(&Original) -> Result<Content, ReadError> {
        match self {
            Self::Markdown => markdown::read,
            Self::Text => text::read,
            Self::Html => html::read,
            Self::Pdf => pdf::read,
            Self::Word => office::read,
            Self::Sheet => sheet::read,
            Self::CommaSeparated => comma_separated::read,
            Self::Json => json::read,
            Self::JsonLines => json::read_lines,
        }
    }
}

/// A file as it lies there.
pub struct Original {
    pub id: String,
    pub bytes: Vec<u8>,
}

impl Original {
    /// The name of the file as a title, for a document that has none.
    pub fn name(&self) -> String {
        let name = self.id.rsplit('/').next().unwrap_or(&self.id);
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        super::outline::one_line(&stem.replace(['-', '_'], " "))
    }

    /// The file as one document, under its name where it has no title.
    fn document(&self, title: Option<String>, sections: Vec<Section>) -> Document {
        Document {
            reference: self.reference(title),
            page: None,
            sections,
        }
    }

    fn reference(&self, title: Option<String>) -> DocumentRef {
        let reference = DocumentRef {
            id: self.id.clone(),
            title: title.unwrap_or_else(|| self.name()),
            url: None,
        };
        // Each page repeats it.
        reference.bounded()
    }
}

/// What a file holds.
#[derive(Debug, Default)]
pub struct Content {
    /// Several of one id are pages of one document.
    pub documents: Vec<Document>,
    /// Already cut.
    pub passages: Vec<StoredPassage>,
    /// Parts that could not be read while the rest could, each with its place.
    pub faults: Vec<String>,
}

impl From<Document> for Content {
    fn from(document: Document) -> Self {
        Self {
            documents: vec![document],
            ..Self::default()
        }
    }
}

impl Content {
    fn text_bytes(&self) -> usize {
        let documents = self.documents.iter().map(text_bytes);
        let cut = self.passages.iter().map(|passage| passage.text.len());
        documents.chain(cut).sum()
    }
}

/// With the headings, which each section repeats.
fn text_bytes(document: &Document) -> usize {
    let section = |section: &Section| {
        let heading = section.heading.as_ref().map_or(0, String::len);
        let blocks = section.blocks.iter().map(|block| block.text().len());
        heading + blocks.sum::<usize>()
    };
    document.sections.iter().map(section).sum()
}

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("holds more than {limit} {what}")]
    TooMuch { what: &'static str, limit: u64 },
    #[error("is not {0}, whatever its name says")]
    NotA(&'static str),
    #[error("is protected by a password")]
    Encrypted,
    #[error("holds no text")]
    NoText,
    #[error(
        "holds pictures of pages and no text: it must be put through character recognition first"
    )]
    Scanned,
    #[error("is broken: {0}")]
    Broken(String),
}

impl ReadError {
    fn broken(error: impl std::fmt::Display) -> Self {
        // The messages of parsers can quote the whole file.
        Self::Broken(error.to_string().chars().take(200).collect())
    }
}

/// What a file holds, read in this process.
fn read(original: &Original, format: Format) -> Result<Content, ReadError> {
    if original.bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(ReadError::NoText);
    }
    let content = format.reader()(original)?;
    match content.text_bytes() {
        0 => Err(ReadError::NoText),
        1..=MAX_TEXT => Ok(content),
        _ => Err(ReadError::TooMuch {
            what: "bytes of text",
            limit: MAX_TEXT as u64,
        }),
    }
}
