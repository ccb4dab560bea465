//! One call, for telling of its failure.

use std::{sync::Arc, time::Duration};

use super::{censor::Censor, complaint::Complaint};
use crate::{handler::StageError, providers::failure};

/// Whom was asked, and what must not be told of it.
pub(super) struct Call {
    pub(super) name: Arc<str>,
    pub(super) censor: Censor,
    /// How long the answer's header asks to be left alone.
    pub(super) retry_after: Option<Duration>,
}

impl Call {
    /// The answer cannot be understood.
    pub(super) fn unexpected(&self, reason: impl std::fmt::Display) -> StageError {
        failure::unexpected(&self.name, reason)
    }

    /// The answer has `status`, and perhaps says why.
    pub(super) fn failed(&self, status: u16, complaint: Option<&Complaint>) -> StageError {
        let status = match complaint {
            Some(complaint) if complaint.is_overlong() => complaint.status,
            _ => status,
        };
        let error = failure::of_status(&self.name, status, self.retry_after);
        let reason = complaint.and_then(|complaint| self.censor.excerpt(&complaint.message));
        match reason {
            Some(reason) => because(error, &reason),
            None => error,
        }
    }

    /// The answer looks like a success, and is an error.
    pub(super) fn complained(&self, complaint: &Complaint) -> StageError {
        self.failed(complaint.status, Some(complaint))
    }
}

fn because(mut error: StageError, reason: &str) -> StageError {
    let (StageError::Transient { detail, .. } | StageError::Permanent { detail, .. }) = &mut error;
    detail.push_str(": ");
    detail.push_str(reason);
    error
}
