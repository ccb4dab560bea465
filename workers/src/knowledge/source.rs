//! Where documents come from: the set in the binary, a folder of Markdown files, JSON lines.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use serde::Deserialize;

use super::DocumentRef;
use super::document::Document;
use super::markdown;
use super::passages::passages;
use super::store::StoredPassage;

/// The documents in the binary, by name. Written by `build.rs` from the folder `knowledge`.
const BUNDLED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/bundled_documents.rs"));

/// A Markdown file or a line of JSON; a longer one is a mistake rather than a document.
const MAX_TEXT_BYTES: u64 = 8 * 1024 * 1024;

/// What an index in memory is made for; above it a vector database is the better place.
const MAX_DOCUMENTS: usize = 100_000;

/// The same for passages that are cut already.
const MAX_PASSAGES: usize = 500_000;

/// What was found: documents to be cut, and passages as `itb-ops ingest` has cut them.
#[derive(Debug, Default)]
pub struct Loaded {
    pub documents: Vec<Document>,
    pub passages: Vec<StoredPassage>,
}

impl Loaded {
    /// All as passages, those of the documents last.
    pub fn into_passages(mut self) -> Vec<StoredPassage> {
        self.passages.extend(passages(&self.documents));
        self.passages
    }

    fn check(&self, path: &Path) -> Result<(), SourceError> {
        let too_many = |what, limit| SourceError::TooMany {
            path: path.to_owned(),
            what,
            limit,
        };
        if self.documents.len() > MAX_DOCUMENTS {
            return Err(too_many("documents", MAX_DOCUMENTS));
        }
        if self.passages.len() > MAX_PASSAGES {
            return Err(too_many("passages", MAX_PASSAGES));
        }
        Ok(())
    }
}

/// Why documents could not be loaded. Every variant names the place to look at.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("cannot read {path}")]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path}, line {line}: {reason}")]
    Malformed {
        path: PathBuf,
        line: usize,
        reason: String,
    },
    #[error("{path} holds more than {limit} bytes of text in one document")]
    TooLarge { path: PathBuf, limit: u64 },
    #[error("{path} holds more than {limit} {what}")]
    TooMany {
        path: PathBuf,
        what: &'static str,
        limit: usize,
    },
    #[error("{path} holds no document: expected *.md or *.jsonl")]
    Empty { path: PathBuf },
}

/// The documents that the binary carries.
pub fn bundled() -> Vec<Document> {
    BUNDLED
        .iter()
        .map(|(id, text)| Document::from_markdown(id, text))
        .collect()
}

/// Loads a `.jsonl` file, a `.md` file, or a folder of both with its subfolders, in the order of their names. `path`
/// itself may be a link; those below it are not followed, wherever they lead.
pub fn load(path: &Path) -> Result<Loaded, SourceError> {
    let mut loaded = Loaded::default();
    for file in files(path)? {
        match extension(&file) {
            "jsonl" => load_lines(path, &file, &mut loaded)?,
            _ => loaded.documents.push(load_markdown(path, &file)?),
        }
        loaded.check(path)?;
    }
    if loaded.documents.is_empty() && loaded.passages.is_empty() {
        return Err(SourceError::Empty {
            path: path.to_owned(),
        });
    }
    Ok(loaded)
}

