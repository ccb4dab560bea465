//! JSON: our own form, what LangChain writes, passages that were stored, and any other object as its keys and values.

use serde_json::{Map, Value};
use workers::knowledge::{
    DocumentRef,
    document::Document,
    markdown::{self, Block, Section},
    passages,
    store::StoredPassage,
};

use super::{Content, MAX_TEXT, Original, ReadError, encoding, text_bytes};
use crate::ingest::{articles, outline::one_line};

const MAX_RECORDS: usize = 500_000;

/// Broken lines that are named one by one.
const MAX_FAULTS: usize = 100;

pub fn read(original: &Original) -> Result<Content, ReadError> {
    let text = encoding::text(&original.bytes)?;
    let value = serde_json::from_str(&text).map_err(ReadError::broken)?;
    let mut records = Records::of(original);
    for record in unwrapped(value) {
        records.push(record)?;
    }
    Ok(records.content)
}

/// A line that is broken costs itself alone, unless there is no other.
pub fn read_lines(original: &Original) -> Result<Content, ReadError> {
    let text = encoding::text(&original.bytes)?;
    let mut records = Records::of(original);
    let mut broken = 0;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        let record = serde_json::from_str(line).map_err(ReadError::broken);
        match record.and_then(|record| records.push(record)) {
            Ok(()) => {}
            Err(ReadError::Broken(reason)) => {
                broken += 1;
                if broken <= MAX_FAULTS {
                    let fault = format!("line {number} is broken: {reason}");
                    records.content.faults.push(fault);
                }
            }
            Err(error) => return Err(error),
        }
    }
    let Content {
        documents,
        passages,
        faults,
    } = &mut records.content;
    if broken > MAX_FAULTS {
        faults.push(format!("and {} lines more are broken", broken - MAX_FAULTS));
    }
    if documents.is_empty() && passages.is_empty() && !faults.is_empty() {
        return Err(ReadError::broken(faults.join("; ")));
    }
    Ok(records.content)
}

/// The elements of an array, also of one that is all there is in an object, as exports write it.
fn unwrapped(value: Value) -> Vec<Value> {
    match value {
        Value::Array(values) => values,
        Value::Object(object) if object.len() == 1 => match object.into_iter().next() {
            Some((_, Value::Array(values))) if values.iter().all(Value::is_object) => values,
            Some((key, value)) => vec![Value::Object(Map::from_iter([(key, value)]))],
            None => Vec::new(),
        },
        other => vec![other],
    }
}

struct Records<'a> {
    original: &'a Original,
    content: Content,
    /// Bytes of text that may still come.
    left: usize,
}

/// A key can be repeated by all that stands under it, and a heading by its sections: a file that holds too much is given
/// up before that is all made.
fn take(left: &mut usize, bytes: usize) -> Result<(), ReadError> {
    *left = left.checked_sub(bytes).ok_or(ReadError::TooMuch {
        what: "bytes of text",
        limit: MAX_TEXT as u64,
    })?;
    Ok(())
}

impl<'a> Records<'a> {
    fn of(original: &'a Original) -> Self {
        Self {
            original,
            content: Content::default(),
            left: MAX_TEXT,
        }
    }

    fn push(&mut self, record: Value) -> Result<(), ReadError> {
        if self.content.documents.len() + self.content.passages.len() >= MAX_RECORDS {
            return Err(ReadError::TooMuch {
                what: "records",
                limit: MAX_RECORDS as u64,
            });
        }
        let Value::Object(record) = record else {
            return Err(ReadError::Broken(
                "a record is not an object in braces".into(),
            ));
        };
        if let Ok(stored) = serde_json::from_value::<StoredPassage>(Value::Object(record.clone())) {
            self.content.passages.push(self.adopted(stored));
        } else {
            let document = self.document(record)?;
            take(&mut self.left, text_bytes(&document))?;
            self.content.documents.push(document);
        }
        Ok(())
    }

    /// A stored passage as one of this file. A vector is only as good as the model that made it, which is not known.
    fn adopted(&self, stored: StoredPassage) -> StoredPassage {
        let reference = DocumentRef {
            id: self.id(Some(&stored.document.id)),
            ..stored.document
        };
        passages::passage(reference, stored.heading, stored.page, stored.text)
    }

