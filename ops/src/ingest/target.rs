//! Where passages go.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, bail};
use common::config::Environment;
use workers::{knowledge::store::PassageStore, providers::Embedder};

use super::file_store::FileStore;

/// The name of the vector database, in the place of a file.
const QDRANT: &str = "qdrant";

/// A knowledge base to bring up to date.
pub struct Target {
    /// For people.
    pub name: String,
    pub store: Arc<dyn PassageStore>,
    /// Without one, passages are kept without vectors.
    pub embedder: Option<Arc<dyn Embedder>>,
    /// The file itself, which is no document even when it lies among them.
    pub file: Option<PathBuf>,
}

/// What `--to` names, or else the database of the environment.
pub async fn target(env: &Environment, to: Option<&Path>) -> anyhow::Result<Target> {
    match to {
        Some(to) if to.as_os_str() == QDRANT => qdrant(env).await,
        Some(file) => in_file(file),
        None if env.text("QDRANT_URL").is_some() => qdrant(env).await,
        None => bail!("it is not said where to: give --to FILE, or --to qdrant with QDRANT_URL"),
    }
}

fn in_file(file: &Path) -> anyhow::Result<Target> {
    let store = FileStore::open(file).context("nothing was changed")?;
    Ok(Target {
        name: file.display().to_string(),
        store: Arc::new(store),
        embedder: None,
        file: Some(file.to_owned()),
    })
}

async fn qdrant(env: &Environment) -> anyhow::Result<Target> {
    env.text("QDRANT_URL")
        .context("QDRANT_URL is not set; it may be the address of a Qdrant server")?;
    bail!("this build cannot write to Qdrant")
}
