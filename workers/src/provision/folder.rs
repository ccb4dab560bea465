//! The folder of an asset: whether it is right, who may work on it, and how what is new gets into it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::ProvisionError;
use super::digest;
use super::manifest::Manifest;

/// How often a process that waits for another looks again.
const LOCK_POLL: Duration = Duration::from_millis(250);

/// Where an asset is, where it is put together, and the file whose lock says who does.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    pub(super) ready: PathBuf,
    pub(super) staging: PathBuf,
    lock: PathBuf,
}

/// Held while an asset is worked on; the system releases it with the process.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Folder {
    pub(super) fn new(data_dir: &Path, manifest: &Manifest) -> Self {
        let flat = manifest.folder.replace('/', "-");
        Self {
            ready: data_dir.join(&manifest.folder),
            staging: data_dir.join(".staging").join(&flat),
            lock: data_dir.join(".staging").join(format!("{flat}.lock")),
        }
    }

    /// The first thing that the manifest wants and the folder has not, by hash: a file and what is wrong with it. Only
    /// reads.
    pub(super) async fn fault(
        &self,
        manifest: &Manifest,
    ) -> Result<Option<String>, ProvisionError> {
        let (folder, manifest) = (self.ready.clone(), manifest.clone());
        blocking(&self.ready, "cannot be read", move || {
            first_fault(&folder, &manifest)
        })
        .await
    }

    /// Waits for its turn.
    pub(super) async fn lock(&self) -> Result<Lock, ProvisionError> {
        let path = self.lock.clone();
        let file = blocking(&self.lock, "cannot be opened", move || {
            fs::create_dir_all(path.parent().unwrap_or(&path))?;
            File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)
        })
        .await?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock { _file: file }),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_POLL).await,
                Err(TryLockError::Error(source)) => {
                    return Err(disk(&self.lock, "cannot be locked", source));
                }
            }
        }
    }

    /// Makes the staging folder. What an earlier attempt left in it is kept, and what is in a folder that is not right
    /// is moved into it: most of it may be good.
    pub(super) async fn stage(&self) -> Result<(), ProvisionError> {
        let (ready, staging) = (self.ready.clone(), self.staging.clone());
        blocking(&self.staging, "cannot be made", move || {
            if !staging.exists() && ready.exists() {
                return fs::rename(&ready, &staging);
            }
            fs::create_dir_all(&staging)
        })
        .await
    }

    /// Moves the staging folder into place, as a whole, without what attempts left in it.
    pub(super) async fn publish(&self, manifest: &Manifest) -> Result<(), ProvisionError> {
        let (ready, staging, manifest) =
            (self.ready.clone(), self.staging.clone(), manifest.clone());
        blocking(&self.ready, "cannot be put into place", move || {
            tidy(&staging, &manifest)?;
            let old = staging.with_extension("old");
            remove(&old)?;
            if let Some(parent) = ready.parent() {
                fs::create_dir_all(parent)?;
            }
            if ready.exists() {
                fs::rename(&ready, &old)?;
            }
            fs::rename(&staging, &ready)?;
            remove(&old)
        })
        .await
    }
}

fn tidy(folder: &Path, manifest: &Manifest) -> io::Result<()> {
    let files = manifest.files.iter().map(|file| file.name.as_str());
    let wanted: Vec<&str> = files
        .chain(manifest.trees.iter().map(|tree| tree.name.as_str()))
        .collect();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if wanted.iter().any(|&name| entry.file_name() == name) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?
        } else {
            fs::remove_file(entry.path())?
        }
    }
    Ok(())
}

fn first_fault(folder: &Path, manifest: &Manifest) -> io::Result<Option<String>> {
    for file in &manifest.files {
        if let Some(fault) = digest::fault_of_file(&folder.join(&file.name), &file.pin)? {
            return Ok(Some(format!("{} {fault}", file.name)));
        }
    }
    for tree in &manifest.trees {
        if let Some(fault) = digest::fault_of_tree(folder, &tree.name, &tree.sha256)? {
            return Ok(Some(format!("{} {fault}", tree.name)));
        }
    }
    Ok(None)
}

/// Removes a folder that need not be there.
pub(super) fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Runs file work where it may block; `what` happened to `path` if it fails.
pub(super) async fn blocking<T: Send + 'static>(
    path: &Path,
    what: &str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, ProvisionError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(io::Error::other(error)))
        .map_err(|source| disk(path, what, source))
}

pub(super) fn disk(path: &Path, what: &str, source: io::Error) -> ProvisionError {
    ProvisionError::Disk {
        doing: format!("{} {what}", path.display()),
        source,
    }
}
