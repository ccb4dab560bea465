//! The real engine where it is installed, and scripts in its place that misbehave as an engine can.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::*;

/// The installed engine, or a visible skip.
fn installed() -> Option<Espeak> {
    let engine = Espeak::installed();
    if engine.is_none() {
        println!("skipped: espeak-ng is not installed");
    }
    engine
}

/// An engine that is a shell script.
fn scripted(folder: &Path, script: &str) -> Espeak {
    let path = folder.join("espeak-ng");
    // Written by another process: a program that a thread of this one still has open for writing cannot be started.
    let wrote = std::process::Command::new("sh")
        .args([
            "-c",
            r#"printf '#!/bin/sh\n%s\n' "$1" > "$0" && chmod 700 "$0""#,
        ])
        .arg(&path)
        .arg(script)
        .status();
    assert!(wrote.is_ok_and(|status| status.success()));
    Espeak::from_program(path)
}

/// The example program with the `speak` role, built beside the tests.
fn speaker() -> Option<PathBuf> {
    let tests = std::env::current_exe().ok()?;
    let path = tests.parent()?.parent()?.join("examples/speaker");
    let there = path.is_file();
    if !there {
        println!("skipped: the example program `speaker` is not built");
    }
    there.then_some(path)
}

/// The folder with the library that `ESPEAK_LIBRARY` names.
fn library_folder() -> Option<PathBuf> {
    let folder = std::env::var_os("ESPEAK_LIBRARY").map(PathBuf::from)?;
    folder.join("libespeak-ng.so").is_file().then_some(folder)
}

fn seconds(wav: &[u8]) -> f32 {
    Wav::read(wav).unwrap().duration().as_secs_f32()
}

#[tokio::test]
async fn a_sentence_becomes_a_whole_wav_of_plausible_length() {
    let Some(engine) = installed() else { return };
    let started = Instant::now();
    let wav = engine
        .speak("Selamat pagi, ada yang bisa saya bantu?", &Voice::default())
        .await
        .unwrap();
    println!("{:?} for {} s of speech", started.elapsed(), seconds(&wav));
    assert!((1.5..5.0).contains(&seconds(&wav)), "{} s", seconds(&wav));
    let riff = u32::from_le_bytes([wav[4], wav[5], wav[6], wav[7]]);
    let data = u32::from_le_bytes([wav[40], wav[41], wav[42], wav[43]]);
    assert_eq!(
        (riff as usize, data as usize),
        (wav.len() - 8, wav.len() - 44)
    );
}

#[tokio::test]
async fn speed_and_voice_are_heard() {
    let Some(engine) = installed() else { return };
    let text = "Jurusan teknik informatika ada di sekolah teknik elektro dan informatika.";
    let slow = engine
        .speak(text, &Voice::new("id", 100).unwrap())
        .await
        .unwrap();
    let fast = engine
        .speak(text, &Voice::new("id", 300).unwrap())
        .await
        .unwrap();
    let english = engine
        .speak(text, &Voice::new("en-us", 300).unwrap())
        .await
        .unwrap();
    assert!(
        seconds(&slow) > 2.0 * seconds(&fast),
        "{} and {} s",
        seconds(&slow),
        seconds(&fast)
    );
    assert_ne!(fast, english);
}

#[tokio::test]
async fn a_text_with_commands_in_it_is_only_read_out() {
    let Some(engine) = installed() else { return };
    for text in [
        "satu\0dua",
        "\u{1}500S cepat sekali",
        "[[h@'loU]] dunia",
        "<speak>halo</speak>",
        "-v en --help",
        "日本語 🙂",
    ] {
        let wav = engine
            .speak(text, &Voice::default())
            .await
            .unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert!(seconds(&wav) > 0.1, "{text:?}");
    }
}

#[tokio::test]
async fn a_long_text_is_spoken_in_pieces_and_whole() {
    let Some(engine) = installed() else { return };
    let sentence = "Mahasiswa wajib membayar uang kuliah sebelum semester dimulai. ";
    let one = seconds(&engine.speak(sentence, &Voice::default()).await.unwrap());
    let wav = engine
        .speak(&sentence.repeat(80), &Voice::default())
        .await
        .unwrap();
    let expected = one * 80.0;
    assert!(
        (seconds(&wav) - expected).abs() < 0.1 * expected,
        "{} s instead of {expected}",
        seconds(&wav)
    );
}

#[tokio::test]
async fn an_unknown_voice_is_a_failure_that_says_so() {
    let Some(engine) = installed() else { return };
    let error = engine
        .speak("halo", &Voice::new("zz-zz", 175).unwrap())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, SpeakError::Failed { reason } if reason.contains("voice")),
        "{error:?}"
    );
}

