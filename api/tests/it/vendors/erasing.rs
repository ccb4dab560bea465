//! Erasing: whatever became of a job, nothing of what was asked and answered is
//! left where anybody could read it.

use std::{process::Command, sync::Arc};

use common::{ids::CorrelationId, testing::stored};
use reqwest::Response;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{
    callbacks::{SETTINGS as CALLBACKS, target, url},
    dead_letters::{ONE_TRY, Operator, ended, servers, submit},
    fake::{Mood, Reply, Service},
    in_each_mode,
    prosa::{Prosa, recording},
    running::{Mode, Running, Vendors},
};
use crate::deployment::{OTHER_KEY, client, conversation, eventually, form, ops_program, problem};

/// Where everybody says the same word, which stands nowhere else.
struct Spoken {
    vendors: Vendors,
    running: Running,
    word: String,
}

impl Spoken {
    async fn start(mode: Mode, more: &[(&str, &str)]) -> Self {
        let word = format!("rahasia{}", CorrelationId::new()).replace('-', "");
        let mut vendors = Vendors::start().await;
        vendors.hearing = Prosa::hearing(&format!("Berapa SKS untuk lulus sarjana, {word}?")).await;
        let said = format!("Paling sedikit 144 SKS, {word}. Semoga {word} membantu. ");
        vendors.openrouter =
            Service::start(move |_| Reply::stream(&[said.as_str(), said.as_str()])).await;
        let running = Running::start(mode, &vendors, more).await;
        Self {
            vendors,
            running,
            word,
        }
    }

    fn question(&self) -> Value {
        json!({ "message": format!("Berapa SKS untuk lulus sarjana, {}?", self.word) })
    }

    /// A recording that carries the word behind its sound.
    fn recording(&self) -> Vec<u8> {
        let mut wav = recording();
        let note = format!("{:<40}", self.word);
        wav.extend_from_slice(b"note");
        wav.extend_from_slice(&u32::try_from(note.len()).unwrap().to_le_bytes());
        wav.extend_from_slice(note.as_bytes());
        wav
    }

    async fn submit(&self, conversation: &str, more: Value) -> String {
        let mut job = more;
        job["message"] = self.question()["message"].clone();
        submit(&self.running.deployment, conversation, job).await
    }

    async fn places(&self) -> Vec<String> {
        stored::places_of(&self.running.settings, &self.word).await
    }

    /// In the distributed mode, where there is somewhere to look.
    async fn is_stored(&self) {
        if self.is_distributed() {
            assert_ne!(self.places().await, [""; 0]);
        }
    }

    /// A worker that has a message in hand gives it up a moment later.
    async fn is_nowhere(&self) {
        eventually("gone", || async { self.places().await.is_empty() }).await;
    }

    fn is_distributed(&self) -> bool {
        let mut names = self.running.settings.iter().map(|(name, _)| name);
        names.any(|name| name == "AMQP_URL")
    }

    async fn delete(&self, path: &str) -> Response {
        self.running.deployment.delete(path).send().await.unwrap()
    }

    async fn erase(&self, id: &str) {
        let answer = self.delete(&format!("/v1/jobs/{id}/data")).await;
        assert_eq!(answer.status(), 204);
        assert!(answer.bytes().await.unwrap().is_empty());
    }

    /// On each way to the job.
    async fn is_gone(&self, id: &str) {
        let door = &self.running.deployment;
        let path = format!("/v1/jobs/{id}");
        let mut answers = Vec::new();
        for rest in [
            "",
            "?wait=1",
            "/events",
            "/events?starting_after=1",
            "/audio",
        ] {
            let answer = door.get(&format!("{path}{rest}")).send().await.unwrap();
            answers.push((rest, answer));
        }
        answers.push(("DELETE", self.delete(&path).await));
        for (case, answer) in answers {
            let body = problem(answer, 410, case).await;
            assert_eq!(body["code"], "job_erased", "{case}");
            assert_eq!(body["job_id"], *id, "{case}");
        }
        let theirs = client().get(format!("{}{path}", door.urls()[0]));
        let theirs = theirs.header("X-API-Key", OTHER_KEY).send().await.unwrap();
        let body = problem(theirs, 404, "of another tenant").await;
        assert_eq!(body["code"], "unknown_job");
    }

    async fn turns(&self, conversation: &str) -> u16 {
        let path = format!("/v1/conversations/{conversation}");
        let answer = self.running.deployment.get(&path).send().await.unwrap();
        answer.status().as_u16()
    }
}

