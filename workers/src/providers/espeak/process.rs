//! One run of a process that speaks: text in, WAV out, everything bounded.

use std::process::Stdio;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, Command};

use super::SpeakError;

/// Bytes of a complaint that are kept.
const LONGEST_COMPLAINT: u64 = 500;

/// Runs the command with `text` on its input, and gives what it wrote, at most `room` bytes.
///
/// The process is killed when the future is dropped.
pub(super) async fn run(
    mut command: Command,
    text: &[u8],
    room: usize,
) -> Result<Vec<u8>, SpeakError> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(SpeakError::Missing)?;
    let (Some(stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(failed("its pipes are gone"));
    };
    // All at once: a process that waits for its output to be read does not read its input.
    let (_, audio, complaint) = tokio::join!(
        feed(stdin, text),
        read_bounded(stdout, room),
        read_complaint(stderr)
    );
    let audio = audio?;
    finish(child, &complaint).await?;
    Ok(audio)
}

/// A process that ends early closes its input; why it did is known from its end, not from here.
async fn feed(mut stdin: ChildStdin, text: &[u8]) {
    if stdin.write_all(text).await.is_ok() {
        let _ = stdin.shutdown().await;
    }
}

async fn read_bounded(stdout: impl AsyncRead + Unpin, room: usize) -> Result<Vec<u8>, SpeakError> {
    let mut audio = Vec::new();
    let read = stdout.take(room as u64 + 1).read_to_end(&mut audio).await;
    read.map_err(|error| failed(format!("its output cannot be read: {error}")))?;
    if audio.len() > room {
        Err(SpeakError::TooLong)
    } else {
        Ok(audio)
    }
}

async fn read_complaint(mut stderr: ChildStderr) -> String {
    let mut complaint = Vec::new();
    let _ = (&mut stderr)
        .take(LONGEST_COMPLAINT)
        .read_to_end(&mut complaint)
        .await;
    // The rest is drained, or the process would wait for it for ever.
    let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&complaint).trim().to_owned()
}

async fn finish(mut child: Child, complaint: &str) -> Result<(), SpeakError> {
    let status = child.wait().await.map_err(SpeakError::Missing)?;
    match (status.success(), complaint) {
        (true, _) => Ok(()),
        (false, "") => Err(failed(format!("it ended with {status}"))),
        (false, complaint) => Err(failed(format!("{complaint} ({status})"))),
    }
}

fn failed(reason: impl Into<String>) -> SpeakError {
    SpeakError::Failed {
        reason: reason.into(),
    }
}
