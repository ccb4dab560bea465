//! Plain text, named after its file: which of its lines would be a title cannot be told.

use super::{Content, Original, ReadError, encoding};
use crate::ingest::articles;

pub fn read(original: &Original) -> Result<Content, ReadError> {
    let text = encoding::text(&original.bytes)?;
    let sections = articles::sections(&text);
    Ok(original.document(None, sections).into())
}
