//! The JSON that clients read, made from a job's view; the same from the front
//! door and in a callback.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};
use strum::EnumString;

use crate::{
    ids::CorrelationId,
    job::{FailedTry, JobView, Outcome, StageStatus, StageTimes, StageView},
    pipeline::{Route, Stage},
    reply::Failure,
    time::whole_millis,
    turn::{Answer, Citation, Turn},
};

pub fn job_path(id: CorrelationId) -> String {
    format!("/v1/jobs/{id}")
}

/// How a result carries its audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, EnumString, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub enum ResponseFormat {
    /// What the first clients read.
    #[default]
    Hex,
    Base64,
    /// An address from which it can be had.
    Url,
}

impl ResponseFormat {
    /// That which the job was submitted with.
    pub fn of(view: &JobView) -> Self {
        view.job
            .response_format
            .as_deref()
            .and_then(|name| name.parse().ok())
            .unwrap_or_default()
    }

    fn needs_bytes(self) -> bool {
        self != Self::Url
    }
}

/// Whether the bytes of the speech are part of the result.
pub fn needs_speech(view: &JobView) -> bool {
    matches!(&view.outcome, Some(Outcome::Succeeded(turn)) if turn.speech.is_some())
        && ResponseFormat::of(view).needs_bytes()
}

/// The result of a job that succeeded, as its route renders it. `speech` is the
/// WAV, where [`needs_speech`] asks for it.
pub fn result(view: &JobView, turn: &Turn, speech: Option<&Bytes>) -> Value {
    let mut result = json!({
        "job_id": view.job.correlation_id,
        "conversation_id": view.job.conversation_id,
    });
    if let Some(answer) = &turn.answer {
        result["answer"] = json!(answer.text);
        result["sources"] = json!(sources(answer));
        result["citations"] = json!(answer.citations);
    }
    if let Some(transcript) = &turn.transcript {
        result["transcript"] = json!(transcript.text);
    }
    if let Some(emotion) = &turn.emotion {
        result["emotion"] = json!(emotion.label);
        result["emotion_scores"] = json!(emotion.scores);
    }
    if let Some(spoken) = &turn.speech {
        result["audio"] = json!(audio(view, speech));
        result["audio_format"] = json!("wav");
        result["audio_encoding"] = json!(ResponseFormat::of(view).to_string());
        result["audio_duration"] = json!(spoken.duration().as_secs_f64());
    }
    result["providers"] = json!(Providers::of(turn));
    if let Some(usage) = turn.answer.as_ref().and_then(|answer| answer.usage) {
        result["usage"] = json!(usage);
    }
    if let Some(at) = view.first_token {
        result["first_token_ms"] = json!(whole_millis(view.since_accepted(at)));
    }
    if let Some(at) = view.first_audio {
        result["first_audio_ms"] = json!(whole_millis(view.since_accepted(at)));
    }
    if view.job.route == Route::Voice {
        result["exec_time"] = json!(Times::of(view, |times| times.work));
        result["queue_time"] = json!(Times::of(view, |times| times.queued));
    }
    result
}

/// The distinct addresses in the order in which they are cited.
fn sources(answer: &Answer) -> String {
    let mut urls: Vec<&str> = Vec::new();
    for Citation { url, .. } in &answer.citations {
        if !url.is_empty() && !urls.contains(&url.as_str()) {
            urls.push(url);
        }
    }
    urls.join(", ")
}

fn audio(view: &JobView, speech: Option<&Bytes>) -> Option<String> {
    match ResponseFormat::of(view) {
        ResponseFormat::Hex => speech.map(hex::encode),
        ResponseFormat::Base64 => {
            use base64::{Engine as _, engine::general_purpose::STANDARD};
            speech.map(|bytes| STANDARD.encode(bytes))
        }
        ResponseFormat::Url => Some(format!("{}/audio", job_path(view.job.correlation_id))),
    }
}

/// What did the work, by the names of [`Times`].
#[derive(Serialize)]
struct Providers<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    speech_to_text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    emotion_analysis: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process_rag: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text_to_speech: Option<&'a str>,
}

