//! Recordings of every kind, changed in their structure, in the process that decodes them.
//!
//! Each must give sound or one lasting error of the file, within the limits of that process.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    process::Command,
    time::{Duration, Instant},
};

use common::testing::{
    fuzz::explore_files,
    mutate::{Anatomy, Grammar, Kind, Members},
};
use sandbox::{Sandbox, SandboxError, Task as _};
use workers::{
    audio::{
        DecodeError, Limits, RATE,
        isolated::{DecodeRecording, IsolatedError},
        wav::{self, Format},
    },
    testing::forged,
};

mod boxes;
mod streams;

/// Inputs of one target in CI.
const BATCH: u32 = 96;

const LIMITS: Limits = Limits {
    max_duration: Duration::from_secs(5),
};

/// Beyond the processor time that a file may take, on a machine with other work.
const MARGIN: Duration = Duration::from_secs(10);

/// Forged files that are longer take long to change.
const LONGEST_SEED: usize = 100_000;

/// What ffmpeg makes of the same second of sound.
fn by_ffmpeg(files: &[(&str, &[&str])]) -> Vec<Vec<u8>> {
    const SOURCE: &str =
        "aevalsrc=0.4*sin(2*PI*(150+60*sin(8*t))*t)|0.3*sin(2*PI*1900*t):s=48000:d=0.5";
    let folder = tempfile::tempdir().unwrap();
    let file = |(name, arguments): &(&str, &[&str])| {
        let made = Command::new("ffmpeg")
            .args(["-v", "error", "-f", "lavfi", "-i", SOURCE])
            .args(*arguments)
            .arg(name)
            .current_dir(folder.path())
            .status();
        if !made.is_ok_and(|status| status.success()) {
            assert!(
                std::env::var_os("CI").is_none(),
                "ffmpeg cannot make {name}"
            );
            println!("skipped: ffmpeg cannot make {name}");
            return None;
        }
        Some(std::fs::read(folder.path().join(name)).unwrap())
    };
    files.iter().filter_map(file).collect()
}

/// Those of them that begin like this.
fn forged(mark: &[u8], at: usize) -> Vec<Vec<u8>> {
    let small = [forged::large_codebooks(1), forged::table_of_moments(100)];
    let files = forged::recordings().into_iter().map(|(_, file)| file);
    files
        .chain(small)
        .filter(|file| file.len() < LONGEST_SEED && file[at..].starts_with(mark))
        .collect()
}

fn kind(walk: fn(&[u8]) -> Anatomy, members: Option<Members>) -> Kind {
    let grammar = Grammar { walk, words: &[] };
    let mend = match members {
        Some(_) => streams::with_checksums,
        None => |file| file,
    };
    Kind {
        grammar,
        members,
        mend,
    }
}

fn explore(kind: Kind, good: &[Vec<u8>], forged: &[Vec<u8>]) {
    if good.is_empty() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _inside = runtime.enter();
    let sandbox = Sandbox::of_program(env!("CARGO_BIN_EXE_itb-worker").into());
    explore_files(BATCH, &kind, good, forged, |file| {
        runtime.block_on(outcome(&sandbox, file))
    });
}

/// What became of a file; the error is what must not become of any.
async fn outcome(sandbox: &Sandbox<DecodeRecording>, file: &[u8]) -> Result<&'static str, String> {
    let started = Instant::now();
    let ran = sandbox.run(&LIMITS, file).await;
    let took = started.elapsed();
    let most = DecodeRecording::limits(&LIMITS, file.len()).cpu_ceiling + MARGIN;
    if took > most {
        return Err(format!("took {took:?}"));
    }
    let outcome = match ran {
        Ok(outcome) => outcome,
        Err(error) => return end(error),
    };
    match outcome.reply {
        Ok(()) => sound(&outcome.bytes),
        Err(DecodeError::Damaged { reason }) if reason.contains("gave up") => Ok("panicked"),
        Err(_) => Ok("refused"),
    }
}

