//! How much one caller may use, counted together by all front doors.

use std::{sync::Arc, time::Duration};

use common::testing::servers::{RedisServer, environment, shared, skipped};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, sync::Semaphore};

use crate::{
    deployment::{
        Deployment, KEY, OTHER_KEY, client, conversation, eventually, problem, settings, start_api,
        start_worker,
    },
    vendors::{
        fake::Mood,
        in_each_mode,
        running::{Mode, Running, Vendors, result},
    },
};

/// Settings with limits and keys of tenants that no other test has: the store
/// is shared.
fn limits(more: &[(&str, &str)]) -> Vec<(String, String)> {
    let keys = format!("a-{0}:{KEY},b-{0}:{OTHER_KEY}", conversation());
    let mut all = settings(&[
        ("API_KEY", ""),
        ("API_KEYS", &keys),
        ("RATE_LIMIT_ENABLED", "true"),
        ("MAX_CONCURRENT_JOBS", "20"),
    ]);
    all.extend(settings(more));
    all
}

/// Two front doors where they can share their counts, else one.
async fn doors(mode: Mode, more: &[(&str, &str)]) -> Deployment {
    let mut settings = limits(more);
    let Mode::Distributed(servers) = mode else {
        let (program, url) = start_api(&settings);
        return Deployment::of(vec![url], vec![program]).await;
    };
    settings.extend(servers.environment());
    let doors = [start_api(&settings), start_api(&settings)];
    let (mut programs, urls): (Vec<_>, Vec<_>) = doors.into_iter().unzip();
    programs.push(start_worker("rag", &settings));
    Deployment::of(urls, programs).await
}

fn question() -> Value {
    json!({ "message": "Apa itu ITB?" })
}

fn field<'a>(answer: &'a Response, name: &str) -> Option<&'a str> {
    answer
        .headers()
        .get(name)
        .map(|value| value.to_str().unwrap())
}

fn retry_after(answer: &Response) -> u64 {
    field(answer, "retry-after").unwrap().parse().unwrap()
}

/// The value of a parameter of the policy `name` in `RateLimit`.
fn parameter(answer: &Response, name: &str, parameter: &str) -> u64 {
    let items = field(answer, "ratelimit").unwrap().split(", ");
    let mut item = items.map(|item| item.split(';'));
    let name = format!("\"{name}\"");
    let item = item.find_map(|mut parts| (parts.next() == Some(&name)).then_some(parts));
    let prefix = format!("{parameter}=");
    let value = item
        .unwrap()
        .find_map(|it| it.strip_prefix(&prefix).map(str::to_owned));
    value.unwrap().parse().unwrap()
}

async fn send(request: RequestBuilder) -> Response {
    request.send().await.unwrap()
}

/// A request like one with the right key, with another in its place.
async fn send_as(request: RequestBuilder, key: &str) -> Response {
    let mut request = request.build().unwrap();
    let headers = request.headers_mut();
    headers.insert("x-api-key", key.parse().unwrap());
    client().execute(request).await.unwrap()
}

