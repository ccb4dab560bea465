//! Waiting for the end of a job.
//!
//! To wait here is prompt but keeps a place in which another could be told of
//! its end: so it ends soon, and the job that watches is put back.

use std::time::Duration;

use common::{
    callback,
    envelope::Job,
    ids::CorrelationId,
    job::JobView,
    job::log::JobLog,
    reply::{Appended, Record, ReplyError},
    time::UnixMillis,
};
use futures::StreamExt as _;
use tokio::time::timeout;

/// The longest wait of one visit.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// A job that has no log after its deadline and this time has been forgotten.
/// Before, one that the store has lost may be begun again by its message.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// Whether the job that `job` watches is over, now or within a short wait, or
/// will never be.
pub async fn is_over(replies: &JobLog, job: &Job) -> Result<bool, ReplyError> {
    let Some(watched) = job.callback_of else {
        return Ok(true);
    };
    let records = replies.read(watched, 0).await?;
    if JobView::at_end_told_by(&records, job.correlation_id).is_some() {
        return Ok(true);
    }
    let now = UnixMillis::now();
    match JobView::of(&records) {
        None => Ok(now >= forgotten_from(job)),
        Some(view) if view.is_overdue(now) => {
            // No worker was there to notice, and nobody may ever ask.
            Ok(replies.expire(&view.job).await? != Appended::Void)
        }
        // Another tells of this end: the one that this tells of never came.
        Some(view) if view.outcome.is_some() => Ok(true),
        Some(_) => Ok(ends_soon(replies, watched, &records).await),
    }
}

fn forgotten_from(watching: &Job) -> UnixMillis {
    callback::deadline_of_watched(watching).after(FORGOTTEN)
}

async fn ends_soon(replies: &JobLog, job: CorrelationId, records: &[Record]) -> bool {
    let cursor = records.last().map_or(0, |record| record.sequence_number);
    let news = replies.follow(job, cursor);
    let ends = news.filter(|news| {
        let ends = matches!(news, Ok(record) if record.event.is_terminal());
        std::future::ready(ends)
    });
    let mut ends = std::pin::pin!(ends);
    matches!(timeout(LONGEST_WAIT, ends.next()).await, Ok(Some(_)))
}

#[cfg(test)]
mod tests {
    use common::{pipeline::Route, reply::Event, testing::fixtures, time::whole_millis};

    use super::*;

    /// A job of this route, and the one that tells of its end.
    fn watched(route: Route) -> (Job, Job) {
        let mut watched = fixtures::job(route);
        let watching = Job {
            callback_of: Some(watched.correlation_id),
            ..fixtures::job(Route::Webhook)
        };
        watched.callback = Some(watching.correlation_id);
        (watched, watching)
    }

    #[tokio::test]
    async fn an_end_is_noticed_and_waited_for_a_short_while() {
        let replies = fixtures::job_log();
        let (watched, job) = watched(Route::Text);
        replies.open(&watched).await.unwrap();
        assert_eq!(is_over(&replies, &job).await, Ok(false));
        let end = async {
            let end = [Event::Cancelled];
            replies.append(watched.correlation_id, &end).await.unwrap();
        };
        let (over, ()) = tokio::join!(is_over(&replies, &job), end);
        assert_eq!(over, Ok(true));
        assert_eq!(is_over(&replies, &job).await, Ok(true));
    }

    #[tokio::test]
    async fn a_job_that_nobody_ends_is_ended_here() {
        let replies = fixtures::job_log();
        let (mut watched, job) = watched(Route::Text);
        watched.deadline = UnixMillis(UnixMillis::now().0 - 2_000);
        replies.open(&watched).await.unwrap();
        assert_eq!(is_over(&replies, &job).await, Ok(true));
        let records = replies.read(watched.correlation_id, 0).await.unwrap();
        assert_eq!(records.last().unwrap().event, Event::Expired);
    }

    #[tokio::test]
    async fn a_job_without_a_log_is_given_its_time_and_a_minute() {
        let replies = fixtures::job_log();
        let (watched, mut job) = watched(Route::Text);
        job.deadline = watched.deadline.after(callback::TIME_TO_TELL);
        assert_eq!(is_over(&replies, &job).await, Ok(false));
        let age = watched.deadline.since(UnixMillis::now()) + FORGOTTEN;
        job.deadline = UnixMillis(job.deadline.0 - whole_millis(age) - 1);
        assert_eq!(is_over(&replies, &job).await, Ok(true));
    }

    #[tokio::test]
    async fn who_tells_of_an_end_that_never_came_has_nothing_to_wait_for() {
        let replies = fixtures::job_log();
        let (watched, mut job) = watched(Route::Text);
        job.correlation_id = CorrelationId::new();
        replies.open(&watched).await.unwrap();
        let end = [Event::Cancelled];
        replies.append(watched.correlation_id, &end).await.unwrap();
        assert_eq!(is_over(&replies, &job).await, Ok(true));
    }
}
