//! `itb-ops ingest --snapshot`: a whole collection as one file.

use std::{path::Path, sync::Arc};

use anyhow::Context as _;
use clap::ValueEnum;
use common::config::Environment;
use indicatif::{ProgressBar, ProgressStyle};
use workers::knowledge::qdrant::{
    QdrantConfig,
    snapshots::{OnProgress, Patience, Snapshots, Source, Transferred},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Action {
    /// Replaces the collection by that of a snapshot.
    Restore,
    /// Writes a snapshot of the collection.
    Create,
}

/// `place` is a file, or to restore from, an address that the server fetches.
pub async fn run(env: &Environment, action: Action, place: &str) -> anyhow::Result<()> {
    let config = QdrantConfig::from_environment(env)?
        .context("QDRANT_URL is not set; it may be the address of a Qdrant server")?;
    let snapshots = Snapshots::new(&config, Patience::default())?;
    let bar = ProgressBar::no_length().with_style(style());
    let shown = bar.clone();
    let progress: OnProgress = Arc::new(move |so_far: Transferred| {
        if let Some(total) = so_far.total {
            shown.set_length(total);
        }
        shown.set_position(so_far.bytes);
    });
    let done = match action {
        Action::Create => {
            snapshots.create(Path::new(place), progress).await?;
            format!("the collection {} is saved in {place}", config.collection)
        }
        Action::Restore => {
            let source = source(place)?;
            snapshots.restore(&source, progress).await?;
            let from = as_shown(&source);
            format!("the collection {} is that of {from}", config.collection)
        }
    };
    bar.finish_and_clear();
    println!("{done}");
    Ok(())
}

/// Without what opens an address: a password before its host, or a token behind its path.
fn as_shown(source: &Source) -> String {
    match source {
        Source::File(path) => path.display().to_string(),
        Source::Address(url) => format!("{}{}", url.host_str().unwrap_or_default(), url.path()),
    }
}

fn source(place: &str) -> anyhow::Result<Source> {
    let is_address = ["http://", "https://", "file://"]
        .iter()
        .any(|scheme| place.starts_with(scheme));
    Ok(match is_address {
        true => Source::Address(place.parse().context("no such address")?),
        false => Source::File(place.into()),
    })
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bytes}/{total_bytes} {bytes_per_sec}, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_address_its_host_and_its_path_are_shown() {
        for (place, expected) in [
            (
                "https://user:s3cret@store.example:8443/a/b.snapshot?X-Signature=s3cret#s3cret",
                "store.example/a/b.snapshot",
            ),
            ("file:///snapshots/b.snapshot", "/snapshots/b.snapshot"),
            ("backup/b.snapshot", "backup/b.snapshot"),
        ] {
            assert_eq!(as_shown(&source(place).unwrap()), expected);
        }
    }
}
