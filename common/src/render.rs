//! The JSON that clients read, made from a job's view; the same from the front
//! door and in a callback.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use strum::EnumString;

use crate::{
    ids::CorrelationId,
    job::{FailedTry, JobView, Outcome, StageStatus, StageTimes, StageView},
    pipeline::{Route, Stage},
    reply::Failure,
    time::{UnixMillis, whole_millis},
    turn::{Answer, Citation, Turn},
    web_address::is_shown,
};
use bodies::{
    Audio, Callback, JobDocument, JobError, JobResult, OtherJob, Providers, StageFailure,
    StageProgress, StageSeconds,
};

pub mod bodies;

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

    /// Whether the bytes of the speech are part of a result.
    pub fn needs_bytes(self) -> bool {
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
pub fn result(view: &JobView, turn: &Turn, speech: Option<&Bytes>) -> JobResult {
    let answer = turn.answer.as_ref();
    let emotion = turn.emotion.as_ref();
    let spoken = turn.speech.as_ref();
    let is_spoken = view.job.route == Route::Voice;
    let since = |at: Option<UnixMillis>| at.map(|at| whole_millis(view.since_accepted(at)));
    let seconds = |pick: fn(StageTimes) -> Duration| is_spoken.then(|| seconds_of(view, pick));
    JobResult {
        job_id: view.job.correlation_id,
        conversation_id: view.job.conversation_id.clone(),
        answer: answer.map(|it| it.text.clone()),
        sources: answer.map(sources),
        citations: answer.map(|it| citations(&it.citations).into_owned()),
        transcript: turn.transcript.as_ref().map(|it| it.text.clone()),
        emotion: emotion.map(|it| it.label),
        emotion_scores: emotion.map(|it| it.scores.clone()),
        audio: spoken.map(|_| audio(view, speech)),
        audio_format: spoken.map(|_| "wav"),
        audio_encoding: spoken.map(|_| ResponseFormat::of(view).to_string()),
        audio_duration: spoken.map(|it| it.duration().as_secs_f64()),
        providers: providers_of(turn),
        usage: answer.and_then(|it| it.usage),
        first_token_ms: since(view.first_token),
        first_audio_ms: since(view.first_audio),
        exec_time: seconds(|times| times.work),
        queue_time: seconds(|times| times.queued),
    }
}

/// The distinct addresses in the order in which they are cited.
fn sources(answer: &Answer) -> String {
    let mut urls: Vec<&str> = Vec::new();
    for Citation { url, .. } in &answer.citations {
        if is_shown(url) && !urls.contains(&url.as_str()) {
            urls.push(url);
        }
    }
    urls.join(", ")
}

/// Without the addresses that are shown to nobody: an earlier version may have
/// stored some.
pub fn citations(all: &[Citation]) -> Cow<'_, [Citation]> {
    let is_hidden = |it: &Citation| !it.url.is_empty() && !is_shown(&it.url);
    if !all.iter().any(is_hidden) {
        return Cow::Borrowed(all);
    }
    let mut shown = all.to_vec();
    for citation in shown.iter_mut().filter(|it| is_hidden(it)) {
        citation.url.clear();
    }
    Cow::Owned(shown)
}

fn audio(view: &JobView, speech: Option<&Bytes>) -> Option<Audio> {
    let speech = speech.cloned();
    match ResponseFormat::of(view) {
        ResponseFormat::Hex => speech.map(Audio::Hex),
        ResponseFormat::Base64 => speech.map(Audio::Base64),
        ResponseFormat::Url => {
            let path = job_path(view.job.correlation_id);
            Some(Audio::Url(format!("{path}/audio")))
        }
    }
}

fn providers_of(turn: &Turn) -> Providers {
    Providers {
        speech_to_text: turn.transcript.as_ref().map(|it| it.provider.clone()),
        emotion_analysis: turn.emotion.as_ref().map(|it| it.provider.clone()),
        process_rag: turn.answer.as_ref().map(|it| it.provider.clone()),
        text_to_speech: turn.speech.as_ref().map(|it| it.provider.clone()),
    }
}

fn seconds_of(view: &JobView, pick: fn(StageTimes) -> Duration) -> StageSeconds {
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
    StageSeconds {
        speech_to_text,
        emotion_analysis,
        process_rag,
        text_to_speech,
        total: speech_to_text + emotion_analysis + process_rag + text_to_speech,
    }
}

/// The end of a job, for the address that its client wants told: the job as
/// polling shows it, its audio as an address. `None` while it is not over, and
/// once its data are erased.
pub fn callback(view: &JobView) -> Option<Callback> {
    let r#type = match view.outcome.as_ref()? {
        Outcome::Succeeded(_) => "job.completed",
        Outcome::Failed(_) => "job.failed",
        Outcome::Cancelled => "job.cancelled",
        Outcome::Expired => "job.expired",
        Outcome::Erased => return None,
    };
    let mut view = view.clone();
    view.job.response_format = Some(ResponseFormat::Url.to_string());
    let job = job(&view, None);
    Some(Callback {
        r#type,
        tenant: view.job.tenant,
        job,
    })
}

