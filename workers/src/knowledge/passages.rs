//! Documents become passages whose ids tell whether anything has changed.

use std::collections::HashSet;

use super::{DocumentRef, chunk::chunks, document::Document, store::StoredPassage};
use uuid::Uuid;

/// Made once at random; another one would give every passage a new id.
const NAMESPACE: Uuid = Uuid::from_u128(0x8f0c_3e0a_54c7_4b7b_9d0e_6a54_7f21_b0c9);

/// The passages of the documents in order, each once.
pub fn passages(documents: &[Document]) -> Vec<StoredPassage> {
    let mut seen = HashSet::new();
    documents
        .iter()
        .flat_map(|document| {
            let reference = document.reference.clone().bounded();
            chunks(document).into_iter().map(move |chunk| {
                passage(reference.clone(), chunk.heading, document.page, chunk.text)
            })
        })
        .filter(|passage| seen.insert(passage.id))
        .collect()
}

/// The id is derived from all there is, so that a changed title or address replaces the passage as well.
pub fn passage(
    document: DocumentRef,
    heading: Option<String>,
    page: Option<u32>,
    text: String,
) -> StoredPassage {
    let page_text = page.map(|page| page.to_string());
    let parts = [
        Some(document.id.as_str()),
        Some(document.title.as_str()),
        document.url.as_deref(),
        heading.as_deref(),
        page_text.as_deref(),
        Some(text.as_str()),
    ];
    let mut name = Vec::new();
    for part in parts {
        // A length before each part, so that no two sets of parts read the same.
        let length = part.map_or(u64::MAX, |part| part.len() as u64);
        name.extend_from_slice(&length.to_le_bytes());
        name.extend_from_slice(part.unwrap_or_default().as_bytes());
    }
    StoredPassage {
        id: Uuid::new_v5(&NAMESPACE, &name),
        document,
        heading,
        page,
        text,
        vector: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(id: &str, url: Option<&str>) -> DocumentRef {
        DocumentRef {
            id: id.into(),
            title: "Judul".into(),
            url: url.map(str::to_owned),
        }
    }

    #[test]
    fn an_id_changes_with_each_part_and_with_nothing_else() {
        let base = || passage(reference("a", None), None, None, "isi".into()).id;
        assert_eq!(base(), base());
        let others = [
            passage(reference("b", None), None, None, "isi".into()),
            passage(reference("a", Some("")), None, None, "isi".into()),
            passage(
                reference("a", None),
                Some(String::new()),
                None,
                "isi".into(),
            ),
            passage(reference("a", None), None, Some(1), "isi".into()),
            passage(reference("a", None), None, None, "isi ".into()),
        ];
        let ids: HashSet<Uuid> = others
            .iter()
            .map(|passage| passage.id)
            .chain([base()])
            .collect();
        assert_eq!(ids.len(), others.len() + 1);
    }

    #[test]
    fn what_each_passage_repeats_is_cut() {
        let long = "é".repeat(10_000);
        let document = Document {
            reference: reference(&long, Some(&long)),
            ..Document::from_markdown("a", &format!("# {long}\n## S\nIsi.\n## T\nIsi."))
        };
        for passage in passages(&[document]) {
            let repeated = [&passage.document.id, &passage.document.title];
            assert!(repeated.iter().all(|text| text.len() <= 1_000));
            assert_eq!(passage.document.url, None);
            assert!(passage.heading.is_none_or(|heading| heading.len() < 10));
        }
    }

    #[test]
    fn the_same_text_twice_is_one_passage() {
        let document = Document::from_markdown("a", "## S\nIsi.\n## S\nIsi.");
        assert_eq!(passages(&[document]).len(), 1);
    }
}
