//! `POST /v1/chat`: a written question, answered on the same line.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde_json::Value;

use super::jobs::hold_the_line;
use crate::{
    error::Problem,
    gateway::{Caller, Gateway},
    new_turn::ChatTurn,
};

pub async fn post(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    ChatTurn(turn): ChatTurn,
) -> Result<Json<Value>, Problem> {
    hold_the_line(&gateway, turn, caller).await.map(Json)
}
