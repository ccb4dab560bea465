//! `/v1/jobs`: submit now, ask later.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Query, State},
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use common::pipeline::Route;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{JobId, events, refuse_until_ready};
use crate::{
    accept::Rendering,
    error::Problem,
    gateway::{Caller, Gateway, NewTurn},
    job::{JobView, Outcome, Status},
    new_turn::AnyTurn,
    render,
    state::{Heartbeat, Speech},
};

/// Beyond a job's deadline: for its last event to arrive.
const SLACK: Duration = Duration::from_secs(2);

/// The longest that a poll is held.
const LONGEST_POLL: u64 = 60;

type Accepted = (StatusCode, [(HeaderName, String); 2], Json<Value>);

pub async fn post(
    State(gateway): State<Arc<Gateway>>,
    State(speech): State<Arc<dyn Speech>>,
    State(heartbeat): State<Heartbeat>,
    caller: Caller,
    rendering: Rendering,
    AnyTurn(turn): AnyTurn,
) -> Result<Response, Problem> {
    if turn.route == Route::Voice {
        refuse_until_ready(speech.as_ref())?;
    }
    match rendering {
        Rendering::Json => Ok(accept(&gateway, turn, caller).await?.into_response()),
        Rendering::Events => events::submit(&gateway, heartbeat, turn, caller).await,
    }
}

async fn accept(gateway: &Gateway, turn: NewTurn, caller: Caller) -> Result<Accepted, Problem> {
    let conversation_id = turn.conversation_id.clone();
    let id = gateway.submit(turn, caller).await?;
    let headers = [
        (header::LOCATION, render::job_path(id)),
        (header::RETRY_AFTER, "1".to_owned()),
    ];
    let body = json!({
        "job_id": id,
        "status": Status::Queued,
        "conversation_id": conversation_id,
    });
    Ok((StatusCode::ACCEPTED, headers, Json(body)))
}

#[derive(Deserialize)]
pub struct Poll {
    wait: Option<String>,
}

pub async fn get(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    JobId(id): JobId,
    Query(poll): Query<Poll>,
) -> Result<Json<Value>, Problem> {
    let view = match poll.patience()? {
        Duration::ZERO => gateway.look(&caller.tenant, id).await?,
        patience => {
            // Only a job that exists is worth waiting for.
            gateway
                .look(&caller.tenant, id)
                .await?
                .ok_or_else(Problem::unknown_job)?;
            gateway.wait(&caller.tenant, id, patience).await?
        }
    };
    let view = view.ok_or_else(Problem::unknown_job)?;
    let speech = speech_for(&gateway, &view).await?;
    Ok(Json(render::job(&view, speech.as_ref())))
}

impl Poll {
    fn patience(&self) -> Result<Duration, Problem> {
        let Some(text) = &self.wait else {
            return Ok(Duration::ZERO);
        };
        match text.parse::<u64>() {
            Ok(seconds) => Ok(Duration::from_secs(seconds.min(LONGEST_POLL))),
            Err(_) => Err(Problem::malformed(
                "invalid_wait",
                "The parameter wait must be a whole number of seconds.",
            )),
        }
    }
}

/// Submits and waits for the end: the way of the synchronous routes.
pub async fn hold_the_line(
    gateway: &Gateway,
    turn: NewTurn,
    caller: Caller,
) -> Result<Value, Problem> {
    let tenant = caller.tenant.clone();
    let id = gateway.submit(turn, caller).await?;
    let patience = gateway.deadline() + SLACK;
    let view = gateway.wait(&tenant, id, patience).await?;
    let view = view.ok_or_else(|| Problem::still_running(id))?;
    match &view.outcome {
        Some(Outcome::Succeeded(turn)) => {
            let speech = speech_for(gateway, &view).await?;
            Ok(render::result(&view, turn, speech.as_ref()))
        }
        Some(Outcome::Failed(failure)) => Err(Problem::failed(id, failure)),
        Some(Outcome::Cancelled) => Err(Problem::cancelled(id)),
        Some(Outcome::Expired) => Err(Problem::expired(id)),
        None => Err(Problem::still_running(id)),
    }
}

/// The WAV, where the result carries it and it is still kept.
async fn speech_for(gateway: &Gateway, view: &JobView) -> Result<Option<Bytes>, Problem> {
    let Some(Outcome::Succeeded(turn)) = &view.outcome else {
        return Ok(None);
    };
    match &turn.speech {
        Some(speech) if render::needs_speech(view) => Ok(gateway.redeem(&speech.ticket).await?),
        _ => Ok(None),
    }
}
