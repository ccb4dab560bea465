//! Messages that nobody can read, or that end each worker which takes them.

use std::time::Instant;

use common::{
    pipeline::Route,
    testing::{fixtures, servers::Shared},
};
use serde_json::json;

use super::{
    dead_letters::{ONE_TRY, Operator, backends, ended, servers, submit},
    fake::Mood,
    running::{Mode, Running, Vendors},
};
use crate::deployment::{Deployment, Program, conversation, eventually, start_api, start_worker};

#[tokio::test]
async fn what_cannot_be_read_is_listed_and_purged_when_that_is_said_twice() {
    let Some(servers) = servers() else { return };
    let vendors = Vendors::start().await;
    let running = Running::start(Mode::Distributed(servers), &vendors, &ONE_TRY).await;
    let settings = &running.settings;
    let operator = Operator { settings };
    let prefix = &settings
        .iter()
        .find(|(name, _)| name == "AMQP_QUEUE_PREFIX");
    let queue = format!("{}.rag", prefix.unwrap().1);
    let job = fixtures::job(Route::Text);
    let backends = backends(&running).await;
    backends.replies.open(&job).await.unwrap();
    let job = job.correlation_id.to_string();
    send_raw(servers, &queue, "rahasia", None).await;
    send_raw(servers, &queue, r#"{"version":99}"#, Some(&job)).await;
    eventually("put aside", || async { operator.list().await.len() == 2 }).await;
    let mut listed = operator.list().await;
    listed.sort_by_key(|letter| letter["reason"].to_string());
    let [garbage, newer] = &listed[..] else {
        panic!("{listed:?}")
    };
    assert_eq!(garbage["reason"], "malformed_message");
    assert_eq!(garbage["readable"], false);
    assert!(
        garbage["id"].as_str().unwrap().starts_with("body/"),
        "{garbage}"
    );
    assert_eq!(newer["reason"], "unknown_version");
    assert!(newer["detail"].as_str().unwrap().contains("99"), "{newer}");
    assert_eq!(newer["job_id"], *job);
    let view = ended(&running.deployment, &job, "failed").await;
    assert_eq!(view["error"]["code"], "unknown_version");

    let garbage = garbage["id"].as_str().unwrap();
    let shown = operator.read(&["show", garbage]).await.to_string();
    assert!(
        !shown.contains("rahasia") && shown.contains("\"bytes\":7"),
        "{shown}"
    );
    let replayed = operator.run(&["replay", garbage]).await;
    let told = String::from_utf8_lossy(&replayed.stdout).into_owned();
    assert!(told.contains("it cannot be read"), "{told}");
    assert_eq!(replayed.status.code(), Some(2));
    for (arguments, code, told) in [
        (&["purge"][..], 1, ""),
        (&["purge", "--all", "--stage", "rag"], 1, ""),
        (&["purge", "--all"], 2, "found 2; --yes removes them\n"),
        (&["purge", &job, "--yes"], 0, "removed 1\n"),
        (&["purge", "--all", "--yes"], 0, "removed 1\n"),
        (&["purge", "--all", "--yes"], 0, "removed 0\n"),
        (&["purge", &job, "--yes"], 2, "removed 0\n"),
        (&["replay", &job], 2, "replayed 0 of 0\n"),
    ] {
        let purged = operator.run(arguments).await;
        assert_eq!(purged.status.code(), Some(code), "{arguments:?}");
        assert_eq!(
            String::from_utf8_lossy(&purged.stdout),
            told,
            "{arguments:?}"
        );
    }
}

async fn send_raw(servers: &Shared, queue: &str, body: &str, job: Option<&str>) {
    let mut properties = lapin::BasicProperties::default();
    if let Some(job) = job {
        properties = properties.with_correlation_id(job.into());
    }
    let connection = lapin::Connection::connect(&servers.amqp_url, Default::default());
    let connection = connection.await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let options = lapin::options::BasicPublishOptions::default();
    let body = body.as_bytes();
    let sent = channel.basic_publish("".into(), queue.into(), options, body, properties);
    sent.await.unwrap();
    channel.close(200, "sent".into()).await.unwrap();
}

/// Workers are killed in the middle of the same try, one after another, until
/// the next one that is given the message does not begin it.
async fn a_message_that_ends_each_worker_is_put_aside(kind: &str) {
    let Some(servers) = servers() else { return };
    let vendors = Vendors::start().await;
    let more = [("AMQP_QUEUE_KIND", kind), ("JOB_DEADLINE", "600")];
    let settings = vendors.settings_with(Mode::Distributed(servers), &more);
    let (program, url) = start_api(&settings);
    let mut worker: Program = start_worker("rag", &settings);
    let door = Deployment::of(vec![url], vec![program]).await;
    let operator = Operator {
        settings: &settings,
    };
    vendors.openrouter.is(Mood::Hangs);
    let id = submit(&door, &conversation(), json!({})).await;
    let began = Instant::now();
    for run in 1..=common::reply::MOST_RUNS as usize {
        eventually("asked", || async { vendors.openrouter.calls() == run }).await;
        worker.kill();
        worker = start_worker("rag", &settings);
    }
    let view = ended(&door, &id, "failed").await;
    assert_eq!(
        view["error"]["code"],
        "crashed_worker",
        "{:?}",
        began.elapsed()
    );
    assert_eq!(view["stages"][0]["attempts"], 1);
    assert_eq!(
        vendors.openrouter.calls(),
        common::reply::MOST_RUNS as usize
    );
    let letter = operator.the_one().await;
    assert_eq!(letter["reason"], "crashed_worker");

    vendors.openrouter.is(Mood::Well);
    operator.read(&["replay", &id, "--json"]).await;
    ended(&door, &id, "succeeded").await;
}

#[tokio::test]
async fn a_message_that_ends_each_worker_is_put_aside_by_quorum_queues() {
    a_message_that_ends_each_worker_is_put_aside("quorum").await;
}

#[tokio::test]
async fn a_message_that_ends_each_worker_is_put_aside_by_classic_queues() {
    a_message_that_ends_each_worker_is_put_aside("classic").await;
}

/// Two messages are in worker after worker that is killed. From the third one on
/// they are not in work at the same time, so that they cannot both be taken for
/// what ends their workers.
#[tokio::test]
async fn a_message_that_was_in_workers_that_ended_is_taken_up_alone() {
    let Some(servers) = servers() else { return };
    let vendors = Vendors::start().await;
    let more = [("JOB_DEADLINE", "600")];
    let settings = vendors.settings_with(Mode::Distributed(servers), &more);
    let (program, url) = start_api(&settings);
    let mut worker: Program = start_worker("rag", &settings);
    let door = Deployment::of(vec![url], vec![program]).await;
    vendors.openrouter.is(Mood::Hangs);
    let jobs = [
        submit(&door, &conversation(), json!({})).await,
        submit(&door, &conversation(), json!({})).await,
    ];
    // Two beside each other, twice; then one at a time.
    for asked in [2, 4, 5, 6, 7] {
        eventually("asked", || async { vendors.openrouter.calls() >= asked }).await;
        worker.kill();
        assert_eq!(vendors.openrouter.calls(), asked);
        if asked == 7 {
            vendors.openrouter.is(Mood::Well);
        }
        worker = start_worker("rag", &settings);
    }
    let mut succeeded = 0;
    for id in &jobs {
        eventually("ended", || async {
            let view = door.job(&format!("/v1/jobs/{id}")).await;
            view["status"] == "succeeded" || view["status"] == "failed"
        })
        .await;
        let view = door.job(&format!("/v1/jobs/{id}")).await;
        match view["status"] == "succeeded" {
            true => succeeded += 1,
            false => assert_eq!(view["error"]["code"], "crashed_worker"),
        }
    }
    // At most one of them was there each time.
    assert!(succeeded >= 1);
}
