//! Requests that cannot be served, each with its status and word.

use std::process::Command;

use common::testing::servers::{find, skipped};
use reqwest::{RequestBuilder, multipart};
use serde_json::json;

use crate::deployment::{Deployment, KEY, form, problem};

/// A second of silence: 16-bit mono WAV at 16 kHz.
fn silent_wav(samples: u32) -> Vec<u8> {
    let data = samples * 2;
    let mut wav = Vec::new();
    wav.extend(b"RIFF");
    wav.extend((36 + data).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16u32.to_le_bytes());
    wav.extend([1, 0, 1, 0]);
    wav.extend(16_000u32.to_le_bytes());
    wav.extend(32_000u32.to_le_bytes());
    wav.extend([2, 0, 16, 0]);
    wav.extend(b"data");
    wav.extend(data.to_le_bytes());
    wav.resize(wav.len() + data as usize, 0);
    wav
}

type Case<'a> = (&'a str, RequestBuilder, u16, &'a str);

async fn refused(cases: Vec<Case<'_>>) {
    for (case, request, status, code) in cases {
        let answer = request.send().await.unwrap();
        let body = problem(answer, status, case).await;
        assert_eq!(body["code"], code, "{case}: {body}");
    }
}

async fn keys_and_conversations_are_checked(deployment: &Deployment) {
    let message = json!({ "message": "apa?" });
    let bare = || deployment.post_bare("/v1/chat").json(&message);
    let keyed = || bare().header("X-API-Key", KEY);
    let long = "a".repeat(129);
    refused(vec![
        ("no key", bare(), 401, "unauthorized"),
        (
            "empty key",
            bare().header("X-API-Key", ""),
            401,
            "unauthorized",
        ),
        (
            "wrong key",
            bare().header("X-API-Key", "nope"),
            401,
            "unauthorized",
        ),
        (
            "wrong bearer",
            bare().bearer_auth("nope"),
            401,
            "unauthorized",
        ),
        ("no conversation", keyed(), 400, "missing_conversation_id"),
        (
            "conversation with a space",
            keyed().header("X-Conversation-Id", "a b"),
            400,
            "invalid_conversation_id",
        ),
        (
            "conversation too long",
            keyed().header("X-Conversation-Id", &long),
            400,
            "invalid_conversation_id",
        ),
    ])
    .await;
}

async fn messages_are_checked(deployment: &Deployment) {
    let post = || deployment.post("/v1/chat");
    let json = |body: &str| {
        post()
            .header("Content-Type", "application/json")
            .body(body.to_owned())
    };
    let message = |text: &str| post().json(&json!({ "message": text }));
    refused(vec![
        ("empty", message(""), 422, "empty_message"),
        ("blank", message(" \n\t "), 422, "empty_message"),
        (
            "5,001 characters",
            message(&"é".repeat(5_001)),
            422,
            "message_too_long",
        ),
        ("no JSON", json("{\"message\": "), 400, "invalid_json"),
        ("nothing", json(""), 400, "invalid_json"),
        (
            "not UTF-8",
            post()
                .header("Content-Type", "application/json")
                .body(vec![0xFF]),
            400,
            "invalid_json",
        ),
        ("an array", json("[]"), 422, "invalid_field"),
        ("a number", json("{\"message\": 1}"), 422, "invalid_field"),
        ("null", json("{\"message\": null}"), 422, "invalid_field"),
        ("no message", json("{}"), 422, "invalid_field"),
        (
            "unknown field",
            json("{\"message\":\"a\",\"x\":1}"),
            422,
            "invalid_field",
        ),
        (
            "message twice",
            json("{\"message\":\"a\",\"message\":\"b\"}"),
            422,
            "invalid_field",
        ),
        ("large", json(&" ".repeat(200_000)), 413, "too_large"),
        ("text", post().body("apa?"), 415, "not_json"),
        (
            "form",
            post()
                .header("Content-Type", "application/x-www-form-urlencoded")
                .body("message=apa"),
            415,
            "not_json",
        ),
    ])
    .await;
    let longest = message(&"é".repeat(5_000)).send().await.unwrap();
    assert_eq!(longest.status(), 200);
}

async fn addresses_and_methods_are_checked(deployment: &Deployment) {
    let unknown = "/v1/jobs/01939a4e-7c00-7000-8000-000000000000";
    refused(vec![
        (
            "no such address",
            deployment.get("/nowhere"),
            404,
            "not_found",
        ),
        (
            "job that is no id",
            deployment.get("/v1/jobs/1"),
            404,
            "unknown_job",
        ),
        ("unknown job", deployment.get(unknown), 404, "unknown_job"),
        (
            "unknown job, waiting",
            deployment.get(&format!("{unknown}?wait=5")),
            404,
            "unknown_job",
        ),
        (
            "audio of an unknown job",
            deployment.get(&format!("{unknown}/audio")),
            404,
            "unknown_job",
        ),
        (
            "GET of a POST",
            deployment.get("/v1/chat"),
            405,
            "method_not_allowed",
        ),
        (
            "POST of a GET",
            deployment.post("/health"),
            405,
            "method_not_allowed",
        ),
    ])
    .await;
    let answer = deployment.get("/v1/audio").send().await.unwrap();
    assert_eq!(answer.headers()["allow"], "POST");
}

