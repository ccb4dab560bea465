//! The answer as WAV.

use common::{envelope::Job, pipeline::Route, reply::Event};
use reqwest::{Method, Response, StatusCode};
use tokio::time::timeout;

use super::{
    doors::{Doors, path, wav},
    with_doors,
};
use crate::deployment::problem;

const SOON: std::time::Duration = std::time::Duration::from_secs(5);

async fn spoken(doors: &Doors, file: Vec<u8>) -> Job {
    let job = doors.accept(Route::Voice).await;
    let end = doors.completed(&job, file).await;
    doors.append(&job, &[end]).await;
    job
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    let value = answer.headers().get(name);
    value.map_or("", |value| value.to_str().unwrap())
}

async fn a_part_of_the_audio_can_be_had(doors: Doors) {
    let file = wav(16_000, 28, 7); // 100 bytes
    let job = spoken(&doors, file.clone()).await;
    let address = path(&job, "/audio");
    for (asked, status, range, bytes) in [
        ("bytes=0-9", 206, "bytes 0-9/100", &file[0..10]),
        ("bytes=90-", 206, "bytes 90-99/100", &file[90..]),
        ("bytes=90-1000", 206, "bytes 90-99/100", &file[90..]),
        ("bytes=-5", 206, "bytes 95-99/100", &file[95..]),
        ("bytes=-500", 206, "bytes 0-99/100", &file[..]),
        ("bytes=0-1,5-6", 200, "", &file[..]),
        ("bytes=9-1", 200, "", &file[..]),
        ("lines=1-2", 200, "", &file[..]),
    ] {
        for door in [0, 1] {
            let answer = doors.get(door, &address).header("Range", asked);
            let answer = answer.send().await.unwrap();
            assert_eq!(answer.status(), status, "{asked}");
            assert_eq!(header(&answer, "content-range"), range, "{asked}");
            assert_eq!(header(&answer, "content-type"), "audio/wav");
            assert_eq!(header(&answer, "accept-ranges"), "bytes");
            assert_eq!(header(&answer, "content-length"), bytes.len().to_string());
            assert_eq!(answer.bytes().await.unwrap(), bytes, "{asked}");
        }
    }
    for asked in ["bytes=100-", "bytes=-0"] {
        let answer = doors.get(0, &address).header("Range", asked);
        let answer = answer.send().await.unwrap();
        assert_eq!(header(&answer, "content-range"), "bytes */100");
        problem(answer, 416, asked).await;
    }
}

async fn a_download_is_continued_only_if_the_file_is_the_same(doors: Doors) {
    let file = wav(16_000, 28, 7);
    let job = spoken(&doors, file.clone()).await;
    let other = spoken(&doors, wav(16_000, 28, 8)).await;
    let tag = async |job: &Job, door| {
        let answer = doors.get(door, &path(job, "/audio")).send().await.unwrap();
        header(&answer, "etag").to_owned()
    };
    let ours = tag(&job, 0).await;
    assert!(ours.starts_with('"'), "{ours} is strong");
    assert_eq!(ours, tag(&job, 1).await);
    let others = tag(&other, 0).await;
    let weak = format!("W/{ours}");
    for (condition, status) in [
        (ours.as_str(), 206),
        (others.as_str(), 200),
        (weak.as_str(), 200),
        ("Sun, 22 Nov 2026 00:00:00 GMT", 200),
    ] {
        let request = doors.get(1, &path(&job, "/audio"));
        let request = request
            .header("Range", "bytes=50-")
            .header("If-Range", condition);
        assert_eq!(
            request.send().await.unwrap().status(),
            status,
            "{condition}"
        );
    }
}

async fn head_tells_of_the_file_without_it(doors: Doors) {
    let job = spoken(&doors, wav(16_000, 28, 7)).await;
    let request = doors.at(0, Method::HEAD, &path(&job, "/audio"));
    let answer = request.header("Range", "bytes=0-1").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(header(&answer, "content-length"), "100");
    assert_eq!(header(&answer, "accept-ranges"), "bytes");
    assert!(!header(&answer, "etag").is_empty());
    assert_eq!(answer.bytes().await.unwrap().len(), 0);
}

async fn head_waits_for_nobody_to_speak(doors: Doors) {
    let job = doors.accept(Route::Voice).await;
    let request = doors.at(0, Method::HEAD, &path(&job, "/audio"));
    let answer = timeout(SOON, request.send()).await;
    let answer = answer.expect("at once").unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(header(&answer, "content-type"), "audio/wav");
    assert_eq!(header(&answer, "accept-ranges"), "none");
    assert_eq!(header(&answer, "content-length"), "");
}

async fn who_has_the_audio_is_not_sent_it_again(doors: Doors) {
    let job = spoken(&doors, wav(16_000, 28, 7)).await;
    let address = path(&job, "/audio");
    let whole = doors.get(0, &address).send().await.unwrap();
    let ours = header(&whole, "etag").to_owned();
    let weak = format!("\"x\", W/{ours}");
    for (condition, tags, status) in [
        ("If-None-Match", ours.as_str(), 304),
        ("If-None-Match", &weak, 304),
        ("If-None-Match", "*", 304),
        ("If-None-Match", "\"x\"", 206),
        ("If-Match", &ours, 206),
        ("If-Match", "*", 206),
        ("If-Match", &weak, 412),
        ("If-Match", "\"x\"", 412),
    ] {
        let request = doors.get(1, &address).header("Range", "bytes=50-");
        let answer = request.header(condition, tags).send().await.unwrap();
        assert_eq!(answer.status(), status, "{condition}: {tags}");
        assert_eq!(header(&answer, "etag"), ours);
        match status {
            304 => assert_eq!(answer.bytes().await.unwrap().len(), 0),
            412 => {
                let code = &problem(answer, 412, tags).await["code"];
                assert_eq!(code, "precondition_failed");
            }
            _ => {}
        }
    }
}

