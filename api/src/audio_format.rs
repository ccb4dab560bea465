//! Which kind of audio file an upload is, by its content. What a client says of it is not asked.
//!
//! This is the check at the door: it tells a sound file from everything else cheaply, from the first bytes. Whether the
//! sound in it can be decoded is known only by decoding.

/// Bytes after an ID3v2 tag, or of leading padding, in which the first MPEG frame must start.
const SEARCH: usize = 64 * 1024;

/// The audio files that are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AudioFormat {
    /// RIFF or RF64 with a WAVE form.
    Wav,
    /// MPEG-1, 2 or 2.5 layer III, with or without an ID3v2 tag.
    Mp3,
    /// Native FLAC, with or without an ID3v2 tag.
    Flac,
    /// Ogg with Vorbis, Opus, or FLAC.
    Ogg,
    /// MPEG-4: what phones record.
    M4a,
    /// WebM or Matroska: what browsers record.
    Webm,
}

impl AudioFormat {
    /// The format of a file, or none for all that is not one of them.
    pub fn sniff(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [b'R', _, _, _, _, _, _, _, b'W', b'A', b'V', b'E', ..] if is_riff(bytes) => {
                Some(Self::Wav)
            }
            [b'f', b'L', b'a', b'C', ..] => Some(Self::Flac),
            [b'O', b'g', b'g', b'S', 0, ..] => is_ogg_audio(bytes).then_some(Self::Ogg),
            [_, _, _, _, b'f', b't', b'y', b'p', ..] => is_mp4_audio(bytes).then_some(Self::M4a),
            [0x1a, 0x45, 0xdf, 0xa3, ..] => is_matroska(bytes).then_some(Self::Webm),
            [b'I', b'D', b'3', ..] => sniff_tagged(bytes),
            _ => is_mpeg_stream(bytes).then_some(Self::Mp3),
        }
    }

    /// The media type to store and send it with.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Wav => "audio/wav",
            Self::Mp3 => "audio/mpeg",
            Self::Flac => "audio/flac",
            Self::Ogg => "audio/ogg",
            Self::M4a => "audio/mp4",
            Self::Webm => "audio/webm",
        }
    }
}

fn is_riff(bytes: &[u8]) -> bool {
    bytes.starts_with(b"RIFF") || bytes.starts_with(b"RF64")
}

/// The first page of a stream starts with the codec's own signature (RFC 3533 section 6; RFC 5334 lists them).
fn is_ogg_audio(bytes: &[u8]) -> bool {
    let Some(&segments) = bytes.get(26) else {
        return false;
    };
    let packet = bytes.get(27 + usize::from(segments)..).unwrap_or_default();
    [b"OpusHead".as_slice(), b"\x01vorbis", b"\x7fFLAC"]
        .iter()
        .any(|signature| packet.starts_with(signature))
}

/// A major brand of pictures (HEIF, AVIF) is the same container and no audio; of all others the decoder decides.
fn is_mp4_audio(bytes: &[u8]) -> bool {
    const PICTURES: [&[u8]; 9] = [
        b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif",
    ];
    bytes
        .get(8..12)
        .is_some_and(|brand| !PICTURES.contains(&brand) && brand != b"avis" && brand != b"crx ")
}

/// The EBML header must say that the document is Matroska or its subset WebM (RFC 8794 section 11.2.4, id 0x4282).
fn is_matroska(bytes: &[u8]) -> bool {
    const DOC_TYPE: [u8; 2] = [0x42, 0x82];
    // The header is some 40 bytes; its elements can stand in any order and be padded.
    let header = &bytes[..bytes.len().min(256)];
    let after_id = header
        .windows(2)
        .position(|pair| pair == DOC_TYPE)
        .map(|at| &header[at + 2..]);
    let Some([size, name @ ..]) = after_id else {
        return false;
    };
    // A size of one byte has its highest bit set.
    let length = usize::from(size & 0x7f);
    size & 0x80 != 0
        && name.get(..length).is_some_and(|name| {
            let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
            name == b"webm" || name == b"matroska"
        })
}

/// What comes after the ID3v2 tags (<https://id3.org/id3v2.4.0-structure>). A tag alone says nothing of what it is on.
fn sniff_tagged(bytes: &[u8]) -> Option<AudioFormat> {
    let mut rest = bytes;
    while let [b'I', b'D', b'3', _, _, flags, a, b, c, d, ..] = *rest {
        if [a, b, c, d].iter().any(|byte| byte & 0x80 != 0) {
            return None;
        }
        let body = [a, b, c, d]
            .iter()
            .fold(0usize, |size, &byte| size << 7 | usize::from(byte));
        let footer = if flags & 0x10 == 0 { 0 } else { 10 };
        rest = rest.get(10 + body + footer..).unwrap_or_default();
    }
    if rest.starts_with(b"fLaC") {
        return Some(AudioFormat::Flac);
    }
    is_mpeg_stream(rest).then_some(AudioFormat::Mp3)
}

