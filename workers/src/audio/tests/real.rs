//! Every accepted kind of file, against what ffmpeg decodes from it.

use super::*;

/// File, arguments of ffmpeg between input and output, least agreement in dB, most samples that lengths may differ by,
/// most samples of shift. AAC has no gapless information that the demuxer reads: 1,024 frames of priming
/// stay, and are made a whole number of samples here by the rate.
type Case = (&'static str, &'static [&'static str], f64, usize, usize);

const CASES: &[Case] = &[
    ("16.wav", &["-ac", "1", "-ar", "16000"], 60.0, 0, 0),
    ("48.wav", &[], 40.0, 1, 0),
    ("8bit.wav", &["-c:a", "pcm_u8"], 40.0, 1, 0),
    ("24bit.wav", &["-c:a", "pcm_s24le"], 40.0, 1, 0),
    ("32bit.wav", &["-c:a", "pcm_s32le"], 40.0, 1, 0),
    ("float.wav", &["-c:a", "pcm_f32le"], 40.0, 1, 0),
    ("double.wav", &["-c:a", "pcm_f64le"], 40.0, 1, 0),
    ("alaw.wav", &["-c:a", "pcm_alaw", "-ar", "8000"], 40.0, 2, 0),
    (
        "mulaw.wav",
        &["-c:a", "pcm_mulaw", "-ar", "8000"],
        40.0,
        2,
        0,
    ),
    ("adpcm.wav", &["-c:a", "adpcm_ima_wav"], 40.0, 1, 0),
    ("eight.wav", &["-ac", "8"], 40.0, 1, 0),
    ("192.wav", &["-ar", "192000"], 40.0, 1, 0),
    ("odd.wav", &["-ar", "11025"], 40.0, 2, 0),
    ("rf64.wav", &["-rf64", "always"], 40.0, 1, 0),
    ("44.mp3", &["-ar", "44100", "-b:a", "128k"], 40.0, 1, 0),
    (
        "22.mp3",
        &["-ar", "22050", "-ac", "1", "-b:a", "48k"],
        40.0,
        1,
        0,
    ),
    ("vbr.mp3", &["-q:a", "4"], 40.0, 1, 0),
    ("s.flac", &[], 40.0, 1, 0),
    ("vorbis.ogg", &["-c:a", "libvorbis"], 40.0, 1, 0),
    ("flac.ogg", &["-c:a", "flac"], 40.0, 1, 0),
    (
        "aac.m4a",
        &["-ar", "16000", "-c:a", "aac"],
        40.0,
        2_048,
        1_024,
    ),
    (
        "faststart.m4a",
        &["-ar", "16000", "-c:a", "aac", "-movflags", "+faststart"],
        40.0,
        2_048,
        1_024,
    ),
    (
        "fragmented.m4a",
        &[
            "-ar",
            "16000",
            "-c:a",
            "aac",
            "-movflags",
            "frag_keyframe+empty_moov",
        ],
        40.0,
        2_048,
        1_024,
    ),
    ("alac.m4a", &["-c:a", "alac"], 40.0, 1, 0),
    ("opus.mp4", &["-c:a", "libopus"], 40.0, 400, 1),
    ("opus.webm", &["-c:a", "libopus"], 40.0, 400, 1),
    ("vorbis.webm", &["-c:a", "libvorbis"], 40.0, 400, 1),
    ("celt.ogg", &["-c:a", "libopus", "-b:a", "96k"], 40.0, 1, 0),
    (
        "celt-mono.ogg",
        &["-c:a", "libopus", "-b:a", "64k", "-ac", "1"],
        40.0,
        1,
        0,
    ),
    (
        "silk.ogg",
        &[
            "-c:a",
            "libopus",
            "-b:a",
            "12k",
            "-ac",
            "1",
            "-application",
            "voip",
        ],
        40.0,
        1,
        0,
    ),
    (
        "silk-60ms.ogg",
        &[
            "-c:a",
            "libopus",
            "-b:a",
            "12k",
            "-ac",
            "1",
            "-application",
            "voip",
            "-frame_duration",
            "60",
        ],
        40.0,
        1,
        0,
    ),
    (
        "silk-stereo.ogg",
        &["-c:a", "libopus", "-b:a", "20k", "-application", "voip"],
        40.0,
        1,
        0,
    ),
    (
        "hybrid.ogg",
        &[
            "-c:a",
            "libopus",
            "-b:a",
            "28k",
            "-ac",
            "1",
            "-application",
            "voip",
        ],
        40.0,
        1,
        0,
    ),
    (
        "hybrid-60ms.ogg",
        &[
            "-c:a",
            "libopus",
            "-b:a",
            "32k",
            "-application",
            "voip",
            "-frame_duration",
            "60",
        ],
        40.0,
        1,
        0,
    ),
    (
        "120ms.ogg",
        &["-c:a", "libopus", "-frame_duration", "120"],
        40.0,
        1,
        0,
    ),
    (
        "low-delay.ogg",
        &["-c:a", "libopus", "-frame_duration", "2.5"],
        40.0,
        1,
        0,
    ),
    ("surround.ogg", &["-c:a", "libopus", "-ac", "6"], 40.0, 1, 0),
];

#[test]
fn every_kind_of_file_sounds_as_ffmpeg_says_it_does() {
    let folder = tempfile::tempdir().unwrap();
    if !speech_like(folder.path()) {
        return;
    }
    for &(file, arguments, least, length_slack, shift) in CASES {
        let arguments = [
            &["-v", "error", "-y", "-i", "source.wav"],
            arguments,
            &[file],
        ]
        .concat();
        if !run("ffmpeg", &arguments, folder.path()) {
            continue;
        }
        // ffmpeg's own Opus decoder is not the reference one: its SILK output comes two samples late.
        let decoder: &[&str] = if arguments.contains(&"libopus") {
            &["-c:a", "libopus"]
        } else {
            &[]
        };
        let Some(want) = reference(file, decoder, folder.path()) else {
            continue;
        };
        let bytes = std::fs::read(folder.path().join(file)).unwrap();
        let got = decoded(&bytes)
            .unwrap_or_else(|error| panic!("{file}: {error}"))
            .samples;
        assert!(
            got.len().abs_diff(want.len()) <= length_slack,
            "{file}: {} samples, not {}",
            got.len(),
            want.len()
        );
        let agreement = agreement(&got, &want, shift);
        println!("{file}: {agreement:.1} dB");
        assert!(agreement >= least, "{file}: agrees to {agreement:.1} dB");
    }
}

#[test]
fn a_browsers_recording_without_sizes_and_duration_is_read_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    if !speech_like(folder.path()) {
        return;
    }
    for codec in ["libopus", "libvorbis"] {
        let to_pipe = format!(
            "ffmpeg -v error -i source.wav -c:a {codec} -f webm -cluster_time_limit 500 - > live.webm"
        );
        if !run("sh", &["-c", &to_pipe], folder.path()) {
            continue;
        }
        let bytes = without_sizes(&std::fs::read(folder.path().join("live.webm")).unwrap());
        let clip = decoded(&bytes).unwrap_or_else(|error| panic!("{codec}: {error}"));
        assert!(
            (clip.samples.len() as i64 - 48_000).abs() < 500,
            "{codec}: {} samples",
            clip.samples.len()
        );
        let half = decoded(&bytes[..bytes.len() / 2]).unwrap();
        assert!(
            (15_000..33_000).contains(&half.samples.len()),
            "{codec}: {} samples of a half",
            half.samples.len()
        );
    }
}

/// Gives segment and clusters the size "unknown", as a recorder that cannot go back leaves them.
fn without_sizes(webm: &[u8]) -> Vec<u8> {
    let mut bytes = webm.to_vec();
    for id in [[0x18, 0x53, 0x80, 0x67], [0x1f, 0x43, 0xb6, 0x75]] {
        let places: Vec<usize> = bytes
            .windows(4)
            .enumerate()
            .filter(|(_, four)| *four == id)
            .map(|(at, _)| at + 4)
            .collect();
        assert!(!places.is_empty());
        for at in places {
            let length = bytes[at].leading_zeros() as usize + 1;
            bytes[at] = (0x1ff >> length) as u8;
            bytes[at + 1..at + length].fill(0xff);
        }
    }
    bytes
}

#[test]
fn programs_that_write_to_a_pipe_are_read_although_their_sizes_are_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("espeak-ng -v id --stdout 'selamat pagi' > piped.wav", 8_000),
        (
            "sox -n -r 22050 -c 2 -t wav - synth 1 sine 300 > piped.wav",
            15_999,
        ),
        (
            "ffmpeg -v error -f lavfi -i sine=duration=1 -f wav - > piped.wav",
            15_999,
        ),
    ];
    for (command, least) in cases {
        if run("sh", &["-c", command], folder.path()) {
            let clip = decoded(&std::fs::read(folder.path().join("piped.wav")).unwrap()).unwrap();
            assert!(
                clip.samples.len() >= least,
                "{command}: {} samples",
                clip.samples.len()
            );
        }
    }
}

