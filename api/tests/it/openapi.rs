//! What the OpenAPI document says, held against what the server does.

use std::collections::BTreeSet;

use reqwest::{Method, RequestBuilder, Response, StatusCode, header, multipart};
use serde_json::{Value, json};

use crate::deployment::{Deployment, conversation, form, problem};

mod erased;

/// What the document is called while it is read.
const BASE: &str = "http://assistant.invalid/openapi.json";

/// The document, and what has been held against it.
struct Document {
    json: Value,
    compiler: boon::Compiler,
    schemas: boon::Schemas,
    /// Operations and statuses that an answer was seen of.
    seen: BTreeSet<(String, u16)>,
}

impl Document {
    fn new(json: Value) -> Self {
        let mut compiler = boon::Compiler::new();
        compiler.enable_format_assertions();
        compiler.add_resource(BASE, json.clone()).unwrap();
        Self {
            json,
            compiler,
            schemas: boon::Schemas::new(),
            seen: BTreeSet::new(),
        }
    }

    fn of_this_program() -> Self {
        let document = api::openapi::document(api::routes::paths());
        Self::new(serde_json::to_value(document).unwrap())
    }

    async fn served_by(deployment: &Deployment) -> Self {
        let answer = deployment.get("/openapi.json").send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], "application/json");
        Self::new(answer.json().await.unwrap())
    }

    /// Every operation: its path, its method and what is said of it.
    fn operations(&self) -> Vec<(String, String, Value)> {
        let mut all = Vec::new();
        for (path, item) in self.json["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                all.push((path.clone(), method.clone(), operation.clone()));
            }
        }
        all
    }

    /// Holds `value` against the schema at `pointer`.
    fn hold(&mut self, value: &Value, pointer: &[&str]) {
        let encoded = pointer.iter().map(|part| {
            let part = part.replace('~', "~0").replace('/', "~1");
            part.replace('{', "%7B")
                .replace('}', "%7D")
                .replace('#', "%23")
        });
        let fragment = encoded.fold(String::new(), |all, part| all + "/" + &part);
        let place = format!("{BASE}#{fragment}");
        let schema = self.compiler.compile(&place, &mut self.schemas).unwrap();
        if let Err(error) = self.schemas.validate(value, schema) {
            panic!("{fragment}: {error}\n{value:#}");
        }
    }

    /// Holds an answer to `method` on the route `path` against the document.
    async fn check(&mut self, method: &Method, path: &str, answer: Response) {
        let status = answer.status().as_u16();
        let text = status.to_string();
        let method = method.as_str().to_lowercase();
        let case = format!("{method} {path} {status}");
        let described = self.json["paths"][path][&method]["responses"][&text].clone();
        assert!(described.is_object(), "{case} is not described");
        assert!(answer.headers().contains_key("x-request-id"), "{case}");
        self.seen.insert((format!("{method} {path}"), status));
        let Some(content) = described["content"].as_object() else {
            assert!(answer.bytes().await.unwrap().is_empty(), "{case}");
            return;
        };
        let media_type = answer.headers()[header::CONTENT_TYPE].to_str().unwrap();
        let media_type = media_type.split(';').next().unwrap().to_owned();
        assert!(content.contains_key(&media_type), "{case}: {media_type}");
        let body = answer.bytes().await.unwrap();
        if media_type == "text/event-stream" {
            self.hold_events(std::str::from_utf8(&body).unwrap());
        } else if media_type.ends_with("json") {
            let body: Value = serde_json::from_slice(&body).unwrap();
            let place = [
                "paths",
                path,
                method.as_str(),
                "responses",
                text.as_str(),
                "content",
            ];
            self.hold(
                &body,
                &[&place[..], &[media_type.as_str(), "schema"]].concat(),
            );
        }
    }

    fn hold_events(&mut self, stream: &str) {
        let events: Vec<Value> = stream
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .map(|data| serde_json::from_str(data).unwrap())
            .collect();
        assert!(!events.is_empty(), "{stream}");
        for event in events {
            self.hold(&event, &["components", "schemas", "Event"]);
        }
    }
}

