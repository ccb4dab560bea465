//! Documents that the target knows under another name, as after an ingest of the folder around them.

use std::collections::HashSet;

use super::roots::Candidate;

/// One document under two names, and how many there are.
#[derive(Debug, PartialEq, Eq)]
pub struct Overlap {
    pub count: usize,
    pub stored: String,
    pub named: String,
}

/// Compares by path: an id is the end of one. Another file of the same name can be meant, so that this is no proof.
pub fn find<'a>(files: &[Candidate], stored: impl Iterator<Item = &'a String>) -> Option<Overlap> {
    let stored: HashSet<&str> = stored.map(|id| file_of(id)).collect();
    let mut found: Option<Overlap> = None;
    for file in files {
        let path = file.path.to_string_lossy().replace('\\', "/");
        let other = ends(&path)
            .chain(ends(&file.id))
            .find(|end| *end != file.id && stored.contains(end));
        match (&mut found, other) {
            (Some(found), Some(_)) => found.count += 1,
            (None, Some(other)) => {
                found = Some(Overlap {
                    count: 1,
                    stored: other.to_owned(),
                    named: file.id.clone(),
                });
            }
            (_, None) => {}
        }
    }
    found
}

/// Without the name of one of several documents in the file.
fn file_of(id: &str) -> &str {
    id.split_once('#').map_or(id, |(file, _)| file)
}

/// `a/b/c`, `b/c`, `c`.
fn ends(path: &str) -> impl Iterator<Item = &str> {
    let starts = path.match_indices('/').map(|(at, _)| at + 1);
    std::iter::once(0).chain(starts).map(|at| &path[at..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::read::Format;

    #[test]
    fn a_document_is_known_under_the_name_of_a_folder_around_it_or_in_it() {
        let file = |path: &str, id: &str| Candidate {
            root: "/srv/docs".into(),
            path: path.into(),
            id: id.into(),
            format: Format::Markdown,
            bytes: 1,
        };
        let inner = file("/srv/docs/sub/a.md", "sub/a.md");
        let outer = file("/srv/docs/sub/a.md", "docs/sub/a.md");
        for (file, stored, expected) in [
            (&inner, "docs/sub/a.md", true),
            (&inner, "docs/sub/a.md#x", true),
            (&outer, "sub/a.md", true),
            (&inner, "sub/a.md", false),
            (&inner, "lain/sub/a.md", false),
            (&outer, "sub/b.md", false),
        ] {
            let stored = [stored.to_owned()];
            let found = find(std::slice::from_ref(file), stored.iter());
            assert_eq!(found.is_some(), expected, "{stored:?}");
        }
    }
}
