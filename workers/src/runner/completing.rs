//! A stage whose outcome is recorded, on the way to what follows from it.

use common::{
    broker::{Delivery, SettleError},
    envelope::Job,
    reply::{Appended, Event, Run},
    turn::Turn,
};

use super::{Over, Runner, measures, until_there};

impl Runner {
    /// Has the handler store what follows from `turn`, which is recorded.
    pub(super) async fn commit(&self, turn: &Turn, job: &Job) -> Result<(), Over> {
        if !self.handler.commits(job) {
            return Ok(());
        }
        let commit = until_there("what a stage leaves behind", || {
            self.handler.commit(turn, job)
        });
        self.while_under_way(job, commit).await
    }

    /// Ends the job whose last stage is recorded as complete, by `run` if it was in this process.
    pub(super) async fn complete_job(
        &self,
        delivery: Delivery,
        run: Option<&Run>,
        turn: Turn,
    ) -> Result<(), SettleError> {
        let job = &delivery.envelope.job;
        let end = [Event::Completed {
            turn: Box::new(turn),
        }];
        self.free_place(job).await;
        let (replies, id) = (&self.backends.replies, job.correlation_id);
        match until_there("reply log", || replies.append_after(id, run, &end)).await {
            Appended::Recorded => {
                measures::ended(job, "completed");
                self.backends.discard_recording(job).await;
                delivery.ack().await
            }
            why => self.leave_off(why, delivery, None).await,
        }
    }
}
