//! `POST /v1/audio`: a spoken question, answered in speech on the same line.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};

use super::{events, jobs::hold_the_line, refuse_until_ready};
use crate::{
    accept::Rendering,
    error::Problem,
    gateway::{Caller, Gateway},
    new_turn::AudioTurn,
    state::{Heartbeat, Speech},
};

pub async fn post(
    State(gateway): State<Arc<Gateway>>,
    State(speech): State<Arc<dyn Speech>>,
    State(heartbeat): State<Heartbeat>,
    caller: Caller,
    rendering: Rendering,
    AudioTurn(turn): AudioTurn,
) -> Result<Response, Problem> {
    refuse_until_ready(speech.as_ref())?;
    match rendering {
        Rendering::Json => {
            let result = hold_the_line(&gateway, turn, caller).await?;
            Ok(Json(result).into_response())
        }
        Rendering::Events => events::submit(&gateway, heartbeat, turn, caller).await,
    }
}