    fn document(&self, record: Map<String, Value>) -> Result<Document, ReadError> {
        if let Some(text) = string(&record, "page_content") {
            let empty = Map::new();
            let metadata = record.get("metadata").and_then(Value::as_object);
            return Ok(self.lang_chain(text, metadata.unwrap_or(&empty)));
        }
        let title = string(&record, "title");
        let url = string(&record, "url");
        let id = key(&record, "id");
        let name = id.as_deref().or(url).or(title);
        let reference = DocumentRef {
            id: self.id(name),
            title: title.map_or_else(|| self.original.name(), one_line),
            url: url.map(str::to_owned),
        };
        Ok(match string(&record, "text") {
            Some(text) => {
                let sections = sections(&reference.title, text);
                self.made(reference, page(&record, 0), sections)
            }
            None => self.made(reference, None, flattened(record, self.left)?),
        })
    }

    /// The form of LangChain's documents: `source` is a path or an address, and pages are counted from 0.
    fn lang_chain(&self, text: &str, metadata: &Map<String, Value>) -> Document {
        let source = string(metadata, "source");
        let link = source.filter(|source| source.starts_with("http"));
        let title = string(metadata, "title");
        let id = key(metadata, "id");
        let reference = DocumentRef {
            id: self.id(id.as_deref().or(source).or(title)),
            title: title
                .map(one_line)
                .or_else(|| source.map(file_title))
                .unwrap_or_else(|| self.original.name()),
            url: string(metadata, "url").or(link).map(str::to_owned),
        };
        let sections = sections(&reference.title, text);
        self.made(reference, page(metadata, 1), sections)
    }

    fn made(&self, reference: DocumentRef, page: Option<u32>, sections: Vec<Section>) -> Document {
        Document {
            reference,
            page,
            sections,
        }
    }

    /// Of a document in this file. What has no name of its own belongs to the file.
    fn id(&self, name: Option<&str>) -> String {
        match name {
            Some(name) => format!("{}#{}", self.original.id, one_line(name)),
            None => self.original.id.clone(),
        }
    }
}

fn string<'a>(record: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    let text = record.get(key)?.as_str()?;
    (!text.trim().is_empty()).then_some(text)
}

fn key(record: &Map<String, Value>, name: &str) -> Option<String> {
    match record.get(name)? {
        Value::Number(number) => Some(number.to_string()),
        _ => string(record, name).map(str::to_owned),
    }
}

fn page(record: &Map<String, Value>, offset: u32) -> Option<u32> {
    let page = u32::try_from(record.get("page")?.as_u64()?).ok()?;
    page.checked_add(offset).filter(|page| *page > 0)
}

fn file_title(source: &str) -> String {
    let name = source.trim_end_matches('/').rsplit(['/', '\\']).next();
    let name = name.unwrap_or(source);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    one_line(&stem.replace(['-', '_'], " "))
}

/// Markdown when it looks like it, text otherwise.
fn sections(title: &str, text: &str) -> Vec<Section> {
    let marked = |line: &str| line.starts_with(['#', '|']);
    if text.lines().any(|line| marked(line.trim_start())) {
        markdown::sections_under(title, text)
    } else {
        articles::sections(text)
    }
}

/// `- kunci: nilai; kunci dalam: nilai` of an object that has no text of its own, and is at most `limit` bytes long.
fn flattened(record: Map<String, Value>, limit: usize) -> Result<Vec<Section>, ReadError> {
    let mut flat = Flat {
        parts: Vec::new(),
        left: limit,
    };
    flat.add("", &Value::Object(record))?;
    if flat.parts.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![Section {
        heading: None,
        blocks: vec![Block::Row(format!("- {}", flat.parts.join("; ")))],
    }])
}

struct Flat {
    parts: Vec<String>,
    /// Bytes of paths and values that may still come.
    left: usize,
}

