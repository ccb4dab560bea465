//! Real files, made by the programs that people make them with, and files made to hurt.

mod forged;
mod fuzz;
mod memory;
mod real;

use std::path::Path;
use std::process::Command;

use sandbox::Progress;

use super::{Clip, DecodeError, Limits, decode};

fn decoded(bytes: &[u8]) -> Result<Clip, DecodeError> {
    decode(bytes, &Limits::default(), &Progress::default())
}

/// Runs a program of the machine. False, and a visible skip, when it is not there or cannot do what is asked.
fn run(program: &str, arguments: &[&str], folder: &Path) -> bool {
    let ran = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output();
    let good = ran.is_ok_and(|output| output.status.success());
    if !good {
        println!(
            "skipped: {program} {} does not work here",
            arguments.join(" ")
        );
    }
    good
}

/// Three seconds whose loudness and pitch both change, so that a shift or a hole shows: 48 kHz stereo.
fn speech_like(folder: &Path) -> bool {
    let wave = "0.4*sin(2*PI*(150+60*sin(2*PI*1.3*t))*t)*abs(sin(2*PI*0.7*t))+0.1*sin(2*PI*1900*t)*abs(cos(2*PI*2.1*t))";
    let source = format!("aevalsrc={wave}|{wave}:s=48000:d=3");
    run(
        "ffmpeg",
        &[
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            &source,
            "-y",
            "source.wav",
        ],
        folder,
    )
}

/// What ffmpeg decodes from a file: 16 kHz, the average of the channels, where its own mix to mono would weigh them. The
/// decoder can be named; without, it is ffmpeg's choice.
fn reference(file: &str, decoder: &[&str], folder: &Path) -> Option<Vec<f32>> {
    let to = [
        "-i",
        file,
        "-ar",
        "16000",
        "-c:a",
        "pcm_f32le",
        "reference.wav",
    ];
    run(
        "ffmpeg",
        &[&["-v", "error", "-y"], decoder, &to].concat(),
        folder,
    )
    .then(|| {
        let wav = std::fs::read(folder.join("reference.wav")).unwrap();
        let channels = usize::from(u16::from_le_bytes([wav[22], wav[23]]));
        let data = wav.windows(4).position(|four| four == b"data").unwrap() + 8;
        let samples: Vec<f32> = wav[data..]
            .chunks_exact(4)
            .map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
            .collect();
        samples
            .chunks_exact(channels)
            .map(|frame| frame.iter().sum::<f32>() / channels as f32)
            .collect()
    })
}

/// Signal to noise of `got` against `want`, in dB, at the best shift of up to `slack` samples.
fn agreement(got: &[f32], want: &[f32], slack: usize) -> f64 {
    (0..=slack)
        .flat_map(|shift| {
            [
                signal_to_noise(&got[shift.min(got.len())..], want),
                signal_to_noise(got, &want[shift.min(want.len())..]),
            ]
        })
        .fold(f64::NEG_INFINITY, f64::max)
}

fn signal_to_noise(got: &[f32], want: &[f32]) -> f64 {
    // The edges are where filters of two makers differ.
    let length = got.len().min(want.len()).saturating_sub(800);
    let (mut signal, mut noise) = (0.0, 1e-12);
    for at in 800..length {
        signal += f64::from(want[at]).powi(2);
        noise += f64::from(want[at] - got[at]).powi(2);
    }
    10.0 * (signal / noise).log10()
}
