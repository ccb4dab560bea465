//! Word documents (Office Open XML, ECMA-376 part 1, chapter 17).

use quick_xml::{Reader, events::Event};

use super::{Content, Original, ReadError, archive::Archive};
use crate::ingest::outline::one_line;

mod body;
mod styles;

use body::Body;
use styles::Styles;

/// Bytes of a title in the properties.
const LONGEST_TITLE: usize = 1_000;

pub fn read(original: &Original) -> Result<Content, ReadError> {
    const KIND: &str = "a Word document";
    let mut archive = Archive::open(&original.bytes, KIND)?;
    let text = archive
        .text("word/document.xml")?
        .ok_or(ReadError::NotA(KIND))?;
    let styles = match archive.text("word/styles.xml")? {
        Some(text) => Styles::read(&text)?,
        None => Styles::default(),
    };
    let named = match archive.text("docProps/core.xml")? {
        Some(text) => title(&text),
        None => None,
    };
    let (title, sections) = Body::new(styles, named).read(&text)?;
    Ok(original.document(title, sections).into())
}

/// `dc:title` of the core properties. What is wrong with them does not keep the text from being read.
fn title(text: &str) -> Option<String> {
    let mut reader = Reader::from_str(text);
    let mut inside = false;
    let mut title = String::new();
    loop {
        match reader.read_event().ok()? {
            Event::Start(tag) => inside = tag.local_name().as_ref() == "title",
            Event::End(_) if inside => break,
            Event::Eof => break,
            event if inside => body::push_text(&event, &mut title),
            _ => {}
        }
    }
    let mut title = one_line(&title);
    // Paragraphs are compared with it.
    title.truncate(title.floor_char_boundary(LONGEST_TITLE));
    // What word processors put there themselves.
    let made_up = ["Microsoft Word", "Document", "Untitled", "Word Document"];
    let kept = !title.is_empty() && !made_up.iter().any(|name| title.starts_with(name));
    kept.then_some(title)
}
