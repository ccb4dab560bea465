//! The ways to submit a job and to wait for it, with a model that takes as long
//! as a test wants.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{
    fake::Mood,
    in_each_mode,
    prosa::recording,
    running::{Mode, Running, Vendors, result},
};
use crate::deployment::{
    Deployment, OTHER_KEY, client, conversation, eventually, form, problem, start_api,
};

const QUESTION: &str = "Apa syarat lulus sarjana?";

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    let value = answer.headers().get(name);
    value.map_or("", |value| value.to_str().unwrap())
}

impl Running {
    fn asking(&self, path: &str, body: &Value) -> RequestBuilder {
        self.deployment.post(path).json(body)
    }

    async fn view(&self, path: &str) -> Value {
        let answer = self.deployment.get(path).send().await.unwrap();
        answer.json().await.unwrap()
    }

    /// The model holds back its answers from here on.
    pub fn stall(vendors: &Vendors) -> Arc<Semaphore> {
        let permits = Arc::new(Semaphore::new(0));
        vendors.openrouter.is(Mood::Waits(Arc::clone(&permits)));
        permits
    }

    /// Another front door of the same deployment; this one where it is alone.
    async fn next_door(&self, mode: Mode) -> Option<Deployment> {
        let Mode::Distributed(_) = mode else {
            return None;
        };
        let (door, url) = start_api(&self.settings);
        Some(Deployment::of(vec![url], vec![door]).await)
    }
}

/// Sends what `request` is, but by this method and with this key.
async fn send_as(request: RequestBuilder, method: Method, key: &str) -> Response {
    let mut request = request.build().unwrap();
    *request.method_mut() = method;
    request
        .headers_mut()
        .insert("x-api-key", key.parse().unwrap());
    client().execute(request).await.unwrap()
}

async fn delete(deployment: &Deployment, path: &str) -> Response {
    let request = deployment.get(path);
    send_as(request, Method::DELETE, crate::deployment::KEY).await
}

async fn a_caller_waits_as_it_prefers(mode: Mode) {
    let vendors = Vendors::start().await;
    let running = Running::start(mode, &vendors, &[]).await;
    let permits = Running::stall(&vendors);
    let chat = json!({ "message": QUESTION });
    let job = json!({ "kind": "chat", "message": QUESTION });
    let audio = || {
        running
            .deployment
            .post("/v1/audio")
            .multipart(form(recording()))
    };
    let mut accepted = Vec::new();
    for (request, prefer, applied) in [
        (
            running.asking("/v1/chat", &chat),
            "respond-async",
            "respond-async",
        ),
        (
            running.asking("/v1/chat", &chat),
            "foo, respond-async, wait=\"1\"",
            "respond-async, wait=1",
        ),
        (audio(), "respond-async", "respond-async"),
        (
            running.asking("/v1/jobs", &job),
            "respond-async",
            "respond-async",
        ),
        (running.asking("/v1/jobs", &job), "wait=1", "wait=1"),
        (running.asking("/v1/jobs", &job), "wait=soon", ""),
    ] {
        let begun = Instant::now();
        let answer = request.header("Prefer", prefer).send().await.unwrap();
        assert_eq!(answer.status(), 202, "{prefer}");
        assert_eq!(
            begun.elapsed() >= Duration::from_secs(1),
            applied.contains("wait=1"),
            "{prefer}"
        );
        assert_eq!(header(&answer, "preference-applied"), applied);
        assert_eq!(header(&answer, "retry-after"), "1");
        let path = header(&answer, "location").to_owned();
        let body: Value = answer.json().await.unwrap();
        assert_eq!(
            path,
            format!("/v1/jobs/{}", body["job_id"].as_str().unwrap())
        );
        assert_eq!(body["status"], "queued");
        assert!(body["conversation_id"].is_string());
        accepted.push(path);
    }
    permits.add_permits(1_000);
    for path in accepted {
        let view = running.view(&format!("{path}?wait=60")).await;
        assert_eq!(view["status"], "succeeded", "{view}");
    }

    // Done in time: on the same line, whatever the order of the lines.
    let answer = running
        .asking("/v1/chat", &chat)
        .header("Prefer", "wait=30");
    let answer = answer
        .header("Prefer", "respond-async, wait=1")
        .send()
        .await
        .unwrap();
    assert_eq!(header(&answer, "preference-applied"), "wait=30");
    let body = result(answer, "a result").await;
    assert!(body["answer"].as_str().unwrap().contains("144"), "{body}");
    let answer = running.asking("/v1/jobs", &job).header("Prefer", "wait=30");
    let body = result(answer.send().await.unwrap(), "a job").await;
    assert_eq!(body["status"], "succeeded");
    assert!(body["result"]["answer"].is_string(), "{body}");
}

