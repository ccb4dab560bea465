//! Questions in speech.

use std::process::Command;

use common::testing::servers::{find, skipped};
use serde_json::Value;

use crate::deployment::{Deployment, form};

pub fn spoken(text: &str) -> Option<Vec<u8>> {
    if find("espeak-ng").is_none() {
        skipped("needs the program espeak-ng");
        return None;
    }
    let output = Command::new("espeak-ng")
        .args(["-v", "id", "-s", "140", "--stdout", text])
        .output()
        .expect("espeak-ng runs");
    Some(output.stdout)
}

async fn a_spoken_question_is_answered_in_speech(deployment: &Deployment) {
    let Some(question) = spoken("Berapa SKS untuk lulus sarjana?") else {
        return;
    };
    if !deployment.can_speak().await {
        return;
    }
    let request = form(question).text("response_format", "base64");
    let answer = deployment.post("/v1/audio").multipart(request);
    let answer = answer.send().await.unwrap();
    let status = answer.status();
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(status, 200, "{answer}");
    assert!(
        answer["transcript"]
            .as_str()
            .is_some_and(|text| !text.is_empty())
    );
    assert_eq!(answer["emotion"], "neutral");
    assert!(answer["answer"].is_string() && answer["sources"].is_string());
    for stage in [
        "speech_to_text",
        "emotion_analysis",
        "process_rag",
        "text_to_speech",
        "total",
    ] {
        assert!(answer["exec_time"][stage].is_f64(), "{stage}");
        assert!(answer["queue_time"][stage].is_f64(), "{stage}");
    }
    assert_eq!(answer["audio_format"], "wav");
    let wav = base64(answer["audio"].as_str().unwrap());
    assert!(wav.starts_with(b"RIFF") && wav.len() > 10_000);

    // The same WAV can be fetched from its own address.
    let path = format!("/v1/jobs/{}/audio", answer["job_id"].as_str().unwrap());
    let fetched = deployment.get(&path).send().await.unwrap();
    assert_eq!(fetched.headers()["content-type"], "audio/wav");
    assert_eq!(fetched.bytes().await.unwrap(), wav);
}

pub fn base64(text: &str) -> Vec<u8> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    STANDARD.decode(text).expect("base64")
}

crate::in_both_modes!(a_spoken_question_is_answered_in_speech);
