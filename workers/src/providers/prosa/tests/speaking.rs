use std::time::Duration;

use common::config::Secret;
use serde_json::json;

use super::{HASTY, NEVER, PATIENT, QUIET, code, is_transient, server};
use crate::{
    audio::wav::{self, Format, Wav},
    handler::StageError,
    providers::{
        SpeechSynthesizer, Spoken, failure,
        prosa::{Endpoint, ProsaTextToSpeech, TextToSpeechOptions, Timeouts},
    },
    testing::prosa::{Mood, Prosa, recording},
};

const FORMAT: Format = Format::mono16(8_000);

fn options(endpoint: Endpoint, timeouts: Timeouts) -> TextToSpeechOptions {
    let options = TextToSpeechOptions {
        endpoint,
        timeouts,
        quiet: if timeouts == PATIENT { QUIET } else { NEVER },
        ..TextToSpeechOptions::new(Secret::new("k3y"))
    };
    assert!(!format!("{options:?}").contains("k3y"));
    options
}

async fn speak(
    endpoint: Endpoint,
    timeouts: Timeouts,
    voice: Option<&str>,
) -> Result<Spoken, StageError> {
    ProsaTextToSpeech::new(options(endpoint, timeouts))
        .speak("Halo semua.", voice)
        .await
}

/// A second of a tone.
fn tone(pitch: f32) -> Vec<u8> {
    let wave = (0..8_000).map(|at| ((at as f32 * pitch).sin() * 9_000.0) as i16);
    wave.flat_map(i16::to_le_bytes).collect()
}

/// The header of a program that does not know the length yet.
fn streaming(samples: &[u8]) -> Vec<u8> {
    let mut file = wav::write(FORMAT, samples);
    file[4..8].fill(0xff);
    file[40..44].fill(0xff);
    file
}

