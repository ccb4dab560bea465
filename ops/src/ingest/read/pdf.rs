//! PDF, page by page.
//!
//! `pdf-extract` finds the characters and their places. It panics on some broken files, which [`super::isolated`]
//! makes failures of those files.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use pdf_extract::{ConvertToFmt, Dictionary, Object, PlainTextOutput, output_doc_page};
use workers::knowledge::{
    DocumentRef,
    document::Document,
    markdown::{Block, Section},
};

use super::{Content, MAX_PAGES, MAX_TEXT, Original, ReadError};
use crate::ingest::{articles::Articles, outline::one_line};

mod lines;
mod nesting;
mod weight;

/// How far before the mark of a PDF other bytes may stand (ISO 32000-1, annex H, note 13).
const HEADER_BYTES: usize = 1_024;

pub fn read(original: &Original) -> Result<Content, ReadError> {
    let head = &original.bytes[..original.bytes.len().min(HEADER_BYTES)];
    if !head.windows(5).any(|mark| mark == b"%PDF-") {
        return Err(ReadError::NotA("a PDF"));
    }
    weight::check(&original.bytes)?;
    let pdf = open(&original.bytes)?;
    let reference = original.reference(title(&pdf));
    let pages = pages(&pdf)?;
    if pages.iter().all(|page| page.trim().is_empty()) {
        return Err(if pages.is_empty() {
            ReadError::NoText
        } else {
            ReadError::Scanned
        });
    }
    Ok(Content {
        documents: documents(&reference, &lines::of_pages(&pages)),
        ..Content::default()
    })
}

fn open(bytes: &[u8]) -> Result<pdf_extract::Document, ReadError> {
    let mut pdf = pdf_extract::Document::load_mem(bytes).map_err(|error| {
        // A password is asked for while the objects are read.
        if matches!(
            error,
            pdf_extract::Error::InvalidPassword | pdf_extract::Error::Decryption(_)
        ) {
            ReadError::Encrypted
        } else {
            ReadError::broken(error)
        }
    })?;
    // Many files are protected against changes alone, with an empty password for reading.
    if pdf.is_encrypted() && pdf.decrypt("").is_err() {
        return Err(ReadError::Encrypted);
    }
    nesting::prepare(&mut pdf)?;
    Ok(pdf)
}

fn pages(pdf: &pdf_extract::Document) -> Result<Vec<String>, ReadError> {
    let numbers: Vec<u32> = pdf.get_pages().into_keys().collect();
    if numbers.len() > MAX_PAGES {
        return Err(ReadError::TooMuch {
            what: "pages",
            limit: MAX_PAGES as u64,
        });
    }
    let mut left = 2 * MAX_TEXT;
    let mut pages = Vec::with_capacity(numbers.len());
    for number in numbers {
        let text = page(pdf, number, left)?;
        left -= text.len();
        pages.push(text);
    }
    Ok(pages)
}

fn page(pdf: &pdf_extract::Document, number: u32, limit: usize) -> Result<String, ReadError> {
    let mut text = String::new();
    let mut full = false;
    let result = catch_unwind(AssertUnwindSafe(|| {
        let out = Bounded {
            text: &mut text,
            full: &mut full,
            limit,
        };
        output_doc_page(pdf, &mut PlainTextOutput::new(out), number)
    }));
    if full {
        return Err(ReadError::TooMuch {
            what: "bytes of text",
            limit: MAX_TEXT as u64,
        });
    }
    match result {
        Ok(Ok(())) => Ok(text),
        Ok(Err(error)) => Err(ReadError::broken(format!("page {number}: {error}"))),
        Err(_) => Err(ReadError::broken(format!(
            "page {number} cannot be understood"
        ))),
    }
}

/// A page can show the same part millions of times.
struct Bounded<'a> {
    text: &'a mut String,
    full: &'a mut bool,
    limit: usize,
}

