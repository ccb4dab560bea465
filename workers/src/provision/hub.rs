//! The model hub. A file is at `{hub}/{repository}/resolve/main/{name}`; large ones answer with a redirection. What comes
//! is compared with the pins of the manifest, never with the statement of the hub.

use std::path::Path;

use reqwest::{Client, redirect};

use super::config::ProvisionConfig;
use super::digest::{self, Fault};
use super::download::{FetchError, Job, client, fetch};
use super::folder::blocking;
use super::manifest::{Manifest, Pin, WantedFile};
use super::state::Meter;

/// Redirections that a download may go through.
const MAX_REDIRECTIONS: usize = 5;

/// Fills the staging folder with the manifest's files, keeping the good ones that are there.
pub(super) async fn fill(
    config: &ProvisionConfig,
    manifest: &Manifest,
    repository: &str,
    staging: &Path,
    meter: &mut Meter<'_>,
) -> Result<(), FetchError> {
    let hub = Hub {
        files: client(
            &config.timeouts,
            redirect::Policy::limited(MAX_REDIRECTIONS),
        )?,
        base: format!("{}/{repository}/resolve/main", config.hub),
        config,
    };
    for file in &manifest.files {
        hub.file(file, staging, meter).await?;
    }
    Ok(())
}

struct Hub<'a> {
    files: Client,
    base: String,
    config: &'a ProvisionConfig,
}

impl Hub<'_> {
    async fn file(
        &self,
        file: &WantedFile,
        staging: &Path,
        meter: &mut Meter<'_>,
    ) -> Result<(), FetchError> {
        let path = staging.join(&file.name);
        if fault(&path, &file.pin).await?.is_some() {
            let into = staging.join(format!("{}.part", file.name));
            let job = Job {
                url: format!("{}/{}", self.base, file.name),
                into: into.clone(),
                size: file.pin.size,
            };
            fetch(&self.files, &job, &self.config.timeouts, meter).await?;
            meter.verifying();
            keep_if_right(&into, &path, &file.pin).await?;
        }
        meter.settle(file.pin.size);
        Ok(())
    }
}

async fn fault(path: &Path, pin: &Pin) -> Result<Option<Fault>, FetchError> {
    let (file, pin) = (path.to_path_buf(), pin.clone());
    let look = move || digest::fault_of_file(&file, &pin);
    Ok(blocking(path, "cannot be read", look).await?)
}

/// Renames a fetched file, or removes it: the next attempt must not go on from wrong bytes.
async fn keep_if_right(fetched: &Path, path: &Path, pin: &Pin) -> Result<(), FetchError> {
    let fault = fault(fetched, pin).await?;
    let (from, to) = (fetched.to_path_buf(), path.to_path_buf());
    let right = fault.is_none();
    blocking(path, "cannot be put into place", move || {
        if right {
            std::fs::rename(from, to)
        } else {
            std::fs::remove_file(from)
        }
    })
    .await?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match fault {
        None => Ok(()),
        Some(fault) => Err(FetchError::Source(format!(
            "its {name} {fault}, and is not used"
        ))),
    }
}
