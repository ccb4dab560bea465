//! A knowledge base in a file: one passage a line, as JSON.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsStr,
    fs::{self, File, TryLockError},
    io::{self, BufRead as _, BufReader, BufWriter, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use uuid::Uuid;
use workers::knowledge::{
    KnowledgeError,
    store::{PassageStore, StoredPassage},
};

/// Passages that may wait before the file is written, and their share of all: writing the whole file for each few of
/// them would take ever longer.
const LEAST_WAITING: usize = 512;
const WAITING_SHARE: usize = 4;

/// Holds all passages in memory, and replaces the file as a whole: whoever reads it sees the old one or the new one.
pub struct FileStore {
    path: PathBuf,
    state: Mutex<State>,
    /// Held for as long as the file may be replaced.
    _lock: File,
}

#[derive(Default)]
struct State {
    passages: Vec<StoredPassage>,
    waiting: usize,
}

impl FileStore {
    /// Reads what there is; a file that is missing is an empty one. Fails while another run has it open, as the one that
    /// ends last would undo the other.
    pub fn open(path: &Path) -> Result<Self, KnowledgeError> {
        let lock = lock(path)?;
        let passages = match File::open(path) {
            Ok(file) => read(path, file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed(path, "read", &error)),
        };
        Ok(Self {
            path: path.to_owned(),
            state: Mutex::new(State {
                passages,
                waiting: 0,
            }),
            _lock: lock,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, state: &mut State) -> Result<(), KnowledgeError> {
        replace(&self.path, &state.passages)
            .map_err(|error| failed(&self.path, "written", &error))?;
        state.waiting = 0;
        Ok(())
    }
}

#[async_trait]
impl PassageStore for FileStore {
    async fn list(&self) -> Result<HashMap<Uuid, String>, KnowledgeError> {
        let state = self.state();
        let listed = state.passages.iter();
        Ok(listed
            .map(|passage| (passage.id, passage.document.id.clone()))
            .collect())
    }

    async fn put(&self, passages: Vec<StoredPassage>) -> Result<(), KnowledgeError> {
        let mut state = self.state();
        state.waiting += passages.len();
        let replaced: HashSet<Uuid> = passages.iter().map(|passage| passage.id).collect();
        state
            .passages
            .retain(|passage| !replaced.contains(&passage.id));
        state.passages.extend(passages);
        if state.waiting < LEAST_WAITING.max(state.passages.len() / WAITING_SHARE) {
            return Ok(());
        }
        self.write(&mut state)
    }

    async fn remove(&self, ids: &[Uuid]) -> Result<(), KnowledgeError> {
        let gone: HashSet<&Uuid> = ids.iter().collect();
        let mut state = self.state();
        let before = state.passages.len();
        state.passages.retain(|passage| !gone.contains(&passage.id));
        state.waiting += before - state.passages.len();
        Ok(())
    }

    /// By document, and those of a document as `order` has them: an index counts them, so that their order matters.
    async fn finish(&self, order: &[Uuid]) -> Result<(), KnowledgeError> {
        let places: HashMap<Uuid, usize> = order.iter().copied().zip(0..).collect();
        let mut state = self.state();
        let before: Vec<Uuid> = state.passages.iter().map(|passage| passage.id).collect();
        // Stable: documents that this run has left alone stay as they are.
        state.passages.sort_by(|a, b| {
            let place = |passage: &StoredPassage| places.get(&passage.id).copied();
            let documents = a.document.id.cmp(&b.document.id);
            documents.then_with(|| place(a).cmp(&place(b)))
        });
        let moved = !before
            .iter()
            .eq(state.passages.iter().map(|passage| &passage.id));
        if !moved && state.waiting == 0 && self.path.exists() {
            return Ok(());
        }
        self.write(&mut state)
    }
}

/// A lock of the file itself would go with each replacement. The system lets go of it when the process ends.
fn lock(path: &Path) -> Result<File, KnowledgeError> {
    let mut name = OsStr::new(".").to_owned();
    name.push(path.file_name().unwrap_or_default());
    name.push(".lock");
    let mut options = File::options();
    let file = options
        .create(true)
        .write(true)
        .truncate(false)
        .open(path.with_file_name(name))
        .map_err(|error| failed(path, "locked", &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(KnowledgeError::Misconfigured(format!(
            "another ingest is writing {}: wait until it has ended",
            path.display()
        ))),
        Err(TryLockError::Error(error)) => Err(failed(path, "locked", &error)),
    }
}

fn read(path: &Path, file: File) -> Result<Vec<StoredPassage>, KnowledgeError> {
    let mut passages = Vec::new();
    for (number, line) in (1..).zip(BufReader::new(file).lines()) {
        let line = line.map_err(|error| failed(path, "read", &error))?;
        if line.trim().is_empty() {
            continue;
        }
        // Another file of that name must not be overwritten.
        let passage = serde_json::from_str(&line).map_err(|error| {
            KnowledgeError::Misconfigured(format!(
                "{}, line {number}, is not a passage: {error}",
                path.display()
            ))
        })?;
        passages.push(passage);
    }
    Ok(passages)
}

fn replace(path: &Path, passages: &[StoredPassage]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let beside = PathBuf::from(beside);
    let mut out = BufWriter::new(File::create(&beside)?);
    for passage in passages {
        serde_json::to_writer(&mut out, passage)?;
        out.write_all(b"\n")?;
    }
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

fn failed(path: &Path, what: &str, error: &io::Error) -> KnowledgeError {
    KnowledgeError::Misconfigured(format!("{} cannot be {what}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_by_one_run_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kb.jsonl");
        let first = FileStore::open(&path).unwrap();
        let refused = FileStore::open(&path).err().map(|error| error.to_string());
        assert!(refused.is_some_and(|reason| reason.contains("another ingest is writing")));
        drop(first);
        assert!(FileStore::open(&path).is_ok());
    }
}
