//! What can be seen of provisioning from the outside.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::watch;

/// Where a ready asset is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A folder with the files of the asset's manifest.
    Folder(PathBuf),
    /// An installed program that makes the folder unnecessary.
    Program(PathBuf),
}

impl Place {
    /// The folder or the program.
    pub fn path(&self) -> &Path {
        match self {
            Self::Folder(path) | Self::Program(path) => path,
        }
    }
}

/// How far an asset is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AssetState {
    /// Not begun, or another process is at it.
    Waiting,
    /// On its way.
    Fetching {
        /// From where, for a person.
        source: String,
        /// Bytes that are there, over all files.
        done: u64,
        /// Bytes that there will be.
        total: u64,
    },
    /// There, being checked.
    Verifying,
    /// There, checked, usable.
    Ready(Place),
    /// The last attempt failed.
    Failed {
        /// Why.
        reason: String,
        /// When the next attempt is made; none in the foreground.
        retry_in: Option<Duration>,
    },
}

/// The sending ends: one state per asset.
#[derive(Debug)]
pub struct Progress {
    pub(super) speech_to_text: watch::Sender<AssetState>,
    pub(super) text_to_speech: watch::Sender<AssetState>,
}

impl Progress {
    /// With the receiving ends for speech to text and text to speech.
    pub fn new() -> (
        Self,
        watch::Receiver<AssetState>,
        watch::Receiver<AssetState>,
    ) {
        let (speech_to_text, recogniser) = watch::channel(AssetState::Waiting);
        let (text_to_speech, synthesiser) = watch::channel(AssetState::Waiting);
        (
            Self {
                speech_to_text,
                text_to_speech,
            },
            recogniser,
            synthesiser,
        )
    }
}

/// Reports the bytes of one attempt at one source.
pub(super) struct Meter<'a> {
    state: &'a watch::Sender<AssetState>,
    source: String,
    total: u64,
    /// Bytes of the files that are complete.
    settled: u64,
    logged: u64,
}

impl<'a> Meter<'a> {
    pub(super) fn new(state: &'a watch::Sender<AssetState>, source: &str, total: u64) -> Self {
        tracing::info!(source, total, "fetching");
        let mut meter = Self {
            state,
            source: source.to_owned(),
            total,
            settled: 0,
            logged: 0,
        };
        meter.at(0);
        meter
    }

    /// Of the file in hand, `bytes` are there.
    pub(super) fn at(&mut self, bytes: u64) {
        let done = self.settled + bytes;
        self.log_each_tenth(done);
        self.state.send_replace(AssetState::Fetching {
            source: self.source.clone(),
            done,
            total: self.total,
        });
    }

    /// The file in hand is complete, with so many bytes.
    pub(super) fn settle(&mut self, bytes: u64) {
        self.settled += bytes;
        self.at(0);
    }

    pub(super) fn verifying(&self) {
        self.state.send_replace(AssetState::Verifying);
    }

    fn log_each_tenth(&mut self, done: u64) {
        let total = self.total;
        let tenth = done * 10 / total.max(1);
        if tenth > self.logged {
            self.logged = tenth;
            tracing::info!(
                source = self.source,
                done,
                total,
                "fetching: {} %",
                tenth * 10
            );
        }
    }
}
