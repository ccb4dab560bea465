//! Headers that lie, files that end too early, sound that never ends.

use std::time::{Duration, Instant};

use common::testing::growth::thread_time;

use super::*;
use crate::audio::wav::{self, Format};

fn forged_wav(tag: u16, format: Format, data: &[u8]) -> Vec<u8> {
    let mut file = wav::write(
        Format {
            channels: 1,
            rate: 8_000,
            bits: 16,
        },
        data,
    );
    let frame = format.channels.wrapping_mul(format.bits / 8);
    file[20..22].copy_from_slice(&tag.to_le_bytes());
    file[22..24].copy_from_slice(&format.channels.to_le_bytes());
    file[24..28].copy_from_slice(&format.rate.to_le_bytes());
    file[28..32].copy_from_slice(&format.rate.wrapping_mul(frame.into()).to_le_bytes());
    file[32..34].copy_from_slice(&frame.to_le_bytes());
    file[34..36].copy_from_slice(&format.bits.to_le_bytes());
    file
}

#[test]
fn a_forged_wav_header_is_an_error_or_is_read_and_never_a_panic() {
    let data = vec![1; 32_000];
    let good = Format::mono16(16_000);
    let refused = [
        (
            "no channels",
            1,
            Format {
                channels: 0,
                ..good
            },
        ),
        ("0 Hz", 1, Format { rate: 0, ..good }),
        ("1 Hz", 1, Format { rate: 1, ..good }),
        (
            "4 GHz",
            1,
            Format {
                rate: u32::MAX,
                ..good
            },
        ),
        ("0 bits", 1, Format { bits: 0, ..good }),
        ("1 bit", 1, Format { bits: 1, ..good }),
        ("17 bits", 1, Format { bits: 17, ..good }),
        (
            "65535 bits",
            1,
            Format {
                bits: u16::MAX,
                ..good
            },
        ),
        (
            "65535 channels",
            1,
            Format {
                channels: u16::MAX,
                ..good
            },
        ),
        ("16-bit float", 3, good),
        ("a codec that nobody knows", 0x7a21, good),
        ("mp3 in wav", 0x55, good),
    ];
    for (name, tag, format) in refused {
        let error = decoded(&forged_wav(tag, format, &data)).unwrap_err();
        assert!(
            matches!(
                error,
                DecodeError::Unsupported { .. } | DecodeError::Damaged { .. }
            ),
            "{name}: {error:?}"
        );
    }
    let read = [
        (
            "8 channels",
            1,
            Format {
                channels: 8,
                ..good
            },
            2_000,
        ),
        (
            "192 kHz",
            1,
            Format {
                rate: 192_000,
                ..good
            },
            1_334,
        ),
        ("24 bits", 1, Format { bits: 24, ..good }, 10_666),
    ];
    for (name, tag, format, samples) in read {
        assert_eq!(
            decoded(&forged_wav(tag, format, &data))
                .unwrap()
                .samples
                .len(),
            samples,
            "{name}"
        );
    }
}

#[test]
fn floats_that_are_no_numbers_become_silence() {
    let samples = [
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::MAX,
        0.5,
        1e-40,
    ];
    let data: Vec<u8> = samples
        .iter()
        .cycle()
        .take(16_000)
        .flat_map(|sample| sample.to_le_bytes())
        .collect();
    for rate in [16_000, 44_100] {
        let clip = decoded(&forged_wav(
            3,
            Format {
                channels: 1,
                rate,
                bits: 32,
            },
            &data,
        ))
        .unwrap();
        assert!(
            clip.samples
                .iter()
                .all(|sample| sample.is_finite() && sample.abs() <= 1.0),
            "{rate}"
        );
    }
}

#[test]
fn what_is_there_of_a_cut_wav_is_decoded_unless_it_is_next_to_nothing() {
    let whole = wav::write(Format::mono16(16_000), &[5; 64_000]);
    let cases = [
        (44 + 32_000, Ok(16_000)),
        (44 + 3_200, Ok(1_600)),
        (44 + 3_198, Err(())),
        (44 + 1, Err(())),
        (44, Err(())),
        (43, Err(())),
        (20, Err(())),
        (12, Err(())),
    ];
    for (length, expected) in cases {
        match (decoded(&whole[..length]), expected) {
            (Ok(clip), Ok(samples)) => assert_eq!(clip.samples.len(), samples, "{length} bytes"),
            (Err(DecodeError::Damaged { .. }), Err(())) => {}
            (other, _) => panic!("{length} bytes: {:?}", other.map(|clip| clip.duration())),
        }
    }
}