#[test]
fn two_recordings_chained_in_one_ogg_file_are_both_heard() {
    let folder = tempfile::tempdir().unwrap();
    let commands = [
        "ffmpeg -v error -f lavfi -i sine=duration=1 -c:a libopus a.ogg",
        "ffmpeg -v error -f lavfi -i sine=duration=1:frequency=900 -ac 2 -c:a libopus -serial_offset 7 b.ogg",
        "cat a.ogg b.ogg > chained.ogg",
    ];
    if commands
        .iter()
        .all(|command| run("sh", &["-c", command], folder.path()))
    {
        let clip = decoded(&std::fs::read(folder.path().join("chained.ogg")).unwrap()).unwrap();
        assert!(
            (31_000..33_000).contains(&clip.samples.len()),
            "{} samples",
            clip.samples.len()
        );
    }
}

#[test]
fn what_is_no_audio_inside_a_known_container_is_unsupported() {
    let folder = tempfile::tempdir().unwrap();
    let commands = [
        (
            "ffmpeg -v error -f lavfi -i testsrc=duration=1:size=64x64 -c:v mpeg4 silent.mp4",
            "silent.mp4",
        ),
        (
            "ffmpeg -v error -f lavfi -i sine=duration=1 -c:a mp2 -f mp2 layer2.mp3",
            "layer2.mp3",
        ),
        (
            "ffmpeg -v error -f lavfi -i sine=duration=1 -c:a ac3 a.mp4",
            "a.mp4",
        ),
    ];
    for (command, file) in commands {
        if run("sh", &["-c", command], folder.path()) {
            let error = decoded(&std::fs::read(folder.path().join(file)).unwrap()).unwrap_err();
            assert!(
                matches!(error, DecodeError::Unsupported { .. }),
                "{file}: {error:?}"
            );
        }
    }
}

#[test]
fn an_mp3_with_a_picture_in_its_tag_is_heard() {
    let folder = tempfile::tempdir().unwrap();
    let command = "ffmpeg -v error -f lavfi -i testsrc=duration=0.1:size=512x512 -frames:v 1 cover.png && \
                   ffmpeg -v error -f lavfi -i sine=duration=1 -i cover.png -map 0 -map 1 -c:a libmp3lame -c:v copy \
                   -disposition:v attached_pic tagged.mp3";
    if run("sh", &["-c", command], folder.path()) {
        let clip = decoded(&std::fs::read(folder.path().join("tagged.mp3")).unwrap()).unwrap();
        assert_eq!(clip.samples.len(), 16_000);
    }
}