/// Milliseconds from the acceptance of a job to its deadline.
fn time_of(view: &Value) -> u128 {
    let time = |field: &str| {
        let text = view[field].as_str().unwrap();
        humantime::parse_rfc3339(text).unwrap()
    };
    let span = time("deadline").duration_since(time("accepted_at"));
    span.unwrap().as_millis()
}

async fn a_job_has_the_time_that_its_caller_gives_it(mode: Mode) {
    let vendors = Vendors::start().await;
    let running = Running::start(mode, &vendors, &[]).await;
    let _permits = Running::stall(&vendors);
    let waiting = json!({ "message": QUESTION });
    let limited = json!({ "message": QUESTION, "timeout": 1 });
    let audio = running.deployment.post("/v1/audio");
    for (case, request) in [
        ("timeout", running.asking("/v1/chat", &limited)),
        (
            "wait",
            running
                .asking("/v1/chat", &waiting)
                .header("Prefer", "wait=1"),
        ),
        (
            "form",
            audio.multipart(form(recording()).text("timeout", "1")),
        ),
    ] {
        let begun = Instant::now();
        let answer = request.send().await.unwrap();
        let applied = header(&answer, "preference-applied").to_owned();
        assert_eq!(applied, if case == "wait" { "wait=1" } else { "" });
        let body = problem(answer, 504, case).await;
        assert_eq!(body["code"], "job_expired", "{case}");
        assert!(begun.elapsed() < Duration::from_secs(6), "{case}");
        let path = format!("/v1/jobs/{}", body["job_id"].as_str().unwrap());
        let view = running.view(&path).await;
        assert_eq!(
            (&view["status"], time_of(&view)),
            (&json!("expired"), 1_000),
            "{case}"
        );
    }

    // A wait that is shorter than the job's own time ends the waiting alone.
    let both = json!({ "message": QUESTION, "timeout": 300 });
    let answer = running.asking("/v1/chat", &both).header("Prefer", "wait=1");
    let answer = answer.send().await.unwrap();
    let path = header(&answer, "location").to_owned();
    let body = problem(answer, 504, "both").await;
    assert_eq!(body["code"], "still_running");
    let view = running.view(&path).await;
    assert_eq!(
        (&view["status"], time_of(&view)),
        (&json!("running"), 300_000)
    );

    for bad in [json!(0), json!(3_601), json!(-1), json!(1.5), json!("5")] {
        for (path, body) in [
            ("/v1/chat", json!({ "message": "a", "timeout": bad })),
            (
                "/v1/jobs",
                json!({ "kind": "chat", "message": "a", "timeout": bad }),
            ),
        ] {
            let answer = running.asking(path, &body).send().await.unwrap();
            problem(answer, 422, &bad.to_string()).await;
        }
    }
    for bad in ["0", "3601", "-1", "x"] {
        let request = form(recording()).text("timeout", bad);
        let request = running.deployment.post("/v1/audio").multipart(request);
        let body = problem(request.send().await.unwrap(), 422, bad).await;
        assert_eq!(body["code"], "invalid_timeout");
    }
}

