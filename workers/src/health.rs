//! `GET /ready` of a worker process, for the orchestrator's probes: 200 while
//! every stage consumes, else 503. Consuming is health: a process that runs and
//! takes no messages is of no use.

use std::{net::IpAddr, sync::Arc};

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use common::config::{ConfigError, Environment};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::pool::{MemberState, Pool};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthConfig {
    pub host: IpAddr,
    pub port: u16,
}

impl HealthConfig {
    /// `None` when no `HEALTH_PORT` is set.
    pub fn from_environment(env: &Environment) -> Result<Option<Self>, ConfigError> {
        let Some(port) = env.parsed("HEALTH_PORT", "a port number from 1 to 65535")? else {
            return Ok(None);
        };
        let host = env
            .parsed("HOST", "an IP address such as 127.0.0.1 or 0.0.0.0")?
            .unwrap_or(IpAddr::from([127, 0, 0, 1]));
        Ok(Some(Self { host, port }))
    }
}

pub async fn serve(listener: TcpListener, pool: Arc<Pool>) -> std::io::Result<()> {
    let app = Router::new().route("/ready", get(ready)).with_state(pool);
    axum::serve(listener, app).await
}

async fn ready(State(pool): State<Arc<Pool>>) -> (StatusCode, Json<Value>) {
    let states = pool.states();
    let all = states
        .iter()
        .all(|(_, state)| *state == MemberState::Consuming);
    let code = if all {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let stages: serde_json::Map<_, _> = states
        .into_iter()
        .map(|(stage, state)| (stage.to_string(), word(&state).into()))
        .collect();
    let status = if all { "ready" } else { "not_ready" };
    (code, Json(json!({"status": status, "stages": stages})))
}

fn word(state: &MemberState) -> &'static str {
    match state {
        MemberState::Preparing => "preparing",
        MemberState::Consuming => "consuming",
        MemberState::Disconnected => "disconnected",
        MemberState::Failed(_) => "failed",
    }
}
