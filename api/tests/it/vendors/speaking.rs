//! Speech that begins while the answer is still being written.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use common::{reply::Event, testing::servers};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::{
    fake::Mood,
    in_each_mode, prosa,
    running::{Mode, Running, Vendors},
    streaming::{events, log_of, told},
};
use crate::deployment::{Deployment, Program, eventually, form, settings, start_api, start_worker};

/// As many pieces as the model's thoughts and its first sentence have.
const FIRST_SENTENCE: usize = 5;

/// The sentences of the whole answer, by their numbers.
const SENTENCES: [u32; 3] = [1, 2, 3];

/// Submits a recording, and gives its job's id.
async fn submit(deployment: &Deployment) -> String {
    let form = form(prosa::recording())
        .text("kind", "audio")
        .text("response_format", "base64");
    let request = deployment.post("/v1/jobs").multipart(form);
    let accepted: Value = request.send().await.unwrap().json().await.unwrap();
    accepted["job_id"].as_str().unwrap().to_owned()
}

async fn look(deployment: &Deployment, job: &str, query: &str) -> Value {
    let request = deployment.get(&format!("/v1/jobs/{job}{query}"));
    request.send().await.unwrap().json().await.unwrap()
}

/// The numbers of the sentences that were announced.
fn sentences(events: &[Event]) -> Vec<u32> {
    let announced = events.iter().filter_map(|event| match event {
        Event::AudioDelta { n, .. } => Some(*n),
        _ => None,
    });
    announced.collect()
}

/// A job whose first sentence is being spoken, and whose model goes on with each
/// permit.
async fn held_after_the_first_sentence(
    vendors: &Vendors,
    running: &Running,
) -> (String, Arc<Semaphore>) {
    let permits = Arc::new(Semaphore::new(FIRST_SENTENCE));
    vendors.openrouter.is(Mood::Waits(Arc::clone(&permits)));
    let job = submit(&running.deployment).await;
    eventually("speaking", || async { vendors.speaking.calls().len() == 1 }).await;
    (job, permits)
}

async fn the_first_sentence_is_spoken_while_the_model_writes(mode: Mode) {
    let vendors = Vendors::start().await;
    let running = Running::start(mode, &vendors, &[]).await;
    let (job, permits) = held_after_the_first_sentence(&vendors, &running).await;
    let log = running.log(mode).await;
    if let Some(log) = &log {
        eventually("heard", || async {
            sentences(&events(log, &job).await) == [1]
        })
        .await;
    }
    let view = look(&running.deployment, &job, "").await;
    assert_eq!(view["status"], "running", "{view}");
    permits.add_permits(100);

    let view = look(&running.deployment, &job, "?wait=60").await;
    assert_eq!(view["status"], "succeeded", "{view}");
    let calls = vendors.speaking.calls().len();
    assert_eq!(calls, SENTENCES.len(), "a call for each sentence");
    let wav = crate::voice::base64(view["result"]["audio"].as_str().unwrap());
    let wav = workers::audio::wav::Wav::read(&wav).unwrap().data.to_vec();
    assert_eq!(wav, prosa::speech().repeat(SENTENCES.len()));
    let stages = view["stages"].as_array().unwrap();
    assert_eq!(stages.len(), 4, "{view}");
    if let Some(log) = &log {
        let events = events(log, &job).await;
        assert_eq!(sentences(&events), SENTENCES);
        let place = |wanted: fn(&Event) -> bool| events.iter().position(wanted);
        let heard = place(|event| matches!(event, Event::AudioDelta { .. }));
        let second = events
            .iter()
            .rposition(|event| matches!(event, Event::AnswerDelta { .. }));
        assert!(heard < second, "{events:?}");
    }
}

async fn an_answer_with_nothing_to_say_is_no_failure(mode: Mode) {
    let vendors = Vendors::start().await;
    let running = Running::start(mode, &vendors, &[]).await;
    vendors.openrouter.is(Mood::Says(serde_json::json!({
        "choices": [{ "message": { "content": "…" }, "finish_reason": "stop" }]
    })));
    let job = submit(&running.deployment).await;
    let view = look(&running.deployment, &job, "?wait=60").await;
    assert_ne!(view["status"], "running", "{view}");
    if view["status"] == "failed" {
        assert_ne!(view["error"]["stage"], "tts", "{view}");
    }
}