#[test]
fn short_and_whole_is_not_damaged_and_nothing_is_empty() {
    assert_eq!(
        decoded(&wav::write(Format::mono16(16_000), &[5; 100]))
            .unwrap()
            .samples
            .len(),
        50
    );
    assert_eq!(
        decoded(&wav::write(Format::mono16(16_000), &[])),
        Err(DecodeError::Empty)
    );
    assert_eq!(decoded(b""), Err(DecodeError::Empty));
}

#[test]
fn what_is_no_audio_is_unrecognised() {
    let cases: [&[u8]; 6] = [
        b"\x89PNG\r\n\x1a\n",
        b"%PDF-1.7",
        b"halo",
        &[0; 70_000],
        b"RIFF\0\0\0\0AVI ",
        b"PK\x03\x04fLaC",
    ];
    for bytes in cases {
        assert_eq!(
            decoded(bytes),
            Err(DecodeError::Unrecognised),
            "{:?}",
            &bytes[..4]
        );
    }
    for bytes in [
        b"fLaC".as_slice(),
        b"OggS",
        b"\0\0\0\x20ftypM4A ",
        b"\x1a\x45\xdf\xa3",
        b"\xff\xfb\x90\x64",
    ] {
        let error = decoded(bytes).unwrap_err();
        assert!(
            matches!(error, DecodeError::Damaged { .. }),
            "{bytes:?}: {error:?}"
        );
    }
}

#[test]
fn a_small_file_that_decodes_to_hours_ends_at_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let codecs = [("flac", "flac"), ("opus.ogg", "libopus"), ("m4a", "aac")];
    for (name, codec) in codecs {
        let file = format!("hours.{name}");
        let arguments = [
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "anullsrc=r=48000:cl=mono:d=1200",
            "-b:a",
            "6k",
            "-c:a",
            codec,
            &file,
        ];
        if !run("ffmpeg", &arguments, folder.path()) {
            continue;
        }
        let bytes = std::fs::read(folder.path().join(&file)).unwrap();
        let limits = Limits {
            max_duration: Duration::from_secs(60),
        };
        let started = Instant::now();
        let result = decode(&bytes, &limits, &Progress::default());
        assert_eq!(
            result,
            Err(DecodeError::TooLong {
                limit: limits.max_duration
            }),
            "{file}"
        );
        println!(
            "{file}: {} bytes, refused after {:?}",
            bytes.len(),
            started.elapsed()
        );
    }
}

/// Each needs a decoder, or a filter, of its own.
#[test]
fn a_file_that_begins_again_and_again_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    // Rates without a common divisor with ours make for the largest filters.
    let cases: [(&str, [&[&str]; 2]); 4] = [
        (
            "flac.ogg",
            [
                &["-c:a", "flac", "-ar", "47981"],
                &["-c:a", "flac", "-ar", "47963"],
            ],
        ),
        (
            "vorbis.ogg",
            [
                &["-c:a", "libvorbis", "-ar", "44100"],
                &["-c:a", "libvorbis", "-ar", "48000"],
            ],
        ),
        ("opus.ogg", [&["-c:a", "libopus"], &["-c:a", "libopus"]]),
        ("a.mp3", [&["-ar", "44100"], &["-ar", "48000"]]),
    ];
    for (file, links) in cases {
        let mut pair = Vec::new();
        for arguments in links {
            let source = [
                "-v",
                "error",
                "-f",
                "lavfi",
                "-i",
                "sine=duration=0.03",
                "-y",
            ];
            if run(
                "ffmpeg",
                &[&source, arguments, &[file]].concat(),
                folder.path(),
            ) {
                pair.extend(std::fs::read(folder.path().join(file)).unwrap());
            }
        }
        let bytes = pair.repeat(1_000);
        let started = Instant::now();
        let result = decoded(&bytes);
        let took = started.elapsed();
        println!(
            "{file}: {} bytes, {took:?}: {:?}",
            bytes.len(),
            result.as_ref().err()
        );
        assert!(result.is_err(), "{file}");
        assert!(took < Duration::from_secs(20), "{file}: {took:?}");
    }
}

