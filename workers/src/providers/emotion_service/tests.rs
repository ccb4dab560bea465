//! Against a service on the wire.

use std::sync::Mutex;

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

use super::*;
use crate::audio::{self, Limits, RATE};

const SECRET: &str = "rahasia saya & s3cret?";

fn recording() -> Recording {
    let samples = (0..RATE).map(|at| (at as f32 / 20.0).sin() * 0.6).collect();
    Recording {
        bytes: bytes::Bytes::new(),
        clip: Arc::new(Clip { samples }),
    }
}

fn service(address: &str, timeout: Duration) -> EmotionService {
    let options = Options {
        timeout,
        ..Options::new(address.parse().unwrap())
    };
    EmotionService::new(options).unwrap()
}

fn code(error: &StageError) -> &'static str {
    match error {
        StageError::Transient { code, .. } | StageError::Permanent { code, .. } => code,
    }
}

/// What the service was asked.
struct Question {
    text: String,
    name: String,
    file_name: String,
    kind: String,
    file: Vec<u8>,
}

/// A service that answers every question with `sad`, and keeps it.
async fn listening() -> (String, Arc<Mutex<Vec<Question>>>) {
    use axum::extract::{Multipart, Query, State};
    type Kept = Arc<Mutex<Vec<Question>>>;
    async fn predict(
        State(kept): State<Kept>,
        Query(mut query): Query<BTreeMap<String, String>>,
        mut form: Multipart,
    ) -> &'static str {
        let field = form.next_field().await.unwrap().unwrap();
        let question = Question {
            text: query.remove("text").unwrap(),
            name: field.name().unwrap().to_owned(),
            file_name: field.file_name().unwrap().to_owned(),
            kind: field.content_type().unwrap().to_owned(),
            file: field.bytes().await.unwrap().to_vec(),
        };
        assert!(form.next_field().await.unwrap().is_none());
        kept.lock().unwrap().push(question);
        r#"{"prediction":"Sad"}"#
    }
    let kept = Kept::default();
    let routes = axum::Router::new()
        .route("/v1/predict", axum::routing::post(predict))
        .with_state(Arc::clone(&kept));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (address, kept)
}

/// A service that takes a question and gives `answer`, as it stands; then it closes, or hangs until the client goes.
async fn answering(answer: String, hangs: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        take_question(&mut stream).await;
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.flush().await;
        if hangs {
            let _ = stream.read_u8().await;
        }
    });
    address
}

async fn take_question(stream: &mut BufReader<TcpStream>) {
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    assert!(length > 0);
    stream.read_exact(&mut vec![0; length]).await.unwrap();
}