impl<'a> Providers<'a> {
    fn of(turn: &'a Turn) -> Self {
        Self {
            speech_to_text: turn.transcript.as_ref().map(|it| it.provider.as_str()),
            emotion_analysis: turn.emotion.as_ref().map(|it| it.provider.as_str()),
            process_rag: turn.answer.as_ref().map(|it| it.provider.as_str()),
            text_to_speech: turn.speech.as_ref().map(|it| it.provider.as_str()),
        }
    }
}

/// Seconds per stage, by the names that the first clients read.
#[derive(Serialize)]
struct Times {
    speech_to_text: f64,
    emotion_analysis: f64,
    process_rag: f64,
    text_to_speech: f64,
    total: f64,
}

impl Times {
    fn of(view: &JobView, pick: impl Fn(StageTimes) -> std::time::Duration) -> Self {
        let of = |stage| {
            view.times_of(stage)
                .map_or(0.0, |times| pick(times).as_secs_f64())
        };
        let [
            speech_to_text,
            emotion_analysis,
            process_rag,
            text_to_speech,
        ] = [Stage::Stt, Stage::Emotion, Stage::Rag, Stage::Tts].map(of);
        Self {
            speech_to_text,
            emotion_analysis,
            process_rag,
            text_to_speech,
            total: speech_to_text + emotion_analysis + process_rag + text_to_speech,
        }
    }
}

/// The end of a job, for the address that its client wants told: the job as
/// polling shows it, its audio as an address. `None` while it is not over.
pub fn callback(view: &JobView) -> Option<Value> {
    let kind = match view.outcome.as_ref()? {
        Outcome::Succeeded(_) => "job.completed",
        Outcome::Failed(_) => "job.failed",
        Outcome::Cancelled => "job.cancelled",
        Outcome::Expired => "job.expired",
    };
    let mut view = view.clone();
    view.job.response_format = Some(ResponseFormat::Url.to_string());
    let mut told = job(&view, None);
    told["type"] = json!(kind);
    Some(told)
}

/// A job for somebody who polls.
pub fn job(view: &JobView, speech: Option<&Bytes>) -> Value {
    let mut job = json!({
        "job_id": view.job.correlation_id,
        "kind": kind(view.job.route),
        "status": view.status(),
        "conversation_id": view.job.conversation_id,
        "accepted_at": rfc3339(view.job.accepted_at.0),
        "deadline": rfc3339(view.job.deadline.0),
        "stages": view.stages.iter().map(|at| stage(view, at)).collect::<Vec<_>>(),
    });
    if let Some(at) = view.resumed_at {
        job["resumed_at"] = json!(rfc3339(at.0));
    }
    // The job that tells of this one's end, or the one whose end this one tells.
    for (field, other) in [
        ("callback", view.job.callback),
        ("callback_of", view.job.callback_of),
    ] {
        if let Some(id) = other {
            job[field] = json!({ "job_id": id });
        }
    }
    match &view.outcome {
        Some(Outcome::Succeeded(turn)) => job["result"] = result(view, turn, speech),
        Some(Outcome::Failed(failure)) => job["error"] = error(failure),
        _ => {}
    }
    job
}

/// How a stage is; while it waits for another try, also why the last one failed
/// and when the next is due.
fn stage(view: &JobView, stage: &StageView) -> Value {
    let mut shown = json!({
        "stage": stage.stage,
        "attempts": stage.attempts,
        "status": view.status_of(stage),
        "duration_ms": stage.times.map(|times| in_millis(times.work)),
        "queued_ms": stage.times.map(|times| in_millis(times.queued)),
    });
    if let Some(last) = stage
        .failures
        .last()
        .filter(|_| view.status_of(stage) == StageStatus::Retrying)
    {
        shown["reason"] = json!(last.reason);
        shown["next_attempt_at"] = json!(last.next_at().map(|at| rfc3339(at.0)));
    }
    if !stage.failures.is_empty() {
        shown["failures"] = stage.failures.iter().map(failed_try).collect();
    }
    shown
}

