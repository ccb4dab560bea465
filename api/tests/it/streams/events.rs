//! A job's log as Server-Sent Events.

use std::{collections::BTreeMap, time::Duration};

use common::{
    envelope::Job,
    pipeline::{Route, Stage},
    reply::{Event, Failure, FailureKind, StageStarted},
    time::UnixMillis,
    turn::{EmotionLabel, Speech},
};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    doors::{Doors, first_events, path, wav, without_comments},
    with_doors,
};
use crate::deployment::problem;

fn started(stage: Stage) -> Event {
    Event::StageStarted(StageStarted { stage, attempt: 1 })
}

fn completed(stage: Stage) -> Event {
    Event::StageCompleted {
        stage,
        duration_ms: 12.345,
        queued_ms: 0.1,
    }
}

fn delta(text: &str) -> Event {
    Event::AnswerDelta { text: text.into() }
}

/// The job as another door shows it to who polls.
async fn polled(doors: &Doors, job: &Job) -> Value {
    let asked = doors.get(1, &path(job, "")).send().await;
    asked.unwrap().json().await.unwrap()
}

/// Everything that can come of a voice job.
async fn eventful(doors: &Doors, job: &Job) -> Vec<Event> {
    let scores = BTreeMap::from([(EmotionLabel::Sad, 0.7), (EmotionLabel::Neutral, 0.3)]);
    vec![
        started(Stage::Stt),
        Event::Transcript {
            text: "Apa itu ITB?".into(),
        },
        completed(Stage::Stt),
        Event::Emotion {
            label: EmotionLabel::Sad,
            scores,
        },
        started(Stage::Rag),
        Event::Retrieved {
            citations: Vec::new(),
        },
        delta("Keliru \u{1F600}"),
        doors.sentence(job, 1, wav(16_000, 800, 1)).await,
        Event::AnswerRestarted,
        delta("Satu.\n\n"),
        Event::StageRetrying {
            stage: Stage::Tts,
            attempt: 1,
            in_ms: 1_000,
            reason: "unavailable".into(),
        },
        doors.sentence(job, 1, wav(16_000, 40_000, 2)).await,
        delta(" Dua."),
        doors.sentence(job, 2, wav(16_000, 800, 3)).await,
        completed(Stage::Rag),
        completed(Stage::Tts),
        doors.completed(job, wav(16_000, 1_600, 4)).await,
    ]
}

async fn a_stream_cut_after_any_event_and_resumed_elsewhere_is_the_uncut_one(doors: Doors) {
    let mut job = common::testing::fixtures::job(Route::Voice);
    job.response_format = Some("base64".into());
    doors.open_log(&job).await;
    let events = eventful(&doors, &job).await;
    let address = path(&job, "/events");
    let total = events.len() + 1;

    let uncut = async || doors.get(0, &address).send().await.unwrap().text().await;
    let cut_after = async |count: usize| {
        let mut first = doors.get(0, &address).send().await.unwrap();
        let seen = first_events(&mut first, count).await;
        drop(first);
        let resumed = doors
            .get(1, &address)
            .header("Last-Event-ID", count.to_string());
        let rest = resumed.send().await.unwrap().text().await.unwrap();
        seen + &rest
    };
    let write = async {
        for event in events {
            doors.append(&job, &[event]).await;
            tokio::task::yield_now().await;
        }
    };
    let cut = join_all((0..=total).map(cut_after));
    let ((), whole, cut) = tokio::join!(write, uncut(), cut);
    let whole = without_comments(&whole.unwrap());
    assert_eq!(parsed(&whole).len(), total);
    for (count, joined) in cut.into_iter().enumerate() {
        assert!(without_comments(&joined) == whole, "cut after {count}");
    }
    // And the same again when all is over, by the other way to say it.
    for count in 0..=total {
        let asked = doors.get(count % 2, &format!("{address}?starting_after={count}"));
        let rest = asked.send().await.unwrap().text().await.unwrap();
        assert!(whole.ends_with(&rest), "after {count}");
        assert_eq!(rest.matches("data: ").count(), total - count);
    }
}

fn parsed(stream: &str) -> Vec<Value> {
    let events = without_comments(stream);
    let events = events.split_terminator("\n\n").map(|event| {
        let (id, rest) = event
            .strip_prefix("id: ")
            .unwrap()
            .split_once("\nevent: ")
            .unwrap();
        let (name, data) = rest.split_once("\ndata: ").unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(
            (
                data["type"].as_str().unwrap(),
                data["sequence_number"].to_string().as_str()
            ),
            (name, id)
        );
        data
    });
    events.collect()
}