fn extension(path: &Path) -> &str {
    path.extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default()
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> SourceError {
    let path = path.to_owned();
    move |source| SourceError::Unreadable { path, source }
}

fn files(path: &Path) -> Result<Vec<PathBuf>, SourceError> {
    if !fs::metadata(path).map_err(unreadable(path))?.is_dir() {
        let is_known = matches!(extension(path), "md" | "jsonl");
        return Ok(is_known.then(|| path.to_owned()).into_iter().collect());
    }
    let mut found = Vec::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(unreadable(&folder))? {
            let entry = entry.map_err(unreadable(&folder))?;
            let kind = entry.file_type().map_err(unreadable(&folder))?;
            let path = entry.path();
            if kind.is_symlink() {
                tracing::warn!(path = %path.display(), "a link, which is not followed");
            } else if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && matches!(extension(&path), "md" | "jsonl") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Below `root` no link is followed, also not one that took the place of a file since the folder was looked through.
fn open(root: &Path, file: &Path) -> Result<File, SourceError> {
    if file == root {
        return File::open(file).map_err(unreadable(file));
    }
    // A pipe must not be waited for.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = rustix::fs::open(file, flags, Mode::empty());
    let opened = opened.map_err(|error| unreadable(file)(error.into()))?;
    Ok(File::from(opened))
}

/// The id is the path below `root` without its ending, so that two folders may hold files of one name.
fn load_markdown(root: &Path, file: &Path) -> Result<Document, SourceError> {
    let mut text = String::new();
    open(root, file)?
        .take(MAX_TEXT_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(unreadable(file))?;
    if text.len() as u64 > MAX_TEXT_BYTES {
        return Err(SourceError::TooLarge {
            path: file.to_owned(),
            limit: MAX_TEXT_BYTES,
        });
    }
    let below = file
        .strip_prefix(root)
        .ok()
        .filter(|below| !below.as_os_str().is_empty());
    let id = below
        .unwrap_or_else(|| Path::new(file.file_name().unwrap_or_default()))
        .with_extension("");
    Ok(Document::from_markdown(
        &id.to_string_lossy().replace('\\', "/"),
        &text,
    ))
}

fn load_lines(root: &Path, file: &Path, loaded: &mut Loaded) -> Result<(), SourceError> {
    let mut reader = BufReader::new(open(root, file)?);
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    for number in 1.. {
        let mut line = String::new();
        let limited = reader
            .by_ref()
            .take(MAX_TEXT_BYTES + 1)
            .read_line(&mut line);
        if limited.map_err(unreadable(file))? == 0 {
            break;
        }
        if line.len() as u64 > MAX_TEXT_BYTES {
            return Err(SourceError::TooLarge {
                path: file.to_owned(),
                limit: MAX_TEXT_BYTES,
            });
        }
        if line.trim().is_empty() {
            continue;
        }
        let record: Record =
            serde_json::from_str(&line).map_err(|error| SourceError::Malformed {
                path: file.to_owned(),
                line: number,
                reason: error.to_string(),
            })?;
        match record.into_entry(&format!("{stem}-{number}")) {
            Entry::Document(document) => loaded.documents.push(document),
            Entry::Passage(passage) => loaded.passages.push(passage),
        }
        loaded.check(file)?;
    }
    Ok(())
}

/// A line of JSON: a passage that was stored, our own form of a document, or what LangChain writes.
#[derive(Deserialize)]
#[serde(untagged)]
enum Record {
    /// Comes first: the others would take it for a document.
    Stored(StoredPassage),
    Plain {
        id: Option<String>,
        title: Option<String>,
        url: Option<String>,
        page: Option<u32>,
        text: String,
    },
    LangChain {
        page_content: String,
        metadata: Option<Metadata>,
    },
}

#[derive(Deserialize, Default)]
struct Metadata {
    id: Option<serde_json::Value>,
    title: Option<String>,
    source: Option<String>,
    url: Option<String>,
    page: Option<u32>,
}

enum Entry {
    Document(Document),
    Passage(StoredPassage),
}

impl Record {
    fn into_entry(self, fallback_id: &str) -> Entry {
        let document = match self {
            Self::Stored(passage) => return Entry::Passage(passage),
            Self::Plain {
                id,
                title,
                url,
                page,
                text,
            } => document(fallback_id, id, title, url, page, &text),
            Self::LangChain {
                page_content,
                metadata,
            } => {
                let metadata = metadata.unwrap_or_default();
                let id = metadata
                    .id
                    .map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned));
                let link = metadata
                    .source
                    .clone()
                    .filter(|source| source.starts_with("http"));
                let title = metadata
                    .title
                    .or_else(|| metadata.source.as_deref().map(file_title));
                // LangChain's PDF loaders count pages from 0.
                let page = metadata.page.map(|page| page.saturating_add(1));
                document(
                    fallback_id,
                    id,
                    title,
                    metadata.url.or(link),
                    page,
                    &page_content,
                )
            }
        };
        Entry::Document(document)
    }
}

pub(super) fn file_title(source: &str) -> String {
    let name = source
        .trim_end_matches('/')
        .rsplit(['/', '\\'])
        .next()
        .unwrap_or(source);
    let name = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    name.replace(['-', '_'], " ")
}

fn document(
    fallback_id: &str,
    id: Option<String>,
    title: Option<String>,
    url: Option<String>,
    page: Option<u32>,
    text: &str,
) -> Document {
    let id = id
        .filter(|id| !id.is_empty())
        .unwrap_or_else(|| fallback_id.to_owned());
    let title = title
        .filter(|title| !title.trim().is_empty())
        .or_else(|| markdown::title(text));
    let title = title.unwrap_or_else(|| id.replace(['-', '_'], " "));
    let url = url.filter(|url| !url.is_empty());
    let sections = markdown::sections_under(&title, text);
    Document {
        reference: DocumentRef { id, title, url },
        page,
        sections,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder =
            std::env::temp_dir().join(format!("knowledge-source-{}-{name}", std::process::id()));
        fs::create_dir_all(folder.join("sub")).expect("a temporary folder");
        folder
    }

    #[test]
    fn a_folder_gives_markdown_and_both_forms_of_json_lines() {
        let folder = folder("both");
        fs::write(folder.join("a.md"), "---\ntitle: A\n---\nIsi.").expect("write");
        fs::write(folder.join("sub/b.md"), "# B\nIsi.").expect("write");
        fs::write(
            folder.join("c.jsonl"),
            "{\"id\":\"x\",\"title\":\"X\",\"url\":\"https://x.id\",\"text\":\"Isi.\"}\n\n\
             {\"page_content\":\"Isi.\",\"metadata\":{\"source\":\"/data/peraturan-akademik.pdf\",\"page\":4}}\n\
             {\"page_content\":\"Isi.\",\"metadata\":{\"source\":\"https://y.id/z\",\"other\":[1]}}\n",
        )
        .expect("write");
        let documents = load(&folder).expect("documents").documents;
        let ids: Vec<&str> = documents
            .iter()
            .map(|document| document.reference.id.as_str())
            .collect();
        assert_eq!(ids, ["a", "x", "c-3", "c-4", "sub/b"]);
        assert_eq!(documents[2].reference.title, "peraturan akademik");
        assert_eq!(documents[2].page, Some(5));
        assert_eq!(
            documents[3].reference.url.as_deref(),
            Some("https://y.id/z")
        );
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn stored_passages_are_told_from_documents_and_keep_their_ids() {
        let folder = folder("stored");
        let document = Document::from_markdown("a", "## S\nIsi.");
        let stored = passages(&[document]).remove(0);
        let line = serde_json::to_string(&stored).expect("JSON");
        fs::write(
            folder.join("kb.jsonl"),
            format!("{line}\n{{\"text\":\"Lain.\"}}\n"),
        )
        .expect("write");
        let loaded = load(&folder).expect("loaded");
        assert_eq!(loaded.passages, std::slice::from_ref(&stored));
        assert_eq!(loaded.documents.len(), 1);
        let all = loaded.into_passages();
        assert_eq!((all.len(), all[0].id), (2, stored.id));
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn links_in_a_folder_are_not_followed_and_the_path_itself_may_be_one() {
        use std::os::unix::fs::symlink;
        let desk = folder("links");
        let docs = desk.join("docs");
        fs::create_dir(&docs).expect("a folder");
        fs::write(desk.join("sub/secret.md"), "# Rahasia\nIsi.").expect("write");
        fs::write(docs.join("a.md"), "# A\nIsi.").expect("write");
        symlink(desk.join("sub/secret.md"), docs.join("b.md")).expect("a link");
        symlink(desk.join("sub"), docs.join("c")).expect("a link");
        symlink(&docs, desk.join("linked")).expect("a link");
        symlink(docs.join("a.md"), desk.join("linked.md")).expect("a link");
        for (path, expected) in [
            (&docs, "a"),
            (&desk.join("linked"), "a"),
            (&desk.join("linked.md"), "linked"),
        ] {
            let documents = load(path).expect("documents").documents;
            let ids: Vec<&str> = documents
                .iter()
                .map(|document| document.reference.id.as_str())
                .collect();
            assert_eq!(ids, [expected]);
        }
        // As if it had been a file when the folder was looked through.
        assert!(open(&docs, &docs.join("b.md")).is_err());
        fs::remove_dir_all(desk).expect("removed");
    }

    #[test]
    fn what_cannot_be_loaded_is_named() {
        let folder = folder("bad");
        assert!(matches!(load(&folder), Err(SourceError::Empty { .. })));
        assert!(matches!(
            load(&folder.join("none")),
            Err(SourceError::Unreadable { .. })
        ));
        let file = folder.join("a.jsonl");
        fs::write(&file, "{\"text\":\"ya\"}\n{\"teks\":1}\n").expect("write");
        assert!(matches!(
            load(&file),
            Err(SourceError::Malformed { line: 2, .. })
        ));
        fs::write(folder.join("b.md"), [0xff, 0xfe]).expect("write");
        assert!(matches!(
            load(&folder.join("b.md")),
            Err(SourceError::Unreadable { .. })
        ));
        fs::remove_dir_all(folder).expect("removed");
    }
}
