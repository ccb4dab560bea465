//! The files under the given paths, and the names of their documents.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use super::read::Format;

/// Deeper folders are a mistake, or a trap.
const DEEPEST: usize = 64;

/// A file to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The given folder that it lies in, or the given file that it is.
    pub root: PathBuf,
    pub path: PathBuf,
    /// The id of its document: the path below the root, after the root's name.
    pub id: String,
    pub format: Format,
    pub bytes: u64,
}

/// What was found under all roots.
#[derive(Debug, Default)]
pub struct Found {
    pub roots: Vec<String>,
    /// In the order of their ids.
    pub files: Vec<Candidate>,
    /// Ids of files that no reader is for.
    pub unknown: Vec<String>,
    /// Ids of links, which are not followed: they may lead anywhere.
    pub links: Vec<String>,
    pub hidden: usize,
    /// What could not be looked at, and why.
    pub unreadable: Vec<(String, io::Error)>,
}

/// The given paths do not say clearly which documents are meant.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    #[error("{path} cannot be read")]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "{first} and {second} have the same name, so that their documents would be taken for each other: name the folder \
         that holds both, or rename one"
    )]
    SameName { first: PathBuf, second: PathBuf },
    #[error("{inner} lies within {outer}, which holds its documents already: leave it out")]
    Nested { inner: PathBuf, outer: PathBuf },
    #[error("{path} has no name that documents could have")]
    Nameless { path: PathBuf },
}

/// Looks through all `paths`. A file or folder inside them that cannot be looked at is reported, not an error.
pub fn find(paths: &[PathBuf]) -> Result<Found, RootError> {
    let roots = distinct(paths)?;
    let mut found = Found::default();
    for (root, name) in roots {
        if root.is_dir() {
            found.folder(&root, &root, &name, 0);
        } else {
            found.file(&root, &root, &name);
        }
        found.roots.push(name);
    }
    found.files.sort_by(|a, b| a.id.cmp(&b.id));
    found.links.sort();
    Ok(found)
}

fn distinct(paths: &[PathBuf]) -> Result<Vec<(PathBuf, String)>, RootError> {
    let mut roots: Vec<(PathBuf, String)> = Vec::new();
    for path in paths {
        let root = fs::canonicalize(path).map_err(|source| RootError::Unreadable {
            path: path.clone(),
            source,
        })?;
        // The name that was typed, where there is one: a link may lead to a folder with a name of the day.
        let name = path.file_name().or_else(|| root.file_name());
        let Some(name) = name.map(|name| name.to_string_lossy().into_owned()) else {
            return Err(RootError::Nameless { path: path.clone() });
        };
        if roots.iter().any(|(other, _)| *other == root) {
            continue;
        }
        for (other, other_name) in &roots {
            check(&root, other)?;
            check(other, &root)?;
            if *other_name == name {
                return Err(RootError::SameName {
                    first: other.clone(),
                    second: root,
                });
            }
        }
        roots.push((root, name));
    }
    Ok(roots)
}

fn check(inner: &Path, outer: &Path) -> Result<(), RootError> {
    if !inner.starts_with(outer) {
        return Ok(());
    }
    Err(RootError::Nested {
        inner: inner.to_owned(),
        outer: outer.to_owned(),
    })
}

impl Found {
    fn folder(&mut self, root: &Path, folder: &Path, id: &str, depth: usize) {
        if depth > DEEPEST {
            let error = io::Error::other(format!("it lies more than {DEEPEST} folders deep"));
            return self.unreadable.push((id.to_owned(), error));
        }
        let entries = match fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(entries) => entries,
            Err(error) => return self.unreadable.push((id.to_owned(), error)),
        };
        for entry in entries {
            let name = entry.file_name();
            let below = format!("{id}/{}", name.to_string_lossy());
            if is_hidden(&name) {
                self.hidden += 1;
                continue;
            }
            match entry.file_type() {
                Ok(kind) if kind.is_symlink() => self.links.push(below),
                Ok(kind) if kind.is_dir() => self.folder(root, &entry.path(), &below, depth + 1),
                Ok(_) => self.file(root, &entry.path(), &below),
                Err(error) => self.unreadable.push((below, error)),
            }
        }
    }

    fn file(&mut self, root: &Path, path: &Path, id: &str) {
        let meta = match fs::symlink_metadata(path) {
            Ok(meta) => meta,
            Err(error) => return self.unreadable.push((id.to_owned(), error)),
        };
        match Format::of(path) {
            Some(format) if meta.is_file() => self.files.push(Candidate {
                root: root.to_owned(),
                path: path.to_owned(),
                id: id.to_owned(),
                format,
                bytes: meta.len(),
            }),
            // A pipe or a device would be read for ever, whatever its name says.
            _ => self.unknown.push(id.to_owned()),
        }
    }
}

/// What a folder keeps for itself, and what office programs leave while a file is open.
fn is_hidden(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with('.') || name.starts_with("~$")
}