async fn the_events_tell_what_polling_tells(doors: Doors) {
    let job = doors.accept(Route::Voice).await;
    let events = eventful(&doors, &job).await;
    doors.append(&job, &events).await;
    let answer = doors.get(0, &path(&job, "/events")).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let events = parsed(&answer.text().await.unwrap());
    let id = job.correlation_id.to_string();
    assert!(events.iter().all(|event| event["job_id"] == id.as_str()));

    let accepted = events[0].as_object().unwrap();
    let fields: Vec<_> = accepted.keys().map(String::as_str).collect();
    assert_eq!(
        fields,
        [
            "accepted_at",
            "conversation_id",
            "deadline",
            "job_id",
            "kind",
            "sequence_number",
            "type"
        ]
    );
    let spoken = &events[12];
    let wav = crate::voice::base64(spoken["audio"].as_str().unwrap());
    assert_eq!((spoken["n"].as_u64(), wav.len()), (Some(1), 80_044));
    assert_eq!(
        (&spoken["format"], &spoken["text"]),
        (&json!("wav"), &json!("Kalimat 1."))
    );

    let polled = polled(&doors, &job).await;
    let result = &events.last().unwrap()["result"];
    assert_eq!(*result, polled["result"]);
    assert!(result["audio"].as_str().unwrap().starts_with("52494646"));
    for figure in ["first_token_ms", "first_audio_ms"] {
        assert!(result[figure].is_u64(), "{figure} in {result}");
    }
}

async fn an_end_that_is_no_result_is_told_as_it_is(doors: Doors) {
    let error = Failure {
        code: "no_speech".into(),
        message: "Nothing was said.".into(),
        kind: FailureKind::UnprocessableInput,
        stage: Some(Stage::Stt),
    };
    for (end, name) in [
        (Event::Failed { error }, "job.failed"),
        (Event::Cancelled, "job.cancelled"),
        (Event::Expired, "job.expired"),
    ] {
        let job = doors.accept(Route::Voice).await;
        doors.append(&job, &[end]).await;
        let stream = doors.get(0, &path(&job, "/events")).send().await.unwrap();
        let events = parsed(&stream.text().await.unwrap());
        let polled = polled(&doors, &job).await;
        assert_eq!(events[1]["type"], name);
        assert_eq!(events[1]["error"], polled["error"], "{name}");
    }
}

async fn audio_that_is_kept_no_longer_is_missing_and_said_to_be(doors: Doors) {
    let job = doors.accept(Route::Voice).await;
    let gone: Speech = serde_json::from_value(json!({
        "ticket": { "name": "kept by nobody", "bytes": 10 },
        "duration_ms": 1,
        "provider": "test",
    }))
    .unwrap();
    let mut end = doors.completed(&job, wav(16_000, 8, 1)).await;
    if let Event::Completed { turn } = &mut end {
        turn.speech = Some(gone.clone());
    }
    let sentence = Event::AudioDelta {
        revision: 0,
        n: 1,
        text: "Satu.".into(),
        speech: gone,
    };
    doors.append(&job, &[sentence, end]).await;
    let stream = doors.get(0, &path(&job, "/events")).send().await.unwrap();
    let events = parsed(&stream.text().await.unwrap());
    assert_eq!(
        (&events[1]["audio"], &events[1]["audio_gone"]),
        (&json!(null), &json!(true))
    );
    assert_eq!(events[2]["result"]["audio"], json!(null));
    let polled = doors.get(1, &path(&job, "")).send().await.unwrap();
    let polled: Value = polled.json().await.unwrap();
    assert_eq!(events[2]["result"], polled["result"]);
    let audio = doors.get(0, &path(&job, "/audio")).send().await.unwrap();
    assert_eq!(problem(audio, 404, "gone").await["code"], "no_audio");
}