async fn a_written_answer_is_erased_and_stays_so(mode: Mode) {
    let it = Spoken::start(mode, &[]).await;
    let door = &it.running.deployment;
    let conversation = conversation();
    let asked = || {
        let request = door.post_in(&conversation, "/v1/chat");
        let request = request.header("Idempotency-Key", conversation.clone());
        request.json(&it.question()).send()
    };
    let answer: Value = asked().await.unwrap().json().await.unwrap();
    assert!(answer["answer"].as_str().unwrap().contains(&it.word));
    let id = answer["job_id"].as_str().unwrap();
    it.is_stored().await;
    assert_eq!(it.turns(&conversation).await, 200);

    // Another tenant has no such job.
    let theirs = client().delete(format!("{}/v1/jobs/{id}/data", door.urls()[0]));
    let theirs = theirs.header("X-API-Key", OTHER_KEY).send().await.unwrap();
    problem(theirs, 404, "of another tenant").await;
    assert_eq!(it.turns(&conversation).await, 200);
    for _ in 0..2 {
        it.erase(id).await;
        it.is_gone(id).await;
        assert_eq!(it.turns(&conversation).await, 404);
    }
    it.is_nowhere().await;
    let again = problem(asked().await.unwrap(), 410, "the same request again").await;
    assert_eq!(again["job_id"], id);
    it.running.is_discreet(&[&it.word]);
    let unknown = format!("/v1/jobs/{}/data", CorrelationId::new());
    problem(it.delete(&unknown).await, 404, "unknown").await;
}

async fn a_spoken_answer_is_erased_with_its_audio(mode: Mode) {
    let it = Spoken::start(mode, &[]).await;
    let door = &it.running.deployment;
    let form = form(it.recording()).text("response_format", "url");
    let answer = door.post("/v1/audio").multipart(form).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    assert!(answer["transcript"].as_str().unwrap().contains(&it.word));
    let audio = answer["audio"].as_str().unwrap();
    assert_eq!(door.get(audio).send().await.unwrap().status(), 200);
    it.is_stored().await;
    let id = answer["job_id"].as_str().unwrap();
    it.erase(id).await;
    it.is_gone(id).await;
    it.is_nowhere().await;
    if it.is_distributed() {
        let claims = stored::places_of(&it.running.settings, id).await;
        let kept = claims.iter().filter(|key| key.starts_with("claim:"));
        let kept: Vec<_> = kept.filter(|key| !key.ends_with(":erased")).collect();
        assert_eq!(kept, [""; 0]);
    }
}

/// Its answer is being written.
async fn a_job_under_way_is_stopped_and_erased(mode: Mode) {
    let it = Spoken::start(mode, &CALLBACKS).await;
    let target = target().await;
    let writes = Arc::new(Semaphore::new(0));
    it.vendors.openrouter.is(Mood::Waits(writes));
    let callback = json!({ "callback_url": url(&target) });
    let id = it.submit(&conversation(), callback).await;
    eventually("being written", || async {
        it.vendors.openrouter.calls() == 1
    })
    .await;
    it.is_stored().await;
    it.erase(&id).await;
    it.is_gone(&id).await;
    eventually("stopped", || async { it.vendors.openrouter.left() == 1 }).await;
    it.is_nowhere().await;
    assert_eq!(target.calls(), 0);
}

async fn a_job_that_waits_for_another_try_is_erased(mode: Mode) {
    let it = Spoken::start(mode, &[]).await;
    it.vendors.openrouter.is(Mood::TooMany(4));
    let id = it.submit(&conversation(), json!({})).await;
    let door = &it.running.deployment;
    eventually("waiting", || async {
        let view = door.job(&format!("/v1/jobs/{id}")).await;
        view["stages"][0]["status"] == "retrying"
    })
    .await;
    let calls = it.vendors.openrouter.calls();
    it.erase(&id).await;
    it.is_gone(&id).await;
    it.is_nowhere().await;
    assert_eq!(it.vendors.openrouter.calls(), calls);
}

/// One that was answered, one that failed, and one whose caller waits for it.
async fn a_conversation_is_erased_with_all_its_jobs(mode: Mode) {
    let it = Spoken::start(mode, &ONE_TRY).await;
    let door = &it.running.deployment;
    let (mine, other) = (conversation(), conversation());
    let answered = it.submit(&mine, json!({})).await;
    ended(door, &answered, "succeeded").await;
    it.vendors.openrouter.is(Mood::Status(503));
    let failed = it.submit(&mine, json!({})).await;
    ended(door, &failed, "failed").await;
    let others = submit(door, &other, json!({})).await;
    ended(door, &others, "failed").await;
    it.vendors
        .openrouter
        .is(Mood::Waits(Arc::new(Semaphore::new(0))));
    let calls = it.vendors.openrouter.calls();
    let waiting = door.post_in(&mine, "/v1/chat").json(&it.question());
    let waiting = tokio::spawn(waiting.send());
    eventually("being written", || async {
        it.vendors.openrouter.calls() > calls
    })
    .await;
    it.is_stored().await;

    let path = format!("/v1/conversations/{mine}");
    for _ in 0..2 {
        assert_eq!(it.delete(&path).await.status(), 204);
        assert_eq!(it.turns(&mine).await, 404);
    }
    for id in [&answered, &failed] {
        it.is_gone(id).await;
    }
    // It is cancelled, and then erased.
    let told = waiting.await.unwrap().unwrap().status();
    assert!([409, 410].contains(&told.as_u16()), "{told}");
    it.is_nowhere().await;
    ended(door, &others, "failed").await;
}

