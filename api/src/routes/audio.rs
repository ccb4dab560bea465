//! `POST /v1/audio`: a spoken question, answered in speech on the same line
//! unless its caller prefers another way.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use utoipa::openapi::{HttpMethod, PathItem, Required};

use super::refuse_until_ready;
use crate::{
    error::Problem,
    gateway::{Caller, Gateway},
    new_turn::AudioTurn,
    openapi::{Group, forms, operation::Title, parameters},
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

pub fn described() -> PathItem {
    let title = Title {
        id: "askAloud",
        group: Group::Questions,
        summary: "Ask in speech",
        description: "Waits for the answer, in writing and in speech, unless another way is preferred. While it streams, the spoken sentences come as events, and the result carries the audio as an address.",
    };
    title
        .submitting()
        .answering_for_a_job()
        .parameter(parameters::conversation_header(Required::True))
        .body(forms::recording())
        .problems(&["missing_conversation_id"])
        .problems(forms::PROBLEMS)
        .problems(&[
            "damaged_audio",
            "audio_too_long",
            "audio_too_costly",
            "no_speech",
        ])
        .on(HttpMethod::Post)
}