async fn a_tenant_may_ask_as_often_as_its_quota_says_at_all_doors_together(mode: Mode) {
    let more = [
        ("RATE_LIMIT_PER_HOUR", "3"),
        ("RATE_LIMIT_READS_PER_HOUR", "5"),
    ];
    let deployment = doors(mode, &more).await;
    let chat = || deployment.post("/v1/chat").json(&question());
    let policy = r#""submit";q=3;w=3600, "jobs";q=20;qu="concurrent-requests""#;

    let first = send(chat()).await;
    assert_eq!(first.status(), 200);
    assert_eq!(field(&first, "ratelimit-policy"), Some(policy));
    assert_eq!(parameter(&first, "submit", "r"), 2);
    assert!((1..=1_200).contains(&parameter(&first, "submit", "t")));
    assert_eq!(parameter(&first, "jobs", "r"), 19);
    // What is wrong counts as well: it has been looked at.
    let wrong = send(deployment.post("/v1/chat").body("{")).await;
    assert_eq!(parameter(&wrong, "submit", "r"), 1);
    problem(wrong, 415, "wrong").await;
    let job = json!({ "kind": "chat", "message": "Terima kasih" });
    let third = send(deployment.post("/v1/jobs").json(&job)).await;
    assert_eq!(third.status(), 202);
    assert_eq!(parameter(&third, "submit", "r"), 0);

    // Twice as many as there are doors: neither gives more than the other has.
    for _ in 0..4 {
        let refused = send(chat()).await;
        assert_eq!(field(&refused, "ratelimit-policy"), Some(policy));
        assert_eq!(parameter(&refused, "submit", "r"), 0);
        let after = retry_after(&refused);
        assert!((1..=1_200).contains(&after));
        assert!(parameter(&refused, "submit", "t") <= after);
        let body = problem(refused, 429, "too often").await;
        assert_eq!(body["code"], "rate_limited");
    }
    let other = send_as(chat(), OTHER_KEY).await;
    assert_eq!(other.status(), 200);
    assert_eq!(parameter(&other, "submit", "r"), 2);

    let read = || send(deployment.get("/v1/conversations/a"));
    for left in [4, 3, 2, 1, 0] {
        let answer = read().await;
        let policy = r#""read";q=5;w=3600"#;
        assert_eq!(field(&answer, "ratelimit-policy"), Some(policy));
        assert_eq!(parameter(&answer, "read", "r"), left);
        problem(answer, 404, "read").await;
    }
    problem(read().await, 429, "read too often").await;
    for path in ["/health", "/ready"] {
        for _ in 0..6 {
            let answer = send(deployment.get(path)).await;
            assert_eq!(answer.status(), 200);
            assert_eq!(field(&answer, "ratelimit"), None);
        }
    }
}

async fn spoken_questions_may_have_a_narrower_quota(mode: Mode) {
    let more = [
        ("RATE_LIMIT_PER_HOUR", "10"),
        ("RATE_LIMIT_AUDIO_PER_HOUR", "1"),
    ];
    let deployment = doors(mode, &more).await;
    let form = || reqwest::multipart::Form::new().text("kind", "audio");
    let spoken = || send(deployment.post("/v1/jobs").multipart(form()));
    let first = spoken().await;
    assert_eq!(parameter(&first, "submit", "r"), 9);
    assert_eq!(parameter(&first, "audio", "r"), 0);
    let refused = spoken().await;
    assert_eq!(parameter(&refused, "audio", "r"), 0);
    let body = problem(refused, 429, "spoken").await;
    assert_eq!(body["code"], "rate_limited");
    let written = send(deployment.post("/v1/chat").json(&question())).await;
    assert_eq!(written.status(), 200);
    assert_eq!(parameter(&written, "submit", "r"), 8);
}

async fn who_asks_one_thing_after_another_needs_one_place(mode: Mode) {
    let more = [("MAX_CONCURRENT_JOBS", "1")];
    let deployment = doors(mode, &more).await;
    let key = conversation();
    let place = conversation();
    let again = || {
        let request = deployment.post_in(&place, "/v1/chat");
        let request = request.header("Idempotency-Key", &key);
        send(request.json(&question()))
    };
    for _ in 0..3 {
        // A job that is done, one that was done before, and none at all.
        let answer = send(deployment.post("/v1/chat").json(&question())).await;
        result(answer, "a question").await;
        result(again().await, "the same again").await;
        let wrong = send(deployment.post("/v1/chat").json(&json!({ "message": "" }))).await;
        problem(wrong, 422, "empty").await;
    }
    // Nor does one take a place who hangs up while he asks.
    for url in deployment.urls() {
        hang_up_midway(url).await;
        eventually("free", || async {
            let answer = send(deployment.post("/v1/chat").json(&question())).await;
            answer.status() == 200
        })
        .await;
    }
}