impl Flat {
    /// As deep as the parser allows, which is 128 levels.
    fn add(&mut self, path: &str, value: &Value) -> Result<(), ReadError> {
        take(&mut self.left, path.len())?;
        match value {
            Value::Null => {}
            Value::Object(object) => {
                for (key, value) in object {
                    let key = key.replace('_', " ");
                    self.add(&one_line(&format!("{path} {key}")), value)?;
                }
            }
            Value::Array(values) => {
                for value in values {
                    self.add(path, value)?;
                }
            }
            Value::Bool(truth) => self.push(path, if *truth { "ya" } else { "tidak" }),
            Value::Number(number) => self.push(path, &number.to_string()),
            Value::String(text) => self.push(path, &one_line(text)),
        }
        Ok(())
    }

    fn push(&mut self, path: &str, text: &str) {
        if !text.is_empty() {
            self.parts.push(format!("{path}: {text}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Original {
        Original {
            id: "docs/a.json".into(),
            bytes: text.into(),
        }
    }

    #[test]
    fn each_form_of_a_record_is_known() {
        for (text, id, title, page, first) in [
            (
                r#"{"id": 7, "title": "Judul", "url": "https://a.id", "text": "Isi."}"#,
                "docs/a.json#7",
                "Judul",
                None,
                "Isi.",
            ),
            (
                r#"[{"page_content": "Isi.", "metadata": {"source": "/x/aturan-baru.pdf", "page": 4}}]"#,
                "docs/a.json#/x/aturan-baru.pdf",
                "aturan baru",
                Some(5),
                "Isi.",
            ),
            (
                r#"{"data": [{"nama": "Asrama", "biaya": {"per_bulan": 5, "lunas": false, "catatan": null}}]}"#,
                "docs/a.json",
                "a",
                None,
                "- biaya lunas: tidak; biaya per bulan: 5; nama: Asrama",
            ),
            (r#"{"text": "Isi."}"#, "docs/a.json", "a", None, "Isi."),
        ] {
            let content = read(&of(text)).expect(text);
            let document = &content.documents[0];
            assert_eq!(document.reference.id, id);
            assert_eq!(document.reference.title, title);
            assert_eq!(document.page, page);
            let mut block = document.sections[0].blocks[0].text().to_owned();
            if first.starts_with('-') && block != first {
                // The order of the keys is that of the file when a crate asks serde_json for it.
                let mut parts: Vec<&str> = block[2..].split("; ").collect();
                parts.sort_unstable();
                block = format!("- {}", parts.join("; "));
            }
            assert_eq!(block, first);
        }
    }

    #[test]
    fn a_stored_passage_stays_as_it_was_cut() {
        let stored = passages::passage(
            DocumentRef {
                id: "x".into(),
                title: "X".into(),
                url: None,
            },
            Some("S".into()),
            Some(3),
            "Isi. Lagi.".into(),
        );
        let content =
            read_lines(&of(&serde_json::to_string(&stored).expect("JSON"))).expect("read");
        let found = &content.passages[0];
        assert_eq!(found.document.id, "docs/a.json#x");
        assert_eq!((&found.text, found.page), (&stored.text, stored.page));
    }

    #[test]
    fn what_is_broken_is_named_by_its_line() {
        let content = read_lines(&of(
            "{\"text\": \"a\"}\n{\"text\": \n[1]\n{\"text\": \"b\"}",
        ))
        .expect("read");
        assert_eq!(content.documents.len(), 2);
        let faults: Vec<&str> = content.faults.iter().map(|fault| &fault[..6]).collect();
        assert_eq!(faults, ["line 2", "line 3"]);
        let many = format!("{{\"text\": \"a\"}}\n{}", "{\n".repeat(250));
        let content = read_lines(&of(&many)).expect("read");
        assert_eq!(content.faults.len(), 101);
        assert_eq!(content.faults[100], "and 150 lines more are broken");
        let error = read_lines(&of("{")).expect_err("broken");
        assert!(error.to_string().contains("line 1"), "{error}");
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(matches!(read(&of(&deep)), Err(ReadError::Broken(_))));
        assert!(matches!(read(&of("[1, 2]")), Err(ReadError::Broken(_))));
    }
}
