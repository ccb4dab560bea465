//! `POST /v1/audio`: a spoken question, answered in speech on the same line
//! unless its caller prefers another way.

use std::sync::Arc;

use axum::{extract::State, response::Response};

use super::refuse_until_ready;
use crate::{
    error::Problem,
    gateway::{Caller, Gateway},
    new_turn::AudioTurn,
    state::Speech,
    submission::{Body, Submission},
};

pub async fn post(
    State(gateway): State<Arc<Gateway>>,
    State(speech): State<Arc<dyn Speech>>,
    caller: Caller,
    submission: Submission,
    AudioTurn(turn): AudioTurn,
) -> Result<Response, Problem> {
    refuse_until_ready(speech.as_ref())?;
    submission
        .answer(&gateway, turn, caller, Body::Result)
        .await
}