in_each_mode!(
    a_written_answer_is_erased_and_stays_so,
    a_spoken_answer_is_erased_with_its_audio,
    a_job_under_way_is_stopped_and_erased,
    a_job_that_waits_for_another_try_is_erased,
    a_conversation_is_erased_with_all_its_jobs,
);

/// The job of another client failed as well.
#[tokio::test]
async fn the_dead_letter_of_an_erased_job_cannot_be_replayed() {
    let Some(servers) = servers() else { return };
    let it = Spoken::start(Mode::Distributed(servers), &ONE_TRY).await;
    let (door, settings) = (&it.running.deployment, &it.running.settings);
    let operator = Operator { settings };
    it.vendors.openrouter.is(Mood::Status(503));
    let mine = it.submit(&conversation(), json!({})).await;
    let other = submit(door, &conversation(), json!({})).await;
    for id in [&mine, &other] {
        ended(door, id, "failed").await;
    }
    eventually("put aside", || async { operator.list().await.len() == 2 }).await;
    it.erase(&mine).await;
    it.is_gone(&mine).await;
    it.is_nowhere().await;
    let left = operator.the_one().await;
    assert_eq!(left["job_id"], *other);
    let replayed = operator.run(&["replay", &mine]).await;
    assert_eq!(replayed.status.code(), Some(2));
    it.vendors.openrouter.is(Mood::Well);
    let replayed = operator.read(&["replay", "--all", "--json"]).await;
    assert_eq!(replayed[0]["outcome"], "resumed");
    ended(door, &other, "succeeded").await;
    it.is_gone(&mine).await;
}

/// `itb-ops forget`, and what it prints.
async fn forget(settings: &[(String, String)], arguments: &[&str]) -> Value {
    let mut command = Command::new(ops_program());
    command
        .arg("forget")
        .args(arguments)
        .arg("--json")
        .env_clear();
    command
        .env("RUST_LOG", "warn")
        .envs(settings.iter().cloned());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = output.await.unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    // Other tests may have left logs that cannot be read.
    assert_ne!(output.status.code(), Some(1), "{arguments:?}: {told}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn an_operator_forgets_a_conversation_and_then_the_tenant() {
    let Some(servers) = servers() else { return };
    let it = Spoken::start(Mode::Distributed(servers), &ONE_TRY).await;
    let (door, settings) = (&it.running.deployment, &it.running.settings);
    let (first, second) = (conversation(), conversation());
    let mut jobs = Vec::new();
    for conversation in [&first, &second] {
        it.vendors.openrouter.is(Mood::Well);
        jobs.push(it.submit(conversation, json!({})).await);
        ended(door, &jobs[jobs.len() - 1], "succeeded").await;
        it.vendors.openrouter.is(Mood::Status(503));
        jobs.push(it.submit(conversation, json!({})).await);
        ended(door, &jobs[jobs.len() - 1], "failed").await;
    }
    let operator = Operator { settings };
    eventually("put aside", || async { operator.list().await.len() == 2 }).await;

    let of_first = ["--conversation", &first];
    let counts = |told: &Value| {
        ["conversations", "turns", "jobs", "dead_letters"].map(|name| told[name].as_u64().unwrap())
    };
    let dry = forget(settings, &[&of_first[..], &["--dry-run"]].concat()).await;
    assert_eq!(counts(&dry), [1, 1, 2, 1]);
    assert_eq!(it.turns(&first).await, 200);
    assert_eq!(operator.list().await.len(), 2);
    for expected in [[1, 1, 2, 1], [0; 4]] {
        assert_eq!(counts(&forget(settings, &of_first).await), expected);
    }
    for id in &jobs[..2] {
        it.is_gone(id).await;
    }
    ended(door, &jobs[2], "succeeded").await;
    assert_eq!(it.turns(&second).await, 200);

    // Other tests share the servers, and the default tenant: one of its own.
    let told = forget(settings, &["--tenant", "nobody"]).await;
    assert_eq!(counts(&told), [0; 4]);
    it.is_stored().await;
    let of_second = ["--conversation", &second, "--tenant", "default"];
    assert_eq!(counts(&forget(settings, &of_second).await), [1, 1, 2, 1]);
    it.is_nowhere().await;
}
