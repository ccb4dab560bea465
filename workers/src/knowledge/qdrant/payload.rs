//! The payload of a point: what LangChain writes, `{"page_content": …, "metadata": {…}}`, with more in the metadata of
//! those that are ours.

use std::collections::HashMap;

use qdrant_client::qdrant::point_id::PointIdOptions;
use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::{PointId, Struct, Value};

use crate::knowledge::markdown::{self, Block};
use crate::knowledge::source::file_title;
use crate::knowledge::store::StoredPassage;
use crate::knowledge::{DocumentRef, Passage};

pub(super) const TEXT: &str = "page_content";
pub(super) const METADATA: &str = "metadata";

/// Marks the points that this program wrote.
pub(super) const WRITTEN_BY: &str = "metadata.written_by";
pub(super) const OURS: &str = "itb-assistant";

pub(super) const DOCUMENT_ID: &str = "metadata.document_id";

/// A language model is given ten passages: a whole book in one point must not be all it reads.
const LONGEST_TEXT: usize = 8_000;

/// A title made of a text's first words.
const TITLE_CHARS: usize = 60;

/// What a splitter of Markdown calls the headings above a text, the nearest first.
const HEADINGS: [&str; 6] = [
    "heading", "Header 4", "Header 3", "Header 2", "Header 1", "section",
];

type Fields = HashMap<String, Value>;

/// The payload of a passage of ours.
pub(super) fn of_passage(passage: &StoredPassage) -> Fields {
    let document = &passage.document;
    let source = document.url.as_ref().unwrap_or(&document.id);
    let texts = [
        ("written_by", Some(OURS.to_owned())),
        ("document_id", Some(document.id.clone())),
        ("title", Some(document.title.clone())),
        ("source", Some(source.clone())),
        ("url", document.url.clone()),
        ("heading", passage.heading.clone()),
    ];
    let mut metadata: Fields = texts
        .into_iter()
        .filter_map(|(name, text)| Some((name.to_owned(), Value::from(text?))))
        .collect();
    if let Some(page) = passage.page {
        metadata.insert("page".into(), Value::from(i64::from(page)));
    }
    let metadata = Kind::StructValue(Struct { fields: metadata });
    HashMap::from([
        (TEXT.to_owned(), Value::from(passage.text.clone())),
        (
            METADATA.to_owned(),
            Value {
                kind: Some(metadata),
            },
        ),
    ])
}

/// The passage that a point holds; `None` when it holds no text.
pub(super) fn passage(id: &str, payload: &Fields, score: f32) -> Option<Passage> {
    let content = payload.get(TEXT).and_then(text)?;
    let none = Fields::new();
    let metadata = match payload.get(METADATA).and_then(|value| value.kind.as_ref()) {
        Some(Kind::StructValue(metadata)) => &metadata.fields,
        _ => &none,
    };
    let field = |name: &str| metadata.get(name).and_then(text);
    let page = metadata.get("page").and_then(page);
    let passage = |document, heading, page, text| Passage {
        id: id.to_owned(),
        document,
        heading,
        page,
        text,
        score,
    };
    if field("written_by").as_deref() == Some(OURS) {
        let document = DocumentRef {
            id: field("document_id").unwrap_or_else(|| id.to_owned()),
            title: field("title").unwrap_or_else(|| first_words(&content)),
            url: field("url"),
        };
        return Some(passage(document, field("heading"), page, content));
    }
    let heading = HEADINGS.iter().find_map(|name| field(name));
    let document = foreign_document(id, &content, field);
    let (found_heading, text) = readable(&content);
    // LangChain's PDF loaders count pages from 0.
    let page = page.map(|page| page.saturating_add(1));
    Some(passage(document, heading.or(found_heading), page, text))
}

