//! Plain text, named after its file: which of its lines would be a title cannot be told.

use workers::knowledge::{DocumentRef, document::Document};

use super::{Content, Original, ReadError, encoding};
use crate::ingest::articles;

pub fn read(original: &Original) -> Result<Content, ReadError> {
    let text = encoding::text(&original.bytes)?;
    Ok(Document {
        reference: DocumentRef {
            id: original.id.clone(),
            title: original.name(),
            url: None,
        },
        page: None,
        sections: articles::sections(&text),
    }
    .into())
}