async fn hang_up_midway(url: &str) {
    let mut door = TcpStream::connect(url.strip_prefix("http://").unwrap())
        .await
        .unwrap();
    let head = format!(
        "POST /v1/chat HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\nX-Conversation-Id: a\r\n\
         Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{"
    );
    door.write_all(head.as_bytes()).await.unwrap();
}

fn pairs(settings: &[(String, String)]) -> Vec<(&str, &str)> {
    let pairs = settings.iter();
    pairs
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

async fn no_more_jobs_of_a_tenant_are_under_way_than_allowed(mode: Mode) {
    let vendors = Vendors::start().await;
    let more = limits(&[("MAX_CONCURRENT_JOBS", "2")]);
    let running = Running::start(mode, &vendors, &pairs(&more)).await;
    let deployment = &running.deployment;
    let permits = Running::stall(&vendors);
    let submit = || {
        let job = json!({ "kind": "chat", "message": "Apa syarat lulus sarjana?" });
        deployment.post("/v1/jobs").json(&job)
    };
    let mut jobs = Vec::new();
    for left in [1, 0] {
        let accepted = send(submit()).await;
        assert_eq!(accepted.status(), 202);
        assert_eq!(parameter(&accepted, "jobs", "r"), left);
        jobs.push(field(&accepted, "location").unwrap().to_owned());
    }
    let refused = send(submit()).await;
    assert_eq!(retry_after(&refused), 5);
    assert_eq!(parameter(&refused, "jobs", "r"), 0);
    assert_eq!(parameter(&refused, "jobs", "t"), 5);
    let body = problem(refused, 429, "too many").await;
    assert_eq!(body["code"], "too_many_jobs");
    assert_eq!(send_as(submit(), OTHER_KEY).await.status(), 202);

    // One that is called off makes room at once.
    result(send(deployment.delete(&jobs[0])).await, "called off").await;
    let third = send(submit()).await;
    assert_eq!(third.status(), 202);
    let third = field(&third, "location").unwrap().to_owned();
    problem(send(submit()).await, 429, "full again").await;
    // And so does one that is done, before anybody hears of it.
    vendors.openrouter.is(Mood::Well);
    permits.add_permits(1_000);
    let view = deployment.job(&format!("{}?wait=60", jobs[1])).await;
    assert_eq!(view["status"], "succeeded", "{view}");
    let view = deployment.job(&format!("{third}?wait=60")).await;
    assert_eq!(view["status"], "succeeded", "{view}");
    let last = send(submit()).await;
    assert_eq!(last.status(), 202);
    assert_eq!(parameter(&last, "jobs", "r"), 1);
}

async fn a_job_that_is_refused_for_what_was_sent_makes_room(mode: Mode) {
    let vendors = Vendors::start().await;
    vendors.hearing.hears("");
    let more = limits(&[("MAX_CONCURRENT_JOBS", "1")]);
    let running = Running::start(mode, &vendors, &pairs(&more)).await;
    for n in 1..=3 {
        let body = problem(running.say().await, 422, "nothing was said").await;
        assert_eq!(body["code"], "no_speech", "{n}");
    }
}

/// Each answer of the model takes 859 tokens, as it says.
async fn a_day_has_so_many_tokens(mode: Mode) {
    let vendors = Vendors::start().await;
    let more = limits(&[("DAILY_TOKEN_BUDGET", "1000")]);
    let running = Running::start(mode, &vendors, &pairs(&more)).await;
    let ask = || running.chat("Apa syarat lulus sarjana?");
    for _ in 0..2 {
        result(ask().await, "within").await;
    }
    let refused = ask().await;
    assert!((1..=86_400).contains(&retry_after(&refused)));
    let body = problem(refused, 429, "spent").await;
    assert_eq!(body["code"], "budget_spent");
    let body = problem(running.say().await, 429, "spent, and spoken").await;
    assert_eq!(body["code"], "budget_spent");
    assert_eq!(vendors.openrouter.calls(), 2);
    let request = running.deployment.post("/v1/chat").json(&question());
    assert_eq!(send_as(request, OTHER_KEY).await.status(), 200);
}

/// What was written before somebody cancelled it is paid for as well.
async fn an_answer_that_is_cancelled_counts_against_the_day(mode: Mode) {
    let vendors = Vendors::start().await;
    let more = limits(&[("DAILY_TOKEN_BUDGET", "200")]);
    let running = Running::start(mode, &vendors, &pairs(&more)).await;
    let door = &running.deployment;
    vendors
        .openrouter
        .is(Mood::Waits(Arc::new(Semaphore::new(0))));
    let job = json!({ "kind": "chat", "message": "Apa syarat lulus sarjana?" });
    let accepted = door.post("/v1/jobs").json(&job).send().await.unwrap();
    let accepted: Value = accepted.json().await.unwrap();
    let path = format!("/v1/jobs/{}", accepted["job_id"].as_str().unwrap());
    eventually("asked", || async { vendors.openrouter.calls() == 1 }).await;
    // While it writes, what it may take at most is set aside.
    let refused = running.chat("Apa itu ITB?").await;
    assert!((1..=60).contains(&retry_after(&refused)));
    let body = problem(refused, 429, "set aside").await;
    assert_eq!(body["code"], "budget_spent");
    assert_eq!(door.delete(&path).send().await.unwrap().status(), 200);
    eventually("broken off", || async { vendors.openrouter.left() == 1 }).await;
    vendors.openrouter.is(Mood::Well);
    let refused = running.chat("Apa itu ITB?").await;
    let body = problem(refused, 429, "spent").await;
    assert_eq!(body["code"], "budget_spent");
    assert_eq!(vendors.openrouter.calls(), 1);
}

async fn a_day_has_so_many_seconds_of_audio(mode: Mode) {
    let vendors = Vendors::start().await;
    let more = limits(&[("DAILY_AUDIO_SECONDS", "1")]);
    let running = Running::start(mode, &vendors, &pairs(&more)).await;
    result(running.say().await, "within").await;
    let body = problem(running.say().await, 429, "spent").await;
    assert_eq!(body["code"], "budget_spent");
    // To write takes none of it.
    result(running.chat("Apa syarat lulus sarjana?").await, "written").await;
}

/// Of a network of version 6 that nobody else comes from.
fn address() -> String {
    let id = conversation().replace('-', "");
    let (first, last) = (&id[8..12], &id[28..32]);
    format!("2001:db8:{first}:{last}:")
}

async fn who_tries_keys_is_told_no_more_whatever_keys_he_tries(mode: Mode) {
    let more = [
        ("TRUSTED_PROXIES", "127.0.0.0/8"),
        ("RATE_LIMIT_WRONG_KEYS_PER_HOUR", "3"),
        ("RATE_LIMIT_PER_HOUR", "10"),
    ];
    let deployment = doors(mode, &more).await;
    let (here, there) = (address(), address());
    let from = |address: String| {
        let request = deployment.post("/v1/chat").json(&question());
        request.header("X-Forwarded-For", address)
    };
    for n in 0..3 {
        // Another key, another place in the network, and another lie each time.
        let request = from(format!("198.51.100.{n}, {here}:{n}"));
        let answer = send_as(request, &format!("wrong-{n}")).await;
        assert_eq!(field(&answer, "ratelimit"), None);
        problem(answer, 401, "a wrong key").await;
    }
    for n in 3..7 {
        let request = from(format!("198.51.100.{n}, {here}:{n}"));
        let answer = send_as(request, &format!("wrong-{n}")).await;
        assert!((1..=1_200).contains(&retry_after(&answer)));
        let body = problem(answer, 429, "too many").await;
        assert_eq!(body["code"], "too_many_wrong_keys");
    }
    let elsewhere = send_as(from(format!("{there}:1")), "wrong").await;
    problem(elsewhere, 401, "another address").await;
    // Who has a key is not locked out by his neighbours, and has lost nothing.
    let answer = send(from(format!("{here}:1"))).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(parameter(&answer, "submit", "r"), 9);
}

in_each_mode!(
    a_tenant_may_ask_as_often_as_its_quota_says_at_all_doors_together,
    spoken_questions_may_have_a_narrower_quota,
    who_asks_one_thing_after_another_needs_one_place,
    no_more_jobs_of_a_tenant_are_under_way_than_allowed,
    a_job_that_is_refused_for_what_was_sent_makes_room,
    a_day_has_so_many_tokens,
    an_answer_that_is_cancelled_counts_against_the_day,
    a_day_has_so_many_seconds_of_audio,
    who_tries_keys_is_told_no_more_whatever_keys_he_tries,
);

#[tokio::test]
async fn an_address_that_no_known_proxy_tells_is_not_believed() {
    let more = [("RATE_LIMIT_WRONG_KEYS_PER_HOUR", "2")];
    let deployment = doors(Mode::Embedded, &more).await;
    for (n, status) in [(1, 401), (2, 401), (3, 429), (4, 429)] {
        let request = deployment.post_bare("/v1/chat").json(&question());
        let request = request
            .header("X-Forwarded-For", format!("198.51.100.{n}"))
            .header("Forwarded", format!("for=198.51.100.{n}"))
            .header("X-Real-IP", format!("198.51.100.{n}"));
        problem(send(request).await, status, "a claim").await;
    }
}

#[tokio::test]
async fn while_nobody_can_count_requests_are_refused_unless_allowed() {
    let (Some(shared), Some(mut redis)) = (shared(), RedisServer::start()) else {
        skipped("needs the programs rabbitmq-server and redis-server");
        return;
    };
    let mut closed = limits(&[]);
    closed.extend(environment(&shared.amqp_url, &redis.url()));
    let mut open = closed.clone();
    open.extend(settings(&[("RATE_LIMIT_WHEN_AWAY", "allow")]));
    let doors = [start_api(&closed), start_api(&open)];
    let (mut programs, urls): (Vec<_>, Vec<_>) = doors.into_iter().unzip();
    programs.push(start_worker("rag", &closed));
    let deployment = Deployment::of(urls, programs).await;
    let client = client();
    let ask = async |door: usize, key: &str, body: Value| {
        let request = client.post(format!("{}/v1/chat", deployment.urls()[door]));
        let request = request.header("X-Conversation-Id", conversation());
        send(request.header("X-API-Key", key).json(&body)).await
    };
    let wrong = || json!({ "message": "" });
    for door in 0..2 {
        result(ask(door, KEY, question()).await, "counted").await;
    }
    redis.kill();
    for (key, body) in [(KEY, question()), (KEY, wrong()), ("wrong", question())] {
        let answer = ask(0, key, body).await;
        assert!(retry_after(&answer) > 0);
        let body = problem(answer, 503, "closed").await;
        assert_eq!(body["code"], "dependency_unavailable");
    }
    // Those that need nothing else are answered.
    problem(ask(1, KEY, wrong()).await, 422, "open").await;
    problem(ask(1, "wrong", question()).await, 401, "open").await;
    redis.start_again();
    for door in 0..2 {
        eventually("counting again", || async {
            let answer = ask(door, KEY, question()).await;
            answer.status() == 200 && field(&answer, "ratelimit").is_some()
        })
        .await;
    }
}

#[tokio::test]
async fn who_tries_it_out_with_the_built_in_key_is_told_of_room_for_thousands() {
    let settings = settings(&[
        ("API_KEY", ""),
        ("API_KEYS", ""),
        ("RATE_LIMIT_ENABLED", ""),
        ("MAX_CONCURRENT_JOBS", ""),
    ]);
    let (program, url) = start_api(&settings);
    let deployment = Deployment::of(vec![url], vec![program]).await;
    let request = deployment.post("/v1/chat").json(&question());
    let answer = send_as(request, "dev").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(parameter(&answer, "submit", "r"), 9_999);
    assert!(parameter(&answer, "submit", "t") <= Duration::from_secs(1).as_secs());
}
