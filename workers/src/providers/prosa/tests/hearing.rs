use std::sync::{Arc, Mutex};

use bytes::Bytes;
use common::{config::Secret, turn::Transcript};
use tokio::{io::AsyncReadExt, sync::oneshot};

use super::{HASTY, NEVER, PATIENT, QUIET, code, is_transient, server};
use crate::{
    audio::{Clip, wav},
    handler::StageError,
    providers::{
        SpeechToText, failure,
        prosa::{
            Endpoint, Partials, ProsaSpeechToText, SpeechToTextOptions, Timeouts, UnusableKey,
        },
    },
    recording::Recording,
};

fn options(endpoint: Endpoint, timeouts: Timeouts) -> SpeechToTextOptions {
    SpeechToTextOptions {
        endpoint,
        timeouts,
        quiet: NEVER,
        ..SpeechToTextOptions::new(Secret::new("k3y"))
    }
}

fn prosa(endpoint: Endpoint, timeouts: Timeouts) -> ProsaSpeechToText {
    ProsaSpeechToText::new(options(endpoint, timeouts)).unwrap()
}

fn result(text: &str) -> String {
    format!(r#"{{"type":"result","transcript":"{text}"}}"#)
}

/// Asks about a second of audio.
async fn ask(endpoint: Endpoint, timeouts: Timeouts) -> Result<Transcript, StageError> {
    prosa(endpoint, timeouts)
        .transcribe_file(Bytes::from(vec![7; 32_044]), Partials::Unwanted)
        .await
}

fn recording() -> Recording {
    let samples = (0..20_000)
        .map(|at| (at as f32 / 9.0).sin() / 2.0)
        .collect();
    let clip = Clip { samples };
    Recording {
        bytes: wav::from_clip(&clip).into(),
        clip: Arc::new(clip),
    }
}

#[tokio::test]
async fn the_recording_goes_up_as_it_came_and_the_results_are_joined() {
    let (endpoint, served) = server::websocket(|mut peer| async move {
        let opening = peer.json().await;
        let frames = peer.audio().await;
        for message in [
            r#"{"type":"created","id":"1"}"#,
            &result("apa itu"),
            r#"{"type":"partial","transcript":"UK"}"#,
            &result(""),
            &result(" UKT? "),
        ] {
            peer.say(message).await;
        }
        peer.close(1_000).await;
        (peer.headers, opening, frames)
    })
    .await;
    let recording = recording();
    let heard = prosa(endpoint, PATIENT)
        .transcribe(&recording)
        .await
        .unwrap();
    assert_eq!(heard.text, "apa itu UKT?");
    assert_eq!(
        (heard.language.as_str(), heard.provider.as_str()),
        ("id", "prosa")
    );

    let (headers, opening, frames) = served.await.unwrap();
    assert_eq!(headers["x-api-key"], "k3y");
    assert_eq!(
        opening,
        serde_json::json!({"label": "itb-assistant", "model": "asr-general-online", "include_partial": false})
    );
    let lengths: Vec<usize> = frames.iter().map(Vec::len).collect();
    assert_eq!(lengths, [16_000, 16_000, 8_044]);
    assert_eq!(frames.concat(), recording.bytes);
}

#[tokio::test]
async fn partial_results_are_asked_for_and_told_when_they_are_wanted() {
    let (endpoint, served) = server::websocket(|mut peer| async move {
        let opening = peer.json().await;
        peer.say(r#"{"type":"partial","transcript":"apa"}"#).await;
        peer.audio().await;
        peer.say(r#"{"type":"partial","transcript":"apa itu"}"#)
            .await;
        peer.say(&result("apa itu")).await;
        peer.say(r#"{"type":"done"}"#).await;
        peer.until_gone().await;
        opening
    })
    .await;
    let told = Mutex::new(Vec::new());
    let tell = |text: &str| told.lock().unwrap().push(text.to_owned());
    let heard = prosa(endpoint, PATIENT)
        .transcribe_file(Bytes::from_static(&[1; 100]), Partials::Told(&tell))
        .await
        .unwrap();
    assert_eq!(heard.text, "apa itu");
    assert_eq!(*told.lock().unwrap(), ["apa", "apa itu"]);
    assert_eq!(served.await.unwrap()["include_partial"], true);
}

#[tokio::test]
async fn a_service_that_answers_before_it_listens_does_not_block() {
    // More than the buffers of both sides hold, in both directions.
    let partial = format!(
        r#"{{"type":"partial","transcript":"{}"}}"#,
        "a".repeat(60_000)
    );
    let (endpoint, served) = server::websocket(|mut peer| async move {
        for _ in 0..300 {
            peer.say(&partial).await;
        }
        peer.json().await;
        let bytes = peer.audio().await.concat().len();
        peer.say(&result("sampai")).await;
        peer.close(1_000).await;
        bytes
    })
    .await;
    let audio = Bytes::from(vec![3; 16 << 20]);
    let heard = prosa(endpoint, PATIENT)
        .transcribe_file(audio, Partials::Unwanted)
        .await;
    assert_eq!(heard.unwrap().text, "sampai");
    assert_eq!(served.await.unwrap(), 16 << 20);
}

#[derive(Clone, Copy, Debug)]
enum End {
    Close(u16),
    Silent,
    Stay,
}

#[tokio::test]
async fn how_it_ends_decides_what_was_heard() {
    let heard = |text: &str| Ok(text.to_owned());
    for (results, end, expected) in [
        (vec!["satu", "dua"], End::Close(1_000), heard("satu dua")),
        (vec!["satu", "dua"], End::Silent, heard("satu dua")),
        (vec!["satu", "dua"], End::Stay, heard("satu dua")),
        (vec![""], End::Close(1_000), heard("")),
        (vec![""], End::Stay, heard("")),
        (vec![], End::Close(1_000), Err(failure::UNEXPECTED)),
        (vec![], End::Silent, Err(failure::UNREACHABLE)),
        (vec![], End::Close(1_011), Err(failure::FAILED)),
        (vec![], End::Close(1_008), Err(failure::FAILED)),
        (vec!["satu"], End::Close(1_011), Err(failure::FAILED)),
        (vec![], End::Close(4_429), Err(failure::RATE_LIMITED)),
    ] {
        let name = format!("{results:?}, {end:?}");
        let (endpoint, _) = server::websocket(move |mut peer| async move {
            peer.json().await;
            peer.audio().await;
            for text in results {
                peer.say(&result(text)).await;
            }
            match end {
                End::Close(code) => peer.close(code).await,
                End::Silent => {}
                End::Stay => peer.until_gone().await,
            }
        })
        .await;
        let options = SpeechToTextOptions {
            quiet: QUIET,
            ..options(endpoint, PATIENT)
        };
        let outcome = ProsaSpeechToText::new(options)
            .unwrap()
            .transcribe_file(Bytes::from_static(&[1; 10]), Partials::Unwanted)
            .await;
        if let Err(error) = &outcome {
            assert!(is_transient(error), "{name}: {error:?}");
        }
        let outcome = outcome
            .map(|heard| heard.text)
            .map_err(|error| code(&error));
        assert_eq!(outcome, expected, "{name}");
    }
}

#[tokio::test]
async fn what_it_says_in_place_of_a_result_is_classified_and_not_quoted() {
    let long = format!(
        r#"{{"type":"partial","transcript":"{}"}}"#,
        "a".repeat(2 << 20)
    );
    for (message, expected) in [
        (r#"{"type":"error","message":"s3cret"}"#, failure::FAILED),
        (
            r#"{"type":"error","message":"invalid api key s3cret"}"#,
            failure::UNAUTHORIZED,
        ),
        (r#"{"type":"error","code":429}"#, failure::RATE_LIMITED),
        ("<html>s3cret</html>", failure::UNEXPECTED),
        (r#"{"type":"result","transcr"#, failure::UNEXPECTED),
        (long.as_str(), failure::UNEXPECTED),
    ] {
        for before_the_audio in [true, false] {
            let said = message.to_owned();
            let (endpoint, _) = server::websocket(move |mut peer| async move {
                peer.json().await;
                if !before_the_audio {
                    peer.audio().await;
                }
                peer.say(&said).await;
                peer.until_gone().await;
            })
            .await;
            let error = ask(endpoint, PATIENT).await.unwrap_err();
            assert_eq!(code(&error), expected, "{error:?}");
            assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        }
    }
}

#[tokio::test]
async fn a_transcript_without_end_is_given_up() {
    let (endpoint, _) = server::websocket(|mut peer| async move {
        let sentence = result(&"a".repeat(60_000));
        for _ in 0..20 {
            peer.say(&sentence).await;
        }
        peer.until_gone().await;
    })
    .await;
    let error = ask(endpoint, PATIENT).await.unwrap_err();
    assert_eq!(code(&error), failure::UNEXPECTED);
}

#[tokio::test]
async fn the_answer_to_the_upgrade_is_classified_by_its_status() {
    let status = |line: &str| format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n");
    for (answer, expected, transient, wait) in [
        (
            status("401 Unauthorized"),
            failure::UNAUTHORIZED,
            false,
            None,
        ),
        (status("403 Forbidden"), failure::UNAUTHORIZED, false, None),
        (status("404 Not Found"), failure::REFUSED, false, None),
        (
            status("429 Too Many\r\nRetry-After: 7"),
            failure::RATE_LIMITED,
            true,
            Some(7),
        ),
        (
            status("503 Away\r\nRetry-After: 9"),
            failure::FAILED,
            true,
            Some(9),
        ),
        (status("200 OK"), failure::UNEXPECTED, true, None),
        (
            "s3cret, not HTTP\r\n\r\n".to_owned(),
            failure::UNEXPECTED,
            true,
            None,
        ),
        (String::new(), failure::UNREACHABLE, true, None),
    ] {
        let error = ask(server::plain(answer.clone()).await, PATIENT)
            .await
            .unwrap_err();
        assert_eq!(
            (code(&error), is_transient(&error)),
            (expected, transient),
            "{answer}"
        );
        if let StageError::Transient { retry_after, .. } = error {
            assert_eq!(retry_after.map(|wait| wait.as_secs()), wait, "{answer}");
        }
    }
}

#[tokio::test]
async fn a_service_that_cannot_be_reached_is_unreachable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let nobody = format!("ws://{address}/").parse().unwrap();
    let error = ask(nobody, PATIENT).await.unwrap_err();
    assert_eq!(
        (code(&error), is_transient(&error)),
        (failure::UNREACHABLE, true)
    );
}

#[tokio::test]
async fn a_service_without_tls_where_tls_is_due_is_unreachable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("wss://localhost:{}/", listener.local_addr().unwrap().port());
    let _served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
    });
    let error = ask(endpoint.parse().unwrap(), PATIENT).await.unwrap_err();
    assert_eq!(
        (code(&error), is_transient(&error)),
        (failure::UNREACHABLE, true)
    );
}

#[tokio::test]
async fn a_service_that_hangs_is_left_when_the_time_is_up() {
    let hanging = |stage: &'static str| async move {
        let hang = std::future::pending::<()>;
        match stage {
            "before the upgrade" => {
                server::tcp(move |stream| async move {
                    let _open = stream;
                    hang().await;
                })
                .await
                .0
            }
            "without reading" => {
                server::websocket(move |peer| async move {
                    let _open = peer;
                    hang().await;
                })
                .await
                .0
            }
            "after the audio" => {
                server::websocket(move |mut peer| async move {
                    peer.json().await;
                    peer.audio().await;
                    hang().await;
                })
                .await
                .0
            }
            _ => {
                server::websocket(move |mut peer| async move {
                    peer.json().await;
                    peer.audio().await;
                    loop {
                        peer.say(r#"{"type":"alive"}"#).await;
                        tokio::task::yield_now().await;
                    }
                })
                .await
                .0
            }
        }
    };
    for stage in [
        "before the upgrade",
        "without reading",
        "after the audio",
        "chatting",
    ] {
        let audio = Bytes::from(vec![0; 16 << 20]);
        let prosa = prosa(hanging(stage).await, HASTY);
        let error = prosa
            .transcribe_file(audio, Partials::Unwanted)
            .await
            .unwrap_err();
        assert_eq!(code(&error), failure::TIMEOUT, "{stage}");
    }
    let connect = Timeouts {
        connect: HASTY.call,
        call: NEVER,
    };
    let error = ask(hanging("before the upgrade").await, connect)
        .await
        .unwrap_err();
    assert_eq!(code(&error), failure::TIMEOUT, "connecting");
}

#[tokio::test]
async fn a_call_that_is_dropped_closes_its_connection() {
    let (connected, is_connected) = oneshot::channel();
    let (endpoint, served) = server::websocket(|mut peer| async move {
        peer.json().await;
        peer.audio().await;
        connected.send(()).unwrap();
        let mut rest = Vec::new();
        let _ = peer.socket.get_mut().read_to_end(&mut rest).await;
    })
    .await;
    tokio::select! {
        heard = ask(endpoint, PATIENT) => panic!("{heard:?}"),
        _ = is_connected => {}
    }
    served.await.unwrap();
}

#[test]
fn a_key_that_no_header_can_hold_is_refused_and_not_shown() {
    let options = SpeechToTextOptions::new(Secret::new("k3y\nx"));
    assert!(!format!("{options:?}").contains("k3y"));
    assert_eq!(ProsaSpeechToText::new(options).err(), Some(UnusableKey));
}