/// Calls the job off while the model writes: its line is closed, the rest of
/// the answer is never spoken, and the conversation goes on without it.
async fn a_job_that_is_called_off_lets_go_of_the_model(mode: Mode) {
    let vendors = Vendors::start().await;
    let running = Running::start(mode, &vendors, &[]).await;
    let (job, permits) = held_after_the_first_sentence(&vendors, &running).await;

    let request = running.deployment.delete(&format!("/v1/jobs/{job}"));
    let before = Instant::now();
    let view: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(view["status"], "cancelled", "{view}");
    while vendors.openrouter.left() == 0 {
        assert!(before.elapsed() < Duration::from_secs(1), "not let go");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    permits.add_permits(100);
    let again = running.deployment.delete(&format!("/v1/jobs/{job}"));
    let again: Value = again.send().await.unwrap().json().await.unwrap();
    assert_eq!(again, view);
    // Another one of the same worker goes its way.
    let next = submit(&running.deployment).await;
    let next = look(&running.deployment, &next, "?wait=60").await;
    assert_eq!(next["status"], "succeeded", "{next}");
    let spoken = vendors.speaking.calls().len();
    assert_eq!(spoken, 1 + SENTENCES.len(), "of the first job one sentence");
}

/// Front door and workers, one for each stage.
struct Own {
    settings: Vec<(String, String)>,
    deployment: Deployment,
    workers: Vec<(&'static str, Program)>,
}

impl Own {
    async fn start(servers: &'static servers::Shared, vendors: &Vendors) -> Self {
        let more = settings(&[("SHUTDOWN_GRACE", "5")]);
        let mut settings = vendors.settings_with(Mode::Distributed(servers), &[]);
        settings.extend(more);
        let (door, url) = start_api(&settings);
        let workers = ["stt", "emotion", "rag", "tts"];
        let workers = workers.map(|stage| (stage, start_worker(stage, &settings)));
        Self {
            deployment: Deployment::of(vec![url], vec![door]).await,
            settings,
            workers: workers.into(),
        }
    }

    /// `kill -9`, and another one takes its place.
    fn kill(&mut self, stage: &str) {
        let of_stage = self.workers.iter_mut().find(|(name, _)| *name == stage);
        let (_, worker) = of_stage.unwrap();
        worker.kill();
        *worker = start_worker(stage, &self.settings);
    }
}

/// How a vendor is made to keep its stage busy, and seen to.
struct Hold {
    stage: &'static str,
    hold: fn(&Vendors, &Arc<Semaphore>),
    is_held: fn(&Vendors) -> bool,
    release: fn(&Vendors),
}

const HOLDS: [Hold; 4] = [
    Hold {
        stage: "stt",
        hold: |vendors, _| vendors.hearing.is(prosa::Mood::Hangs),
        is_held: |vendors| vendors.hearing.calls().len() == 1,
        release: |vendors| vendors.hearing.is(prosa::Mood::Well),
    },
    Hold {
        stage: "emotion",
        hold: |vendors, _| vendors.emotion.is(Mood::Hangs),
        is_held: |vendors| vendors.emotion.calls() == 1,
        release: |vendors| vendors.emotion.is(Mood::Well),
    },
    // Its first sentence is spoken already.
    Hold {
        stage: "rag",
        hold: |vendors, permits| vendors.openrouter.is(Mood::Waits(Arc::clone(permits))),
        is_held: |vendors| vendors.speaking.calls().len() == 1,
        release: |vendors| vendors.openrouter.is(Mood::Well),
    },
    Hold {
        stage: "tts",
        hold: |vendors, _| vendors.speaking.is(prosa::Mood::Hangs),
        is_held: |vendors| !vendors.speaking.calls().is_empty(),
        release: |vendors| vendors.speaking.is(prosa::Mood::Well),
    },
];

async fn a_killed_worker_is_not_heard_in_the_stream(index: usize) {
    let Some(servers) = servers::shared() else {
        return;
    };
    let vendors = Vendors::start().await;
    let mut own = Own::start(servers, &vendors).await;
    let log = log_of(&own.settings).await;
    let Hold {
        stage,
        hold,
        is_held,
        release,
    } = &HOLDS[index];
    hold(&vendors, &Arc::new(Semaphore::new(FIRST_SENTENCE)));
    let job = submit(&own.deployment).await;
    eventually("held", || async { is_held(&vendors) }).await;
    if *stage == "rag" {
        eventually("heard", || async {
            sentences(&events(&log, &job).await) == [1]
        })
        .await;
    }
    release(&vendors);
    own.kill(stage);

    let view = look(&own.deployment, &job, "?wait=60").await;
    assert_eq!(view["status"], "succeeded", "{stage}: {view}");
    let events = events(&log, &job).await;
    assert_eq!(sentences(&events), SENTENCES, "{stage}");
    assert_eq!(view["result"]["answer"], told(&events), "{stage}");
    assert!(
        !events.contains(&Event::AnswerRestarted),
        "{stage}: {events:?}"
    );
    let transcripts = events
        .iter()
        .filter(|event| matches!(event, Event::Transcript { .. }));
    assert_eq!(transcripts.count(), 1, "{stage}");
    let ends = events.iter().filter(|event| event.is_terminal());
    assert_eq!(ends.count(), 1, "{stage}");
    assert_eq!(view["result"]["audio_duration"], 3.0, "{stage}");
}

#[tokio::test]
async fn a_recogniser_killed_in_the_middle_is_not_heard() {
    a_killed_worker_is_not_heard_in_the_stream(0).await;
}

#[tokio::test]
async fn an_emotion_worker_killed_in_the_middle_is_not_heard() {
    a_killed_worker_is_not_heard_in_the_stream(1).await;
}

#[tokio::test]
async fn a_writer_killed_in_the_middle_of_the_answer_is_not_heard() {
    a_killed_worker_is_not_heard_in_the_stream(2).await;
}

#[tokio::test]
async fn a_speaker_killed_in_the_middle_of_a_sentence_is_not_heard() {
    a_killed_worker_is_not_heard_in_the_stream(3).await;
}

in_each_mode!(
    the_first_sentence_is_spoken_while_the_model_writes,
    an_answer_with_nothing_to_say_is_no_failure,
    a_job_that_is_called_off_lets_go_of_the_model,
);
