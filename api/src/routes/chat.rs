//! `POST /v1/chat`: a written question, answered on the same line unless its
//! caller prefers another way.

use std::sync::Arc;

use axum::{extract::State, response::Response};

use crate::{
    error::Problem,
    gateway::{Caller, Gateway},
    new_turn::ChatTurn,
    submission::{Body, Submission},
};

pub async fn post(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    submission: Submission,
    ChatTurn(turn): ChatTurn,
) -> Result<Response, Problem> {
    submission
        .answer(&gateway, turn, caller, Body::Result)
        .await
}