fn foreign_document(
    id: &str,
    content: &str,
    field: impl Fn(&str) -> Option<String>,
) -> DocumentRef {
    let source = field("source");
    let link = source.clone().filter(|source| source.starts_with("http"));
    let url = field("url").or(link);
    let title = field("title")
        .or_else(|| source.as_deref().map(named_by))
        .or_else(|| markdown::title(content))
        .or_else(|| url.as_deref().map(named_by))
        .filter(|title| !title.trim().is_empty())
        .unwrap_or_else(|| first_words(content));
    let document = field("id").or(source).or(url.clone());
    DocumentRef {
        id: document.unwrap_or_else(|| id.to_owned()),
        title,
        url,
    }
}

/// The title of a file, or the host of an address without a path.
fn named_by(source: &str) -> String {
    let address = source.split(['?', '#']).next().unwrap_or(source);
    let below = address
        .split_once("://")
        .map_or(address, |(_, below)| below);
    match below.trim_end_matches('/') {
        host if below != address && !host.contains('/') => host.to_owned(),
        _ => file_title(address),
    }
}

fn first_words(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty());
    let line = line
        .unwrap_or_default()
        .trim()
        .trim_start_matches('#')
        .trim_start();
    let Some((end, _)) = line.char_indices().nth(TITLE_CHARS) else {
        return line.to_owned();
    };
    let end = line[..end].rfind(' ').unwrap_or(end);
    format!("{}…", &line[..end])
}

/// The text without Markdown marks, as a passage holds it, and the heading that it begins with.
fn readable(content: &str) -> (Option<String>, String) {
    let mut lines: Vec<String> = Vec::new();
    let mut first_heading = None;
    for (at, section) in markdown::sections(content).into_iter().enumerate() {
        match section.heading {
            heading if at == 0 => first_heading = heading,
            Some(heading) => lines.push(heading),
            None => {}
        }
        lines.extend(section.blocks.iter().map(Block::text).map(str::to_owned));
    }
    let text = lines.join("\n");
    let text = if text.trim().is_empty() {
        content.trim()
    } else {
        &text
    };
    (first_heading, shortened(text))
}

fn shortened(text: &str) -> String {
    let Some((end, _)) = text.char_indices().nth(LONGEST_TEXT) else {
        return text.to_owned();
    };
    let end = text[..end].rfind(char::is_whitespace).unwrap_or(end);
    text[..end].trim_end().to_owned()
}

/// A text that is not blank; a number as it is written.
pub(super) fn text(value: &Value) -> Option<String> {
    let text = match value.kind.as_ref()? {
        Kind::StringValue(text) => text.clone(),
        Kind::IntegerValue(number) => number.to_string(),
        _ => return None,
    };
    (!text.trim().is_empty()).then_some(text)
}

fn page(value: &Value) -> Option<u32> {
    match value.kind.as_ref()? {
        Kind::IntegerValue(page) => u32::try_from(*page).ok(),
        // JSON does not tell 4 from 4.0, and some writers write the latter.
        Kind::DoubleValue(page) if page.fract() == 0.0 && (0.0..1e6).contains(page) => {
            Some(*page as u32)
        }
        Kind::StringValue(page) => page.trim().parse().ok(),
        _ => None,
    }
}

/// The id of a point as a text: a UUID or a number.
pub(super) fn id(id: Option<PointId>) -> Option<String> {
    match id?.point_id_options? {
        PointIdOptions::Uuid(uuid) => Some(uuid),
        PointIdOptions::Num(number) => Some(number.to_string()),
    }
}

