//! Bodies as they look. A test holds each against its schema.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::problems::KnownProblem;

const JOB: &str = "01939a4e-7c00-7000-8000-000000000000";
const ACCEPTED_AT: &str = "2026-01-02T03:04:05.678Z";

pub fn streamed_event() -> Value {
    json!({ "id": "3", "event": "answer.delta", "data": event().to_string() })
}

fn event() -> Value {
    json!({
        "type": "answer.delta",
        "sequence_number": 3,
        "job_id": JOB,
        "text": "Institut Teknologi Bandung",
    })
}

pub fn feedback() -> Value {
    json!({ "rating": "bad", "comment": "Biaya asramanya tidak disebut." })
}

pub fn question() -> Value {
    json!({ "message": "Apa itu ITB?" })
}

pub fn new_job() -> Value {
    json!({ "kind": "chat", "message": "Apa itu ITB?", "conversation_id": "coba" })
}

pub fn result() -> Value {
    json!({
        "job_id": JOB,
        "conversation_id": "coba",
        "answer": "Institut Teknologi Bandung (ITB) adalah perguruan tinggi negeri di Bandung.",
        "sources": "https://www.itb.ac.id/tentang-itb",
        "citations": [{
            "n": 1,
            "title": "Tentang ITB",
            "url": "https://www.itb.ac.id/tentang-itb",
            "quote": "Institut Teknologi Bandung (ITB) adalah perguruan tinggi negeri di Bandung.",
        }],
        "providers": { "process_rag": "extractive" },
        "first_token_ms": 3,
    })
}

pub fn spoken_result() -> Value {
    let times = json!({
        "speech_to_text": 0.9,
        "emotion_analysis": 0.001,
        "process_rag": 0.004,
        "text_to_speech": 0.12,
        "total": 1.025,
    });
    let spoken = json!({
        "transcript": "Apa itu ITB?",
        "emotion": "neutral",
        "emotion_scores": { "neutral": 0.8, "happy": 0.2 },
        "audio": format!("/v1/jobs/{JOB}/audio"),
        "audio_format": "wav",
        "audio_encoding": "url",
        "audio_duration": 4.2,
        "providers": {
            "speech_to_text": "whisper",
            "emotion_analysis": "heuristic",
            "process_rag": "extractive",
            "text_to_speech": "espeak",
        },
        "first_audio_ms": 1020,
        "exec_time": times,
        "queue_time": times,
    });
    with(result(), spoken)
}

pub fn job() -> Value {
    json!({
        "job_id": JOB,
        "kind": "chat",
        "status": "succeeded",
        "conversation_id": "coba",
        "accepted_at": ACCEPTED_AT,
        "deadline": "2026-01-02T03:06:05.678Z",
        "stages": [{
            "stage": "rag",
            "attempts": 1,
            "status": "completed",
            "duration_ms": 3.2,
            "queued_ms": 0.4,
        }],
        "result": result(),
    })
}

pub fn callback() -> Value {
    with(
        job(),
        json!({ "type": "job.completed", "tenant": "default" }),
    )
}

pub fn accepted() -> Value {
    json!({ "job_id": JOB, "status": "queued", "conversation_id": "coba" })
}

pub fn conversation() -> Value {
    json!({
        "conversation_id": "coba",
        "turns": [{
            "job_id": JOB,
            "at": ACCEPTED_AT,
            "user": "Apa itu ITB?",
            "assistant": "Institut Teknologi Bandung (ITB) adalah perguruan tinggi negeri di Bandung.",
        }],
    })
}

pub fn health(status: &str) -> Value {
    json!({
        "status": status,
        "version": env!("CARGO_PKG_VERSION"),
        "mode": "distributed",
        "redis": "ok",
        "rabbitmq": if status == "healthy" { "ok" } else { "unavailable" },
        "qdrant": "ok",
        "speech": { "speech_to_text": "ready", "text_to_speech": "ready" },
        "timestamp": ACCEPTED_AT,
    })
}

pub fn ready() -> Value {
    json!({ "status": "ready" })
}

pub fn not_ready() -> Value {
    json!({ "status": "not_ready", "reasons": ["no worker takes jobs of the stage rag"] })
}

pub fn problem(problem: &KnownProblem) -> Value {
    let status = StatusCode::from_u16(problem.status).ok();
    let title = status.and_then(|status| status.canonical_reason());
    json!({
        "type": format!("urn:itb-assistant:problem:{}", problem.code),
        "title": title,
        "status": problem.status,
        "detail": problem.detail,
        "instance": "/v1/chat",
        "code": problem.code,
        "request_id": "01939a4e-7c00-7000-8000-000000000000",
        "message": problem.detail,
        "details": null,
        "timestamp": ACCEPTED_AT,
    })
}

fn with(mut object: Value, more: Value) -> Value {
    if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
        object.extend(more);
    }
    object
}