/// The header of a WAV of unknown length, and this many samples of each kind.
fn endless(rate: u32, samples: &[(u32, u8)]) -> Vec<u8> {
    let mut file = wav(rate, 0, 0);
    file[4..8].fill(0xFF);
    file[40..44].fill(0xFF);
    for &(count, sample) in samples {
        file.resize(file.len() + 2 * count as usize, sample);
    }
    file
}

/// Reads until `length` bytes have come.
async fn at_least(answer: &mut Response, length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < length {
        bytes.extend(answer.chunk().await.unwrap().expect("more is to come"));
    }
    bytes
}

async fn sentences_are_heard_while_others_are_being_spoken(doors: Doors) {
    let job = doors.accept(Route::Voice).await;
    let address = path(&job, "/audio");
    let (first, second) = (wav(16_000, 800, 1), wav(16_000, 400, 2));
    // Void before anybody hears of it.
    let void = doors.sentence(&job, 1, wav(8_000, 5, 9)).await;
    let first = doors.sentence(&job, 1, first).await;
    doors
        .append(&job, &[void, Event::AnswerRestarted, first])
        .await;
    let mut live = doors.get(0, &address).send().await.unwrap();
    assert_eq!(live.status(), 200);
    assert_eq!(header(&live, "content-type"), "audio/wav");
    assert_eq!(header(&live, "accept-ranges"), "none");
    let begun = endless(16_000, &[(800, 1)]);
    let mut heard = at_least(&mut live, begun.len()).await;
    assert_eq!(heard, begun);

    let second = doors.sentence(&job, 2, second).await;
    doors.append(&job, &[second]).await;
    heard.extend(at_least(&mut live, 800).await);
    let end = doors.completed(&job, wav(16_000, 10, 3)).await;
    doors.append(&job, &[end]).await;
    heard.extend(live.bytes().await.unwrap());
    assert_eq!(heard, endless(16_000, &[(800, 1), (400, 2)]));
    let whole = doors.get(1, &address).send().await.unwrap();
    assert_eq!(whole.bytes().await.unwrap(), wav(16_000, 10, 3));
}

async fn a_stream_of_speech_breaks_off_where_it_cannot_go_on(doors: Doors) {
    for case in ["restarted", "another rate", "no wav", "failed"] {
        let job = doors.accept(Route::Voice).await;
        let first = doors.sentence(&job, 1, wav(16_000, 800, 1)).await;
        doors.append(&job, &[first]).await;
        let mut live = doors.get(0, &path(&job, "/audio")).send().await.unwrap();
        let expected = endless(16_000, &[(800, 1)]);
        let mut heard = at_least(&mut live, expected.len()).await;
        let then = match case {
            "restarted" => vec![
                Event::AnswerRestarted,
                doors.sentence(&job, 1, wav(16_000, 8, 2)).await,
            ],
            "another rate" => vec![doors.sentence(&job, 2, wav(8_000, 8, 2)).await],
            "no wav" => vec![doors.sentence(&job, 2, b"ID3".to_vec()).await],
            _ => vec![Event::Cancelled],
        };
        doors.append(&job, &then).await;
        let ended_well = loop {
            match live.chunk().await {
                Ok(Some(more)) => heard.extend(more),
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        assert!(!ended_well, "{case}");
        assert_eq!(heard, expected, "{case}");
    }
}

async fn a_job_without_speech_has_no_audio(doors: Doors) {
    let text = doors.accept(Route::Text).await;
    let waiting = doors.accept(Route::Voice).await;
    let address = path(&waiting, "/audio");
    let end = async {
        tokio::task::yield_now().await;
        doors.append(&waiting, &[Event::Cancelled]).await;
    };
    let (held, ()) = tokio::join!(doors.get(0, &address).send(), end);
    let cases = [
        (
            "a chat job under way",
            doors.get(0, &path(&text, "/audio")).send().await,
        ),
        ("cancelled while waiting", held),
        ("cancelled before", doors.get(1, &address).send().await),
    ];
    for (case, answer) in cases {
        assert_eq!(
            problem(answer.unwrap(), 404, case).await["code"],
            "no_audio"
        );
    }
}

async fn who_waits_for_the_first_sentence_may_get_the_whole(doors: Doors) {
    let job = doors.accept(Route::Voice).await;
    let file = wav(16_000, 28, 7);
    let end = async {
        tokio::task::yield_now().await;
        let end = doors.completed(&job, file.clone()).await;
        doors.append(&job, &[end]).await;
    };
    let (answer, ()) = tokio::join!(doors.get(0, &path(&job, "/audio")).send(), end);
    assert_eq!(answer.unwrap().bytes().await.unwrap(), file);
}

with_doors!(
    a_part_of_the_audio_can_be_had,
    a_download_is_continued_only_if_the_file_is_the_same,
    head_tells_of_the_file_without_it,
    head_waits_for_nobody_to_speak,
    who_has_the_audio_is_not_sent_it_again,
    sentences_are_heard_while_others_are_being_spoken,
    a_stream_of_speech_breaks_off_where_it_cannot_go_on,
    a_job_without_speech_has_no_audio,
    who_waits_for_the_first_sentence_may_get_the_whole,
);
