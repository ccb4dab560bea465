//! Markdown with front matter.

use workers::knowledge::document::Document;

use super::{Content, Original, ReadError, encoding};

pub fn read(original: &Original) -> Result<Content, ReadError> {
    let text = encoding::text(&original.bytes)?;
    let mut document = Document::from_markdown(&original.id, &text);
    // Where the text has no title the id stands in, and that is a path here.
    if document.reference.title == original.id.replace(['-', '_'], " ") {
        document.reference.title = original.name();
    }
    Ok(document.into())
}