async fn forms_are_checked(deployment: &Deployment) {
    if !deployment.can_speak().await {
        return;
    }
    let post = |form| deployment.post("/v1/audio").multipart(form);
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    let text = |name: &'static str, value: &'static str| form(silent_wav(16_000)).text(name, value);
    let boundless = deployment
        .post("/v1/audio")
        .header("Content-Type", "multipart/form-data")
        .body("x");
    let cut = deployment
        .post("/v1/audio")
        .header("Content-Type", "multipart/form-data; boundary=b")
        .body("--b\r\nContent-Disposition: form-data; name=\"audio\"; filename=\"a\"\r\n\r\nRIFF");
    let twice = form(silent_wav(160)).part("audio", multipart::Part::bytes(silent_wav(160)));
    refused(vec![
        (
            "no file",
            post(multipart::Form::new().text("voice", "id")),
            422,
            "missing_audio",
        ),
        ("empty file", post(form(Vec::new())), 422, "empty_audio"),
        ("PNG named .wav", post(form(png)), 415, "unsupported_audio"),
        (
            "text named .wav",
            post(form(b"apa saja fakultas".to_vec())),
            415,
            "unsupported_audio",
        ),
        ("17 MB", post(form(silent_wav(8_500_000))), 413, "too_large"),
        (
            "JSON",
            deployment.post("/v1/audio").json(&json!({})),
            415,
            "not_multipart",
        ),
        ("no boundary", boundless, 400, "invalid_multipart"),
        ("cut short", cut, 400, "invalid_multipart"),
        ("file twice", post(twice), 422, "repeated_field"),
        ("unknown field", post(text("x", "1")), 422, "unknown_field"),
        (
            "unknown format",
            post(text("response_format", "mp3")),
            422,
            "invalid_response_format",
        ),
        (
            "voice with a slash",
            post(text("voice", "../id")),
            422,
            "invalid_voice",
        ),
    ])
    .await;
}

async fn audio_without_speech_is_told(deployment: &Deployment) {
    if !deployment.can_speak().await {
        return;
    }
    let post = |audio| deployment.post("/v1/audio").multipart(form(audio));
    let mut header_only = silent_wav(16_000);
    header_only.truncate(44);
    let mut cut_in_header = silent_wav(16_000);
    cut_in_header.truncate(30);
    let silence = silent_wav(48_000);
    refused(vec![
        ("silence", post(silence), 422, "no_speech"),
        ("4 MB of it", post(silent_wav(2_000_000)), 422, "no_speech"),
        ("no samples", post(silent_wav(0)), 422, "empty_audio"),
        (
            "cut after the header",
            post(header_only),
            422,
            "damaged_audio",
        ),
        (
            "cut in the header",
            post(cut_in_header),
            422,
            "damaged_audio",
        ),
    ])
    .await;
}

async fn six_formats_are_told_by_their_content(deployment: &Deployment) {
    if !deployment.can_speak().await {
        return;
    }
    if find("ffmpeg").is_none() {
        return skipped("needs the program ffmpeg");
    }
    for arguments in [
        "-f wav",
        "-f mp3",
        "-f flac",
        "-c:a libvorbis -f ogg",
        "-c:a libopus -f ogg",
        "-c:a aac -f ipod -movflags frag_keyframe+empty_moov",
        "-c:a libopus -f webm",
    ] {
        let audio = silence_by_ffmpeg(arguments);
        let answer = deployment.post("/v1/audio").multipart(form(audio));
        let answer = answer.send().await.unwrap();
        // It was decoded, and nobody speaks in it.
        let body = problem(answer, 422, arguments).await;
        assert_eq!(body["code"], "no_speech", "{arguments}: {body}");
    }
}

/// Two seconds, encoded.
fn silence_by_ffmpeg(arguments: &str) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "anullsrc=r=48000:cl=stereo",
            "-t",
            "2",
        ])
        .args(arguments.split(' '))
        .arg("pipe:1")
        .output()
        .expect("ffmpeg runs");
    assert!(output.status.success(), "{arguments}: {output:?}");
    output.stdout
}

crate::in_both_modes!(
    keys_and_conversations_are_checked,
    messages_are_checked,
    addresses_and_methods_are_checked,
    forms_are_checked,
    audio_without_speech_is_told,
    six_formats_are_told_by_their_content,
);