fn failed_try(failed: &FailedTry) -> Value {
    json!({
        "attempt": failed.attempt,
        "reason": failed.reason,
        "at": rfc3339(failed.at.0),
        "next_in_ms": failed.next_in.map(whole_millis),
    })
}

/// Why a job failed.
pub fn error(failure: &Failure) -> Value {
    json!({
        "code": failure.code,
        "message": failure.message,
        "stage": failure.stage,
    })
}

fn in_millis(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

pub fn kind(route: Route) -> &'static str {
    match route {
        Route::Voice => "audio",
        Route::Text => "chat",
        Route::Transcribe => "transcription",
        Route::Speak => "speech",
        Route::Webhook => "callback",
    }
}

/// A point in time, as every body has it.
pub fn rfc3339(unix_millis: u64) -> String {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(unix_millis);
    humantime::format_rfc3339_millis(time).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures;

    fn citation(url: &str) -> Citation {
        Citation {
            n: 1,
            title: "t".into(),
            url: url.into(),
            quote: "q".into(),
            score: None,
        }
    }

    #[test]
    fn sources_are_the_distinct_addresses_in_the_order_cited() {
        let mut answer = fixtures::answer("…");
        answer.citations = ["https://b", "https://a", "https://b", ""]
            .map(citation)
            .to_vec();
        assert_eq!(sources(&answer), "https://b, https://a");
    }
    fn ended(outcome: Outcome) -> JobView {
        JobView {
            job: fixtures::job(Route::Voice),
            time: std::time::Duration::from_secs(120),
            stages: Vec::new(),
            resumed_at: None,
            first_token: None,
            first_audio: None,
            outcome: Some(outcome),
        }
    }

    #[test]
    fn a_stage_that_waits_shows_why_and_until_when() {
        let mut view = ended(Outcome::Cancelled);
        view.outcome = None;
        view.stages.push(StageView {
            stage: Stage::Rag,
            attempts: 1,
            failures: vec![FailedTry {
                attempt: 1,
                reason: "provider_timeout".into(),
                at: crate::time::UnixMillis(1_000),
                next_in: Some(std::time::Duration::from_secs(5)),
            }],
            waits: true,
            times: None,
        });
        let failures = json!([{
            "attempt": 1,
            "reason": "provider_timeout",
            "at": "1970-01-01T00:00:01.000Z",
            "next_in_ms": 5000,
        }]);
        let shown = &job(&view, None)["stages"][0];
        assert_eq!(shown["status"], "retrying");
        assert_eq!(shown["reason"], "provider_timeout");
        assert_eq!(shown["next_attempt_at"], "1970-01-01T00:00:06.000Z");
        assert_eq!(shown["failures"], failures);
        view.stages[0].waits = false;
        let shown = &job(&view, None)["stages"][0];
        assert_eq!(shown["status"], "running");
        assert_eq!(shown.get("next_attempt_at"), None);
        assert_eq!(shown["failures"], failures);
    }

    #[test]
    fn a_callback_tells_how_a_job_ended_and_where_its_audio_is() {
        let mut turn = fixtures::text_turn("apa?");
        turn.speech = Some(fixtures::speech());
        let view = ended(Outcome::Succeeded(Box::new(turn)));
        let told = callback(&view).unwrap();
        assert_eq!(told["type"], "job.completed");
        assert_eq!(told["status"], "succeeded");
        let id = view.job.correlation_id;
        assert_eq!(told["result"]["audio"], format!("/v1/jobs/{id}/audio"));
        assert_eq!(told["result"]["audio_encoding"], "url");
        for (outcome, kind) in [
            (Outcome::Cancelled, "job.cancelled"),
            (Outcome::Expired, "job.expired"),
        ] {
            assert_eq!(callback(&ended(outcome)).unwrap()["type"], kind);
        }
        let running = JobView {
            outcome: None,
            ..view
        };
        assert_eq!(callback(&running), None);
    }
}
