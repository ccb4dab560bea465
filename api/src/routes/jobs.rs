//! `/v1/jobs`: submit now, ask later, or call it off.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Query, State},
    response::Response,
};
use common::pipeline::Route;
use serde::Deserialize;
use serde_json::Value;

use super::{JobId, refuse_until_ready};
use crate::{
    answers,
    error::Problem,
    gateway::{Caller, Gateway},
    new_turn::AnyTurn,
    state::Speech,
    submission::{Body, Submission},
};

/// The longest that a poll is held.
const LONGEST_POLL: u64 = 60;

pub async fn post(
    State(gateway): State<Arc<Gateway>>,
    State(speech): State<Arc<dyn Speech>>,
    caller: Caller,
    submission: Submission,
    AnyTurn(turn): AnyTurn,
) -> Result<Response, Problem> {
    if turn.route == Route::Voice {
        refuse_until_ready(speech.as_ref())?;
    }
    submission.answer(&gateway, turn, caller, Body::Job).await
}

/// `DELETE /v1/jobs/{id}`: ends the job, and shows it as it then is. The same
/// for one that is over: what was asked for holds.
pub async fn cancel(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    JobId(id): JobId,
) -> Result<Json<Value>, Problem> {
    let view = gateway.cancel(&caller.tenant, id).await?;
    let view = view.ok_or_else(Problem::unknown_job)?;
    answers::document(&gateway, &view).await.map(Json)
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
    answers::document(&gateway, &view).await.map(Json)
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