async fn a_cursor_must_be_a_place_in_the_log(doors: Doors) {
    let job = doors.accept(Route::Text).await;
    doors.append(&job, &[delta("a"), Event::Cancelled]).await;
    let address = path(&job, "/events");
    for (cursor, good) in [
        ("0", true),
        ("2", true),
        ("003", true),
        ("4", false),
        ("99999999999999999999999", false),
        ("-1", false),
        ("+1", false),
        ("1.0", false),
        ("0x1", false),
        (" 1", false),
        ("a", false),
        ("1-0", false),
        ("\u{0661}", false),
    ] {
        let escaped: String = cursor.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let mut asked = vec![doors.get(0, &format!("{address}?starting_after={escaped}"))];
        if cursor.is_ascii() && !cursor.starts_with(' ') {
            asked.push(doors.get(1, &address).header("Last-Event-ID", cursor));
        }
        for request in asked {
            let answer = request.send().await.unwrap();
            if good {
                assert!(answer.status().is_success(), "{cursor}");
            } else {
                let body = problem(answer, 400, cursor).await;
                assert_eq!(body["code"], "invalid_cursor");
            }
        }
    }
    for bad in ["?starting_after=", "?starting_after=1&starting_after=2"] {
        let answer = doors
            .get(0, &format!("{address}{bad}"))
            .send()
            .await
            .unwrap();
        problem(answer, 400, bad).await;
    }
    // A browser comes again to the same address.
    let both = doors.get(0, &format!("{address}?starting_after=0"));
    let both = both.header("Last-Event-ID", "2").send().await.unwrap();
    assert_eq!(parsed(&both.text().await.unwrap()).len(), 1);
    let unset = doors.get(0, &address).header("Last-Event-ID", "");
    assert_eq!(
        parsed(&unset.send().await.unwrap().text().await.unwrap()).len(),
        3
    );
}

async fn after_the_end_there_is_nothing(doors: Doors) {
    let job = doors.accept(Route::Text).await;
    doors.append(&job, &[Event::Cancelled]).await;
    let request = doors.get(0, &path(&job, "/events"));
    let answer = request.header("Last-Event-ID", "2").send().await.unwrap();
    assert_eq!(answer.status(), 204);
    assert_eq!(answer.text().await.unwrap(), "");
}

async fn a_job_of_another_tenant_has_no_events_and_no_audio(doors: Doors) {
    let job = doors.accept(Route::Voice).await;
    let nobodys = common::testing::fixtures::job(Route::Voice);
    for what in ["/events", "/audio"] {
        for request in [
            doors.get_as_another(&path(&job, what)),
            doors.get(0, &path(&nobodys, what)),
            doors.get(0, &format!("/v1/jobs/1{what}")),
        ] {
            let answer = request.send().await.unwrap();
            assert_eq!(problem(answer, 404, what).await["code"], "unknown_job");
        }
    }
}

async fn silence_is_filled_with_comments(doors: Doors) {
    let job = doors.accept(Route::Text).await;
    let mut stream = doors.get(0, &path(&job, "/events")).send().await.unwrap();
    let begun = first_events(&mut stream, 3).await;
    assert!(
        begun.ends_with("\n\n: heartbeat\n\n: heartbeat\n\n"),
        "{begun}"
    );
    assert_eq!(parsed(&begun).len(), 1);
}

async fn a_job_that_nobody_works_on_ends_for_its_followers(doors: Doors) {
    let mut job = common::testing::fixtures::job(Route::Voice);
    job.deadline = UnixMillis::now().after(Duration::from_millis(200));
    doors.open_log(&job).await;
    let stream = doors.get(0, &path(&job, "/events")).send();
    let audio = doors.get(1, &path(&job, "/audio")).send();
    let (stream, audio) =
        tokio::join!(async { stream.await.unwrap().text().await.unwrap() }, audio);
    assert_eq!(parsed(&stream).last().unwrap()["type"], "job.expired");
    problem(audio.unwrap(), 404, "expired").await;
}

async fn a_question_that_nobody_takes_expires_on_its_stream(doors: Doors) {
    let request = doors.at(0, Method::POST, "/v1/chat");
    let request = request.header("X-Conversation-Id", crate::deployment::conversation());
    let request = request.json(&json!({ "message": "Apa itu ITB?" }));
    let answer = request.header("Accept", "text/event-stream").send().await;
    let answer = answer.unwrap();
    let job = answer.headers()["location"].to_str().unwrap().to_owned();
    let streamed = without_comments(&answer.text().await.unwrap());
    let names: Vec<_> = parsed(&streamed)
        .iter()
        .map(|event| event["type"].clone())
        .collect();
    assert_eq!(names, ["job.accepted", "job.expired"]);
    let again = doors.get(1, &format!("{job}/events")).send().await.unwrap();
    assert_eq!(streamed, again.text().await.unwrap());
}

with_doors!(
    a_question_that_nobody_takes_expires_on_its_stream,
    a_stream_cut_after_any_event_and_resumed_elsewhere_is_the_uncut_one,
    the_events_tell_what_polling_tells,
    an_end_that_is_no_result_is_told_as_it_is,
    audio_that_is_kept_no_longer_is_missing_and_said_to_be,
    a_cursor_must_be_a_place_in_the_log,
    after_the_end_there_is_nothing,
    a_job_of_another_tenant_has_no_events_and_no_audio,
    silence_is_filled_with_comments,
    a_job_that_nobody_works_on_ends_for_its_followers,
);
