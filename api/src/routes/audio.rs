//! `POST /v1/audio`: a spoken question, answered in speech on the same line.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde_json::Value;

use super::{jobs::hold_the_line, refuse_until_ready};
use crate::{
    error::Problem,
    gateway::{Caller, Gateway},
    new_turn::AudioTurn,
    state::Speech,
};

pub async fn post(
    State(gateway): State<Arc<Gateway>>,
    State(speech): State<Arc<dyn Speech>>,
    caller: Caller,
    AudioTurn(turn): AudioTurn,
) -> Result<Json<Value>, Problem> {
    refuse_until_ready(speech.as_ref())?;
    hold_the_line(&gateway, turn, caller).await.map(Json)
}
