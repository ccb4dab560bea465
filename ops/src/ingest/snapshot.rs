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
    match action {
        Action::Create => snapshots.create(Path::new(place), progress).await?,
        Action::Restore => snapshots.restore(&source(place)?, progress).await?,
    }
    bar.finish_and_clear();
    let done = match action {
        Action::Create => format!("the collection {} is saved in {place}", config.collection),
        Action::Restore => format!("the collection {} is that of {place}", config.collection),
    };
    println!("{done}");
    Ok(())
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
