//! Conversations: read, forgotten, and each turn in its place.

use common::{
    backends::{BackendConfig, Backends, connect},
    conversation::ConversationKey,
    envelope::{Envelope, Job},
    pipeline::Route,
    reply::Event,
    testing::{
        fixtures,
        servers::{RedisServer, environment, shared, skipped},
    },
    time::UnixMillis,
};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::deployment::{
    Deployment, KEY, OTHER_KEY, client, conversation, form, problem, start_api, start_worker,
};

fn path_of(conversation: &str) -> String {
    format!("/v1/conversations/{conversation}")
}

async fn body(request: RequestBuilder) -> Value {
    request.send().await.unwrap().json().await.unwrap()
}

/// Sends what `request` is, but by this method and with this key.
async fn send_as(request: RequestBuilder, method: Method, key: &str) -> Response {
    let mut request = request.build().unwrap();
    *request.method_mut() = method;
    let headers = request.headers_mut();
    headers.insert("x-api-key", key.parse().unwrap());
    client().execute(request).await.unwrap()
}

/// Submits a chat, and gives its job's id.
async fn chat(deployment: &Deployment, conversation: &str, message: &str) -> String {
    let job = json!({ "kind": "chat", "message": message });
    let request = deployment.post_in(conversation, "/v1/jobs").json(&job);
    let accepted = body(request).await;
    accepted["job_id"].as_str().unwrap().to_owned()
}

/// Waits for the end of a job.
async fn ended(deployment: &Deployment, job: &str) -> Value {
    loop {
        let view = body(deployment.get(&format!("/v1/jobs/{job}?wait=60"))).await;
        if !["queued", "running"].contains(&view["status"].as_str().unwrap()) {
            return view;
        }
    }
}

/// The field of every turn of the conversation.
async fn turns(deployment: &Deployment, conversation: &str, field: &str) -> Vec<String> {
    let found = body(deployment.get(&path_of(conversation))).await;
    let turns = found["turns"].as_array().cloned().unwrap_or_default();
    let text = |turn: &Value| turn[field].as_str().unwrap().to_owned();
    turns.iter().map(text).collect()
}

async fn a_conversation_is_read_and_forgotten(deployment: &Deployment) {
    let id = conversation();
    let path = path_of(&id);
    let get = || deployment.get(&path);
    let unknown = async |case: &str| {
        let body = problem(get().send().await.unwrap(), 404, case).await;
        assert_eq!(body["code"], "unknown_conversation");
    };
    unknown("not begun").await;

    let job = chat(deployment, &id, "Apa itu ITB?").await;
    let answer = ended(deployment, &job).await["result"]["answer"].clone();
    let found = body(get()).await;
    assert_eq!(found["conversation_id"], id.as_str());
    let [turn] = found["turns"].as_array().unwrap().as_slice() else {
        panic!("one turn in {found}")
    };
    assert_eq!(turn["job_id"], job.as_str());
    assert_eq!(turn["user"], "Apa itu ITB?");
    assert_eq!(turn["assistant"], answer);
    let at = turn["at"].as_str().unwrap();
    assert!(at.ends_with('Z') && at.contains('T'), "{at}");

    let theirs = send_as(get(), Method::GET, OTHER_KEY).await;
    problem(theirs, 404, "another tenant").await;
    let theirs = send_as(get(), Method::DELETE, OTHER_KEY).await;
    assert_eq!(theirs.status(), 204);
    assert_eq!(turns(deployment, &id, "job_id").await, [job]);

    for _ in 0..2 {
        let forgotten = send_as(get(), Method::DELETE, KEY).await;
        assert_eq!(forgotten.status(), 204);
        assert!(forgotten.bytes().await.unwrap().is_empty());
        unknown("forgotten").await;
    }
    let next = chat(deployment, &id, "Berapa SKS untuk lulus sarjana?").await;
    assert_eq!(ended(deployment, &next).await["status"], "succeeded");
    assert_eq!(turns(deployment, &id, "job_id").await, [next]);
}

async fn requests_for_conversations_are_checked(deployment: &Deployment) {
    let too_long = "a".repeat(129);
    for name in ["a%20b", "a.b", "%ff", too_long.as_str()] {
        for method in [Method::GET, Method::DELETE] {
            let answer = send_as(deployment.get(&path_of(name)), method, KEY).await;
            let body = problem(answer, 400, name).await;
            assert_eq!(body["code"], "invalid_conversation_id");
        }
    }
    let path = path_of("a");
    for method in [Method::GET, Method::DELETE] {
        let answer = send_as(deployment.get(&path), method, "wrong").await;
        problem(answer, 401, "wrong key").await;
    }
    let answer = send_as(deployment.get(&path), Method::POST, KEY).await;
    assert_eq!(answer.headers()["allow"], "GET, HEAD, DELETE");
    problem(answer, 405, "POST").await;
}

async fn chats_take_effect_in_the_order_in_which_they_were_accepted(deployment: &Deployment) {
    let id = conversation();
    let mut jobs = Vec::new();
    for message in [
        "Apa syarat lulus sarjana?",
        "Kalau magister?",
        "Kalau doktor?",
        "Apa itu ITB?",
        "Terima kasih",
    ] {
        jobs.push(chat(deployment, &id, message).await);
    }
    for job in &jobs {
        let view = ended(deployment, job).await;
        assert_eq!(view["status"], "succeeded", "{view}");
        assert_eq!(view["stages"][0]["attempts"], 1, "{view}");
    }
    assert_eq!(turns(deployment, &id, "job_id").await, jobs);
}