async fn the_same_request_again_gets_the_first_answer(mode: Mode) {
    let vendors = Vendors::start().await;
    let running = Running::start(mode, &vendors, &[]).await;
    let other = running.next_door(mode).await;
    let doors = [
        &running.deployment,
        other.as_ref().unwrap_or(&running.deployment),
    ];
    let (key, place) = (conversation(), conversation());
    let ask = async |door: &Deployment, key: &str, message: &str| {
        let request = door
            .post_in(&place, "/v1/chat")
            .header("Idempotency-Key", key);
        let request = request.json(&json!({ "message": message }));
        request.send().await.unwrap()
    };
    let first = result(ask(doors[0], &key, QUESTION).await, "first").await;
    let quoted = format!("\"{key}\"");
    for (door, key) in [(doors[0], &key), (doors[1], &key), (doors[1], &quoted)] {
        let again = result(ask(door, key, QUESTION).await, "again").await;
        assert_eq!(again, first);
    }
    assert_eq!(vendors.openrouter.calls(), 1);
    let body = problem(
        ask(doors[1], &key, "Apa itu UKT?").await,
        422,
        "another request",
    )
    .await;
    assert_eq!(body["code"], "idempotency_key_reused");
    for bad in ["", "kunci é", &"k".repeat(256)] {
        problem(ask(doors[0], bad, QUESTION).await, 400, bad).await;
    }

    // The same key of another tenant is another key.
    let request = doors[0]
        .post_in(&place, "/v1/chat")
        .header("Idempotency-Key", &key);
    let request = request.json(&json!({ "message": QUESTION }));
    let theirs = result(send_as(request, Method::POST, OTHER_KEY).await, "theirs").await;
    assert_ne!(theirs["job_id"], first["job_id"]);

    // A form has another boundary each time.
    let key = conversation();
    let say = async |door: &Deployment| {
        let request = door
            .post_in(&place, "/v1/audio")
            .header("Idempotency-Key", &key);
        let answer = request.multipart(form(recording())).send().await.unwrap();
        result(answer, "a form").await
    };
    assert_eq!(say(doors[0]).await, say(doors[1]).await);

    // A failure is an answer too.
    vendors.openrouter.is(Mood::Status(401));
    let key = conversation();
    let failed = problem(ask(doors[0], &key, QUESTION).await, 500, "failed").await;
    let again = problem(ask(doors[1], &key, QUESTION).await, 500, "failed again").await;
    assert_eq!(
        (&again["code"], &again["job_id"]),
        (&failed["code"], &failed["job_id"])
    );
}

async fn the_same_request_meanwhile_is_told_of_the_first(mode: Mode) {
    let vendors = Vendors::start().await;
    let running = Running::start(mode, &vendors, &[]).await;
    let other = running.next_door(mode).await;
    let doors = [
        &running.deployment,
        other.as_ref().unwrap_or(&running.deployment),
    ];
    let permits = Running::stall(&vendors);
    let (key, place) = (conversation(), conversation());
    let asking = |door: &Deployment| {
        let request = door
            .post_in(&place, "/v1/chat")
            .header("Idempotency-Key", &key);
        request.json(&json!({ "message": QUESTION }))
    };
    let later = |door: &Deployment| asking(door).header("Prefer", "respond-async").send();
    let first = later(doors[0]).await.unwrap();
    let path = header(&first, "location").to_owned();
    assert_eq!(first.status(), 202);
    let first: Value = first.json().await.unwrap();

    let meanwhile = asking(doors[1]).send().await.unwrap();
    assert_eq!(header(&meanwhile, "location"), path);
    assert_eq!(header(&meanwhile, "retry-after"), "1");
    let body = problem(meanwhile, 409, "meanwhile").await;
    assert_eq!(body["code"], "first_still_running");

    let again = later(doors[1]).await.unwrap();
    assert_eq!(
        (again.status().as_u16(), header(&again, "location")),
        (202, path.as_str())
    );
    assert_eq!(again.json::<Value>().await.unwrap(), first);

    permits.add_permits(100);
    let view = running.view(&format!("{path}?wait=60")).await;
    let body = result(asking(doors[1]).send().await.unwrap(), "done").await;
    assert_eq!(body, view["result"]);
    let again = later(doors[1]).await.unwrap();
    assert_eq!(again.status(), 202);
    assert_eq!(again.json::<Value>().await.unwrap(), first);
    assert_eq!(vendors.openrouter.calls(), 1);
}

