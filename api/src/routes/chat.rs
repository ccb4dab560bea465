//! `POST /v1/chat`: a written question, answered on the same line.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};

use super::{events, jobs::hold_the_line};
use crate::{
    accept::Rendering,
    error::Problem,
    gateway::{Caller, Gateway},
    new_turn::ChatTurn,
    state::Heartbeat,
};

pub async fn post(
    State(gateway): State<Arc<Gateway>>,
    State(heartbeat): State<Heartbeat>,
    caller: Caller,
    rendering: Rendering,
    ChatTurn(turn): ChatTurn,
) -> Result<Response, Problem> {
    match rendering {
        Rendering::Json => {
            let result = hold_the_line(&gateway, turn, caller).await?;
            Ok(Json(result).into_response())
        }
        Rendering::Events => events::submit(&gateway, heartbeat, turn, caller).await,
    }
}
