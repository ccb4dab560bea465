//! The page's files and its sessions, as any program sees them. What a person sees is in `browser`.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::{
    deployment::{
        Deployment, OTHER_KEY, client, conversation, ops_program, problem, settings, start_api,
        start_worker,
    },
    in_both_modes,
};

/// Begins a session; the cookie as a browser sends it back.
async fn begun(url: &str) -> String {
    try_begin(url).await.expect("a session")
}

/// `None` when too many were begun.
async fn try_begin(url: &str) -> Option<String> {
    let answer = client().post(format!("{url}/session")).send().await;
    let answer = answer.unwrap();
    if answer.status() == StatusCode::TOO_MANY_REQUESTS {
        return None;
    }
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    cookie.split(';').next().map(str::to_owned)
}

fn asked(url: &str, cookie: &str, path: &str, method: Method) -> RequestBuilder {
    client()
        .request(method, format!("{url}{path}"))
        .header("cookie", cookie)
        .header("x-conversation-id", conversation())
}

fn of_the_page(url: &str, request: RequestBuilder) -> RequestBuilder {
    request.header("origin", url)
}

fn question(url: &str, cookie: &str) -> RequestBuilder {
    let request = asked(url, cookie, "/v1/chat", Method::POST);
    request.json(&json!({ "message": "Apa itu ITB?" }))
}

async fn a_session_stands_for_a_key_at_every_front_door(deployment: &Deployment) {
    let urls = deployment.urls();
    let cookie = begun(&urls[0]).await;
    for url in urls {
        let answer = of_the_page(url, question(url, &cookie)).send().await;
        let answer = answer.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let answer: Value = answer.json().await.unwrap();
        let job = answer["job_id"].as_str().unwrap();
        for url in urls {
            let path = format!("/v1/jobs/{job}");
            let seen = asked(url, &cookie, &path, Method::GET).send().await;
            assert_eq!(seen.unwrap().status(), StatusCode::OK);
        }
        // Nobody with a key has what the page's visitors ask, nor they what is asked with a key.
        let path = format!("/v1/jobs/{job}");
        problem(deployment.get(&path).send().await.unwrap(), 404, "a key").await;
        let request = deployment.post_in(&conversation(), "/v1/chat");
        let request = request.json(&json!({ "message": "Apa itu ITB?" }));
        let keyed: Value = request.send().await.unwrap().json().await.unwrap();
        let path = format!("/v1/jobs/{}", keyed["job_id"].as_str().unwrap());
        let seen = asked(url, &cookie, &path, Method::GET).send().await;
        problem(seen.unwrap(), 404, "a session").await;
    }
}

async fn another_site_cannot_use_a_session(deployment: &Deployment) {
    let url = &deployment.urls()[0];
    let cookie = begun(url).await;
    for (name, value) in [
        ("origin", "http://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("x-other", "neither"),
    ] {
        let request = question(url, &cookie).header(name, value);
        let found = problem(request.send().await.unwrap(), 403, value).await;
        assert_eq!(found["code"], "cross_site");
    }
    // What is no session is told so, and a right key is not asked for one.
    for wrong in ["itb_session=", "itb_session=a.1.b", "other=1"] {
        let request = of_the_page(url, question(url, wrong));
        let found = problem(request.send().await.unwrap(), 401, wrong).await;
        assert_eq!(found["code"], "unauthorized");
    }
    let request = question(url, "itb_session=old").header("x-api-key", OTHER_KEY);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
}

async fn files_are_small_kept_and_of_one_origin(deployment: &Deployment) {
    let url = &deployment.urls()[0];
    let get = |path: &str| client().get(format!("{url}{path}"));
    let page = get("/").send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self';"));
    assert!(!policy.contains("unsafe") && !policy.contains("http"));
    let tag = page.headers()["etag"].clone();
    let again = get("/").header("if-none-match", tag).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    let page = page.text().await.unwrap();
    let main = page.split("src=\"").find(|it| it.contains("main.js"));
    let main = main.unwrap().split('"').next().unwrap().to_owned();
    let plain = get(&main).send().await.unwrap();
    let cached = plain.headers()["cache-control"].to_str().unwrap();
    assert!(cached.contains("immutable"), "{cached}");
    let plain = plain.bytes().await.unwrap();
    let gzipped = get(&main).header("accept-encoding", "br, gzip").send();
    let gzipped = gzipped.await.unwrap();
    assert_eq!(gzipped.headers()["content-encoding"], "gzip");
    assert!(gzipped.bytes().await.unwrap().len() * 2 < plain.len());
    // A page of another version, while servers are replaced.
    let other = get("/app/0123/main.js").send().await.unwrap();
    assert_eq!(other.headers()["cache-control"], "no-cache");
    for none in ["/app/0123/index.html", "/app/0123/..%2fdocs.js", "/app"] {
        problem(get(none).send().await.unwrap(), 404, none).await;
    }
}

in_both_modes!(
    a_session_stands_for_a_key_at_every_front_door,
    another_site_cannot_use_a_session,
    files_are_small_kept_and_of_one_origin,
    what_is_said_of_an_answer_is_taken,
);

/// How many questions are answered until one is told to wait.
async fn answered(url: &str, cookie: &str) -> usize {
    for n in 0..100 {
        let answer = of_the_page(url, question(url, cookie)).send().await;
        let answer = answer.unwrap();
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            assert!(answer.headers().contains_key("retry-after"));
            return n;
        }
        assert_eq!(answer.status(), StatusCode::OK);
    }
    panic!("there is no bound")
}