/// Samples of four bytes.
fn sound(bytes: &[u8]) -> Result<&'static str, String> {
    let (samples, _) = bytes.as_chunks();
    let longest = (LIMITS.max_duration + Duration::from_secs(1)).as_secs() * u64::from(RATE);
    let good = |sample: &[u8; 4]| (-1.0..=1.0).contains(&f32::from_le_bytes(*sample));
    if samples.len() as u64 > longest || !samples.iter().all(good) {
        return Err(format!("not sound: {} samples", samples.len()));
    }
    Ok("read")
}

/// Of a process that did not reply.
fn end(error: SandboxError) -> Result<&'static str, String> {
    let how = match &error {
        SandboxError::OutOfMemory(_) => "out of memory",
        SandboxError::OutOfTime(_) => "out of time",
        SandboxError::TooMuchOutput(_) => "too much sound",
        _ => "crashed",
    };
    match IsolatedError::from(error) {
        IsolatedError::File(_) => Ok(how),
        error => Err(error.to_string()),
    }
}

#[test]
fn wav() {
    let mut good = by_ffmpeg(&[
        ("pcm.wav", &["-ar", "8000"]),
        ("float.wav", &["-c:a", "pcm_f32le", "-ar", "16000"]),
        ("adpcm.wav", &["-c:a", "adpcm_ima_wav", "-ar", "16000"]),
        ("ms.wav", &["-c:a", "adpcm_ms", "-ar", "16000"]),
        ("mulaw.wav", &["-c:a", "pcm_mulaw", "-ar", "8000"]),
        ("rf64.wav", &["-rf64", "always", "-ar", "8000"]),
    ]);
    good.push(wav::write(Format::mono16(16_000), &[7; 16_000]));
    explore(kind(boxes::riff, None), &good, &[]);
}

#[test]
fn mp3() {
    let good = by_ffmpeg(&[
        (
            "mono.mp3",
            &["-ac", "1", "-b:a", "48k", "-metadata", "title=a"],
        ),
        ("stereo.mp3", &["-q:a", "6"]),
        ("low.mp3", &["-ar", "16000", "-write_xing", "0"]),
    ]);
    explore(kind(streams::mp3, None), &good, &[]);
}

#[test]
fn flac() {
    let good = by_ffmpeg(&[
        ("a.flac", &["-ar", "16000"]),
        ("wide.flac", &["-sample_fmt", "s32", "-metadata", "title=a"]),
    ]);
    explore(kind(streams::flac, None), &good, &[]);
}

#[test]
fn ogg() {
    let good = by_ffmpeg(&[
        ("vorbis.ogg", &["-c:a", "libvorbis"]),
        ("opus.ogg", &["-c:a", "libopus", "-b:a", "24k"]),
        ("flac.ogg", &["-c:a", "flac", "-ar", "16000"]),
    ]);
    let forged = forged(b"OggS", 0);
    explore(kind(streams::ogg, Some(streams::PACKETS)), &good, &forged);
}

#[test]
fn mp4() {
    let good = by_ffmpeg(&[
        ("aac.m4a", &["-c:a", "aac", "-movflags", "+faststart"]),
        (
            "fragments.m4a",
            &["-c:a", "aac", "-movflags", "frag_keyframe+empty_moov"],
        ),
        ("alac.m4a", &["-c:a", "alac", "-metadata", "title=a"]),
        ("pcm.mov", &["-c:a", "pcm_s16be", "-ar", "8000"]),
        (
            "flac.mp4",
            &["-c:a", "flac", "-ar", "16000", "-strict", "-2"],
        ),
    ]);
    explore(kind(boxes::mp4, None), &good, &forged(b"ftyp", 4));
}

#[test]
fn matroska() {
    let good = by_ffmpeg(&[
        ("opus.webm", &["-c:a", "libopus", "-b:a", "24k"]),
        ("vorbis.webm", &["-c:a", "libvorbis", "-live", "1"]),
        ("flac.mka", &["-c:a", "flac", "-ar", "16000"]),
        ("aac.mka", &["-c:a", "aac"]),
        ("pcm.mka", &["-c:a", "pcm_s16le", "-ar", "8000"]),
    ]);
    explore(kind(boxes::matroska, None), &good, &[]);
}
