//! The whole engine: on tiny weights that mean nothing, and on real ones where
//! `ITB_TEST_WHISPER_DIR` names a folder with them.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use super::*;

static GO: AtomicBool = AtomicBool::new(false);

fn tiny() -> Whisper {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("model.bin"), model::tests::tiny()).unwrap();
    let entries = [
        "a",
        "b",
        "c",
        "d",
        "e",
        "Ġ",
        "Ġa",
        "<|endoftext|>",
        "<|startoftranscript|>",
        "<|en|>",
        "<|id|>",
        "<|translate|>",
        "<|transcribe|>",
        "<|startofprev|>",
        "<|nospeech|>",
        "<|notimestamps|>",
    ];
    std::fs::write(dir.path().join("vocabulary.txt"), entries.join("\n")).unwrap();
    Whisper::load(dir.path()).unwrap()
}

/// A voice with moving formants, enough for the speech gate.
fn babble(seconds: f32) -> Vec<f32> {
    let count = (seconds * 16_000.0) as usize;
    let at = |index: usize| {
        let time = index as f32 / 16_000.0;
        let syllable = (time / 0.25).floor();
        let sounding = f32::from(time / 0.25 - syllable < 0.7);
        let formant = 400.0 + 300.0 * (syllable % 5.0);
        let harmonics = (1..25).map(|number| {
            let hz = 130.0 * number as f32;
            let gain = (-((hz - formant) / 200.0).powi(2)).exp() + 0.01;
            gain * (std::f32::consts::TAU * hz * time).sin()
        });
        0.2 * sounding * harmonics.sum::<f32>()
    };
    (0..count).map(at).collect()
}

fn real() -> Option<Whisper> {
    let Some(dir) = std::env::var_os("ITB_TEST_WHISPER_DIR").map(PathBuf::from) else {
        eprintln!("skipped: ITB_TEST_WHISPER_DIR names no folder with Whisper weights");
        return None;
    };
    Some(Whisper::load(&dir).unwrap())
}

/// 16 kHz samples of a synthetic Indonesian voice.
fn speak(text: &str) -> Option<Vec<f32>> {
    let command = Command::new("espeak-ng")
        .args(["-v", "id", "-s", "130", "--stdin", "--stdout"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = command else {
        eprintln!("skipped: espeak-ng is not installed");
        return None;
    };
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let wav = child.wait_with_output().unwrap().stdout;
    let samples: Vec<f32> = wav[44..]
        .chunks_exact(2)
        .map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0)
        .collect();
    Some(from_22050(&samples))
}

/// Linear interpolation: good enough for a test.
fn from_22050(samples: &[f32]) -> Vec<f32> {
    let count = samples.len() * 16_000 / 22_050;
    (0..count.saturating_sub(1))
        .map(|index| {
            let position = index as f32 * 22_050.0 / 16_000.0;
            let before = position as usize;
            let part = position - before as f32;
            samples[before] * (1.0 - part) + samples[before + 1] * part
        })
        .collect()
}

#[test]
fn one_model_is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Whisper>();
}

#[test]
fn silence_has_an_empty_transcript() {
    let transcript = tiny()
        .transcribe(&[0.0; 32_000], &Options::default(), &GO)
        .unwrap();
    assert_eq!(
        (transcript.text.as_str(), transcript.language.as_str()),
        ("", "id")
    );
    assert!(transcript.segments.is_empty());
}

#[test]
fn meaningless_weights_end_within_their_bounds() {
    let whisper = tiny();
    for beams in [1, 3] {
        let options = Options {
            beams,
            prompt: Some("abc de".repeat(40)),
            ..Options::default()
        };
        whisper.transcribe(&babble(3.0), &options, &GO).unwrap();
    }
}

#[test]
fn a_language_is_chosen_when_none_is_named() {
    let options = Options {
        language: None,
        ..Options::default()
    };
    let transcript = tiny().transcribe(&babble(2.0), &options, &GO).unwrap();
    assert!(["en", "id"].contains(&transcript.language.as_str()));
}

#[test]
fn what_cannot_be_transcribed_is_a_typed_error() {
    let whisper = tiny();
    let transcribe = |samples: &[f32], language: &str, stop: bool| {
        let options = Options {
            language: Some(language.to_owned()),
            ..Options::default()
        };
        whisper
            .transcribe(samples, &options, &AtomicBool::new(stop))
            .unwrap_err()
    };
    assert!(matches!(
        transcribe(&[f32::NAN; 9], "id", false),
        TranscribeError::NotFinite
    ));
    assert!(matches!(
        transcribe(&[0.0; 9], "xx", false),
        TranscribeError::UnknownLanguage(_)
    ));
    assert!(matches!(
        transcribe(&babble(2.0), "id", true),
        TranscribeError::Stopped
    ));
    let hours = vec![0.0; 16_000 * 3_601];
    assert!(matches!(
        transcribe(&hours, "id", false),
        TranscribeError::TooLong { .. }
    ));
}

#[test]
fn real_weights_understand_indonesian() {
    let (Some(whisper), Some(samples)) = (real(), speak("Apa saja fakultas di kampus ini?")) else {
        return;
    };
    let transcript = whisper
        .transcribe(&samples, &Options::default(), &GO)
        .unwrap();
    assert!(
        transcript.text.to_lowercase().contains("fakultas"),
        "{}",
        transcript.text
    );
    let segment = &transcript.segments[0];
    assert!(segment.end > segment.start && segment.end < Duration::from_secs(10));
    let again = whisper
        .transcribe(&samples, &Options::default(), &GO)
        .unwrap();
    assert_eq!(transcript, again, "the same recording gives the same text");
}

#[test]
fn real_weights_serve_two_threads_at_once() {
    let (Some(whisper), Some(samples)) = (real(), speak("Apa saja fakultas di kampus ini?")) else {
        return;
    };
    let alone = whisper
        .transcribe(&samples, &Options::default(), &GO)
        .unwrap();
    thread::scope(|scope| {
        let call = || {
            whisper
                .transcribe(&samples, &Options::default(), &GO)
                .unwrap()
        };
        for call in [scope.spawn(call), scope.spawn(call)] {
            assert_eq!(call.join().unwrap(), alone);
        }
    });
}

/// The list a conversion carries in its `config.json` was made by the reference decoder.
#[test]
fn real_vocabulary_suppresses_what_the_reference_does() {
    let Some(whisper) = real() else { return };
    let dir = PathBuf::from(std::env::var_os("ITB_TEST_WHISPER_DIR").unwrap());
    let Ok(config) = std::fs::read_to_string(dir.join("config.json")) else {
        eprintln!("skipped: no config.json beside the weights");
        return;
    };
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    let listed = config["suppress_ids"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(serde_json::Value::as_u64);
    let text: Vec<u32> = listed
        .filter_map(|token| u32::try_from(token).ok())
        .filter(|&token| token < whisper.vocabulary.specials.end)
        .collect();
    assert_eq!(whisper.vocabulary.not_speech, text);
}