/// An operation by its route, and a request of it.
type Case = (Method, &'static str, RequestBuilder);

async fn check_all(document: &mut Document, cases: Vec<Case>) {
    for (method, path, request) in cases {
        let answer = request.send().await.unwrap();
        document.check(&method, path, answer).await;
    }
}

const UNKNOWN: &str = "01939a4e-7c00-7000-8000-000000000000";

fn question() -> Value {
    json!({ "message": "Apa itu ITB?" })
}

/// The three ways to be answered, and what can be wrong with a request.
fn chats(deployment: &Deployment) -> Vec<Case> {
    let post = || deployment.post("/v1/chat");
    let cases = [
        post().json(&question()),
        post()
            .json(&question())
            .header("Accept", "text/event-stream"),
        post()
            .json(&question())
            .header("Prefer", "respond-async, wait=0"),
        post().json(&json!({})),
        post().json(&json!({ "message": " " })),
        post().json(&question()).header("Accept", "text/html"),
        post().json(&question()).header("Idempotency-Key", ""),
        post().body("{").header("Content-Type", "application/json"),
        post().body("apa?"),
        post().json(&json!({ "message": "a".repeat(200_000) })),
        deployment.post_bare("/v1/chat").json(&question()),
        deployment.post_in("a b", "/v1/chat").json(&question()),
    ];
    cases
        .map(|request| (Method::POST, "/v1/chat", request))
        .into()
}

fn forms(deployment: &Deployment, path: &'static str) -> Vec<Case> {
    let post = |form| deployment.post(path).multipart(form);
    let empty = || multipart::Form::new().text("kind", "audio");
    let cases = [
        post(multipart::Form::new()),
        post(empty()),
        post(form(b"no audio".to_vec())),
        deployment.post(path).body("x"),
    ];
    cases.map(|request| (Method::POST, path, request)).into()
}

fn the_service(deployment: &Deployment) -> Vec<Case> {
    let paths = ["/health", "/ready", "/openapi.json", "/docs"];
    let pages = paths.map(|path| (Method::GET, path, deployment.get(path)));
    let files = ["docs.js", "docs.css", "nothing.js", "%ff"];
    let files = files.map(|file| {
        let request = deployment.get(&format!("/docs/{file}"));
        (Method::GET, "/docs/{file}", request)
    });
    pages.into_iter().chain(files).collect()
}

fn feedback(deployment: &Deployment, id: &str, body: &Value) -> Case {
    let request = deployment.post(&format!("/v1/jobs/{id}/feedback"));
    (Method::POST, "/v1/jobs/{id}/feedback", request.json(body))
}

async fn answers_are_as_the_document_says(deployment: &Deployment) {
    let mut document = Document::served_by(deployment).await;
    check_all(&mut document, chats(deployment)).await;
    check_all(&mut document, the_service(deployment)).await;
    for path in ["/v1/audio", "/v1/jobs"] {
        check_all(&mut document, forms(deployment, path)).await;
    }

    // A job, from its submission to its end.
    let conversation = conversation();
    let new = json!({ "kind": "chat", "message": "Apa itu ITB?" });
    let post = || deployment.post_in(&conversation, "/v1/jobs").json(&new);
    let accepted: Value = post().send().await.unwrap().json().await.unwrap();
    let id = accepted["job_id"].as_str().unwrap().to_owned();
    let of = |id: &str, rest: &str| deployment.get(&format!("/v1/jobs/{id}{rest}"));
    let of_conversation = format!("/v1/conversations/{conversation}");
    let of_nobody = deployment.get("/v1/conversations/%ff");
    let delete = |path: String| deployment.delete(&path);
    let cases = vec![
        (Method::POST, "/v1/jobs", post()),
        (Method::POST, "/v1/jobs", post().header("Prefer", "wait=30")),
        (Method::GET, "/v1/jobs/{id}", of(&id, "?wait=30")),
        (Method::GET, "/v1/jobs/{id}", of(&id, "?wait=x")),
        (Method::GET, "/v1/jobs/{id}", of(&id, "?wait=1&wait=1")),
        (Method::GET, "/v1/jobs/{id}", of(UNKNOWN, "")),
        (Method::GET, "/v1/jobs/{id}/events", of(&id, "/events")),
        (
            Method::GET,
            "/v1/jobs/{id}/events",
            of(&id, "/events?starting_after=x"),
        ),
        (Method::GET, "/v1/jobs/{id}/events", of(UNKNOWN, "/events")),
        (Method::GET, "/v1/jobs/{id}/audio", of(&id, "/audio")),
        feedback(deployment, &id, &json!({ "rating": "good" })),
        feedback(deployment, &id, &json!({ "rating": "fine" })),
        feedback(deployment, UNKNOWN, &json!({ "rating": "good" })),
        (
            Method::GET,
            "/v1/conversations/{id}",
            deployment.get(&of_conversation),
        ),
        (Method::GET, "/v1/conversations/{id}", of_nobody),
        (
            Method::DELETE,
            "/v1/jobs/{id}",
            delete(format!("/v1/jobs/{id}")),
        ),
        (
            Method::DELETE,
            "/v1/jobs/{id}",
            delete(format!("/v1/jobs/{UNKNOWN}")),
        ),
        (
            Method::DELETE,
            "/v1/conversations/{id}",
            delete(of_conversation.clone()),
        ),
        (
            Method::DELETE,
            "/v1/conversations/{id}",
            delete("/v1/conversations/a%20b".to_owned()),
        ),
        (
            Method::GET,
            "/v1/conversations/{id}",
            deployment.get(&of_conversation),
        ),
    ];
    check_all(&mut document, cases).await;
    check_all(&mut document, erased::cases(deployment, &id)).await;
    spoken(deployment, &mut document).await;

    for (path, method, _) in document.operations() {
        let operation = format!("{method} {path}");
        let is_spoken = ["post /v1/audio", "get /v1/jobs/{id}/audio"].contains(&operation.as_str());
        let succeeded = document
            .seen
            .iter()
            .any(|(seen, status)| *seen == operation && *status < 300);
        assert!(
            succeeded || is_spoken,
            "{operation} was not seen to succeed"
        );
    }
}

/// A spoken question, and its answer in parts.
async fn spoken(deployment: &Deployment, document: &mut Document) {
    let Some(question) = crate::voice::spoken("Apa itu ITB?") else {
        return;
    };
    if !deployment.can_speak().await {
        return;
    }
    let post = || {
        deployment
            .post("/v1/audio")
            .multipart(form(question.clone()))
    };
    let answer: Value = post().send().await.unwrap().json().await.unwrap();
    let path = format!("/v1/jobs/{}", answer["job_id"].as_str().unwrap());
    let audio = || deployment.get(&format!("{path}/audio"));
    let cases = vec![
        (Method::POST, "/v1/audio", post()),
        (
            Method::POST,
            "/v1/audio",
            post().header("Accept", "text/event-stream"),
        ),
        (Method::GET, "/v1/jobs/{id}", deployment.get(&path)),
        (Method::GET, "/v1/jobs/{id}/audio", audio()),
        (
            Method::GET,
            "/v1/jobs/{id}/audio",
            audio().header("Range", "bytes=0-99"),
        ),
        (
            Method::GET,
            "/v1/jobs/{id}/audio",
            audio().header("Range", "bytes=999999999-"),
        ),
    ];
    check_all(document, cases).await;
    let seen = |status| (("get /v1/jobs/{id}/audio".to_owned()), status);
    assert!(
        [200, 206, 416]
            .map(seen)
            .iter()
            .all(|seen| document.seen.contains(seen))
    );
}

async fn a_route_takes_the_methods_that_are_described_and_no_others(deployment: &Deployment) {
    let document = Document::served_by(deployment).await;
    for (path, item) in document.json["paths"].as_object().unwrap() {
        let mut expected =
            BTreeSet::from_iter(item.as_object().unwrap().keys().map(|it| it.to_uppercase()));
        if expected.contains("GET") {
            expected.insert("HEAD".to_owned());
        }
        let address = path.replace("{id}", UNKNOWN).replace("{file}", "docs.js");
        let mut request = deployment.get(&address).build().unwrap();
        *request.method_mut() = Method::PUT;
        let answer = crate::deployment::client().execute(request).await.unwrap();
        let allowed = answer.headers()["allow"].to_str().unwrap().split(", ");
        assert_eq!(
            BTreeSet::from_iter(allowed.map(str::to_owned)),
            expected,
            "{path}"
        );
        problem(answer, 405, path).await;
    }
}

async fn the_page_needs_no_key_and_loads_nothing_from_elsewhere(deployment: &Deployment) {
    let client = crate::deployment::client();
    for url in deployment.urls() {
        let get = async |path: &str| {
            let answer = client.get(format!("{url}{path}")).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK, "{path}");
            answer
        };
        let page = get("/docs").await;
        let policy = page.headers()["content-security-policy"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(
            policy.contains("default-src 'none'") && policy.contains("script-src 'self';"),
            "{policy}"
        );
        assert!(
            !policy.contains("unsafe") && !policy.contains("http"),
            "{policy}"
        );
        let page = page.text().await.unwrap();
        assert!(
            !page.contains("<script>") && !page.contains("<style") && !page.contains("://"),
            "{page}"
        );
        for (file, media_type) in [("docs.js", "text/javascript"), ("docs.css", "text/css")] {
            assert!(page.contains(&format!("\"/docs/{file}\"")), "{page}");
            let answer = get(&format!("/docs/{file}")).await;
            let found = answer.headers()["content-type"]
                .to_str()
                .unwrap()
                .to_owned();
            assert!(found.starts_with(media_type), "{found}");
            let content = answer.text().await.unwrap();
            assert!(!content.contains("://"), "{file} names another host");
        }
        get("/openapi.json").await;
    }
}

/// The server names the fields that it knows when it refuses another one.
async fn forms_have_the_fields_that_are_described(deployment: &Deployment) {
    let document = Document::served_by(deployment).await;
    for path in ["/v1/audio", "/v1/jobs"] {
        let odd = multipart::Form::new().text("odd", "1");
        let answer = deployment.post(path).multipart(odd).send().await.unwrap();
        let said = problem(answer, 422, path).await["detail"]
            .as_str()
            .unwrap()
            .to_owned();
        let (_, known) = said
            .trim_end_matches('.')
            .split_once("one of ")
            .expect("a list");
        let known: BTreeSet<_> = known.split(", ").collect();
        let schema = &document.json["paths"][path]["post"]["requestBody"]["content"]["multipart/form-data"]
            ["schema"];
        let described = schema["properties"].as_object().unwrap().keys();
        assert_eq!(
            described.map(String::as_str).collect::<BTreeSet<_>>(),
            known,
            "{path}"
        );
    }
}

crate::in_both_modes!(
    answers_are_as_the_document_says,
    a_route_takes_the_methods_that_are_described_and_no_others,
    the_page_needs_no_key_and_loads_nothing_from_elsewhere,
    forms_have_the_fields_that_are_described,
);

#[test]
fn operations_have_names_of_their_own_and_are_under_a_key_where_they_must_be() {
    let document = Document::of_this_program();
    assert_eq!(document.json["openapi"], "3.1.0");
    let mut names = BTreeSet::new();
    for (path, method, operation) in document.operations() {
        let name = operation["operationId"].as_str().unwrap().to_owned();
        assert!(names.insert(name.clone()), "{name} twice");
        for text in ["summary", "description"] {
            assert!(
                operation[text].as_str().is_some_and(|it| !it.is_empty()),
                "{name}"
            );
        }
        let is_keyed = !operation["security"].as_array().unwrap().is_empty();
        assert_eq!(is_keyed, path.starts_with("/v1/"), "{method} {path}");
        // An address may have too many connections, whatever is asked for.
        for (status, expected) in [("401", is_keyed), ("429", true)] {
            let is_described = operation["responses"][status].is_object();
            assert_eq!(is_described, expected, "{name} {status}");
        }
    }
}

#[test]
fn every_known_problem_is_one_of_an_operation() {
    let document = Document::of_this_program().json.to_string();
    for problem in api::openapi::problems::KNOWN {
        assert!(
            document.contains(&format!("`{}`", problem.code)),
            "{}",
            problem.code
        );
    }
}

/// Wherever a schema stands beside examples, in requests and in answers.
#[test]
fn examples_are_of_their_schemas() {
    let mut document = Document::of_this_program();
    let mut found = Vec::new();
    collect_examples(&document.json, &mut Vec::new(), &mut found);
    assert!(found.len() > 100, "{}", found.len());
    for (pointer, example) in found {
        let pointer: Vec<&str> = pointer.iter().map(String::as_str).collect();
        document.hold(&example, &pointer);
    }
}

fn collect_examples(at: &Value, pointer: &mut Vec<String>, found: &mut Vec<(Vec<String>, Value)>) {
    let children: Vec<(String, &Value)> = match at {
        Value::Object(fields) => fields.iter().map(|(name, it)| (name.clone(), it)).collect(),
        Value::Array(items) => (0..)
            .zip(items)
            .map(|(n, it): (usize, _)| (n.to_string(), it))
            .collect(),
        _ => return,
    };
    if at["schema"].is_object() {
        let named = at["examples"].as_object().into_iter().flatten();
        let named = named.map(|(_, example)| &example["value"]);
        for example in at.get("example").into_iter().chain(named) {
            found.push((
                [&pointer[..], &["schema".to_owned()]].concat(),
                example.clone(),
            ));
        }
    }
    for (name, child) in children {
        pointer.push(name);
        collect_examples(child, pointer, found);
        pointer.pop();
    }
}

#[test]
fn events_are_described_by_their_names() {
    let document = Document::of_this_program();
    let event = &document.json["components"]["schemas"]["Event"];
    let kinds = event["discriminator"]["mapping"].as_object().unwrap().len();
    assert_eq!(event["oneOf"].as_array().unwrap().len(), kinds);
}
