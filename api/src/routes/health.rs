//! `GET /health` and `GET /ready`: without a key, and without secrets.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use common::broker::Link;
use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::{HttpMethod, PathItem},
};

use crate::{
    openapi::{Group, answers, examples, operation::Title},
    probe::{Probes, Workers},
    state::{AppState, ModeName, SpeechState},
};

const NOT_CONFIGURED: &str = "not_configured";
const UNAVAILABLE: &str = "unavailable";

/// How things are.
#[derive(Serialize, ToSchema)]
pub struct Health {
    /// `healthy`, `degraded` (jobs are accepted, something is missing), or
    /// `unhealthy`.
    #[schema(example = "healthy")]
    status: &'static str,
    #[schema(example = "0.1.0")]
    version: &'static str,
    /// `embedded` or `distributed`.
    #[schema(example = "distributed")]
    mode: String,
    /// `ok`, `unavailable` or `not_configured`.
    #[schema(example = "ok")]
    redis: &'static str,
    /// `ok`, `blocked`, `unavailable`, `misconfigured` or `not_configured`.
    #[schema(example = "ok")]
    rabbitmq: &'static str,
    /// `ok`, `unavailable` or `not_configured`.
    #[schema(example = "ok")]
    qdrant: &'static str,
    /// The engines by name: `ready`, how far they are, or `failed: see the log`.
    #[schema(example = json!({"speech_to_text": "ready", "text_to_speech": "ready"}))]
    speech: BTreeMap<&'static str, String>,
    #[schema(format = DateTime)]
    timestamp: String,
}

/// Whether a job could be accepted and answered now.
#[derive(Serialize, ToSchema)]
pub struct Readiness {
    /// `ready` or `not_ready`.
    #[schema(example = "ready")]
    status: &'static str,
    /// There when it is not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
}

/// How things are. 200 unless no job can be accepted at all.
pub async fn health(State(state): State<AppState>) -> Response {
    let (redis, qdrant) = tokio::join!(state.probes.redis.seen(), qdrant_name(&state.probes));
    let link = state.gateway.backends().broker.link();
    let speech = state.speech.state();
    let speech_is_ready = speech.iter().all(|(_, state)| *state == SpeechState::Ready);
    let (status, code) = match (redis, &link) {
        (true, Link::Up) if speech_is_ready && qdrant != UNAVAILABLE => ("healthy", StatusCode::OK),
        (true, Link::Up) => ("degraded", StatusCode::OK),
        _ => ("unhealthy", StatusCode::SERVICE_UNAVAILABLE),
    };
    let embedded = state.mode == ModeName::Embedded;
    let server = |text: &'static str| if embedded { NOT_CONFIGURED } else { text };
    let body = Health {
        status,
        version: env!("CARGO_PKG_VERSION"),
        mode: state.mode.to_string(),
        redis: server(if redis { "ok" } else { UNAVAILABLE }),
        rabbitmq: server(link_name(&link)),
        qdrant,
        speech: speech_body(&speech),
        timestamp: humantime::format_rfc3339_millis(std::time::SystemTime::now()).to_string(),
    };
    (code, Json(body)).into_response()
}

async fn qdrant_name(probes: &Probes) -> &'static str {
    match &probes.qdrant {
        None => NOT_CONFIGURED,
        Some(qdrant) if qdrant.seen().await => "ok",
        Some(_) => UNAVAILABLE,
    }
}

fn link_name(link: &Link) -> &'static str {
    match link {
        Link::Up => "ok",
        Link::Blocked => "blocked",
        Link::Down => UNAVAILABLE,
        Link::Mismatch(_) => "misconfigured",
    }
}

fn speech_body(states: &[(&'static str, SpeechState)]) -> BTreeMap<&'static str, String> {
    let described = states.iter().map(|(name, state)| {
        let text = match state {
            SpeechState::Ready => "ready".to_owned(),
            SpeechState::OnItsWay(progress) => progress.clone(),
            SpeechState::Failed => "failed: see the log".to_owned(),
        };
        (*name, text)
    });
    described.collect()
}

/// 200 only when a job could be accepted and answered now.
pub async fn ready(State(state): State<AppState>) -> Response {
    let reasons = why_not_ready(&state).await;
    if reasons.is_empty() {
        let status = "ready";
        return Json(Readiness { status, reasons }).into_response();
    }
    let status = "not_ready";
    let body = Json(Readiness { status, reasons });
    let mut response = (StatusCode::SERVICE_UNAVAILABLE, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
    response
}

async fn why_not_ready(state: &AppState) -> Vec<String> {
    let (redis, workers) = tokio::join!(state.probes.redis.seen(), state.probes.workers.seen());
    let mut reasons = Vec::new();
    if !redis {
        reasons.push("redis is unavailable".to_owned());
    }
    match state.gateway.backends().broker.link() {
        Link::Up => {}
        link => reasons.push(format!("rabbitmq is {}", link_name(&link))),
    }
    for (stage, workers) in workers {
        match workers {
            Workers::There => {}
            Workers::Missing => reasons.push(format!("no worker takes jobs of the stage {stage}")),
            Workers::Unknown => reasons.push(format!(
                "the queue of the stage {stage} cannot be looked at"
            )),
        }
    }
    reasons
}

pub fn described() -> PathItem {
    let title = Title {
        id: "getHealth",
        group: Group::Service,
        summary: "How the service is",
        description: "200 unless no job can be accepted at all.",
    };
    let healthy = answers::json(
        "Healthy or degraded.",
        "Health",
        examples::health("healthy"),
    );
    let unhealthy = answers::json("Unhealthy.", "Health", examples::health("unhealthy"));
    title
        .open()
        .answer(200, healthy)
        .answer(503, unhealthy)
        .on(HttpMethod::Get)
}

pub fn readiness_described() -> PathItem {
    let title = Title {
        id: "getReadiness",
        group: Group::Service,
        summary: "Whether a job could be accepted and answered now",
        description: "For load balancers and rolling restarts.",
    };
    let not_ready = answers::json("Not now.", "Readiness", examples::not_ready());
    title
        .open()
        .answer(200, answers::json("Ready.", "Readiness", examples::ready()))
        .answer(503, not_ready.header("Retry-After", answers::retry_after()))
        .on(HttpMethod::Get)
}