/// Layer III frames: eleven bits of synchronisation are met by chance every 2 kB, so a second header of the same stream
/// must stand where the first says that its frame ends. Only zeros may stand before the first.
fn is_mpeg_stream(bytes: &[u8]) -> bool {
    let padding = bytes
        .iter()
        .take(SEARCH)
        .take_while(|&&byte| byte == 0)
        .count();
    let bytes = &bytes[padding..];
    let Some(first) = MpegHeader::parse(bytes) else {
        return false;
    };
    bytes
        .get(first.frame_bytes..)
        .and_then(MpegHeader::parse)
        .is_some_and(|second| second.is_like(&first))
}

/// The fields of a frame header that a stream keeps. Tables: ISO/IEC 11172-3 section 2.4.2.3 and 13818-3.
struct MpegHeader {
    version: u8,
    sampling: u8,
    frame_bytes: usize,
}

impl MpegHeader {
    fn parse(bytes: &[u8]) -> Option<Self> {
        const MPEG_1: u8 = 3;
        const LAYER_3: u8 = 1;
        const KILOBITS_1: [usize; 14] = [
            32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
        ];
        const KILOBITS_2: [usize; 14] = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
        const HERTZ_1: [usize; 3] = [44_100, 48_000, 32_000];

        let &[0xff, second, third, _, ..] = bytes else {
            return None;
        };
        let version = second >> 3 & 3;
        if second & 0xe0 != 0xe0 || version == 1 || second >> 1 & 3 != LAYER_3 {
            return None;
        }
        let kilobits = if version == MPEG_1 {
            KILOBITS_1
        } else {
            KILOBITS_2
        };
        // Index 0 is "free", which no encoder writes and gives no size; 15 is forbidden.
        let bitrate = kilobits.get(usize::from(third >> 4).checked_sub(1)?)? * 1_000;
        let sampling = third >> 2 & 3;
        let divisor = [4, 1, 2, 1][usize::from(version)];
        let rate = HERTZ_1.get(usize::from(sampling))? / divisor;
        let bytes_per_bit_rate = if version == MPEG_1 { 144 } else { 72 };
        let padding = usize::from(third >> 1 & 1);
        Some(Self {
            version,
            sampling,
            frame_bytes: bytes_per_bit_rate * bitrate / rate + padding,
        })
    }

