//! How a job ended, and how it is taken up again.

use serde::{Deserialize, Serialize};

use super::{Event, Failure, Record};
use crate::{
    ids::{CorrelationId, MessageId},
    time::UnixMillis,
};

/// Whether an operator may take up again the job that this log tells of to its
/// end: it failed so that it can be, or it expired before anything had come of
/// its last resumption.
pub fn can_be_resumed(log: &[Record]) -> bool {
    let mut last = log.iter().rev().map(|record| &record.event);
    match (last.next(), last.next()) {
        (Some(Event::Failed { error }), _) => error.can_be_resumed(),
        (Some(Event::Expired), Some(Event::Resumed(_))) => true,
        _ => false,
    }
}

/// What is another about a job that goes on after it had failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumption {
    pub deadline: UnixMillis,
    /// The job that tells of its next end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<CorrelationId>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resumed {
    /// It is under way, by this call or since an earlier one; `None` when it
    /// has never been resumed.
    UnderWay(Option<Resumption>),
    /// It ended in a way that is for good: it is complete, called off or expired
    /// under way, or failed by its own input.
    Over,
    /// There is no such log, or it is kept no longer.
    Gone,
}

/// How a job ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// What [`JobLog::fail`](crate::job::log::JobLog::fail) was told, if the job is over by that.
    pub failed_by: Option<FailedBy>,
    /// Its data were erased.
    pub is_erased: bool,
    /// As [`can_be_resumed`] of its log.
    pub can_be_resumed: bool,
}

/// The message by which a job failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedBy {
    pub message: MessageId,
    /// That of the [`Failure`].
    pub code: String,
}

impl FailedBy {
    /// `None` when the job cannot be resumed, and so nothing is put aside.
    pub(crate) fn of(message: &MessageId, failure: &Failure) -> Option<Self> {
        failure.can_be_resumed().then(|| Self {
            message: message.clone(),
            code: failure.code.clone(),
        })
    }
}