impl ConvertToFmt for Bounded<'_> {
    type Writer = Self;

    fn convert(self) -> Self {
        self
    }
}

impl fmt::Write for Bounded<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        *self.full = self.text.len() + text.len() > self.limit;
        if *self.full {
            return Err(fmt::Error);
        }
        self.text.push_str(text);
        Ok(())
    }
}

/// One for each page with text; headings and paragraphs go on over the page's end.
fn documents(reference: &DocumentRef, pages: &[Vec<String>]) -> Vec<Document> {
    let mut reader = Articles::default();
    let mut documents: Vec<Document> = Vec::new();
    for (number, lines) in (1..).zip(pages) {
        reader.lines(lines.iter().map(String::as_str));
        let mut sections = reader.take();
        if let (Some(before), Some(first)) = (documents.last_mut(), sections.first_mut()) {
            join_over_page(before, &mut first.blocks);
        }
        sections.retain(|section| !section.blocks.is_empty());
        if !sections.is_empty() {
            documents.push(Document {
                reference: reference.clone(),
                page: Some(number),
                sections,
            });
        }
    }
    add_rest(&mut documents, reference, reader.finish(), pages.len());
    documents
}

/// Headings at the very end, under which nothing stands, belong to the last page.
fn add_rest(
    documents: &mut Vec<Document>,
    reference: &DocumentRef,
    rest: Vec<Section>,
    pages: usize,
) {
    let last = u32::try_from(pages).unwrap_or(u32::MAX);
    match documents.last_mut() {
        Some(document) if document.page == Some(last) => document.sections.extend(rest),
        _ if rest.is_empty() => {}
        _ => documents.push(Document {
            reference: reference.clone(),
            page: Some(last),
            sections: rest,
        }),
    }
}

/// A sentence that the page's end cuts stays whole, on the page where it begins.
fn join_over_page(before: &mut Document, blocks: &mut Vec<Block>) {
    let last = before
        .sections
        .last_mut()
        .and_then(|section| section.blocks.last_mut());
    let (Some(Block::Paragraph(open) | Block::Item(open)), Some(Block::Paragraph(rest))) =
        (last, blocks.first())
    else {
        return;
    };
    let goes_on = rest.chars().next().is_some_and(char::is_lowercase);
    if goes_on && !open.ends_with(['.', ':', ';', '?', '!']) {
        open.push(' ');
        open.push_str(rest);
        blocks.remove(0);
    }
}

/// Of the file's properties, unless a program made it up from the name of a file.
fn title(pdf: &pdf_extract::Document) -> Option<String> {
    let properties: &Dictionary = match pdf.trailer.get(b"Info").ok()? {
        Object::Reference(id) => pdf.get_dictionary(*id).ok()?,
        Object::Dictionary(properties) => properties,
        _ => return None,
    };
    let title = match properties.get(b"Title").ok()? {
        Object::Reference(id) => pdf.get_object(*id).ok()?,
        title => title,
    };
    let title = one_line(&written(title.as_str().ok()?));
    let made_up = title.starts_with("Microsoft ")
        || matches!(
            title.to_lowercase().as_str(),
            "untitled" | "(anonymous)" | "anonymous" | ""
        )
        || title.rsplit_once('.').is_some_and(|(_, ending)| {
            (2..=5).contains(&ending.len())
                && ending.bytes().all(|byte| byte.is_ascii_alphanumeric())
        });
    (!made_up).then_some(title)
}

/// UTF-16 with its mark, UTF-8 with its mark, or else one byte for each character (ISO 32000-2, section 7.9.2.2).
fn written(bytes: &[u8]) -> String {
    match encoding_rs::Encoding::for_bom(bytes) {
        Some((encoding, mark)) => encoding
            .decode_without_bom_handling(&bytes[mark..])
            .0
            .into_owned(),
        None => encoding_rs::WINDOWS_1252
            .decode_without_bom_handling(bytes)
            .0
            .into_owned(),
    }
}
