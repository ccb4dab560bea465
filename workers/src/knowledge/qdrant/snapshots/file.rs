//! Files on their way to and from the server.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::stream;
use reqwest::{Body, Response};
use ring::digest::{Context, SHA256};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;

use super::{OnProgress, Patience, SnapshotError, Snapshots, Transferred, away};

/// Bytes read and sent at once.
const PIECE: usize = 256 * 1024;

/// Saves an answer as `path`. Until it is whole it has another name.
pub(super) async fn receive(
    snapshots: &Snapshots,
    response: Response,
    total: Option<u64>,
    checksum: Option<&str>,
    path: &Path,
    progress: OnProgress,
) -> Result<(), SnapshotError> {
    let unfinished = unfinished(path);
    let written = write(snapshots, response, total, checksum, &unfinished, progress).await;
    let result = match written {
        Ok(()) => tokio::fs::rename(&unfinished, path)
            .await
            .map_err(unusable(path)),
        Err(error) => Err(error),
    };
    if result.is_err() {
        // It may not even have been made.
        let _ = tokio::fs::remove_file(&unfinished).await;
    }
    result
}

async fn write(
    snapshots: &Snapshots,
    mut response: Response,
    total: Option<u64>,
    checksum: Option<&str>,
    path: &Path,
    progress: OnProgress,
) -> Result<(), SnapshotError> {
    let mut file = File::create(path).await.map_err(unusable(path))?;
    let mut hash = Context::new(&SHA256);
    let mut bytes = 0;
    let stall = snapshots.patience.stall;
    loop {
        let piece = tokio::time::timeout(stall, response.chunk()).await;
        let piece =
            piece.map_err(|_| snapshots.unavailable(format!("sent nothing for {stall:?}")))?;
        let Some(piece) = piece.map_err(|error| away(&snapshots.server, &error))? else {
            break;
        };
        file.write_all(&piece).await.map_err(unusable(path))?;
        hash.update(&piece);
        bytes += piece.len() as u64;
        progress(Transferred { bytes, total });
    }
    file.sync_all().await.map_err(unusable(path))?;
    check(bytes, total, &hexadecimal(hash.finish().as_ref()), checksum)
}

fn check(
    bytes: u64,
    total: Option<u64>,
    found: &str,
    checksum: Option<&str>,
) -> Result<(), SnapshotError> {
    if let Some(total) = total
        && total != bytes
    {
        return Err(SnapshotError::Damaged(format!(
            "{bytes} of {total} bytes came"
        )));
    }
    match checksum {
        Some(expected) if !expected.eq_ignore_ascii_case(found) => {
            let reason = format!("its SHA-256 is {found} instead of {expected}");
            Err(SnapshotError::Damaged(reason))
        }
        _ => Ok(()),
    }
}

/// A file as the body of a request, and its length. `sent` is told of each piece that is taken.
pub(super) async fn body(
    path: &Path,
    sent: watch::Sender<Transferred>,
    progress: OnProgress,
) -> Result<(Body, u64), SnapshotError> {
    let file = File::open(path).await.map_err(unusable(path))?;
    let metadata = file.metadata().await.map_err(unusable(path))?;
    if !metadata.is_file() {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "it is no file");
        return Err(unusable(path)(error));
    }
    let total = metadata.len();
    let start = Transferred {
        bytes: 0,
        total: Some(total),
    };
    let pieces = stream::try_unfold((file, start, sent), move |(mut file, at, sent)| {
        let progress = OnProgress::clone(&progress);
        async move {
            // What was read before has been taken by now.
            sent.send_replace(at);
            if at.bytes > 0 {
                progress(at);
            }
            let mut piece = vec![0; PIECE];
            let read = file.read(&mut piece).await?;
            if read == 0 {
                return Ok::<_, io::Error>(None);
            }
            piece.truncate(read);
            let bytes = at.bytes + read as u64;
            Ok(Some((
                Bytes::from(piece),
                (file, Transferred { bytes, ..at }, sent),
            )))
        }
    });
    Ok((Body::wrap_stream(pieces), total))
}

/// Ends, with the reason, when a body is not taken on, or when nothing is heard of it after it was.
pub(super) async fn stalled(mut sent: watch::Receiver<Transferred>, patience: Patience) -> String {
    loop {
        match tokio::time::timeout(patience.stall, sent.changed()).await {
            Ok(Ok(())) => {}
            Err(_) => return format!("took nothing for {:?}", patience.stall),
            // The body is gone: all of it was taken.
            Ok(Err(_)) => break,
        }
    }
    tokio::time::sleep(patience.work).await;
    format!("did not answer within {:?}", patience.work)
}

fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

fn unusable(path: &Path) -> impl Fn(io::Error) -> SnapshotError {
    let path = path.to_owned();
    move |source| SnapshotError::File {
        path: path.clone(),
        source,
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
