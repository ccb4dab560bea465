//! What is counted and timed of jobs, under the names that Prometheus asks for:
//! base units, and `_total` for counts.

use std::time::Duration;

use common::{envelope::Job, pipeline::Stage, reply::Event, time::UnixMillis};
use metrics::{counter, histogram};

use crate::telling::Tidings;

/// `itb_first_token_seconds{route}` and `itb_first_audio_seconds{route}`: from
/// acceptance to the first piece of the answer, and to its first sentence as
/// speech, in the log, time in queues included.
pub fn told(job: &Job, tidings: &Tidings) {
    let route = || job.route.to_string();
    if tidings.begins {
        histogram!("itb_first_token_seconds", "route" => route()).record(since_acceptance(job));
    }
    let is_first = |event: &Event| matches!(event, Event::AudioDelta { n: 1, .. });
    if tidings.events.iter().any(is_first) {
        histogram!("itb_first_audio_seconds", "route" => route()).record(since_acceptance(job));
    }
}

/// `itb_stage_duration_seconds{stage}` and `itb_stage_queue_seconds{stage}`: of
/// stages that were completed.
pub fn stage(stage: Stage, duration: Duration, queued: Duration) {
    let stage = stage.to_string();
    histogram!("itb_stage_duration_seconds", "stage" => stage.clone()).record(duration);
    histogram!("itb_stage_queue_seconds", "stage" => stage).record(queued);
}

/// `itb_jobs_total{route,outcome}`: jobs that ended here.
pub fn ended(job: &Job, outcome: &'static str) {
    counter!("itb_jobs_total", "route" => job.route.to_string(), "outcome" => outcome).increment(1);
}

/// `itb_stage_failures_total{stage,code}`: tries that failed.
pub fn failed(stage: Stage, code: &'static str) {
    counter!("itb_stage_failures_total", "stage" => stage.to_string(), "code" => code).increment(1);
}

fn since_acceptance(job: &Job) -> Duration {
    UnixMillis::now().since(job.accepted_at)
}
