//! One file over HTTP into one file on disk, going on after interruptions.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Client, Response, StatusCode, redirect};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::ProvisionError;
use super::config::Timeouts;
use super::folder::disk;
use super::state::Meter;

/// Interruptions in a row that brought less than [`FRUIT`], after which the source is given up.
const FRUITLESS_ATTEMPTS: u32 = 3;

/// Bytes between interruptions that make it worth going on: a source that drips would hold up the others for ever.
const FRUIT: u64 = 1 << 20;

/// Pause before going on after an interruption.
const PAUSE: Duration = Duration::from_millis(500);

/// Why a source gave no file.
#[derive(Debug)]
pub(super) enum FetchError {
    /// The source is no use now; another may be.
    Source(String),
    /// The disk is no use, for any source.
    Disk(ProvisionError),
}

impl From<ProvisionError> for FetchError {
    fn from(error: ProvisionError) -> Self {
        Self::Disk(error)
    }
}

/// A file to fetch.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) url: String,
    /// Where the bytes go. What is there already is taken for the beginning of the file.
    pub(super) into: PathBuf,
    /// The exact size.
    pub(super) size: u64,
}

enum Interruption {
    /// Bytes stopped coming: ask for the rest.
    Cut(String),
    Final(FetchError),
}

impl From<FetchError> for Interruption {
    fn from(error: FetchError) -> Self {
        Self::Final(error)
    }
}

/// The HTTP client for downloads. It follows redirections, or gives them back for a look at their headers.
///
/// The TLS provider is the process's if it has one, else `ring`.
pub(super) fn client(
    timeouts: &Timeouts,
    redirections: redirect::Policy,
) -> Result<Client, FetchError> {
    // An error only says that there is a provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(concat!("itb-assistant/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(timeouts.connect)
        .read_timeout(timeouts.stall)
        .redirect(redirections)
        .build()
        .map_err(|error| FetchError::Source(format!("no HTTP client: {}", root_cause(&error))))
}

/// Fetches the whole file. Its content is not checked here, only its size.
pub(super) async fn fetch(
    client: &Client,
    job: &Job,
    timeouts: &Timeouts,
    meter: &mut Meter<'_>,
) -> Result<(), FetchError> {
    let mut fruitless = 0;
    loop {
        let before = length(&job.into).await;
        let reason = match transfer(client, job, before, timeouts, meter).await {
            Ok(()) => return Ok(()),
            Err(Interruption::Final(error)) => return Err(error),
            Err(Interruption::Cut(reason)) => reason,
        };
        let gained = length(&job.into).await.saturating_sub(before);
        fruitless = if gained >= FRUIT { 0 } else { fruitless + 1 };
        if fruitless >= FRUITLESS_ATTEMPTS {
            return Err(FetchError::Source(reason));
        }
        tracing::info!(reason, "the download was interrupted and goes on");
        tokio::time::sleep(PAUSE).await;
    }
}

async fn transfer(
    client: &Client,
    job: &Job,
    have: u64,
    timeouts: &Timeouts,
    meter: &mut Meter<'_>,
) -> Result<(), Interruption> {
    if have > 0 && job.size == have {
        return Ok(());
    }
    let response = ask(client, job, have, timeouts).await?;
    let Some(start) = beginning(&response, have) else {
        // What is there does not fit what the server has: begin anew.
        open(&job.into, 0).await?;
        return Err(Interruption::Cut(
            "the server cannot go on where the file ends".to_owned(),
        ));
    };
    if let Some(rest) = response.content_length() {
        check_size(job, start + rest)?;
    }
    save(response, job, start, meter).await?;
    finish(job).await
}

async fn ask(
    client: &Client,
    job: &Job,
    have: u64,
    timeouts: &Timeouts,
) -> Result<Response, Interruption> {
    let mut request = client.get(&job.url);
    if have > 0 {
        request = request.header(RANGE, format!("bytes={have}-"));
    }
    let answer = tokio::time::timeout(timeouts.answer, request.send()).await;
    let source = |reason: String| Interruption::Final(FetchError::Source(reason));
    let response = answer
        .map_err(|_| {
            source(format!(
                "no answer within {} s",
                timeouts.answer.as_secs_f32()
            ))
        })?
        .map_err(|error| source(root_cause(&error)))?;
    match response.status() {
        StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
            Ok(response)
        }
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            Err(Interruption::Cut(format!("it answered {status}")))
        }
        status => Err(source(format!("it answered {status}"))),
    }
}

/// Where in the file the body starts, if that is where it can go.
fn beginning(response: &Response, have: u64) -> Option<u64> {
    match response.status() {
        StatusCode::OK => Some(0),
        StatusCode::PARTIAL_CONTENT => {
            let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
            let start = range
                .strip_prefix("bytes ")?
                .split('-')
                .next()?
                .parse()
                .ok()?;
            (start == have).then_some(start)
        }
        _ => None,
    }
}

async fn save(
    mut response: Response,
    job: &Job,
    start: u64,
    meter: &mut Meter<'_>,
) -> Result<(), Interruption> {
    let mut file = open(&job.into, start).await?;
    let mut done = start;
    loop {
        let chunk = match response.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            Err(error) => {
                file.flush()
                    .await
                    .map_err(|error| unwritable(&job.into, error))?;
                return Err(Interruption::Cut(root_cause(&error)));
            }
        };
        done += chunk.len() as u64;
        if done > job.size {
            return Err(Interruption::Final(oversized(job)));
        }
        file.write_all(&chunk)
            .await
            .map_err(|error| unwritable(&job.into, error))?;
        meter.at(done);
    }
    file.flush()
        .await
        .map_err(|error| unwritable(&job.into, error))?;
    file.sync_all()
        .await
        .map_err(|error| unwritable(&job.into, error))?;
    Ok(())
}

/// A body without a stated length can end early without an error.
async fn finish(job: &Job) -> Result<(), Interruption> {
    let (have, size) = (length(&job.into).await, job.size);
    if have < size {
        return Err(Interruption::Cut(format!("{have} of {size} bytes came")));
    }
    Ok(())
}

fn check_size(job: &Job, total: u64) -> Result<(), FetchError> {
    if total == job.size {
        return Ok(());
    }
    Err(FetchError::Source(format!(
        "the file has {total} bytes there instead of {}",
        job.size
    )))
}

fn oversized(job: &Job) -> FetchError {
    FetchError::Source(format!("the file is larger than {} bytes there", job.size))
}

async fn open(path: &Path, keep: u64) -> Result<File, FetchError> {
    let opened = async {
        let file = File::options()
            .create(true)
            .write(true)
            .truncate(false)
            .open(path)
            .await?;
        file.set_len(keep).await?;
        let mut file = file;
        tokio::io::AsyncSeekExt::seek(&mut file, std::io::SeekFrom::Start(keep)).await?;
        Ok(file)
    };
    opened.await.map_err(|error| unwritable(path, error))
}

async fn length(path: &Path) -> u64 {
    tokio::fs::metadata(path)
        .await
        .map(|found| found.len())
        .unwrap_or_default()
}

fn unwritable(path: &Path, error: std::io::Error) -> FetchError {
    FetchError::Disk(disk(path, "cannot be written", error))
}

/// The last of the causes: "connection refused", where the first is "error sending request".
pub(super) fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
