//! Real files of every kind, damaged by chance.

use std::time::Duration;

use common::testing::{fuzz::explore, growth::thread_time};
use proptest::{collection::vec, prelude::*, sample::Index};

use super::{memory::peak, *};
use crate::audio::wav::{self, Format};

/// Files and how ffmpeg makes them.
const FILES: [(&str, &[&str]); 15] = [
    ("pcm.wav", &["-ar", "8000"]),
    ("float.wav", &["-c:a", "pcm_f32le", "-ar", "16000"]),
    ("adpcm.wav", &["-c:a", "adpcm_ima_wav"]),
    ("mulaw.wav", &["-c:a", "pcm_mulaw", "-ar", "8000"]),
    ("rf64.wav", &["-rf64", "always", "-ar", "8000"]),
    ("a.mp3", &["-ac", "1", "-b:a", "48k"]),
    ("vbr.mp3", &["-q:a", "6"]),
    ("a.flac", &["-ar", "16000"]),
    ("flac.ogg", &["-c:a", "flac", "-ar", "16000"]),
    ("v.ogg", &["-c:a", "libvorbis"]),
    ("o.ogg", &["-c:a", "libopus", "-b:a", "24k"]),
    ("a.m4a", &["-c:a", "aac", "-movflags", "+faststart"]),
    (
        "f.m4a",
        &["-c:a", "aac", "-movflags", "frag_keyframe+empty_moov"],
    ),
    ("l.m4a", &["-c:a", "alac"]),
    ("o.webm", &["-c:a", "libopus", "-b:a", "24k"]),
];

const LIMITS: Limits = Limits {
    max_duration: Duration::from_secs(5),
};

/// Of a processor, for a file of some ten kilobytes and five seconds at the most.
const TIME: Duration = Duration::from_secs(10);
const MEMORY: usize = 48 << 20;

#[derive(Clone, Debug)]
enum Damage {
    Cut(Index),
    Flip(Index, u8),
    /// Numbers as headers have them, at their extremes.
    Number(Index, u32, usize),
    Remove(Index, Index),
    Repeat(Index, Index),
    /// The rest is that of another file.
    Graft(Index, Index, Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    let number = prop::sample::select(vec![
        0,
        1,
        2,
        3,
        0x7f,
        0xff,
        0x7fff,
        0xffff,
        1 << 24,
        i32::MAX as u32,
        u32::MAX - 1,
        u32::MAX,
    ]);
    prop_oneof![
        1 => at().prop_map(Damage::Cut),
        6 => (at(), any::<u8>()).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        6 => (at(), number, 1..=4_usize).prop_map(|(at, number, bytes)| Damage::Number(at, number, bytes)),
        1 => (at(), at()).prop_map(|(at, length)| Damage::Remove(at, length)),
        2 => (at(), at()).prop_map(|(at, length)| Damage::Repeat(at, length)),
        1 => (at(), at(), at()).prop_map(|(file, from, to)| Damage::Graft(file, from, to)),
    ]
}

impl Damage {
    /// `reach` bytes from the start are hit: most of what can be broken is in
    /// the headers.
    fn to(&self, file: &mut Vec<u8>, others: &[Vec<u8>], reach: usize) {
        let reach = reach.min(file.len());
        if reach == 0 {
            return;
        }
        let range = |at: &Index, length: &Index| {
            let start = at.index(reach);
            start..(start + 1 + length.index(400)).min(file.len())
        };
        match self {
            Self::Cut(at) => file.truncate(at.index(file.len())),
            Self::Flip(at, bits) => file[at.index(reach)] ^= bits,
            Self::Number(at, number, bytes) => {
                let number = number.to_be_bytes();
                let start = at.index(reach);
                for (place, byte) in file[start..].iter_mut().zip(&number[4 - bytes..]) {
                    *place = *byte;
                }
            }
            Self::Remove(at, length) => drop(file.drain(range(at, length))),
            Self::Repeat(at, length) => {
                let range = range(at, length);
                let part = file[range.clone()].repeat(3);
                file.splice(range, part);
            }
            Self::Graft(other, from, to) => {
                let other = &others[other.index(others.len())];
                file.truncate(to.index(file.len()));
                file.extend_from_slice(&other[from.index(other.len())..]);
            }
        }
    }
}

fn corpus() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let mut files = vec![wav::write(Format::mono16(16_000), &[7; 16_000])];
    if speech_like(folder.path()) {
        for (file, arguments) in FILES {
            let input = ["-v", "error", "-i", "source.wav", "-t", "0.5"];
            if run(
                "ffmpeg",
                &[&input, arguments, &[file]].concat(),
                folder.path(),
            ) {
                files.push(std::fs::read(folder.path().join(file)).unwrap());
            }
        }
    }
    files
}

/// A clip within the limit, or an error; within time and memory.
fn stands(bytes: &[u8]) -> Result<(), TestCaseError> {
    let started = thread_time();
    let (result, held) = peak(|| decode(bytes, &LIMITS, &Progress::default()));
    let took = thread_time().saturating_sub(started);
    prop_assert!(took < TIME, "{took:?}");
    prop_assert!(held < MEMORY, "{held} bytes for a file of {}", bytes.len());
    if let Ok(clip) = result {
        let longest = LIMITS.max_duration + Duration::from_secs(1);
        prop_assert!(clip.duration() < longest, "{:?}", clip.duration());
        let good = |sample: &f32| (-1.0..=1.0).contains(sample);
        prop_assert!(clip.samples.iter().all(good));
    }
    Ok(())
}

#[test]
fn a_damaged_file_gives_sound_or_an_error_within_time_and_memory() {
    let files = corpus();
    let reach = prop::sample::select(vec![64, 512, 4_096, usize::MAX]);
    let input = (any::<Index>(), vec(damage(), 1..8), reach);
    explore(&input, |(file, damages, reach)| {
        let mut file = files[file.index(files.len())].clone();
        damages
            .iter()
            .for_each(|damage| damage.to(&mut file, &files, reach));
        stands(&file)
    });
}

#[test]
fn any_bytes_behind_the_start_of_a_file_give_an_answer() {
    let start = prop::sample::select(vec![
        &b"RIFF\xff\xff\xff\xffWAVEfmt "[..],
        b"fLaC\0\0\0\x22",
        b"OggS\0\x02",
        b"\0\0\0\x20ftypM4A ",
        b"\x1a\x45\xdf\xa3",
        b"\xff\xfb\x90\x64",
        b"ID3\x04\0\0\0\0\0\x03abc\xff\xfb\x90\x64",
        b"",
    ]);
    explore(&(start, vec(any::<u8>(), 0..2_000)), |(start, rest)| {
        stands(&[start, &rest].concat())
    });
}
