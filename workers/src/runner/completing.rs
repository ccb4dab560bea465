//! A stage that is complete: its outcome is recorded, and what follows from it outside of the job.

use common::{
    broker::{Delivery, SettleError},
    envelope::Job,
    reply::{Appended, CompletedStage, Event, Run},
    turn::Turn,
};
use tracing::info;

use super::{Account, Over, Runner, in_millis, measures, until_there};

impl Runner {
    pub(super) async fn record_completion(
        &self,
        job: &Job,
        turn: &Turn,
        last: Option<Event>,
        account: Account,
    ) -> Appended {
        let Account {
            run,
            tidings,
            duration,
            queued,
        } = account;
        measures::first_token(job, &tidings);
        measures::stage(self.config.stage, duration, queued);
        let mut events = tidings.events;
        events.extend(self.handler.events(turn));
        events.push(Event::StageCompleted {
            stage: self.config.stage,
            duration_ms: in_millis(duration),
            queued_ms: in_millis(queued),
        });
        let ends = last.is_some();
        events.extend(last);
        let completed = CompletedStage {
            stage: self.config.stage,
            run: run.as_ref(),
            turn,
        };
        let freed = async {
            if ends {
                self.free_place(job).await;
            }
        };
        let replies = &self.backends.replies;
        let recorded = until_there("reply log", || {
            replies.complete_stage(job.correlation_id, &events, &completed)
        });
        // In this order: who hears of the end may ask for the next job.
        let ((), appended) = tokio::join!(freed, recorded);
        info!(
            duration_ms = in_millis(duration),
            queued_ms = in_millis(queued),
            "stage completed"
        );
        appended
    }

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