    fn is_like(&self, other: &Self) -> bool {
        self.version == other.version && self.sampling == other.sampling
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MPEG-1 layer III, 128 kbit/s, 44.1 kHz: frames of 417 bytes.
    fn mpeg(frames: usize) -> Vec<u8> {
        let mut frame = vec![0xff, 0xfb, 0x90, 0x64];
        frame.resize(417, 0);
        frame.repeat(frames)
    }

    fn ogg(packet: &[u8]) -> Vec<u8> {
        [
            b"OggS\0\x02".as_slice(),
            &[0; 20],
            &[1, packet.len() as u8],
            packet,
        ]
        .concat()
    }

    fn ebml(doc_type: &[u8]) -> Vec<u8> {
        let size = 0x80 | doc_type.len() as u8;
        [
            b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82".as_slice(),
            &[size],
            doc_type,
            b"\x42\x87\x81\x04",
        ]
        .concat()
    }

    #[test]
    fn content_decides_the_format() {
        use AudioFormat::{Flac, M4a, Mp3, Ogg, Wav, Webm};
        let tag = b"ID3\x03\0\0\0\0\0\x04tag!".to_vec();
        let id3 = |rest: &[u8]| [tag.as_slice(), rest].concat();
        let cases: Vec<(&str, Vec<u8>, Option<AudioFormat>)> = vec![
            ("wav", b"RIFF\x24\0\0\0WAVEfmt ".to_vec(), Some(Wav)),
            ("rf64", b"RF64\xff\xff\xff\xffWAVEds64".to_vec(), Some(Wav)),
            ("avi", b"RIFF\x24\0\0\0AVI LIST".to_vec(), None),
            ("webp", b"RIFF\x24\0\0\0WEBPVP8 ".to_vec(), None),
            ("mp3", mpeg(2), Some(Mp3)),
            ("mp3 with a tag", id3(&mpeg(2)), Some(Mp3)),
            ("mp3 with two tags", id3(&id3(&mpeg(2))), Some(Mp3)),
            (
                "mp3 with padding",
                id3(&[&[0; 300], mpeg(2).as_slice()].concat()),
                Some(Mp3),
            ),
            (
                "mp3, MPEG-2",
                [[0xff, 0xf3, 0x40, 0xc4].as_slice(), &[0; 100]]
                    .concat()
                    .repeat(2),
                Some(Mp3),
            ),
            (
                "one frame and noise",
                [mpeg(1), vec![7; 500]].concat(),
                None,
            ),
            ("one frame", mpeg(1), None),
            ("layer II", [0xff, 0xfd, 0x90, 0x64].repeat(500), None),
            ("aac in adts", [0xff, 0xf1, 0x50, 0x80].repeat(500), None),
            ("a tag and nothing", id3(b""), None),
            ("a tag and a picture", id3(b"\x89PNG\r\n\x1a\n"), None),
            (
                "a tag longer than the file",
                b"ID3\x03\0\0\x7f\x7f\x7f\x7f".to_vec(),
                None,
            ),
            ("utf-16 text", b"\xff\xfeh\0a\0l\0o\0".to_vec(), None),
            ("flac", b"fLaC\0\0\0\x22".to_vec(), Some(Flac)),
            ("flac with a tag", id3(b"fLaC\0\0\0\x22"), Some(Flac)),
            ("opus", ogg(b"OpusHead\x01\x01"), Some(Ogg)),
            ("vorbis", ogg(b"\x01vorbis\0\0"), Some(Ogg)),
            ("theora", ogg(b"\x80theora\x03"), None),
            ("a cut page", b"OggS\0\x02".to_vec(), None),
            ("m4a", b"\0\0\0\x20ftypM4A \0\0\0\0".to_vec(), Some(M4a)),
            ("mp4", b"\0\0\0\x20ftypisom\0\0\0\0".to_vec(), Some(M4a)),
            ("3gp", b"\0\0\0\x18ftyp3gp4\0\0\0\0".to_vec(), Some(M4a)),
            ("heic", b"\0\0\0\x18ftypheic\0\0\0\0".to_vec(), None),
            ("avif", b"\0\0\0\x18ftypavif\0\0\0\0".to_vec(), None),
            ("webm", ebml(b"webm"), Some(Webm)),
            ("matroska", ebml(b"matroska"), Some(Webm)),
            ("webm, padded name", ebml(b"webm\0\0"), Some(Webm)),
            ("other ebml", ebml(b"dwarf"), None),
            (
                "ebml without a type",
                b"\x1a\x45\xdf\xa3\x80".to_vec(),
                None,
            ),
            (
                "a picture named .wav",
                b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec(),
                None,
            ),
            ("text", b"Halo, ini bukan suara.".to_vec(), None),
            ("zeros", vec![0; 100_000], None),
            ("nothing", vec![], None),
        ];
        for (name, bytes, expected) in cases {
            assert_eq!(AudioFormat::sniff(&bytes), expected, "{name}");
        }
    }

    #[test]
    fn every_beginning_of_a_file_is_looked_at_without_a_panic() {
        for whole in [
            mpeg(2),
            ogg(b"OpusHead"),
            ebml(b"webm"),
            b"ID3\x03\0\x10\0\0\0\x01aRIFF\0\0\0\0WAVE".to_vec(),
        ] {
            for length in 0..whole.len() {
                let _ = AudioFormat::sniff(&whole[..length]);
            }
        }
    }

    #[test]
    fn files_that_ffmpeg_writes_are_known() {
        let formats = [
            ("wav", "pcm_s16le", AudioFormat::Wav),
            ("mp3", "libmp3lame", AudioFormat::Mp3),
            ("flac", "flac", AudioFormat::Flac),
            ("ogg", "libvorbis", AudioFormat::Ogg),
            ("ogg", "libopus", AudioFormat::Ogg),
            ("ipod", "aac", AudioFormat::M4a),
            ("webm", "libopus", AudioFormat::Webm),
        ];
        for (muxer, codec, expected) in formats {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("sound");
            let made = std::process::Command::new("ffmpeg")
                .args([
                    "-v",
                    "error",
                    "-f",
                    "lavfi",
                    "-i",
                    "sine=duration=0.5",
                    "-c:a",
                    codec,
                    "-f",
                    muxer,
                ])
                .arg(&path)
                .status();
            if !made.is_ok_and(|status| status.success()) {
                println!("skipped: ffmpeg with {codec} is not installed");
                continue;
            }
            assert_eq!(
                AudioFormat::sniff(&std::fs::read(&path).unwrap()),
                Some(expected),
                "{muxer} {codec}"
            );
        }
    }
}
