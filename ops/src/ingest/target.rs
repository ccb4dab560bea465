//! Where passages go.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, bail};
use common::config::Environment;
use workers::{
    config::WorkerConfig,
    kit::embedder,
    knowledge::{
        lexicon::Lexicon,
        qdrant::{QdrantConfig, QdrantKnowledge},
        store::PassageStore,
    },
    providers::Embedder,
};

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
pub fn target(env: &Environment, to: Option<&Path>) -> anyhow::Result<Target> {
    match to {
        Some(to) if to.as_os_str() == QDRANT => qdrant(env),
        Some(file) => in_file(env, file),
        None if env.text("QDRANT_URL").is_some() => qdrant(env),
        None => bail!("it is not said where to: give --to FILE, or --to qdrant with QDRANT_URL"),
    }
}

fn in_file(env: &Environment, file: &Path) -> anyhow::Result<Target> {
    let store = FileStore::open(file).context("nothing was changed")?;
    Ok(Target {
        name: file.display().to_string(),
        store: Arc::new(store),
        embedder: embedder(&WorkerConfig::from_environment(env)?)?,
        file: Some(file.to_owned()),
    })
}

fn qdrant(env: &Environment) -> anyhow::Result<Target> {
    let config = QdrantConfig::from_environment(env)?
        .context("QDRANT_URL is not set; it may be the address of a Qdrant server")?;
    let embedder = embedder(&WorkerConfig::from_environment(env)?)?;
    let lexicon = Arc::new(Lexicon::bundled());
    let store = QdrantKnowledge::new(&config, embedder.clone(), lexicon)?;
    Ok(Target {
        name: format!("the collection {} at {}", config.collection, config.address),
        store: Arc::new(store),
        embedder,
        file: None,
    })
}
