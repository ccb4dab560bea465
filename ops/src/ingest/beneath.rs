//! Opens a file below its root, and follows no link on the way: what lies there when it is opened counts, not what lay
//! there when the folder was looked through.

use std::{fs::File, io, os::fd::OwnedFd, path::Path};

use rustix::{
    fs::{Mode, OFlags, open as open_at_root, openat},
    io::Errno,
};

/// `path` is `root` or lies below it.
pub fn open(root: &Path, path: &Path) -> io::Result<File> {
    let below = path.strip_prefix(root).map_err(io::Error::other)?;
    let opened = match (below.parent(), below.file_name()) {
        (Some(parent), Some(name)) => {
            folder(root, parent).and_then(|folder| openat(folder, name, file(), Mode::empty()))
        }
        _ => open_at_root(root, file(), Mode::empty()),
    };
    let file = File::from(opened.map_err(explained)?);
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is no regular file any more")),
    }
}

fn folder(root: &Path, below: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut folder = open_at_root(root, flags, Mode::empty())?;
    for name in below {
        folder = openat(&folder, name, flags, Mode::empty())?;
    }
    Ok(folder)
}

/// A pipe must not be waited for.
fn file() -> OFlags {
    OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC
}

fn explained(error: Errno) -> io::Error {
    match error {
        // A folder that is a link gives the one or the other, by system.
        Errno::LOOP | Errno::NOTDIR => {
            io::Error::other("a link leads there, and links are not followed")
        }
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Read as _, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn what_has_become_a_link_since_it_was_seen_is_not_opened() {
        let desk = tempfile::tempdir().unwrap();
        let (root, outside) = (desk.path().join("docs"), desk.path().join("outside"));
        fs::create_dir_all(root.join("sub")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(root.join("sub/a.md"), "inside").unwrap();
        fs::write(outside.join("a.md"), "secret").unwrap();
        let read = |path: &Path| {
            let mut text = String::new();
            open(&root, path)?.read_to_string(&mut text)?;
            io::Result::Ok(text)
        };
        assert_eq!(read(&root.join("sub/a.md")).unwrap(), "inside");

        fs::rename(root.join("sub"), root.join("former")).unwrap();
        symlink(&outside, root.join("sub")).unwrap();
        symlink(outside.join("a.md"), root.join("b.md")).unwrap();
        for name in ["sub/a.md", "b.md"] {
            let error = read(&root.join(name)).unwrap_err().to_string();
            assert!(error.contains("link"), "{name}: {error}");
        }
    }

    #[test]
    fn a_root_may_be_a_file_and_no_folder_is_read_as_one() {
        let desk = tempfile::tempdir().unwrap();
        let file = desk.path().join("a.md");
        fs::write(&file, "inside").unwrap();
        assert!(open(&file, &file).is_ok());
        assert!(open(desk.path(), desk.path()).is_err());
        assert!(open(&file, desk.path()).is_err());
    }
}
