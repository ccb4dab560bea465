//! What can be seen of an answer while the model still writes it.

use std::sync::Arc;

use common::{
    backends::{BackendConfig, connect},
    ids::CorrelationId,
    job::log::JobLog,
    reply::Event,
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{
    fake::Mood,
    in_each_mode,
    running::{Mode, Running, Vendors},
};
use crate::deployment::{conversation, eventually};

const QUESTION: &str = "Apa syarat lulus sarjana?";

impl Running {
    /// Submits a question, and gives its job's id.
    pub async fn submit(&self, message: &str) -> String {
        let job = json!({ "kind": "chat", "message": message });
        let request = self
            .deployment
            .post_in(&conversation(), "/v1/jobs")
            .json(&job);
        let accepted: Value = request.send().await.unwrap().json().await.unwrap();
        accepted["job_id"].as_str().unwrap().to_owned()
    }

    pub async fn look(&self, job: &str, query: &str) -> Value {
        let request = self.deployment.get(&format!("/v1/jobs/{job}{query}"));
        request.send().await.unwrap().json().await.unwrap()
    }

    /// The log of the jobs, where another process can read it.
    pub async fn log(&self, mode: Mode) -> Option<JobLog> {
        match mode {
            Mode::Embedded => None,
            Mode::Distributed(_) => Some(log_of(&self.settings).await),
        }
    }
}

/// The log that the programs with these settings share.
pub async fn log_of(settings: &[(String, String)]) -> JobLog {
    let env = settings.iter().cloned().collect();
    let config = BackendConfig::from_environment(&env, "test").unwrap();
    connect(&config).await.unwrap().replies
}

pub async fn events(log: &JobLog, job: &str) -> Vec<Event> {
    let id: CorrelationId = job.parse().unwrap();
    let records = log.read(id, 0).await.unwrap();
    records.into_iter().map(|record| record.event).collect()
}

/// The pieces of the answer so far.
pub fn told(events: &[Event]) -> String {
    let mut told = String::new();
    for event in events {
        match event {
            Event::AnswerDelta { text } => told.push_str(text),
            Event::AnswerRestarted => told.clear(),
            _ => {}
        }
    }
    told
}

async fn the_log_grows_while_the_model_writes(mode: Mode) {
    let vendors = Vendors::start().await;
    let running = Running::start(mode, &vendors, &[]).await;
    let log = running.log(mode).await;
    let permits = Arc::new(Semaphore::new(0));
    vendors.openrouter.is(Mood::Waits(Arc::clone(&permits)));
    let job = running.submit(QUESTION).await;
    eventually("running", || async { vendors.openrouter.calls() == 1 }).await;
    // The rest of the thoughts, and the first sentence.
    permits.add_permits(4);
    if let Some(log) = &log {
        eventually("told", || async {
            told(&events(log, &job).await).contains("144 SKS")
        })
        .await;
    }
    let view = running.look(&job, "").await;
    assert_eq!(view["status"], "running", "{view}");
    assert_eq!(view["stages"][0]["stage"], "rag");
    permits.add_permits(100);
    let view = running.look(&job, "?wait=60").await;
    assert_eq!(view["status"], "succeeded", "{view}");
    if let Some(log) = &log {
        let told = told(&events(log, &job).await);
        assert_eq!(view["result"]["answer"], told, "{view}");
        assert!(!told.contains("Rahasia") && !told.contains('['), "{told}");
    }
}

/// The pieces of the first are void, and its words are not in the answer.
async fn an_answer_that_breaks_off_is_begun_anew_by_the_next(mode: Mode) {
    let vendors = Vendors::start().await;
    let running = Running::start(mode, &vendors, &[("LLM_PROVIDERS", "openai,openrouter")]).await;
    let log = running.log(mode).await;
    vendors.openai.is(Mood::BreaksMidwaySaying(
        "Wah, kalau soal sarjana itu panjang ceritanya. ",
    ));
    let job = running.submit(QUESTION).await;
    let view = running.look(&job, "?wait=60").await;
    assert_eq!(view["status"], "succeeded", "{view}");
    assert_eq!(view["result"]["providers"]["process_rag"], "openrouter");
    let answer = view["result"]["answer"].as_str().unwrap();
    assert!(
        answer.contains("144") && !answer.contains("panjang ceritanya"),
        "{view}"
    );
    assert_eq!(vendors.openai.calls(), 1);
    if let Some(log) = &log {
        let events = events(log, &job).await;
        assert!(events.contains(&Event::AnswerRestarted), "{events:?}");
        let first = events.iter().find_map(|event| match event {
            Event::AnswerDelta { text } => Some(text.as_str()),
            _ => None,
        });
        assert!(first.unwrap().starts_with("Wah"), "{events:?}");
        assert_eq!(told(&events), answer);
    }
}

in_each_mode!(
    the_log_grows_while_the_model_writes,
    an_answer_that_breaks_off_is_begun_anew_by_the_next,
);
