//! `POST /v1/jobs/{id}/feedback`: what people say of an answer.

use std::sync::Arc;

use axum::{
    extract::{FromRequest, Request, State},
    http::StatusCode,
};
use common::feedback::{Feedback, LONGEST_COMMENT, Rating};
use serde::Deserialize;
use utoipa::{
    ToSchema,
    openapi::{HttpMethod, PathItem},
};

use super::JobId;
use crate::{
    error::Problem,
    gateway::{Caller, Gateway},
    new_turn::json,
    openapi::{
        Group, answers as describe, forms,
        operation::{HOLDING_BYTES, Title},
        parameters,
    },
};

/// What is said of an answer.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Feedback)]
pub struct FeedbackBody {
    rating: Rating,
    /// Up to 2,000 characters, plain text.
    #[schema(max_length = 2_000, example = "Biaya asramanya tidak disebut.")]
    comment: Option<String>,
}

impl<S: Send + Sync> FromRequest<S> for FeedbackBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let body: Self = json(request).await?;
        let length = body.comment.as_deref().unwrap_or_default().chars().count();
        match length <= LONGEST_COMMENT {
            true => Ok(body),
            false => Err(Problem::unprocessable(
                "invalid_field",
                "The field comment must have 2,000 characters at most.",
            )),
        }
    }
}

/// The last one said of a job counts.
pub async fn post(
    State(gateway): State<Arc<Gateway>>,
    caller: Caller,
    JobId(id): JobId,
    body: FeedbackBody,
) -> Result<StatusCode, Problem> {
    let comment = body.comment.map(|it| it.trim().to_owned());
    let feedback = Feedback {
        rating: body.rating,
        comment: comment.filter(|it| !it.is_empty()),
        at: common::time::UnixMillis::now(),
    };
    match gateway.keep_feedback(&caller.tenant, id, &feedback).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::unknown_job()),
    }
}

pub fn described() -> PathItem {
    let title = Title {
        id: "giveFeedback",
        group: Group::Jobs,
        summary: "Say how an answer was",
        description: "Kept with the job, and erased with it. One that is given again takes the place of the one before. `itb-ops feedback` lists them.",
    };
    title
        .keyed()
        .parameter(parameters::job_id())
        .body(forms::feedback())
        .answer(204, describe::empty("It is kept."))
        .problems(&[
            "unknown_job",
            "job_erased",
            "invalid_json",
            "not_json",
            "invalid_field",
            "too_large",
            "body_too_slow",
            "incomplete_body",
            "unsupported_encoding",
        ])
        .problems(&HOLDING_BYTES)
        .on(HttpMethod::Post)
}
