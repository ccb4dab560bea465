//! Packages through `pip`: it knows the mirror, the proxy and the certificates of networks that have nothing else.
//!
//! It knows them from its own files and from the variables in [`PASSED`]. Python runs isolated (`-I`: neither `PYTHON…`
//! variables nor the user's packages nor the working folder count). pip's own `--isolated` is not given: it would leave
//! out the files and variables that name the mirror. What comes is compared with the pins of the manifest.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};

use super::config::ProvisionConfig;
use super::download::FetchError;
use super::folder::blocking;
use super::manifest::Wheel;
use super::state::Meter;
use crate::child;

/// Bytes of pip's complaint that are kept, from the end: the reason comes last.
const LONGEST_COMPLAINT: usize = 300;

/// Bytes of it that are read at all.
const MOST_OUTPUT: u64 = 1 << 20;

/// How often the size of what pip has written is looked at.
const GLANCE: Duration = Duration::from_millis(500);

/// The variables that it needs. `PATH` and `HOME`: `python3` may be a script that chooses a version, and pip has files in
/// the home folder.
const PASSED: &[&str] = &[
    "PATH",
    "HOME",
    "XDG_CONFIG_HOME",
    "PIP_CONFIG_FILE",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_NO_INDEX",
    "PIP_FIND_LINKS",
    "PIP_TRUSTED_HOST",
    "PIP_CERT",
    "PIP_CLIENT_CERT",
    "PIP_PROXY",
    "PIP_DEFAULT_TIMEOUT",
    "PIP_RETRIES",
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
];

/// Downloads a wheel into a folder of its own, and gives its path.
pub(super) async fn download(
    config: &ProvisionConfig,
    wheel: &Wheel,
    folder: &Path,
    meter: &mut Meter<'_>,
) -> Result<PathBuf, FetchError> {
    let clean = folder.to_path_buf();
    blocking(folder, "cannot be made", move || {
        super::folder::remove(&clean)?;
        std::fs::create_dir_all(clean)
    })
    .await?;
    // pip works in another folder than this process.
    let absolute = child::absolute(folder.to_path_buf());
    let working = run(config, wheel, &absolute);
    tokio::pin!(working);
    let mut glances = tokio::time::interval(GLANCE);
    loop {
        tokio::select! {
            done = &mut working => break done?,
            _ = glances.tick() => meter.at(written(folder).await),
        }
    }
    let place = folder.to_path_buf();
    let found = blocking(folder, "cannot be read", move || find_wheel(&place)).await?;
    found.ok_or_else(|| FetchError::Source("pip ended well and left no package".to_owned()))
}

async fn run(config: &ProvisionConfig, wheel: &Wheel, folder: &Path) -> Result<(), FetchError> {
    let mut command = child::command(&config.python, PASSED);
    command
        .args([
            "-I",
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--no-input",
            "--disable-pip-version-check",
        ])
        .args([
            "--progress-bar",
            "off",
            "--only-binary",
            ":all:",
            "--no-cache-dir",
            "-d",
        ])
        .arg(folder)
        .arg(format!("{}=={}", wheel.package, wheel.version))
        // pip writes there first; the system's temporary folder may be small, and its size is looked at here.
        .env("TMPDIR", folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| {
        FetchError::Source(match error.kind() {
            std::io::ErrorKind::NotFound => format!("{} is not installed", config.python.display()),
            _ => format!("{} cannot be started: {error}", config.python.display()),
        })
    })?;
    let complaint = child.stderr.take();
    let ended = tokio::time::timeout(config.timeouts.pip, async {
        let complaint = match complaint {
            Some(stderr) => read_end(stderr).await,
            None => String::new(),
        };
        (child.wait().await, complaint)
    });
    match ended.await {
        Ok((Ok(status), _)) if status.success() => Ok(()),
        Ok((Ok(status), complaint)) => Err(FetchError::Source(format!("{complaint} ({status})"))),
        Ok((Err(error), _)) => Err(FetchError::Source(format!(
            "its end could not be awaited: {error}"
        ))),
        Err(_) => Err(FetchError::Source(format!(
            "not finished within {} s",
            config.timeouts.pip.as_secs_f32()
        ))),
    }
}

async fn read_end(mut stderr: impl AsyncRead + Unpin) -> String {
    let mut output = Vec::new();
    let _ = (&mut stderr)
        .take(MOST_OUTPUT)
        .read_to_end(&mut output)
        .await;
    // Drained, or pip would wait for it.
    let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
    let tail = &output[output.len().saturating_sub(LONGEST_COMPLAINT)..];
    String::from_utf8_lossy(tail).trim().replace('\n', " ")
}

async fn written(folder: &Path) -> u64 {
    let folder = folder.to_path_buf();
    tokio::task::spawn_blocking(move || size_of(&folder))
        .await
        .unwrap_or_default()
}

/// The bytes in a folder that changes meanwhile; what cannot be read counts as nothing.
fn size_of(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => size_of(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

fn find_wheel(folder: &Path) -> std::io::Result<Option<PathBuf>> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "whl") {
            return Ok(Some(path));
        }
    }
    Ok(None)
}
