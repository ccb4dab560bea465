//! SHA-256 of files and folders. Blocking.

use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};

use super::manifest::Pin;

/// Bytes read at once.
const CHUNK: usize = 1 << 20;

/// The SHA-256 of a file, in lower-case hexadecimal.
pub(super) fn of_file(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut context = Context::new(&SHA256);
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hexadecimal(context.finish().as_ref())),
            read => context.update(&chunk[..read]),
        }
    }
}

/// In what a file or a folder differs from its pin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    Absent,
    Size { found: u64, expected: u64 },
    Sha256 { found: String, expected: String },
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => write!(out, "is not there"),
            Self::Size { found, expected } => {
                write!(out, "has {found} bytes instead of {expected}")
            }
            Self::Sha256 { found, expected } => {
                write!(out, "has the SHA-256 {found} instead of {expected}")
            }
        }
    }
}

/// In what a file differs from its pin, if it does. The size is compared first: it is free.
pub(super) fn fault_of_file(path: &Path, pin: &Pin) -> io::Result<Option<Fault>> {
    let found = match path.metadata() {
        Ok(found) if found.is_file() => found.len(),
        Ok(_) => return Ok(Some(Fault::Absent)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(Fault::Absent)),
        Err(error) => return Err(error),
    };
    if found != pin.size {
        let expected = pin.size;
        return Ok(Some(Fault::Size { found, expected }));
    }
    Ok(difference(of_file(path)?, &pin.sha256))
}

/// In what the folder `name` in `parent` differs from its hash, if it does.
pub(super) fn fault_of_tree(parent: &Path, name: &str, sha256: &str) -> io::Result<Option<Fault>> {
    if !parent.join(name).is_dir() {
        return Ok(Some(Fault::Absent));
    }
    Ok(difference(of_tree(parent, name)?, sha256))
}

fn difference(found: String, expected: &str) -> Option<Fault> {
    let expected = expected.to_owned();
    (found != expected).then_some(Fault::Sha256 { found, expected })
}

/// The hash of a folder: that over the lines `<sha256>  <name>/<path>` of its files in the order of their paths, as
/// `find <name> -type f | LC_ALL=C sort | xargs sha256sum | sha256sum` prints it.
pub(super) fn of_tree(parent: &Path, name: &str) -> io::Result<String> {
    let mut files = Vec::new();
    list(&parent.join(name), name, &mut files)?;
    files.sort();
    let mut context = Context::new(&SHA256);
    for (name, path) in files {
        context.update(format!("{}  {name}\n", of_file(&path)?).as_bytes());
    }
    Ok(hexadecimal(context.finish().as_ref()))
}

fn list(folder: &Path, name: &str, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        // Of the entry itself: a link is neither, and makes the hash differ by not being in it.
        let kind = entry.file_type()?;
        if kind.is_dir() {
            list(&entry.path(), &name, files)?;
        } else if kind.is_file() {
            files.push((name, entry.path()));
        }
    }
    Ok(())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf abc | sha256sum`
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_file_is_taken_only_with_the_size_and_the_hash_of_its_pin() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, "abc").unwrap();
        let pin = |size, sha256: &str| Pin {
            size,
            sha256: sha256.to_owned(),
        };
        let fault = |path: &Path, pin: &Pin| fault_of_file(path, pin).unwrap();
        assert_eq!(fault(&path, &pin(3, ABC)), None);
        let size = Fault::Size {
            found: 3,
            expected: 4,
        };
        assert_eq!(fault(&path, &pin(4, ABC)), Some(size));
        let other = ABC.replace('b', "c");
        let text = fault(&path, &pin(3, &other)).unwrap().to_string();
        assert!(text.contains(ABC) && text.contains(&other), "{text}");
        let absent = folder.path().join("absent");
        assert_eq!(fault(&absent, &pin(3, ABC)), Some(Fault::Absent));
        assert_eq!(fault(folder.path(), &pin(3, ABC)), Some(Fault::Absent));
    }

    #[test]
    fn a_tree_has_the_hash_that_sha256sum_makes_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("t");
        std::fs::create_dir_all(tree.join("sub")).unwrap();
        std::fs::write(tree.join("b"), "abc").unwrap();
        std::fs::write(tree.join("sub/a"), "").unwrap();
        // (cd folder; find t -type f | LC_ALL=C sort | xargs sha256sum | sha256sum)
        let expected = "27d5ee33ed8c70064f78e2bd2fc72a46746a6ab38943ab57ee521744777969a6";
        assert_eq!(of_tree(folder.path(), "t").unwrap(), expected);
        std::fs::write(tree.join("sub/a"), "x").unwrap();
        assert_ne!(of_tree(folder.path(), "t").unwrap(), expected);
    }
}
