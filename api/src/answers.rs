//! What is said of a job, with the speech that belongs to it.

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde::Serialize;

use crate::{
    byte_budget::{Hold, SHORT_WAIT, TenantBytes},
    error::Problem,
    gateway::Gateway,
    job::{JobView, Outcome},
    render::{
        self,
        bodies::{Audio, JobDocument, JobResult},
    },
};

/// Bytes of an answer beside its audio, mostly fewer.
const TEXT: usize = 16 * 1024;

/// A body in JSON, whose bytes are counted until they are sent.
pub struct Answer<T> {
    body: T,
    hold: Hold,
}

/// The job itself, for somebody who polls, unless its data were erased.
pub async fn document(
    gateway: &Gateway,
    view: &JobView,
    budget: &TenantBytes,
) -> Result<Answer<JobDocument>, Problem> {
    if view.outcome == Some(Outcome::Erased) {
        return Err(Problem::erased(view.job.correlation_id));
    }
    let (speech, hold) = speech_for(gateway, view, budget).await?;
    let body = render::job(view, speech.as_ref());
    Ok(Answer { body, hold })
}

/// The result of a job that succeeded, or the problem that it ended with.
pub async fn result(
    gateway: &Gateway,
    view: &JobView,
    budget: &TenantBytes,
) -> Result<Answer<JobResult>, Problem> {
    let id = view.job.correlation_id;
    match &view.outcome {
        Some(Outcome::Succeeded(turn)) => {
            let (speech, hold) = speech_for(gateway, view, budget).await?;
            let body = render::result(view, turn, speech.as_ref());
            Ok(Answer { body, hold })
        }
        Some(Outcome::Failed(failure)) => Err(Problem::failed(id, failure)),
        Some(Outcome::Cancelled) => Err(Problem::cancelled(id)),
        Some(Outcome::Expired) => Err(Problem::expired(id)),
        Some(Outcome::Erased) => Err(Problem::erased(id)),
        None => Err(Problem::still_running(id)),
    }
}

/// The WAV, where the result carries it and it is still kept, and room for it and
/// for the answer that it is written into.
async fn speech_for(
    gateway: &Gateway,
    view: &JobView,
    budget: &TenantBytes,
) -> Result<(Option<Bytes>, Hold), Problem> {
    let id = view.job.correlation_id;
    let ticket = match &view.outcome {
        Some(Outcome::Succeeded(turn)) if render::needs_speech(view) => {
            turn.speech.as_ref().map(|speech| &speech.ticket)
        }
        _ => None,
    };
    // An answer in writing alone is short, and waits for no room.
    let Some(ticket) = ticket else {
        return Ok((None, budget.nothing()));
    };
    let hold = budget.take(TEXT + room_for(ticket.bytes), SHORT_WAIT);
    let hold = hold.await.map_err(|full| Problem::from(full).of_job(id))?;
    let redeemed = gateway.redeem(ticket).await;
    let speech = redeemed.map_err(|error| Problem::from(error).of_job(id))?;
    Ok((speech, hold))
}

/// Of audio of so many bytes, and of its text.
pub fn room_for(audio: u64) -> usize {
    let both = audio.saturating_add(Audio::encoded_length(audio));
    usize::try_from(both).unwrap_or(usize::MAX)
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let Self { body, mut hold } = self;
        let mut json = Vec::new();
        if serde_json::to_writer(&mut json, &body).is_err() {
            return Problem::internal().into_response();
        }
        drop(body);
        json.shrink_to_fit();
        hold.shrink_to(json.len());
        let media_type = HeaderValue::from_static("application/json");
        let body = Body::from(hold.attach(json.into()));
        ([(header::CONTENT_TYPE, media_type)], body).into_response()
    }
}
