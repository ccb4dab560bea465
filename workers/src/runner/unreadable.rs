//! Messages that cannot be read. Nobody here can work on their jobs, so these
//! fail at once where the message tells which they are; another version may
//! resume them.

use common::{
    broker::{DeadLetterReason, Unreadable},
    claim_check::Ticket,
    ids::{CorrelationId, MessageId},
    job::JobView,
    reply::{Appended, Failure, FailureKind},
};
use tracing::{error, warn};

use super::{Runner, measures, readable, until_there};
use crate::handler::OUR_DEFECT;

impl Runner {
    pub(super) async fn give_up(&self, unreadable: Unreadable) {
        let reason = unreadable.reason.clone();
        if let Some(id) = unreadable.job {
            self.fail_unread(id, &reason).await;
            self.keep_recording(&Ticket::of_input(id)).await;
        }
        error!(
            stage = %self.config.stage,
            correlation_id = unreadable.job.map(tracing::field::display),
            code = reason.code,
            detail = reason.detail,
            "a message that cannot be read is put aside"
        );
        let job = unreadable.job;
        if let Err(error) = unreadable.put_aside().await {
            warn!(stage = %self.config.stage, %error, "it could not be put aside; it will come again");
        } else if let Some(id) = job {
            self.sweep_if_erased(id).await;
        }
    }

    async fn fail_unread(&self, id: CorrelationId, reason: &DeadLetterReason) {
        let replies = &self.backends.replies;
        let read = async || readable(replies.read(id, 0).await);
        let records = until_there("reply log", read).await.unwrap_or_default();
        // Without a log that can be read there is nothing to tell here.
        let Some(JobView { job, .. }) = JobView::of(&records) else {
            return;
        };
        let message = MessageId::of(id, self.config.stage);
        let failure = Failure {
            code: reason.code.clone(),
            message: OUR_DEFECT.into(),
            kind: FailureKind::Internal,
            stage: Some(self.config.stage),
        };
        self.backends.free_slot(&job).await;
        let fail = async || readable(replies.fail(&job, &message, None, &failure).await);
        if until_there("reply log", fail).await == Some(Appended::Recorded) {
            measures::ended(&job, "failed");
            self.after_end(&job).await;
        } else {
            self.after_end_by_another(&job).await;
        }
    }
}
