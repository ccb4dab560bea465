//! `POST /v1/chat`: a written question, answered on the same line unless its
//! caller prefers another way.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use utoipa::openapi::{HttpMethod, PathItem, Required};

use crate::{
    error::Problem,
    gateway::{Caller, Gateway},
    new_turn::ChatTurn,
    openapi::{Group, forms, operation::Title, parameters},
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

pub fn described() -> PathItem {
    let title = Title {
        id: "chat",
        group: Group::Questions,
        summary: "Ask in writing",
        description: "Waits for the answer, unless another way is preferred. `Prefer: wait=N` is also the time that the job has, unless `timeout` says otherwise.",
    };
    title
        .submitting()
        .answering_for_a_job()
        .parameter(parameters::conversation_header(Required::True))
        .body(forms::question())
        .problems(&[
            "missing_conversation_id",
            "invalid_json",
            "not_json",
            "empty_message",
            "control_character",
            "message_too_long",
        ])
        .on(HttpMethod::Post)
}