async fn many_at_once_with_one_key_make_one_job(mode: Mode) {
    let vendors = Vendors::start().await;
    let running = Running::start(mode, &vendors, &[]).await;
    let body = json!({ "kind": "chat", "message": QUESTION });
    let key = conversation();
    let client = Client::new();
    let requests = (0..20).map(|_| {
        let request = running.deployment.post_bare("/v1/jobs");
        let request = request.header("X-API-Key", crate::deployment::KEY);
        let request = request.header("Idempotency-Key", &key).json(&body).build();
        client.execute(request.unwrap())
    });
    let answers = futures::future::join_all(requests).await;
    let mut jobs = std::collections::BTreeSet::new();
    for answer in answers {
        let answer = answer.unwrap();
        // One that comes before the job is there is told to come again.
        assert!([202, 409].contains(&answer.status().as_u16()), "{answer:?}");
        jobs.insert(header(&answer, "location").to_owned());
    }
    assert_eq!(jobs.len(), 1, "{jobs:?}");
}

async fn a_job_is_called_off(mode: Mode) {
    let vendors = Vendors::start().await;
    let running = Running::start(mode, &vendors, &[]).await;
    let door = &running.deployment;
    let permits = Running::stall(&vendors);
    let place = conversation();
    let submit = async || {
        let request = door
            .post_in(&place, "/v1/chat")
            .header("Prefer", "respond-async");
        let answer = request
            .json(&json!({ "message": QUESTION }))
            .send()
            .await
            .unwrap();
        header(&answer, "location").to_owned()
    };
    let path = submit().await;
    eventually("asked", || async { vendors.openrouter.calls() == 1 }).await;

    let theirs = send_as(door.get(&path), Method::DELETE, OTHER_KEY).await;
    problem(theirs, 404, "another tenant").await;
    let unknown = format!("/v1/jobs/{}", conversation());
    problem(delete(door, &unknown).await, 404, "unknown").await;

    let poll = tokio::spawn(door.get(&format!("{path}?wait=60")).send());
    let begun = Instant::now();
    let cancelled = result(delete(door, &path).await, "cancelled").await;
    assert_eq!(cancelled["status"], "cancelled", "{cancelled}");
    let polled: Value = poll.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(polled["status"], "cancelled");
    assert!(begun.elapsed() < Duration::from_secs(5));
    let again = result(delete(door, &path).await, "again").await;
    assert_eq!(again["status"], "cancelled");

    // Who waits is told, and the next of the conversation need not wait.
    vendors.openrouter.is(Mood::Well);
    permits.add_permits(100);
    let next = submit().await;
    let view = running.view(&format!("{next}?wait=30")).await;
    assert_eq!(view["status"], "succeeded", "{view}");
    let over = result(delete(door, &next).await, "over").await;
    assert_eq!(over, view);

    let _permits = Running::stall(&vendors);
    let key = conversation();
    let asking = || {
        let request = door
            .post_in(&place, "/v1/chat")
            .header("Idempotency-Key", &key);
        request.json(&json!({ "message": QUESTION })).send()
    };
    let calls = vendors.openrouter.calls();
    let holding = tokio::spawn(asking());
    eventually("asked", || async { vendors.openrouter.calls() > calls }).await;
    let meanwhile = asking().await.unwrap();
    assert_eq!(meanwhile.status(), 409);
    let path = header(&meanwhile, "location").to_owned();
    result(delete(door, &path).await, "held").await;
    let body = problem(holding.await.unwrap().unwrap(), 409, "held").await;
    assert_eq!(body["code"], "job_cancelled");
}

in_each_mode!(
    a_caller_waits_as_it_prefers,
    a_job_has_the_time_that_its_caller_gives_it,
    the_same_request_again_gets_the_first_answer,
    the_same_request_meanwhile_is_told_of_the_first,
    many_at_once_with_one_key_make_one_job,
    a_job_is_called_off,
);