/// The value at a path like `metadata.title`.
pub(super) fn at<'a>(payload: &'a Fields, path: &str) -> Option<&'a Value> {
    match path.split_once('.') {
        None => payload.get(path),
        Some((outer, inner)) => match payload.get(outer)?.kind.as_ref()? {
            Kind::StructValue(fields) => at(&fields.fields, inner),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::passages::stored;
    use crate::testing::qdrant::payload;

    fn read(json: serde_json::Value) -> Option<Passage> {
        passage("7", &payload(&json), 0.5)
    }

    #[test]
    fn ours_comes_back_as_it_was_and_is_a_document_of_langchain() {
        let mut kept = stored(1, "asrama", "Sewa *kamar*\n- dibayar");
        kept.heading = Some("Biaya".into());
        kept.page = Some(3);
        kept.document.url = Some("https://contoh.id/asrama".into());
        let payload = of_passage(&kept);
        let found = passage(&kept.id.to_string(), &payload, 0.5).expect("a passage");
        assert_eq!(found.document, kept.document);
        assert_eq!(
            (found.heading, found.page, found.text),
            (kept.heading, kept.page, kept.text)
        );
        assert_eq!(
            at(&payload, "metadata.source").and_then(text),
            kept.document.url
        );
    }

    #[test]
    fn title_address_and_page_are_found_where_langchain_puts_them() {
        for (metadata, title, url, page) in [
            (
                serde_json::json!({"title": "Judul", "url": "https://a.id/b"}),
                "Judul",
                Some("https://a.id/b"),
                None,
            ),
            (
                serde_json::json!({"source": "/d/peraturan-akademik.pdf", "page": 4}),
                "peraturan akademik",
                None,
                Some(5),
            ),
            (
                serde_json::json!({"source": "https://a.id/biaya_kuliah.html?x=1"}),
                "biaya kuliah",
                Some("https://a.id/biaya_kuliah.html?x=1"),
                None,
            ),
            (
                serde_json::json!({"source": "https://itb.ac.id/"}),
                "itb.ac.id",
                Some("https://itb.ac.id/"),
                None,
            ),
            (
                serde_json::json!({"title": " ", "page": "2"}),
                "Uang kuliah",
                None,
                Some(3),
            ),
            (
                serde_json::json!({"title": null, "page": 1.0}),
                "Uang kuliah",
                None,
                Some(2),
            ),
            (serde_json::json!({"page": -1}), "Uang kuliah", None, None),
            (serde_json::json!([1, 2]), "Uang kuliah", None, None),
            (serde_json::Value::Null, "Uang kuliah", None, None),
        ] {
            let found =
                read(serde_json::json!({"page_content": "Uang kuliah", "metadata": metadata}))
                    .expect("a passage");
            assert_eq!(found.document.title, title, "{metadata}");
            assert_eq!(found.document.url.as_deref(), url, "{metadata}");
            assert_eq!(found.page, page, "{metadata}");
        }
    }

    #[test]
    fn a_point_without_text_is_no_passage() {
        for content in [
            serde_json::json!({}),
            serde_json::json!({"page_content": "  "}),
            serde_json::json!({"page_content": null}),
            serde_json::json!({"page_content": {"a": 1}}),
        ] {
            assert_eq!(read(content.clone()), None, "{content}");
        }
    }

    #[test]
    fn marks_of_markdown_are_removed_and_the_text_is_bounded() {
        let found = read(serde_json::json!({"page_content": "## Biaya\nUang **kuliah**\ndibayar.\n\n- satu\n- dua\n"})).expect("a passage");
        assert_eq!(found.heading.as_deref(), Some("Biaya"));
        assert_eq!(found.text, "Uang kuliah dibayar.\n- satu\n- dua");
        let long = "kata ".repeat(100_000);
        let found = read(serde_json::json!({"page_content": long})).expect("a passage");
        assert!(found.text.chars().count() <= LONGEST_TEXT);
        assert!(found.document.title.chars().count() <= TITLE_CHARS + 1);
    }

    #[test]
    fn chunks_of_one_source_are_of_one_document() {
        let chunk =
            |text: &str| serde_json::json!({"page_content": text, "metadata": {"source": "a.pdf"}});
        let (first, second) = (read(chunk("satu")), read(chunk("dua")));
        assert_eq!(
            first.expect("a passage").document,
            second.expect("a passage").document
        );
    }
}
