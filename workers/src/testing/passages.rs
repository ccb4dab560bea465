//! Passages to keep and find.

use uuid::Uuid;

use crate::knowledge::DocumentRef;
use crate::knowledge::store::StoredPassage;

/// A passage under the id `number`, of a document whose id is its title too.
pub fn stored(number: u128, document: &str, text: &str) -> StoredPassage {
    StoredPassage {
        id: Uuid::from_u128(number),
        document: DocumentRef {
            id: document.to_owned(),
            title: document.to_owned(),
            url: None,
        },
        heading: None,
        page: None,
        text: text.to_owned(),
        vector: None,
    }
}