#[tokio::test]
async fn nothing_to_say_and_too_much_are_told_before_anything_is_started() {
    let engine = Espeak::from_program("/nonexistent/espeak-ng");
    assert!(matches!(
        engine.speak(" \0 ", &Voice::default()).await,
        Err(SpeakError::Empty)
    ));
    assert!(matches!(
        engine.speak(&"a".repeat(30_000), &Voice::default()).await,
        Err(SpeakError::TooLong)
    ));
    assert!(matches!(
        engine.speak("halo", &Voice::default()).await,
        Err(SpeakError::Missing(_))
    ));
}

#[cfg(unix)]
#[tokio::test]
async fn an_engine_that_misbehaves_is_an_error_and_never_a_hang() {
    type Expected = fn(&SpeakError) -> bool;
    let cases: [(&str, &str, Expected); 8] = [
        ("says nothing", "cat > /dev/null", |error| {
            matches!(error, SpeakError::Failed { .. })
        }),
        ("says what is no WAV", "cat; exit 0", |error| {
            matches!(error, SpeakError::Failed { .. })
        }),
        (
            "complains",
            "echo no data >&2; exit 3",
            |error| matches!(error, SpeakError::Failed { reason } if reason.starts_with("no data") && reason.contains('3')),
        ),
        (
            "complains without end",
            "yes no data | head -c 10000000 >&2; exit 1",
            |error| matches!(error, SpeakError::Failed { reason } if reason.len() < 1_000),
        ),
        ("does not read", "exec <&-; exit 1", |error| {
            matches!(error, SpeakError::Failed { .. })
        }),
        ("crashes", "kill -SEGV $$", |error| {
            matches!(error, SpeakError::Failed { .. })
        }),
        ("hangs", "exec sleep 60", |error| {
            matches!(error, SpeakError::TimedOut { .. })
        }),
        ("never ends", "exec cat /dev/zero", |error| {
            matches!(error, SpeakError::TooLong | SpeakError::TimedOut { .. })
        }),
    ];
    for (name, script, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        let engine = scripted(folder.path(), script).with_timeout(Duration::from_secs(3));
        let started = Instant::now();
        let error = engine.speak("halo", &Voice::default()).await.unwrap_err();
        assert!(expected(&error), "{name}: {error:?}");
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "{name}: {:?}",
            started.elapsed()
        );
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_engine_sees_nothing_of_our_environment() {
    let folder = tempfile::tempdir().unwrap();
    let engine = scripted(folder.path(), "env >&2; exit 1");
    let error = engine
        .speak("halo", &Voice::default())
        .await
        .unwrap_err()
        .to_string();
    // A shell sets the working folder itself.
    assert!(
        error.contains("PWD=/ ") && !error.contains("PATH=") && !error.contains("HOME="),
        "{error}"
    );
}

#[tokio::test]
async fn the_library_in_a_process_of_ours_speaks_as_the_program_does() {
    let Some(speaker) = speaker() else { return };
    let Some(folder) = library_folder() else {
        println!("skipped: ESPEAK_LIBRARY names no folder with libespeak-ng.so and espeak-ng-data");
        return;
    };
    let engine = Espeak::from_library(&folder, &speaker);
    let wav = engine
        .speak("Selamat pagi, ada yang bisa saya bantu?", &Voice::default())
        .await
        .unwrap();
    assert!((1.5..5.0).contains(&seconds(&wav)), "{} s", seconds(&wav));
    let error = engine
        .speak("halo", &Voice::new("zz", 175).unwrap())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, SpeakError::Failed { reason } if reason.contains("no voice zz")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_library_that_is_not_there_or_is_none_is_a_failure_that_names_it() {
    let Some(speaker) = speaker() else { return };
    let folder = tempfile::tempdir().unwrap();
    for content in [None, Some("no library")] {
        if let Some(content) = content {
            fs::write(folder.path().join("libespeak-ng.so"), content).unwrap();
        }
        let error = Espeak::from_library(folder.path(), &speaker)
            .speak("halo", &Voice::default())
            .await
            .unwrap_err();
        assert!(
            matches!(&error, SpeakError::Failed { reason } if reason.contains("libespeak-ng.so")),
            "{error:?}"
        );
    }
}

#[test]
fn a_program_is_found_in_the_search_path_only_where_it_can_be_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = std::env::join_paths([Path::new("relative"), folder.path()]).unwrap();
    assert_eq!(find_program(PROGRAM, &path), None);
    fs::write(folder.path().join("espeak-ng"), "").unwrap();
    assert_eq!(find_program(PROGRAM, &path), None);
    scripted(folder.path(), "exit 0");
    assert_eq!(
        find_program(PROGRAM, &path),
        Some(folder.path().join("espeak-ng"))
    );
}
