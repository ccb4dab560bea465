//! The model hub. A file is at `{hub}/{repository}/resolve/main/{name}`; large ones answer with a redirection whose
//! `x-linked-etag` is their SHA-256 (<https://huggingface.co/docs/hub/xet/using-xet-storage>, Git LFS: the object id).

use std::path::Path;

use reqwest::{Client, redirect};

use super::config::ProvisionConfig;
use super::digest;
use super::download::{FetchError, Job, client, fetch};
use super::folder::{blocking, write_record};
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
        statements: client(&config.timeouts, redirect::Policy::none())?,
        base: format!("{}/{repository}/resolve/main", config.hub),
        config,
    };
    for file in &manifest.files {
        hub.file(file, staging, meter).await?;
    }
    let (folder, manifest) = (staging.to_path_buf(), manifest.clone());
    blocking(staging, "cannot be recorded", move || {
        write_record(&folder, &manifest)
    })
    .await?;
    Ok(())
}

struct Hub<'a> {
    files: Client,
    /// Does not follow redirections, to read what they say.
    statements: Client,
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
        if let Some(pin) = &file.pin
            && is_right(&path, pin).await?
        {
            meter.settle(pin.size);
            return Ok(());
        }
        let url = format!("{}/{}", self.base, file.name);
        let pin = match &file.pin {
            Some(pin) => Some(pin.clone()),
            None => self.stated(&url).await,
        };
        let into = staging.join(format!("{}.part", file.name));
        let size = pin.as_ref().map(|pin| pin.size);
        let job = Job {
            url,
            into: into.clone(),
            size,
            at_most: file.at_most,
        };
        fetch(&self.files, &job, &self.config.timeouts, meter).await?;
        meter.verifying();
        match &pin {
            Some(pin) => keep_if_right(&into, &path, pin).await?,
            None => {
                tracing::warn!(
                    file = file.name,
                    "no hash to check this file against; taken as it came"
                );
                let to = path.clone();
                blocking(&path, "cannot be put into place", move || {
                    std::fs::rename(into, to)
                })
                .await?;
            }
        }
        meter.settle(
            tokio::fs::metadata(staging.join(&file.name))
                .await
                .map_or(0, |found| found.len()),
        );
        Ok(())
    }

    /// What the hub itself says that the file is; small files have no such statement.
    async fn stated(&self, url: &str) -> Option<Pin> {
        let asked = tokio::time::timeout(
            self.config.timeouts.answer,
            self.statements.head(url).send(),
        )
        .await;
        let response = asked.ok()?.ok()?;
        let header = |name: &str| response.headers().get(name)?.to_str().ok();
        let sha256 = header("x-linked-etag")?
            .trim_matches('"')
            .to_ascii_lowercase();
        let size = header("x-linked-size")?.parse().ok()?;
        let is_hash = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hash.then_some(Pin { size, sha256 })
    }
}

/// Whether a file is what its pin says; not there is not an error.
pub(super) async fn is_right(path: &Path, pin: &Pin) -> Result<bool, FetchError> {
    let (file, pin) = (path.to_path_buf(), pin.clone());
    Ok(blocking(path, "cannot be read", move || digest::matches(&file, &pin)).await?)
}

/// Renames a fetched file, or removes it: the next attempt must not go on from wrong bytes.
pub(super) async fn keep_if_right(
    fetched: &Path,
    path: &Path,
    pin: &Pin,
) -> Result<(), FetchError> {
    let right = is_right(fetched, pin).await?;
    let (from, to) = (fetched.to_path_buf(), path.to_path_buf());
    blocking(path, "cannot be put into place", move || {
        if right {
            std::fs::rename(from, to)
        } else {
            std::fs::remove_file(from)
        }
    })
    .await?;
    if right {
        return Ok(());
    }
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    Err(FetchError::Source(format!(
        "its {name} is not the expected one (SHA-256 differs)"
    )))
}