/// A job for somebody who polls.
pub fn job(view: &JobView, speech: Option<&Bytes>) -> JobDocument {
    let other = |id: Option<CorrelationId>| id.map(|job_id| OtherJob { job_id });
    let (result, error) = match &view.outcome {
        Some(Outcome::Succeeded(turn)) => (Some(result(view, turn, speech)), None),
        Some(Outcome::Failed(failure)) => (None, Some(error(failure))),
        _ => (None, None),
    };
    JobDocument {
        job_id: view.job.correlation_id,
        kind: kind(view.job.route),
        status: view.status(),
        conversation_id: view.job.conversation_id.clone(),
        accepted_at: rfc3339(view.job.accepted_at.0),
        deadline: rfc3339(view.job.deadline.0),
        stages: view.stages.iter().map(|at| progress(view, at)).collect(),
        resumed_at: view.resumed_at.map(|at| rfc3339(at.0)),
        callback: other(view.job.callback),
        callback_of: other(view.job.callback_of),
        result: result.map(Box::new),
        error,
    }
}

/// How a stage is; while it waits for another try, also why the last one failed
/// and when the next is due.
fn progress(view: &JobView, stage: &StageView) -> StageProgress {
    let status = view.status_of(stage);
    let waiting = stage.failures.last();
    let waiting = waiting.filter(|_| status == StageStatus::Retrying);
    StageProgress {
        stage: stage.stage,
        attempts: stage.attempts,
        status,
        duration_ms: stage.times.map(|times| in_millis(times.work)),
        queued_ms: stage.times.map(|times| in_millis(times.queued)),
        reason: waiting.map(|last| last.reason.clone()),
        next_attempt_at: waiting.and_then(FailedTry::next_at).map(|at| rfc3339(at.0)),
        failures: stage.failures.iter().map(failed_try).collect(),
    }
}

fn failed_try(failed: &FailedTry) -> StageFailure {
    StageFailure {
        attempt: failed.attempt,
        reason: failed.reason.clone(),
        at: rfc3339(failed.at.0),
        next_in_ms: failed.next_in.map(whole_millis),
    }
}

/// Why a job failed.
pub fn error(failure: &Failure) -> JobError {
    JobError {
        code: failure.code.clone(),
        message: failure.message.clone(),
        stage: failure.stage,
    }
}

fn in_millis(duration: Duration) -> f64 {
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
    let time = std::time::UNIX_EPOCH + Duration::from_millis(unix_millis);
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

    #[test]
    fn no_address_is_shown_that_is_none_of_a_page() {
        let mut answer = fixtures::answer("…");
        answer.citations = ["javascript:alert(1)", "https://a", "data:,x", ""]
            .map(citation)
            .to_vec();
        assert_eq!(sources(&answer), "https://a");
        let shown = citations(&answer.citations);
        let urls: Vec<_> = shown.iter().map(|it| it.url.as_str()).collect();
        assert_eq!(urls, ["", "https://a", "", ""]);
        let plain = [citation("https://a")];
        assert!(matches!(citations(&plain), Cow::Borrowed(_)));
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
        let shown = |view: &JobView| serde_json::to_value(job(view, None)).unwrap();
        let failures = serde_json::json!([{
            "attempt": 1,
            "reason": "provider_timeout",
            "at": "1970-01-01T00:00:01.000Z",
            "next_in_ms": 5000,
        }]);
        let retrying = shown(&view);
        let stage = &retrying["stages"][0];
        assert_eq!(stage["status"], "retrying");
        assert_eq!(stage["reason"], "provider_timeout");
        assert_eq!(stage["next_attempt_at"], "1970-01-01T00:00:06.000Z");
        assert_eq!(stage["failures"], failures);
        view.stages[0].waits = false;
        let running = shown(&view);
        let stage = &running["stages"][0];
        assert_eq!(stage["status"], "running");
        assert_eq!(stage.get("next_attempt_at"), None);
        assert_eq!(stage["failures"], failures);
    }

    #[test]
    fn a_callback_tells_how_a_job_ended_and_where_its_audio_is() {
        let mut turn = fixtures::text_turn("apa?");
        turn.speech = Some(fixtures::speech());
        let view = ended(Outcome::Succeeded(Box::new(turn)));
        let told = serde_json::to_value(callback(&view)).unwrap();
        assert_eq!(told["type"], "job.completed");
        assert_eq!(told["status"], "succeeded");
        let id = view.job.correlation_id;
        assert_eq!(told["result"]["audio"], format!("/v1/jobs/{id}/audio"));
        assert_eq!(told["result"]["audio_encoding"], "url");
        for (outcome, kind) in [
            (Outcome::Cancelled, "job.cancelled"),
            (Outcome::Expired, "job.expired"),
        ] {
            assert_eq!(callback(&ended(outcome)).unwrap().r#type, kind);
        }
        let running = JobView {
            outcome: None,
            ..view
        };
        assert_eq!(callback(&running), None);
    }
}
