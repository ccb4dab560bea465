//! Forms (multipart) that are broken, nested, or carry what is no recording.

use super::{Row, row};
use crate::hostile::wire::Ask;

const AUDIO: &str = "Content-Disposition: form-data; name=\"audio\"; filename=\"a.wav\"\r\n\r\n";

fn typed(content_type: &str) -> Ask {
    Ask::post("/v1/audio").header("Content-Type", content_type)
}

fn form(body: &[u8]) -> Vec<u8> {
    typed("multipart/form-data; boundary=b").body(body)
}

/// Parts of a head with an empty line at its end, and a content.
fn parts(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (head, content) in parts {
        body.extend_from_slice(b"--b\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--b--\r\n");
    form(&body)
}

fn file(content: &[u8]) -> Vec<u8> {
    parts(&[(AUDIO, content)])
}

/// 16-bit mono at 8 kHz of these samples, by a header that claims `claimed`
/// bytes of them.
fn wav(samples: &[u8], claimed: u32) -> Vec<u8> {
    let mut wav = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    wav.extend(8_000_u32.to_le_bytes());
    wav.extend(16_000_u32.to_le_bytes());
    wav.extend([2, 0, 16, 0]);
    wav.extend(b"data");
    wav.extend(claimed.to_le_bytes());
    wav.extend(samples);
    wav
}

pub fn rows() -> Vec<Row> {
    let disposition = |rest: &str| format!("Content-Disposition: form-data; {rest}\r\n\r\n");
    let text = |name: &str| disposition(&format!("name=\"{name}\""));
    let good = wav(&[1; 16_000], 16_000);
    let nested = b"--c\r\nContent-Disposition: attachment; filename=a\r\n\r\nRIFF\r\n--c--";
    let long_head = format!("X-Long: {}\r\n{AUDIO}", "a".repeat(100_000));
    let many: String = (0..100).map(|n| format!("X-{n}: 1\r\n")).collect();
    let long_name = disposition(&format!("name=\"{}\"", "a".repeat(10_000)));
    let traversal = disposition("name=\"audio\"; filename=\"../../../etc/passwd\"");
    let nul = disposition("name=\"audio\"; filename=\"a.wav%00.sh\"");
    vec![
        row(
            "no boundary",
            typed("multipart/form-data").body(b"--b--"),
            "400 invalid_multipart",
        ),
        row(
            "empty boundary",
            typed("multipart/form-data; boundary=").body(b"----"),
            "422 missing_audio",
        ),
        row(
            "another boundary",
            typed("multipart/form-data; boundary=x").body(b"--b\r\n\r\n--b--"),
            "400 invalid_multipart",
        ),
        row(
            "mixed, not a form",
            typed("multipart/mixed; boundary=b").body(b"--b--"),
            "415 not_multipart",
        ),
        row("no part", form(b"--b--\r\n"), "422 missing_audio"),
        row("nothing", form(b""), "400 invalid_multipart"),
        row(
            "cut in a head",
            form(b"--b\r\nContent-Disposition: form-data; na"),
            "400 invalid_multipart",
        ),
        row(
            "cut in a file",
            form(&[b"--b\r\n".as_slice(), AUDIO.as_bytes(), &good].concat()),
            "400 invalid_multipart",
        ),
        row(
            "a form in a form",
            parts(&[(
                "Content-Disposition: form-data; name=\"audio\"\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n",
                nested,
            )]),
            "415 unsupported_audio",
        ),
        row(
            "head of 100 kB",
            parts(&[(&long_head, &good)]),
            "400 invalid_multipart",
        ),
        row(
            "100 headers in a part",
            parts(&[(&format!("{many}{AUDIO}"), &good)]),
            "400 invalid_multipart",
        ),
        row(
            "1,000 parts",
            parts(&vec![(text("x").as_str(), &b""[..]); 1_000]),
            "422 unknown_field",
        ),
        row(
            "1,000 parts that are known",
            parts(&vec![(text("voice").as_str(), &b"id"[..]); 1_000]),
            "422 repeated_field",
        ),
        row(
            "part without a name",
            parts(&[("Content-Disposition: form-data\r\n\r\n", &good)]),
            "422 unknown_field",
        ),
        row(
            "part without a head",
            parts(&[("\r\n", &good)]),
            "400 invalid_multipart",
        ),
        row(
            "long name",
            parts(&[(&long_name, b"")]),
            "422 unknown_field",
        ),
        row(
            "two files",
            parts(&[(AUDIO, &good), (AUDIO, &good)]),
            "422 repeated_field",
        ),
        row(
            "field of 1 MB",
            parts(&[(&text("voice"), &[b'a'; 1_000_000])]),
            "413 too_large",
        ),
        row(
            "field that is no text",
            parts(&[(&text("voice"), b"\xff\xfe"), (AUDIO, &good)]),
            "422 invalid_field",
        ),
        row(
            "voice that is a path",
            parts(&[(&text("voice"), b"../../etc/passwd"), (AUDIO, &good)]),
            "422 invalid_voice",
        ),
        row(
            "voice that is a command",
            parts(&[(&text("voice"), b"id;reboot"), (AUDIO, &good)]),
            "422 invalid_voice",
        ),
        row(
            "voice with NUL",
            parts(&[(&text("voice"), b"id\0"), (AUDIO, &good)]),
            "422 invalid_voice",
        ),
        row(
            "time that is none",
            parts(&[(&text("timeout"), b"1e9"), (AUDIO, &good)]),
            "422 invalid_timeout",
        ),
        row(
            "packed form",
            typed("multipart/form-data; boundary=b")
                .header("Content-Encoding", "gzip")
                .body(b"\x1f\x8b"),
            "415 unsupported_encoding",
        ),
        row(
            "32 MB file",
            file(&wav(&vec![0; 32_000_000], 32_000_000)),
            "413 too_large",
        ),
        row(
            "a file's name that is a path",
            parts(&[(&traversal, b"root:x:0:0")]),
            "415 unsupported_audio",
        ),
        row(
            "a file's name with NUL",
            parts(&[(&nul, b"#!/bin/sh")]),
            "415 unsupported_audio",
        ),
        row(
            "a program named .wav",
            file(b"\x7fELF\x02\x01\x01\0"),
            "415 unsupported_audio",
        ),
        row(
            "a ZIP that is all and nothing",
            file(b"PK\x03\x04RIFF\0\0\0\0WAVE"),
            "415 unsupported_audio",
        ),
        row(
            "an SVG",
            file(b"<svg onload=alert(1)>"),
            "415 unsupported_audio",
        ),
        row(
            "a playlist of local files",
            file(b"#EXTM3U\nfile:///etc/passwd\n"),
            "415 unsupported_audio",
        ),
        row("a WAV of nothing", file(&wav(&[], 4)), "422 damaged_audio"),
        row(
            "a WAV that claims 2 GB",
            file(&wav(&[0; 16_000], 0x7ffe_0000)),
            "422 no_speech",
        ),
        row(
            "a WAV that claims what nobody knows",
            file(&wav(&[0; 16_000], u32::MAX)),
            "422 no_speech",
        ),
        row(
            "a FLAC that is a header",
            file(b"fLaC\0\0\0\x22"),
            "422 damaged_audio",
        ),
        row(
            "an Ogg page that never ends",
            file(
                &[
                    b"OggS\0\x02".as_slice(),
                    &[0; 20],
                    b"\xff",
                    &[0xff; 255],
                    b"OpusHead",
                ]
                .concat(),
            ),
            "422 damaged_audio",
        ),
    ]
}