/// The longest that is taken of each keeps the test short where nothing is optimised.
#[test]
fn a_bomb_costs_bounded_time_and_memory() {
    let folder = tempfile::tempdir().unwrap();
    let bombs = [
        ("hours.flac", "anullsrc=r=8000:cl=mono:d=18000", 300),
        ("wide.flac", "anullsrc=r=192000:cl=7.1:d=60", 5),
        ("odd.flac", "anullsrc=r=47981:cl=7.1:d=60", 5),
        ("hours.mp3", "anullsrc=r=8000:cl=mono:d=7200", 300),
        ("hours.webm", "anullsrc=r=48000:cl=mono:d=3600", 60),
    ];
    for (file, source, seconds) in bombs {
        let arguments = [
            "-v", "error", "-f", "lavfi", "-i", source, "-b:a", "8k", file,
        ];
        if !run("ffmpeg", &arguments, folder.path()) {
            continue;
        }
        let bytes = std::fs::read(folder.path().join(file)).unwrap();
        let limits = Limits {
            max_duration: Duration::from_secs(seconds),
        };
        let started = Instant::now();
        let (result, held) = memory::peak(|| decode(&bytes, &limits, &Progress::default()));
        let took = started.elapsed();
        let (length, megabytes) = (bytes.len(), held >> 20);
        println!("{file}: {length} bytes, {took:?}, {megabytes} MB");
        assert!(matches!(result, Err(DecodeError::TooLong { .. })), "{file}");
        // Five minutes at 16 kHz are 19 MB, and twice that while a vector grows.
        assert!(megabytes < 80, "{file}: {megabytes} MB");
        assert!(took < Duration::from_secs(60), "{file}: {took:?}");
    }
}

/// One size and one length for all packets of a fragment: how many there are is four bytes.
#[test]
fn packets_that_a_fragment_only_claims_cost_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let command = "ffmpeg -v error -f lavfi -i sine=duration=0.5 -c:a aac -movflags frag_keyframe+empty_moov f.m4a";
    if !run("sh", &["-c", command], folder.path()) {
        return;
    }
    let mut file = std::fs::read(folder.path().join("f.m4a")).unwrap();
    let name = file.windows(4).position(|four| four == b"trun").unwrap();
    file[name + 4..name + 8].copy_from_slice(&[0, 0, 0, 1]);
    for packets in [1 << 30, 0xffff_0000, u32::MAX] {
        file[name + 8..name + 12].copy_from_slice(&packets.to_be_bytes());
        let started = thread_time();
        let result = decoded(&file);
        let took = thread_time().saturating_sub(started);
        assert!(matches!(result, Err(DecodeError::Damaged { .. })));
        assert!(took < Duration::from_secs(1), "{packets}: {took:?}");
    }
}

#[test]
fn a_file_as_long_as_the_limit_is_taken_and_a_longer_one_not() {
    let limits = Limits {
        max_duration: Duration::from_secs(2),
    };
    let progress = Progress::default();
    let seconds = |halves: usize| wav::write(Format::mono16(8_000), &vec![1; 8_000 * halves]);
    assert!(decode(&seconds(4), &limits, &progress).is_ok());
    assert_eq!(
        decode(&seconds(5), &limits, &progress),
        Err(DecodeError::TooLong {
            limit: limits.max_duration
        })
    );
}

/// Cuts every kind of file at many places, and overwrites bytes in it; each must end soon, without a panic getting out.
#[test]
fn files_that_are_cut_or_scribbled_on_end_in_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    if !speech_like(folder.path()) {
        return;
    }
    let files: [(&str, &[&str]); 9] = [
        ("a.wav", &["-ar", "8000"]),
        ("a.mp3", &[]),
        ("a.flac", &[]),
        ("v.ogg", &["-c:a", "libvorbis"]),
        ("o.ogg", &["-c:a", "libopus"]),
        ("a.m4a", &["-c:a", "aac", "-movflags", "+faststart"]),
        ("l.m4a", &["-c:a", "alac"]),
        ("o.webm", &["-c:a", "libopus"]),
        ("v.webm", &["-c:a", "libvorbis"]),
    ];
    for (file, arguments) in files {
        if !run(
            "ffmpeg",
            &[
                &["-v", "error", "-i", "source.wav", "-t", "1"],
                arguments,
                &[file],
            ]
            .concat(),
            folder.path(),
        ) {
            continue;
        }
        let whole = std::fs::read(folder.path().join(file)).unwrap();
        let mut random = Random(whole.len() as u64);
        for round in 0..60 {
            let cut = &whole[..random.below(whole.len())];
            answer(cut, &format!("{file} cut to {}", cut.len()));
            let mut scribbled = whole.clone();
            for _ in 0..1 + round % 7 {
                // Most of what can be broken is in the headers.
                let reach = if round % 2 == 0 {
                    whole.len()
                } else {
                    whole.len().min(400)
                };
                scribbled[random.below(reach)] = random.below(256) as u8;
            }
            answer(&scribbled, &format!("{file} scribbled on, round {round}"));
        }
    }
}

fn answer(bytes: &[u8], name: &str) {
    let started = Instant::now();
    let limits = Limits {
        max_duration: Duration::from_secs(10),
    };
    let result = decode(bytes, &limits, &Progress::default());
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{name} took {:?}",
        started.elapsed()
    );
    if let Ok(clip) = result {
        assert!(
            clip.samples.iter().all(|sample| sample.is_finite()),
            "{name}"
        );
    }
}

/// Knuth's linear congruential generator: the same cuts in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound.max(1)
    }
}
