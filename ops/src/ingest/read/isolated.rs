//! Reading in a process of its own: a hostile document is a failure of that document alone.

use std::{
    io::{self, Read as _},
    sync::Arc,
    time::Duration,
};

use sandbox::{Limits, Outcome, Progress, Sandbox, SandboxError, Task};
use serde::{Deserialize, Serialize};
use workers::knowledge::{passages::passages, store::StoredPassage};

use super::{Format, MAX_FILE, MAX_TEXT, Original};
use crate::ingest::{beneath, roots::Candidate};

const MIB: u64 = 1024 * 1024;

/// Memory of a reader beside what follows from the size of the file: a page's fonts, a sheet's unpacked texts.
const READER_MEMORY: u64 = 1024 * MIB;

/// Times its size that a file is held: packed, unpacked, as objects, as text.
const COPIES: u64 = 8;

/// Nested structures are followed by calls of functions.
const STACK: u64 = 64 * MIB;

/// Processor time for any file, and for each mebibyte of it. A thousand pages of PDF take some twenty seconds.
const TIME: Duration = Duration::from_secs(60);
const TIME_A_MIB: Duration = Duration::from_secs(10);
const MOST_TIME: Duration = Duration::from_secs(600);

/// Reads one document, in a child process.
pub struct ReadDocument;

#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    id: String,
    format: Format,
}

/// What a file holds.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Readable {
    pub passages: Vec<StoredPassage>,
    /// Parts that could not be read while the rest could, each with its place.
    pub faults: Vec<String>,
}

/// Why a file could not be read. The text goes on with the name of the file.
#[derive(Debug, thiserror::Error)]
pub enum ReadFailure {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("holds more than {MAX_FILE} bytes")]
    TooLarge,
    /// In the words of its reader.
    #[error("{0}")]
    Unreadable(String),
    #[error("needs more memory to be read than the {} MiB that are allowed", .0 / MIB)]
    TooMuchMemory(u64),
    #[error("needs more time to be read than the {0:?} that are allowed")]
    TooMuchTime(Duration),
    #[error("is so broken that its reader gave up")]
    GaveUp,
    /// Nothing is known of the file.
    #[error("could not be read now: {0}")]
    Unavailable(#[source] SandboxError),
}

impl Task for ReadDocument {
    const NAME: &'static str = "read-document";
    const PER_PROCESSOR: usize = 1;
    type Request = Request;
    type Reply = Result<Readable, String>;

    fn limits(_: &Request, length: usize) -> Limits {
        let length = length as u64;
        let mebibytes = u32::try_from(length / MIB).unwrap_or(u32::MAX);
        let cpu = MOST_TIME.min(TIME + TIME_A_MIB.saturating_mul(mebibytes));
        Limits {
            memory: READER_MEMORY + COPIES * length,
            stack: STACK,
            cpu,
            cpu_ceiling: cpu,
            // Text in JSON, and the ids and titles that stand beside each passage of it.
            output: 8 * MAX_TEXT as u64,
        }
    }

    fn run(request: Request, bytes: Vec<u8>, _: &Progress) -> Outcome<Self::Reply> {
        let original = Original {
            id: request.id,
            bytes,
        };
        let content = super::read(&original, request.format);
        let found = content.map(|content| {
            let mut passages = passages(&content.documents);
            passages.extend(content.passages);
            Readable {
                passages,
                faults: content.faults,
            }
        });
        found.map_err(|error| error.to_string()).into()
    }
}

/// Reads files, each in a process of its own.
#[derive(Clone, Default)]
pub struct Readers(Arc<Sandbox<ReadDocument>>);

impl Readers {
    /// The passages of a file.
    ///
    /// # Errors
    ///
    /// See [`ReadFailure`].
    pub async fn read(&self, file: &Candidate) -> Result<Readable, ReadFailure> {
        let candidate = file.clone();
        let bytes = tokio::task::spawn_blocking(move || bounded_bytes(&candidate));
        let bytes = bytes.await.map_err(io::Error::other)??;
        self.read_bytes(file.id.clone(), file.format, &bytes).await
    }

    async fn read_bytes(
        &self,
        id: String,
        format: Format,
        bytes: &[u8],
    ) -> Result<Readable, ReadFailure> {
        let read = self.0.run(&Request { id, format }, bytes).await;
        read.map_err(failure)?
            .reply
            .map_err(ReadFailure::Unreadable)
    }

    /// With the program that `cargo build` has made, as a test is another one.
    #[cfg(test)]
    fn of_built_program() -> Self {
        let test = std::env::current_exe().expect("a path");
        let folder = test.ancestors().nth(2).expect("a folder");
        let program = folder.join("itb-ops");
        assert!(program.exists(), "{} is not built", program.display());
        Self(Arc::new(Sandbox::of_program(program)))
    }
}

fn failure(error: SandboxError) -> ReadFailure {
    match error {
        SandboxError::OutOfMemory(limit) | SandboxError::TooMuchOutput(limit) => {
            ReadFailure::TooMuchMemory(limit)
        }
        SandboxError::OutOfTime(limit) => ReadFailure::TooMuchTime(limit),
        error if error.is_permanent() => ReadFailure::GaveUp,
        error => ReadFailure::Unavailable(error),
    }
}

fn bounded_bytes(file: &Candidate) -> Result<Vec<u8>, ReadFailure> {
    let mut bytes = Vec::new();
    beneath::open(&file.root, &file.path)?
        .take(MAX_FILE + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(ReadFailure::TooLarge);
    }
    Ok(bytes)
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, time::Instant};

    use super::*;

    /// What the processes of their own cost an ingest of 500 files, against the same
    /// work here. A measurement, for a machine that does nothing else; needs the built
    /// program:
    ///
    /// `cargo test --workspace --bin itb-ops -- --ignored --nocapture cost`
    #[tokio::test]
    #[ignore = "a measurement"]
    async fn cost_of_500_processes() {
        let fixtures = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures"));
        let documents = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../workers/knowledge"));
        let found = crate::ingest::roots::find(&[fixtures, documents]).expect("files");
        let files: Vec<Candidate> = found.files.into_iter().cycle().take(500).collect();
        let readers = Readers::of_built_program();
        for round in 1..=5 {
            let started = Instant::now();
            for file in &files {
                let bytes = bounded_bytes(file).expect("a file");
                let (id, format) = (file.id.clone(), file.format);
                let _ = ReadDocument::run(Request { id, format }, bytes, &Progress::default());
            }
            let here = started.elapsed();
            let started = Instant::now();
            for file in &files {
                let _ = readers.read(file).await;
            }
            let apart = started.elapsed();
            let times = apart.as_secs_f64() / here.as_secs_f64();
            println!("round {round}: {here:?} here, {apart:?} apart, {times:.2} times");
        }
    }
}
