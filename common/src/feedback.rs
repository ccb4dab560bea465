//! What people say of an answer. It is kept beside the audio of its job, for as long as a job is kept, and erased with it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    backends::Backends,
    claim_check::{ClaimError, Item, Ticket},
    ids::CorrelationId,
    time::UnixMillis,
};

/// Characters of a comment.
pub const LONGEST_COMMENT: usize = 2_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, strum::Display)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Rating {
    Good,
    Bad,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feedback {
    pub rating: Rating,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    pub at: UnixMillis,
}

impl Backends {
    /// Keeps `feedback` on job `id` for `keep`, in the place of an earlier one; [`ClaimError::Gone`] when the job is erased.
    pub async fn keep_feedback(
        &self,
        id: CorrelationId,
        feedback: &Feedback,
        keep: Duration,
    ) -> Result<(), ClaimError> {
        let bytes = serde_json::to_vec(feedback).expect("it holds nothing that JSON cannot");
        let kept = self.claims.check_in(id, Item::Feedback, bytes.into(), keep);
        kept.await.map(|_| ())
    }

    /// What was said of job `id`; `None` also for what another version wrote.
    pub async fn feedback_on(&self, id: CorrelationId) -> Result<Option<Feedback>, ClaimError> {
        match self.claims.redeem(&Ticket::of_feedback(id)).await {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(ClaimError::Gone) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