async fn a_chat_behind_a_spoken_question_has_the_second_turn(deployment: &Deployment) {
    let Some(question) = crate::voice::spoken("Berapa SKS untuk lulus sarjana?") else {
        return;
    };
    if !deployment.can_speak().await {
        return;
    }
    let id = conversation();
    let job = form(question).text("kind", "audio");
    let spoken = body(deployment.post_in(&id, "/v1/jobs").multipart(job)).await;
    let spoken = spoken["job_id"].as_str().unwrap().to_owned();
    let written = chat(deployment, &id, "Apa itu ITB?").await;
    for job in [&written, &spoken] {
        let view = ended(deployment, job).await;
        assert_eq!(view["status"], "succeeded", "{view}");
    }
    assert_eq!(turns(deployment, &id, "job_id").await, [spoken, written]);
}

crate::in_both_modes!(
    a_conversation_is_read_and_forgotten,
    requests_for_conversations_are_checked,
    chats_take_effect_in_the_order_in_which_they_were_accepted,
    a_chat_behind_a_spoken_question_has_the_second_turn,
);

/// A front door, two workers, and their servers to act upon.
struct Inside {
    deployment: Deployment,
    backends: Backends,
}

impl Inside {
    async fn start() -> Option<Self> {
        let settings = shared()?.environment();
        let (door, url) = start_api(&settings);
        let workers = [(); 2].map(|()| start_worker("rag", &settings));
        let mut programs = vec![door];
        programs.extend(workers);
        let env = settings.iter().cloned().collect();
        let config = BackendConfig::from_environment(&env, "test").unwrap();
        Some(Self {
            deployment: Deployment::of(vec![url], programs).await,
            backends: connect(&config).await.unwrap(),
        })
    }

    /// Does what a front door does up to the publishing.
    async fn accept(&self, conversation: &str) -> Job {
        let mut job = fixtures::job(Route::Text);
        job.conversation_id = Some(conversation.parse().unwrap());
        self.backends.replies.open(&job).await.unwrap();
        let key = ConversationKey::of(&job).unwrap();
        let conversations = &self.backends.conversations;
        let accept = conversations.accept(&key, job.correlation_id, job.deadline);
        accept.await.unwrap();
        job
    }

    async fn publish(&self, job: &Job) {
        let turn = fixtures::text_turn("Apa itu ITB?");
        let envelope = Envelope::first(job.clone(), turn, UnixMillis::now());
        self.backends.broker.publish(&envelope).await.unwrap();
    }

    /// Submits a chat behind a job that does nothing yet, for long enough that
    /// no worker waits for it all the time.
    async fn chat_behind(&self, conversation: &str) -> String {
        let next = chat(&self.deployment, conversation, "Apa itu ITB?").await;
        let view = self.deployment.get(&format!("/v1/jobs/{next}?wait=4"));
        let view = body(view).await;
        assert_eq!(view["status"], "queued", "{view}");
        next
    }

    async fn succeeds(&self, job: &str) {
        let view = ended(&self.deployment, job).await;
        assert_eq!(view["status"], "succeeded", "{view}");
        assert_eq!(view["stages"][0]["attempts"], 1, "{view}");
    }
}

#[tokio::test]
async fn a_job_waits_for_one_accepted_earlier_on_whichever_worker() {
    let Some(inside) = Inside::start().await else {
        return;
    };
    let id = conversation();
    let first = inside.accept(&id).await;
    let second = inside.chat_behind(&id).await;
    inside.publish(&first).await;
    inside.succeeds(&second).await;
    let jobs = turns(&inside.deployment, &id, "job_id").await;
    assert_eq!(jobs, [first.correlation_id.to_string(), second]);
}

#[tokio::test]
async fn a_job_goes_on_when_the_one_before_it_has_ended_without_a_turn() {
    let Some(inside) = Inside::start().await else {
        return;
    };
    let id = conversation();
    let first = inside.accept(&id).await;
    let second = inside.chat_behind(&id).await;
    let replies = &inside.backends.replies;
    let cancel = replies.append(first.correlation_id, &[Event::Cancelled]);
    cancel.await.unwrap();
    inside.backends.after_end(&first).await.unwrap();
    inside.succeeds(&second).await;
    assert_eq!(turns(&inside.deployment, &id, "job_id").await, [second]);
}

#[tokio::test]
async fn a_job_that_is_delivered_twice_adds_one_turn() {
    let Some(inside) = Inside::start().await else {
        return;
    };
    let id = conversation();
    let job = inside.accept(&id).await;
    tokio::join!(inside.publish(&job), inside.publish(&job));
    let job = job.correlation_id.to_string();
    inside.succeeds(&job).await;
    assert_eq!(
        turns(&inside.deployment, &id, "job_id").await,
        [job.as_str()]
    );
    // The copies have gone by the time a later job is answered.
    let next = chat(&inside.deployment, &id, "Terima kasih").await;
    inside.succeeds(&next).await;
    assert_eq!(turns(&inside.deployment, &id, "job_id").await, [job, next]);
}

#[tokio::test]
async fn a_store_that_is_away_is_503() {
    let (Some(shared), Some(mut redis)) = (shared(), RedisServer::start()) else {
        skipped("needs the programs rabbitmq-server and redis-server");
        return;
    };
    let settings = environment(&shared.amqp_url, &redis.url());
    let (door, url) = start_api(&settings);
    let worker = start_worker("rag", &settings);
    let deployment = Deployment::of(vec![url], vec![door, worker]).await;
    redis.kill();
    for method in [Method::GET, Method::DELETE] {
        let answer = send_as(deployment.get(&path_of("a")), method, KEY).await;
        assert!(answer.headers().contains_key("retry-after"));
        let body = problem(answer, 503, "Redis is dead").await;
        assert_eq!(body["code"], "dependency_unavailable");
    }
}
