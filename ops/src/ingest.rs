//! `itb-ops ingest`: documents of many formats become passages of a knowledge base.
//!
//! File by file: read, cut, compare by id, embed and write what is new. When all is read, what is gone is removed, so
//! that a run that breaks off leaves too much rather than too little.

use std::{collections::HashSet, path::PathBuf, process::ExitCode, time::Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use common::config::Environment;
use tokio::{sync::watch, task::JoinHandle};

mod articles;
mod beneath;
mod file_store;
mod outline;
mod overlap;
mod plan;
mod progress;
mod read;
mod roots;
mod snapshot;
mod summary;
mod target;
mod upload;

pub use read::ReadDocument;

use overlap::Overlap;
use plan::{Plan, Scope};
use progress::Progress;
use read::{ReadFailure, Readable, Readers};
use roots::{Candidate, Found};
use summary::{Failure, Summary};
use target::Target;
use upload::{Patience, Upload};

/// Some files could not be read, and the rest went on.
const SOME_FAILED: u8 = 2;

#[derive(Args)]
pub struct Arguments {
    /// Folders and files to read; with --snapshot, the file or the address of the snapshot.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// A file of JSON lines, or `qdrant`, which is the default when QDRANT_URL is set.
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Also removes the passages of documents that do not lie under the given paths.
    #[arg(long)]
    prune: bool,
    /// Writes unchanged passages too, as after a change of the embedding model.
    #[arg(long)]
    rewrite: bool,
    /// Says what would be done, and changes nothing.
    #[arg(long)]
    dry_run: bool,
    /// The summary as JSON.
    #[arg(long)]
    json: bool,
    /// Writes the collection into a snapshot, or puts it back from one.
    #[arg(long, value_name = "ACTION", conflicts_with_all = ["to", "prune", "rewrite", "dry_run"])]
    snapshot: Option<snapshot::Action>,
}

/// 0 when all went well, 2 when some files could not be read; an error when nothing could be done.
pub async fn run(env: &Environment, arguments: Arguments) -> anyhow::Result<ExitCode> {
    if let Some(action) = arguments.snapshot {
        let [place] = arguments.paths.as_slice() else {
            bail!("a snapshot is one file or one address");
        };
        snapshot::run(env, action, &place.to_string_lossy()).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let target = target::target(env, arguments.to.as_deref())?;
    let summary = ingest(&arguments, &target, interrupted()).await?;
    if arguments.json {
        println!("{}", serde_json::to_string(&summary)?);
    } else {
        print!("{summary}");
    }
    Ok(exit_code(&summary))
}

fn exit_code(summary: &Summary) -> ExitCode {
    if summary.interrupted || (summary.documents == 0 && !summary.failed.is_empty()) {
        ExitCode::FAILURE
    } else if summary.failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(SOME_FAILED)
    }
}

/// Turns true with the first Ctrl-C; the second one ends the process.
fn interrupted() -> watch::Receiver<bool> {
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            if stop.send_replace(true) {
                std::process::exit(130);
            }
            eprintln!("finishing what has begun; once more to stop at once");
        }
    });
    stopped
}