#[tokio::test]
async fn visitors_have_room_of_their_own_and_share_that_of_their_address() {
    let (_api, url) = start_api(&settings(&[
        ("RATE_LIMIT_ENABLED", "true"),
        ("RATE_LIMIT_PER_HOUR", "2"),
    ]));
    let first = begun(&url).await;
    assert_eq!(answered(&url, &first).await, 2);
    let mut all = 2;
    while let Some(other) = try_begin(&url).await {
        match answered(&url, &other).await {
            0 => break,
            more => all += more,
        }
    }
    assert!((10..=20).contains(&all), "{all}");
}

#[tokio::test]
async fn there_is_no_page_where_it_is_off() {
    let (_api, url) = start_api(&settings(&[("WEB_UI", "false")]));
    for (method, path) in [(Method::GET, "/"), (Method::POST, "/session")] {
        let request = client().request(method, format!("{url}{path}"));
        problem(request.send().await.unwrap(), 404, path).await;
    }
}

/// `itb-ops feedback`, as JSON lines.
async fn listed(settings: &[(String, String)], arguments: &[&str]) -> Vec<Value> {
    let mut command = std::process::Command::new(ops_program());
    command.args(["feedback", "--json"]).args(arguments);
    command.env_clear().env("RUST_LOG", "warn");
    command.envs(settings.iter().cloned());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = output.await.unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let lines = std::str::from_utf8(&output.stdout).unwrap().lines();
    lines.map(|it| serde_json::from_str(it).unwrap()).collect()
}

async fn what_is_said_of_an_answer_is_taken(deployment: &Deployment) {
    let request = deployment.post_in(&conversation(), "/v1/chat");
    let request = request.json(&json!({ "message": "Apa itu ITB?" }));
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    let path = format!("/v1/jobs/{}/feedback", answer["job_id"].as_str().unwrap());
    let say = async |path: &str, body: &Value| {
        let request = deployment.post(path).json(body);
        request.send().await.unwrap()
    };
    let long = "é".repeat(2_000);
    for body in [
        json!({ "rating": "good" }),
        json!({ "rating": "bad", "comment": long }),
        json!({ "rating": "bad", "comment": null }),
    ] {
        let answer = say(&path, &body).await;
        assert_eq!(answer.status(), StatusCode::NO_CONTENT, "{body}");
    }
    for (body, code) in [
        (json!({ "rating": "fine" }), "invalid_field"),
        (json!({ "comment": "x" }), "invalid_field"),
        (json!({ "rating": "good", "stars": 5 }), "invalid_field"),
        (
            json!({ "rating": "good", "comment": format!("{long}x") }),
            "invalid_field",
        ),
    ] {
        let found = problem(say(&path, &body).await, 422, code).await;
        assert_eq!(found["code"], code);
    }
    let good = json!({ "rating": "good" });
    let none = say("/v1/jobs/none/feedback", &good).await;
    problem(none, 404, "none").await;
    let foreign = client().post(format!("{}{path}", deployment.urls()[0]));
    let foreign = foreign.header("x-api-key", OTHER_KEY).json(&good);
    problem(foreign.send().await.unwrap(), 404, "foreign").await;
    let data = path.replace("feedback", "data");
    let erased = deployment.delete(&data).send().await.unwrap();
    assert_eq!(erased.status(), StatusCode::NO_CONTENT);
    problem(say(&path, &good).await, 410, "erased").await;
}

#[tokio::test]
async fn operators_see_what_was_said_and_what_was_not_answered() {
    let Some(servers) = common::testing::servers::shared() else {
        return;
    };
    // A tenant of its own: other tests ask too.
    let mut settings = servers.environment();
    settings.push(("API_KEYS".into(), "survei:kunci-survei".into()));
    let (_api, url) = start_api(&settings);
    let _worker = start_worker("rag", &settings);
    let ask = async |path: &str, body: Value| {
        let request = client().post(format!("{url}{path}")).json(&body);
        let request = request.header("x-api-key", "kunci-survei");
        let request = request.header("x-conversation-id", conversation());
        request.send().await.unwrap()
    };
    let mut jobs = Vec::new();
    for question in [
        "Apa itu ITB?",
        "Berapa tarif parkir sepeda terbang?",
        "berapa tarif parkir sepeda terbang",
    ] {
        let answer = ask("/v1/chat", json!({ "message": question })).await;
        let answer: Value = answer.json().await.unwrap();
        jobs.push(answer["job_id"].as_str().unwrap().to_owned());
    }
    let of = ["--tenant", "survei"];
    assert_eq!(listed(&settings, &of).await, Vec::<Value>::new());
    let path = format!("/v1/jobs/{}/feedback", jobs[0]);
    ask(&path, json!({ "rating": "good" })).await;
    ask(&path, json!({ "rating": "bad", "comment": " Kurang. " })).await;
    let said = listed(&settings, &of).await;
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(said[0]["job_id"], jobs[0]);
    assert_eq!(said[0]["rating"], "bad");
    assert_eq!(said[0]["comment"], "Kurang.");
    assert_eq!(said[0]["question"], "Apa itu ITB?");
    let gaps = listed(&settings, &["--unanswered", "--tenant", "survei"]).await;
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(gaps[0]["times"], 2);
}
