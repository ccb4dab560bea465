//! `/v1/jobs`: submit now, ask later, or call it off.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{FromRequestParts, Query, State},
    http::{StatusCode, request::Parts},
    response::Response,
};
use common::pipeline::Route;
use serde::Deserialize;
use utoipa::openapi::{HttpMethod, PathItem, Required};

use super::{JobId, refuse_until_ready};
use crate::{
    answers::{self, Answer},
    byte_budget::TenantBytes,
    error::Problem,
    gateway::{Caller, Gateway},
    new_turn::AnyTurn,
    openapi::{
        Group, answers as describe, forms,
        operation::{HOLDING_BYTES, Title},
        parameters,
    },
    render::bodies::JobDocument,
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
    bytes: TenantBytes,
    JobId(id): JobId,
) -> Result<Answer<JobDocument>, Problem> {
    let view = gateway.cancel(&caller.tenant, id).await?;
    let view = view.ok_or_else(Problem::unknown_job)?;
    answers::document(&gateway, &view, &bytes).await
}

/// `DELETE /v1/jobs/{id}/data`: 204 also when its data were erased before.
pub async fn erase(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    JobId(id): JobId,
) -> Result<StatusCode, Problem> {
    match gateway.erase(caller.tenant, id).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::unknown_job()),
    }
}

/// How long a poll is held.
pub struct Poll(Duration);

#[derive(Deserialize)]
struct Waiting {
    wait: Option<String>,
}

pub async fn get(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    bytes: TenantBytes,
    JobId(id): JobId,
    Poll(patience): Poll,
) -> Result<Answer<JobDocument>, Problem> {
    let view = match patience {
        Duration::ZERO => gateway.look(&caller.tenant, id).await?,
        patience => {
            // Only a job that exists is worth waiting for.
            gateway
                .look(&caller.tenant, id)
                .await?
                .ok_or_else(Problem::unknown_job)?;
            gateway.wait(&caller.tenant, id, None, patience).await?
        }
    };
    let view = view.ok_or_else(Problem::unknown_job)?;
    answers::document(&gateway, &view, &bytes).await
}

impl<S: Send + Sync> FromRequestParts<S> for Poll {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<Waiting>::from_request_parts(parts, state).await;
        match query.map_err(|_| invalid_wait())?.0.wait {
            Some(text) => Self::parse(&text),
            None => Ok(Self(Duration::ZERO)),
        }
    }
}

impl Poll {
    /// Digits alone; so many that they are no number are a long time all the
    /// same.
    fn parse(text: &str) -> Result<Self, Problem> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid_wait());
        }
        let seconds = text.parse().unwrap_or(u64::MAX).min(LONGEST_POLL);
        Ok(Self(Duration::from_secs(seconds)))
    }
}

fn invalid_wait() -> Problem {
    Problem::malformed(
        "invalid_wait",
        "The parameter wait must be a whole number of seconds, once.",
    )
}

pub fn described() -> PathItem {
    let title = Title {
        id: "submitJob",
        group: Group::Jobs,
        summary: "Submit a job",
        description: "A question in writing (JSON) or in speech (a form with `kind=audio`). Answers at once, unless `Prefer: wait=N` waits for its end.",
    };
    title
        .submitting()
        .answer(200, describe::finished_job())
        .problems(&["job_erased"])
        .parameter(parameters::conversation_header(Required::False))
        .body(forms::job())
        .problems(&[
            "invalid_json",
            "not_json",
            "empty_message",
            "control_character",
            "message_too_long",
            "unknown_kind",
        ])
        .problems(forms::PROBLEMS)
        .on(HttpMethod::Post)
}

pub fn one_described() -> PathItem {
    let look = Title {
        id: "getJob",
        group: Group::Jobs,
        summary: "See how a job is",
        description: "With `wait`, holds the line until the job's end.",
    };
    let cancel = Title {
        id: "cancelJob",
        group: Group::Jobs,
        summary: "Call a job off",
        description: "Ends the job, also the stage at work, and shows it as it then is. One that is over stays as it is.",
    };
    let mut item = look
        .keyed()
        .parameter(parameters::job_id())
        .parameter(parameters::wait())
        .answer(200, describe::job())
        .problems(&["invalid_wait", "unknown_job", "job_erased"])
        .problems(&HOLDING_BYTES)
        .on(HttpMethod::Get);
    let cancel = cancel
        .keyed()
        .parameter(parameters::job_id())
        .answer(200, describe::job())
        .problems(&["unknown_job", "job_erased"])
        .problems(&HOLDING_BYTES);
    item.merge_operations(cancel.on(HttpMethod::Delete));
    item
}

pub fn data_described() -> PathItem {
    let erase = Title {
        id: "eraseJob",
        group: Group::Jobs,
        summary: "Erase the data of a job",
        description: "Erases the question, the transcript, the answer and all audio, the job's turn in its conversation, and the message of a job that failed. Cancels the job first if it is still running; its `callback_url` is told nothing more. From then on the job is 410 for as long as it would have been kept. Succeeds as well when its data were erased before.",
    };
    erase
        .keyed()
        .parameter(parameters::job_id())
        .answer(204, describe::empty("No data of the job are left."))
        .problems(&["unknown_job"])
        .on(HttpMethod::Delete)
}