/// Takes the conversation to where audio is due.
async fn prepare(peer: &mut server::Peer) -> [serde_json::Value; 3] {
    let token = peer.json().await;
    let opening = peer.json().await;
    peer.say(r#"{"id":"42","status":"created"}"#).await;
    [token, opening, peer.json().await]
}

#[tokio::test]
async fn every_frame_of_a_long_answer_is_in_one_wav() {
    let (endpoint, served) = server::websocket(|mut peer| async move {
        let said = prepare(&mut peer).await;
        // Half a second at a time: too short to be all.
        let first = tone(0.1);
        let (one, two) = first.split_at(8_000);
        peer.play(wav::write(FORMAT, one)).await;
        peer.play(wav::write(FORMAT, two)).await;
        peer.say(r#"{"type":"progress"}"#).await;
        peer.play(wav::write(FORMAT, &tone(0.2))).await;
        peer.play(streaming(&tone(0.3))).await;
        peer.play(tone(0.4)).await;
        peer.close(1_000).await;
        (peer.headers, said)
    })
    .await;
    let client = ProsaTextToSpeech::new(options(endpoint, PATIENT));
    let text = "Halo semua, apa kabar hari ini? ".repeat(2);
    let spoken = client.speak(&text, None).await.unwrap();
    let expected = [tone(0.1), tone(0.2), tone(0.3), tone(0.4)].concat();
    assert_eq!(spoken.wav, wav::write(FORMAT, &expected));
    assert_eq!(
        (spoken.duration.as_secs_f32(), spoken.provider),
        (4.0, "prosa")
    );

    let (headers, said) = served.await.unwrap();
    assert!(!headers.contains_key("x-api-key"));
    assert_eq!(
        said,
        [
            json!({"token": "k3y"}),
            json!({
                "label": "itb-assistant", "model": "tts-ghifari-professional",
                "audio_format": "wav", "sample_rate": 8_000
            }),
            json!({"text": "Halo semua, apa kabar hari ini? ".repeat(2)}),
        ]
    );
}

#[tokio::test]
async fn the_voice_is_the_model() {
    let (endpoint, served) = server::websocket(|mut peer| async move {
        let [_, opening, _] = prepare(&mut peer).await;
        peer.play(wav::write(FORMAT, &tone(0.1))).await;
        peer.close(1_000).await;
        opening
    })
    .await;
    let spoken = speak(endpoint, PATIENT, Some("tts-dimas-formal")).await;
    assert!(spoken.is_ok());
    assert_eq!(served.await.unwrap()["model"], "tts-dimas-formal");
}

#[tokio::test]
async fn a_voice_that_cannot_be_one_is_the_clients_mistake() {
    for voice in ["", "a b", "../x", "é", &"x".repeat(101)] {
        let nobody = "ws://127.0.0.1:1/".parse().unwrap();
        let error = speak(nobody, PATIENT, Some(voice)).await.err().unwrap();
        assert_eq!(code(&error), "unknown_voice", "{voice}");
    }
}

#[derive(Clone, Copy, Debug)]
enum End {
    Close(u16),
    Say(&'static str),
    Silent,
    Stay,
}

#[tokio::test]
async fn how_it_ends_decides_what_was_spoken() {
    let whole = wav::write(FORMAT, &tone(0.1));
    let half = whole[..8_044].to_vec();
    let page = b"<html>s3cret</html>".to_vec();
    let mut short = wav::write(FORMAT, &[0; 100]);
    short[40] = 50;
    for (name, frames, end, expected) in [
        ("closed", vec![whole.clone()], End::Close(1_000), Ok(16_044)),
        (
            "done",
            vec![whole.clone()],
            End::Say(r#"{"type":"done"}"#),
            Ok(16_044),
        ),
        ("quiet", vec![whole.clone()], End::Stay, Ok(16_044)),
        (
            "quiet, unknown size",
            vec![streaming(&tone(0.1))],
            End::Stay,
            Ok(16_044),
        ),
        (
            "quiet, two frames",
            vec![half.clone(), whole[8_044..].to_vec()],
            End::Stay,
            Ok(16_044),
        ),
        ("quiet, size too small", vec![short], End::Stay, Ok(144)),
        (
            "without a word",
            vec![whole.clone()],
            End::Silent,
            Ok(16_044),
        ),
        (
            "closed, size too large",
            vec![half.clone()],
            End::Close(1_000),
            Ok(8_044),
        ),
        (
            "cut",
            vec![half.clone()],
            End::Silent,
            Err(failure::UNREACHABLE),
        ),
        (
            "failed",
            vec![streaming(&tone(0.1))],
            End::Close(1_011),
            Err(failure::FAILED),
        ),
        (
            "error",
            vec![half],
            End::Say(r#"{"type":"error"}"#),
            Err(failure::FAILED),
        ),
        (
            "not JSON",
            vec![streaming(&tone(0.1))],
            End::Say("s3cret"),
            Err(failure::UNEXPECTED),
        ),
        (
            "no audio",
            vec![],
            End::Close(1_000),
            Err(failure::UNEXPECTED),
        ),
        (
            "done, no audio",
            vec![],
            End::Say(r#"{"done":true}"#),
            Err(failure::UNEXPECTED),
        ),
        (
            "a header alone",
            vec![whole[..44].to_vec()],
            End::Close(1_000),
            Err(failure::UNEXPECTED),
        ),
        ("broken", vec![], End::Silent, Err(failure::UNREACHABLE)),
        ("a page", vec![page], End::Stay, Err(failure::UNEXPECTED)),
    ] {
        let (endpoint, _) = server::websocket(move |mut peer| async move {
            prepare(&mut peer).await;
            for frame in frames {
                peer.play(frame).await;
            }
            match end {
                End::Close(code) => peer.close(code).await,
                End::Say(text) => {
                    peer.say(text).await;
                    peer.until_gone().await;
                }
                End::Silent => {}
                End::Stay => peer.until_gone().await,
            }
        })
        .await;
        let outcome = speak(endpoint, PATIENT, None).await;
        if let Err(error) = &outcome {
            assert!(is_transient(error), "{name}: {error:?}");
            assert!(
                !format!("{error:?}").contains("s3cret"),
                "{name}: {error:?}"
            );
        }
        if let Ok(spoken) = &outcome {
            assert_eq!(
                Wav::read(&spoken.wav).unwrap().to_bytes(),
                spoken.wav,
                "{name}"
            );
        }
        let outcome = outcome
            .map(|spoken| spoken.wav.len())
            .map_err(|error| code(&error));
        assert_eq!(outcome, expected, "{name}");
    }
}

#[tokio::test]
async fn what_comes_in_place_of_the_acknowledgement_is_classified() {
    for (voice, end, expected) in [
        (
            None,
            End::Say(r#"{"type":"error","message":"Invalid token s3cret"}"#),
            failure::UNAUTHORIZED,
        ),
        (
            None,
            End::Say(r#"{"status":"error","code":403}"#),
            failure::UNAUTHORIZED,
        ),
        (
            None,
            End::Say(r#"{"error":"model s3cret not found"}"#),
            failure::REFUSED,
        ),
        (
            Some("tts-x"),
            End::Say(r#"{"error":"model tts-x not found"}"#),
            "unknown_voice",
        ),
        (
            None,
            End::Say(r#"{"error":"quota exceeded"}"#),
            failure::RATE_LIMITED,
        ),
        (None, End::Say(r#"{"error":"s3cret"}"#), failure::FAILED),
        (None, End::Say("s3cret"), failure::UNEXPECTED),
        (None, End::Close(1_008), failure::UNAUTHORIZED),
        (None, End::Close(4_401), failure::UNAUTHORIZED),
        (None, End::Close(1_011), failure::FAILED),
        (None, End::Close(1_000), failure::UNEXPECTED),
        (None, End::Silent, failure::UNREACHABLE),
    ] {
        let (endpoint, _) = server::websocket(move |mut peer| async move {
            peer.json().await;
            peer.json().await;
            match end {
                End::Say(text) => peer.say(text).await,
                End::Close(code) => peer.close(code).await,
                End::Silent | End::Stay => {}
            }
        })
        .await;
        let error = speak(endpoint, PATIENT, voice).await.err().unwrap();
        assert_eq!(code(&error), expected, "{end:?}: {error:?}");
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    }
}

#[tokio::test]
async fn a_service_that_hangs_is_left_when_the_time_is_up() {
    let half = wav::write(FORMAT, &tone(0.1))[..8_044].to_vec();
    for stage in 0..4 {
        let half = half.clone();
        let (endpoint, served) = server::websocket(move |mut peer| async move {
            match stage {
                0 => {}
                1 => _ = (peer.json().await, peer.json().await),
                2 => _ = prepare(&mut peer).await,
                _ => {
                    prepare(&mut peer).await;
                    peer.play(half).await;
                }
            }
            peer.until_gone().await;
        })
        .await;
        let error = speak(endpoint, HASTY, None).await.err().unwrap();
        assert_eq!(code(&error), failure::TIMEOUT, "{stage}");
        // The connection is closed with the call.
        served.await.unwrap();
    }
}

/// A service that says nothing after its first answer, and closes nothing.
async fn vendor(mood: Mood) -> (Prosa, ProsaTextToSpeech) {
    let vendor = Prosa::speaking().await;
    vendor.is(mood);
    let options = TextToSpeechOptions {
        endpoint: vendor.url().parse().unwrap(),
        quiet: NEVER,
        ..TextToSpeechOptions::new(Secret::new("k3y"))
    };
    (vendor, ProsaTextToSpeech::new(options))
}

#[tokio::test]
async fn a_file_that_is_complete_ends_the_wait_also_when_the_connection_stays_open() {
    let (vendor, client) = vendor(Mood::StaysOpen(Duration::ZERO)).await;
    for _ in 0..3 {
        let spoken = client.speak("Halo semua.", None).await.unwrap();
        assert_eq!(spoken.wav, recording());
    }
    assert_eq!(vendor.connections(), 3, "one a text, and none ahead");
}

/// Without a length nothing tells the end but silence: it is as long as the pace of the service asks, and not two
/// seconds.
#[tokio::test]
async fn the_end_of_audio_without_a_length_is_a_short_silence() {
    let (endpoint, _) = server::websocket(|mut peer| async move {
        prepare(&mut peer).await;
        let whole = streaming(&tone(0.1));
        for piece in whole.chunks(4_000) {
            peer.play(piece.to_vec()).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        peer.until_gone().await;
    })
    .await;
    let options = TextToSpeechOptions {
        quiet: NEVER,
        ..options(endpoint, PATIENT)
    };
    let client = ProsaTextToSpeech::new(options);
    let spoken = client.speak("Halo semua.", None).await.unwrap();
    assert_eq!(spoken.wav, wav::write(FORMAT, &tone(0.1)));
}

#[tokio::test]
async fn the_connection_of_the_next_text_is_opened_ahead_and_used_once() {
    let (vendor, client) = vendor(Mood::StaysOpen(Duration::ZERO)).await;
    client.prepare(Some("tts-x"));
    client.prepare(None);
    eventually(|| vendor.connections() == 2).await;
    assert!(vendor.calls().is_empty());
    for _ in 0..2 {
        client.speak("Halo semua.", None).await.unwrap();
    }
    assert_eq!(vendor.connections(), 3);
    client.speak("Halo semua.", Some("tts-x")).await.unwrap();
    assert_eq!(vendor.connections(), 3);
    let models = vendor.calls().into_iter().map(|call| call.said[1].clone());
    let models: Vec<_> = models.map(|opening| opening["model"].clone()).collect();
    let own = "tts-ghifari-professional";
    assert_eq!(models, [own, own, "tts-x"]);
}

#[tokio::test]
async fn a_connection_that_was_opened_ahead_and_broke_costs_no_text() {
    let (vendor, client) = vendor(Mood::Well).await;
    client.prepare(None);
    eventually(|| vendor.connections() == 1).await;
    let mut breaks_once = [Mood::Breaks].into_iter();
    vendor.chooses(move || breaks_once.next().unwrap_or(Mood::Well));
    let spoken = client.speak("Halo semua.", None).await.unwrap();
    assert_eq!(spoken.wav, recording());
    assert_eq!(vendor.connections(), 2);
}

#[tokio::test]
async fn what_is_opened_ahead_counts_among_the_connections_that_may_be() {
    let vendor = Prosa::speaking().await;
    let options = TextToSpeechOptions {
        endpoint: vendor.url().parse().unwrap(),
        max_concurrent: 2,
        ..TextToSpeechOptions::new(Secret::new("k3y"))
    };
    let client = ProsaTextToSpeech::new(options);
    for _ in 0..3 {
        client.prepare(Some("tts-x"));
    }
    eventually(|| vendor.connections() == 2).await;
    // One of another voice makes room.
    client.speak("Halo semua.", None).await.unwrap();
    client.speak("Halo semua.", Some("tts-x")).await.unwrap();
    assert_eq!(vendor.connections(), 3);
}

async fn eventually(mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let in_time = tokio::time::timeout(PATIENT.call, waiting).await;
    in_time.expect("it comes to be so");
}
