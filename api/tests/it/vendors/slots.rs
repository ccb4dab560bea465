//! How many calls of vendors a process makes at the same time.

use std::time::Duration;

use serde_json::Value;

use super::{
    in_each_mode, prosa,
    running::{Mode, Running, Vendors, result},
};
use crate::deployment::{eventually, form};

/// Submits a recording; the address of its job.
async fn submit(running: &Running) -> String {
    let form = form(prosa::recording()).text("kind", "audio");
    let request = running.deployment.post("/v1/jobs").multipart(form);
    let accepted: Value = request.send().await.unwrap().json().await.unwrap();
    format!("/v1/jobs/{}", accepted["job_id"].as_str().unwrap())
}

/// More than this machine has processors for.
fn many() -> usize {
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    (2 * processors + 4).min(24)
}

async fn calls_that_wait_for_a_vendor_hold_up_no_other(mode: Mode) {
    let vendors = Vendors::start().await;
    let mut first = std::iter::repeat_n(prosa::Mood::Hangs, many());
    let mood = move || first.next().unwrap_or(prosa::Mood::Well);
    vendors.hearing.chooses(mood);
    let running = Running::start(mode, &vendors, &[]).await;
    let mut hang = Vec::new();
    for _ in 0..many() {
        hang.push(submit(&running).await);
    }
    eventually("asked for all", || async {
        vendors.hearing.calls().len() == many()
    })
    .await;
    result(running.say().await, "beside those that hang").await;
}

async fn a_vendor_gets_no_more_calls_than_it_may_and_a_cancelled_job_makes_room(mode: Mode) {
    let vendors = Vendors::start().await;
    vendors.hearing.is(prosa::Mood::Hangs);
    let limit = [("PROSA_STT_MAX_CONCURRENT", "2")];
    let running = Running::start(mode, &vendors, &limit).await;
    let mut jobs = Vec::new();
    for _ in 0..4 {
        jobs.push(submit(&running).await);
    }
    let calls = async |number: usize| vendors.hearing.calls().len() == number;
    eventually("asked", || calls(2)).await;
    // For a third one to be seen, should there be one.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(calls(2).await);
    for job in &jobs {
        running.deployment.delete(job).send().await.unwrap();
    }
    vendors.hearing.is(prosa::Mood::Well);
    result(running.say().await, "with room again").await;
}

in_each_mode!(
    calls_that_wait_for_a_vendor_hold_up_no_other,
    a_vendor_gets_no_more_calls_than_it_may_and_a_cancelled_job_makes_room,
);
