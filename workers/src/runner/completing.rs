//! A stage that is complete: its outcome is recorded, and what follows from it outside of the job.

use common::{
    envelope::Job,
    reply::{Appended, CompletedStage, Event, Run},
    turn::Turn,
};
use tracing::info;

use super::{Account, Over, Runner, in_millis, measures, until_there};

impl Runner {
    /// Records what the stage made, has what follows from it outside of the job be done, and then tells that the stage is
    /// complete, and with it the job when there is an `end`.
    pub(super) async fn complete(
        &self,
        job: &Job,
        run: &Run,
        turn: &Turn,
        end: Option<Event>,
        account: Account,
    ) -> Result<Appended, Over> {
        let Account {
            tidings,
            duration,
            queued,
            ..
        } = account;
        measures::told(job, &tidings);
        measures::stage(self.config.stage, duration, queued);
        info!(
            duration_ms = in_millis(duration),
            queued_ms = in_millis(queued),
            "stage completed"
        );
        let mut events = tidings.events;
        events.extend(self.handler.events(turn));
        let is_complete = Event::StageCompleted {
            stage: self.config.stage,
            duration_ms: in_millis(duration),
            queued_ms: in_millis(queued),
        };
        let mut completed = CompletedStage {
            stage: self.config.stage,
            run,
            turn,
            withheld: None,
        };
        if self.handler.commits(job) {
            completed.withheld = Some(is_complete);
            return match self.record(job, &events, &completed).await {
                Appended::Recorded => self.commit_and_release(job, Some(run), turn, end).await,
                why => Ok(why),
            };
        }
        events.push(is_complete);
        let freed = self.free_slot_at(job, end.is_some());
        events.extend(end);
        // In this order: who hears of the end may ask for the next job.
        let ((), appended) = tokio::join!(freed, self.record(job, &events, &completed));
        Ok(appended)
    }

    async fn record(
        &self,
        job: &Job,
        events: &[Event],
        completed: &CompletedStage<'_>,
    ) -> Appended {
        let replies = &self.backends.replies;
        until_there("reply log", || {
            replies.complete_stage(job.correlation_id, events, completed)
        })
        .await
    }

    /// Has the handler store what follows from `turn`, which is recorded by `run`, or was before. Then tells of it.
    pub(super) async fn commit_and_release(
        &self,
        job: &Job,
        run: Option<&Run>,
        turn: &Turn,
        end: Option<Event>,
    ) -> Result<Appended, Over> {
        if !self.handler.commits(job) && end.is_none() {
            return Ok(Appended::Recorded);
        }
        if self.handler.commits(job) {
            let commit = until_there("what a stage leaves behind", || {
                self.handler.commit(turn, job)
            });
            self.while_under_way(job, commit).await?;
        }
        self.free_slot_at(job, end.is_some()).await;
        let last: Vec<_> = end.into_iter().collect();
        let (replies, id) = (&self.backends.replies, job.correlation_id);
        let released = until_there("reply log", || {
            replies.release_stage(id, self.config.stage, run, &last)
        });
        Ok(released.await)
    }

    async fn free_slot_at(&self, job: &Job, ends: bool) {
        if ends {
            self.backends.free_slot(job).await;
        }
    }
}