async fn ingest(
    arguments: &Arguments,
    target: &Target,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<Summary> {
    let started = Instant::now();
    let mut found = roots::find(&arguments.paths)?;
    leave_out_target(&mut found, target);
    let stored = target
        .store
        .list()
        .await
        .with_context(|| format!("{} cannot be read", target.name))?;
    let overlap = overlap::find(&found.files, stored.values()).filter(|_| !arguments.prune);
    let mut run = Run {
        plan: Plan::new(stored, arguments.rewrite),
        scope: Scope {
            roots: found.roots.clone(),
            unread: Vec::new(),
            prune: arguments.prune,
        },
        summary: Summary {
            target: target.name.clone(),
            dry_run: arguments.dry_run,
            skipped: std::mem::take(&mut found.unknown),
            links: std::mem::take(&mut found.links),
            hidden: found.hidden,
            warnings: overlap.iter().map(warning).collect(),
            ..Summary::default()
        },
        documents: HashSet::new(),
        stop,
    };
    for (id, error) in std::mem::take(&mut found.unreadable) {
        run.failed(id, ReadFailure::Io(error).to_string());
    }
    let patience = Patience::default();
    let upload = Upload::new(target.store.clone(), target.embedder.clone(), patience);
    let upload = (!arguments.dry_run).then_some(upload);
    let written = run.files(&found.files, upload).await;
    if arguments.dry_run {
        written?;
        run.summary.removed = run.gone()?.len();
    } else {
        let removed = match written {
            Ok(()) => run.remove(target, patience).await,
            Err(error) => Err(error),
        };
        // What has been written is kept in any case.
        let finished = target.store.finish(run.plan.order()).await;
        removed?;
        finished?;
    }
    run.summary.seconds = started.elapsed().as_secs_f64();
    Ok(run.summary)
}

fn warning(overlap: &Overlap) -> String {
    let Overlap {
        count,
        stored,
        named,
    } = overlap;
    format!(
        "{count} documents may be in the knowledge base twice: {named} is there as {stored} too, from an ingest of another \
         folder. Ingest the folder that holds all, with --prune, which removes whatever does not lie under it"
    )
}

/// The file that is written must not be read as well.
fn leave_out_target(found: &mut Found, target: &Target) {
    let file = target
        .file
        .as_ref()
        .and_then(|file| file.canonicalize().ok());
    if let Some(file) = file {
        let other =
            |candidate: &Candidate| candidate.path.canonicalize().ok().as_ref() != Some(&file);
        found.files.retain(other);
    }
}

struct Run {
    plan: Plan,
    scope: Scope,
    summary: Summary,
    documents: HashSet<String>,
    stop: watch::Receiver<bool>,
}

impl Run {
    /// Reads the files in order, the next one while the present one is written.
    async fn files(
        &mut self,
        files: &[Candidate],
        mut upload: Option<Upload>,
    ) -> anyhow::Result<()> {
        let bytes = files.iter().map(|file| file.bytes).sum();
        let mut progress = Progress::new(files.len(), bytes);
        let readers = Readers::default();
        let begin = |file: &Candidate| begin(&readers, file);
        let mut ahead = files.first().map(begin);
        let mut result = Ok(());
        for (at, file) in files.iter().enumerate() {
            let Some(reading) = ahead.take() else { break };
            let content = reading.await.context("a reader has ended")?;
            if *self.stop.borrow() {
                self.summary.interrupted = true;
                break;
            }
            ahead = files.get(at + 1).map(begin);
            result = self.file(file, content, upload.as_mut()).await;
            if result.is_err() {
                break;
            }
            progress.file(file.bytes, upload.as_ref().map_or(0, Upload::written));
        }
        if let (Some(upload), Ok(())) = (&mut upload, &result) {
            result = upload.flush().await.map_err(anyhow::Error::from);
            self.summary.added = upload.written();
        }
        self.summary.unchanged = self.plan.unchanged();
        self.summary.documents = self.documents.len();
        progress.clear();
        result
    }

    async fn file(
        &mut self,
        file: &Candidate,
        content: Result<Readable, ReadFailure>,
        upload: Option<&mut Upload>,
    ) -> anyhow::Result<()> {
        let content = match content {
            Ok(content) => content,
            Err(error) => {
                self.failed(file.id.clone(), error.to_string());
                return Ok(());
            }
        };
        for fault in content.faults {
            self.failed(file.id.clone(), fault);
        }
        let passages = content.passages;
        let ids = passages.iter().map(|passage| passage.document.id.clone());
        self.documents.extend(ids);
        let changed = self.plan.changed(passages);
        match upload {
            Some(upload) => upload.add(changed).await?,
            None => self.summary.added += changed.len(),
        }
        Ok(())
    }

    fn failed(&mut self, file: String, reason: String) {
        self.scope.unread.push(file.clone());
        self.summary.failed.push(Failure { file, reason });
    }

    async fn remove(&mut self, target: &Target, patience: Patience) -> anyhow::Result<()> {
        if self.summary.interrupted {
            return Ok(());
        }
        let gone = self.gone()?;
        upload::remove(target.store.as_ref(), &gone, patience).await?;
        self.summary.removed = gone.len();
        Ok(())
    }

    /// An empty folder is more often one that is not mounted than one whose documents are all gone.
    fn gone(&self) -> anyhow::Result<Vec<uuid::Uuid>> {
        if self.documents.is_empty() && self.summary.failed.is_empty() && !self.scope.prune {
            bail!(
                "there is no document under the given paths, and nothing was changed; --prune empties the knowledge base"
            );
        }
        Ok(self.plan.gone(&self.scope))
    }
}

fn begin(readers: &Readers, file: &Candidate) -> JoinHandle<Result<Readable, ReadFailure>> {
    let (readers, file) = (readers.clone(), file.clone());
    tokio::spawn(async move { readers.read(&file).await })
}