fn http(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

#[tokio::test]
async fn the_recording_goes_as_flac_and_the_words_in_the_query() {
    let (address, kept) = listening().await;
    let recording = recording();
    let emotion = service(&address, Duration::from_secs(30))
        .classify(SECRET, Some(&recording))
        .await
        .unwrap();
    assert_eq!(emotion.label, EmotionLabel::Sad);
    assert!(emotion.scores.is_empty());
    assert_eq!(emotion.provider, "emotion_service");

    let kept = kept.lock().unwrap();
    let [question] = kept.as_slice() else {
        panic!("it was asked once");
    };
    assert_eq!(question.text, SECRET);
    assert_eq!(
        (
            question.name.as_str(),
            question.file_name.as_str(),
            question.kind.as_str()
        ),
        ("file", "audio.flac", "audio/flac")
    );
    let heard = audio::decode(&question.file, &Limits::default(), &Default::default()).unwrap();
    assert_eq!(heard.samples.len(), recording.clip.samples.len());
    let differ = |(a, b): (&f32, &f32)| (a - b).abs() > 2.0 / 32_768.0;
    assert!(
        !heard
            .samples
            .iter()
            .zip(&recording.clip.samples)
            .any(differ)
    );
}

#[tokio::test]
async fn answers_are_understood_or_classified_and_never_quoted() {
    let ok = |body: &str| http("200 OK", body);
    let endless = "x".repeat(100_000);
    for (answer, expected) in [
        (
            ok(r#"{"prediction":"TERKEJUT"}"#),
            Ok(EmotionLabel::Surprised),
        ),
        (
            ok(r#"{"prediction":"anger","x":1}"#),
            Ok(EmotionLabel::Angry),
        ),
        (ok(r#"{"prediction":"s3cret"}"#), Err(failure::UNEXPECTED)),
        (ok(r#"{"prediction":""}"#), Err(failure::UNEXPECTED)),
        (ok(r#"{"prediction":null}"#), Err(failure::UNEXPECTED)),
        (ok(r#"{"error":"s3cret"}"#), Err(failure::UNEXPECTED)),
        (ok(r#"{"predic"#), Err(failure::UNEXPECTED)),
        (ok("<html>s3cret</html>"), Err(failure::UNEXPECTED)),
        (ok(""), Err(failure::UNEXPECTED)),
        (ok(&endless), Err(failure::UNEXPECTED)),
        (http("500 s3cret", "s3cret"), Err(failure::FAILED)),
        (http("429 Slow", ""), Err(failure::RATE_LIMITED)),
        (http("401 No", ""), Err(failure::UNAUTHORIZED)),
        (http("422 No", ""), Err(failure::REFUSED)),
        (
            http("307 There\r\nLocation: http://127.0.0.1:1/", ""),
            Err(failure::REFUSED),
        ),
        (
            ok(r#"{"prediction":"sad"}"#).replace("20\r\n", "99\r\n"),
            Err(failure::UNREACHABLE),
        ),
        ("s3cret\r\n\r\n".to_owned(), Err(failure::UNREACHABLE)),
        (String::new(), Err(failure::UNREACHABLE)),
    ] {
        let address = answering(answer.clone(), false).await;
        let outcome = service(&address, Duration::from_secs(30))
            .classify(SECRET, Some(&recording()))
            .await;
        if let Err(error) = &outcome {
            assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        }
        let outcome = outcome
            .map(|found| found.label)
            .map_err(|error| code(&error));
        assert_eq!(outcome, expected, "{answer}");
    }
}

#[tokio::test]
async fn nobody_there_is_unreachable_and_the_words_stay_out_of_the_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = service(&address, Duration::from_secs(30))
        .classify(SECRET, Some(&recording()))
        .await
        .unwrap_err();
    assert_eq!(code(&error), failure::UNREACHABLE);
    for hidden in ["s3cret", "rahasia", "http"] {
        assert!(!format!("{error:?}").contains(hidden), "{error:?}");
    }
}

#[tokio::test]
async fn a_service_that_hangs_is_left_when_the_time_is_up() {
    for answer in [
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{",
    ] {
        let address = answering(answer.to_owned(), true).await;
        let error = service(&address, Duration::from_millis(500))
            .classify(SECRET, Some(&recording()))
            .await
            .unwrap_err();
        assert_eq!(code(&error), failure::TIMEOUT, "{answer}");
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_closes_its_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (asked, was_asked) = oneshot::channel();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        asked.send(()).unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    });
    let (service, recording) = (service(&address, Duration::from_secs(30)), recording());
    tokio::select! {
        found = service.classify(SECRET, Some(&recording)) => panic!("{found:?}"),
        _ = was_asked => {}
    }
    served.await.unwrap();
}

#[tokio::test]
async fn without_a_recording_nobody_is_asked() {
    let service = service("http://127.0.0.1:1", Duration::from_secs(30));
    let error = service.classify(SECRET, None).await.unwrap_err();
    assert_eq!(code(&error), NO_RECORDING);
}

#[test]
fn an_address_is_one_of_http_and_shows_its_host_alone() {
    for text in ["", "h", "ftp://h/", "http://", "mailto:a@b", "ws://h"] {
        assert_eq!(text.parse::<Address>(), Err(NotAnAddress), "{text}");
    }
    let shown = format!(
        "{:?}",
        "https://u:s3cret@h/?k=s3cret".parse::<Address>().unwrap()
    );
    assert_eq!(shown, "https://h/…");
}
