//! What one tenant has does not exist for another, on whichever way he comes.

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::deployment::{Deployment, KEY, OTHER_KEY, client, conversation, form, problem};

/// Sends what `request` is, but by this method and with this key.
async fn send(request: RequestBuilder, method: &Method, key: &str) -> Response {
    let mut request = request.build().unwrap();
    *request.method_mut() = method.clone();
    let headers = request.headers_mut();
    headers.insert("x-api-key", key.parse().unwrap());
    client().execute(request).await.unwrap()
}

async fn body(answer: Response) -> Value {
    let status = answer.status();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(status, 200, "{body}");
    body
}

/// Asks as `key`, in `conversation` and under an idempotency key.
async fn ask(deployment: &Deployment, key: &str, conversation: &str, named: &str) -> Value {
    let request = deployment
        .post_in(conversation, "/v1/chat")
        .header("Idempotency-Key", named)
        .json(&json!({ "message": "Apa itu ITB?" }));
    body(send(request, &Method::POST, key).await).await
}

/// All that a caller is told, without what differs from request to request.
fn told(mut problem: Value) -> Value {
    for field in ["instance", "request_id", "timestamp"] {
        problem.as_object_mut().unwrap().remove(field);
    }
    problem
}

/// Every way to a job, by its path after the id.
const WAYS: [(&str, &str); 9] = [
    ("GET", ""),
    ("HEAD", ""),
    ("GET", "?wait=1"),
    ("GET", "/events"),
    ("GET", "/events?starting_after=1"),
    ("GET", "/audio"),
    ("HEAD", "/audio"),
    ("DELETE", ""),
    ("DELETE", "/data"),
];

async fn a_foreign_job_is_as_unknown_as_one_that_never_was(deployment: &Deployment) {
    let place = conversation();
    let mine = ask(deployment, KEY, &place, &conversation()).await;
    let mine = mine["job_id"].as_str().unwrap();
    let seen = async || {
        let request = deployment.get(&format!("/v1/jobs/{mine}"));
        body(request.send().await.unwrap()).await
    };
    let before = seen().await;
    // Neighbours in time have ids that begin alike.
    let neighbour = format!("{}{}", &mine[..24], "000000000000");
    let guesses = [mine, &conversation(), &neighbour, "..%2f", "*", &place];
    for (method, way) in WAYS {
        let method: Method = method.parse().unwrap();
        let mut answers = Vec::new();
        for id in guesses {
            let case = format!("{method} {id}{way}");
            let request = deployment.get(&format!("/v1/jobs/{id}{way}"));
            let answer = send(request, &method, OTHER_KEY).await;
            assert_eq!(answer.status(), 404, "{case}");
            if method != Method::HEAD {
                answers.push(told(problem(answer, 404, &case).await));
            }
        }
        for answer in answers {
            assert_eq!(answer["code"], "unknown_job", "{method} {way}");
        }
    }
    assert_eq!(seen().await, before);
}

async fn foreign_audio_is_heard_by_nobody_else(deployment: &Deployment) {
    let Some(question) = crate::voice::spoken("Apa itu ITB?") else {
        return;
    };
    if !deployment.can_speak().await {
        return;
    }
    let request = form(question).text("response_format", "url");
    let request = deployment.post("/v1/audio").multipart(request);
    let answer = body(request.send().await.unwrap()).await;
    let path = format!("/v1/jobs/{}/audio", answer["job_id"].as_str().unwrap());
    for range in ["bytes=0-43", "bytes=-1", ""] {
        let get = || deployment.get(&path).header("Range", range);
        let theirs = send(get(), &Method::GET, OTHER_KEY).await;
        let body = problem(theirs, 404, range).await;
        assert_eq!(body["code"], "unknown_job");
        let mine = send(get(), &Method::GET, KEY).await;
        assert!(mine.status().is_success(), "{range}");
    }
}

async fn conversations_of_the_same_name_are_apart(deployment: &Deployment) {
    let place = conversation();
    let path = format!("/v1/conversations/{place}");
    let mine = ask(deployment, KEY, &place, &conversation()).await;
    let read = async |key| send(deployment.get(&path), &Method::GET, key).await;
    let theirs = problem(read(OTHER_KEY).await, 404, "before").await;
    assert_eq!(theirs["code"], "unknown_conversation");
    let other = ask(deployment, OTHER_KEY, &place, &conversation()).await;
    for (key, asked) in [(KEY, &mine), (OTHER_KEY, &other)] {
        let found = body(read(key).await).await;
        let turns = found["turns"].as_array().unwrap();
        assert_eq!(turns.len(), 1, "{found}");
        assert_eq!(turns[0]["job_id"], asked["job_id"]);
    }
    let forgotten = send(deployment.get(&path), &Method::DELETE, OTHER_KEY).await;
    assert_eq!(forgotten.status(), 204);
    problem(read(OTHER_KEY).await, 404, "forgotten").await;
    body(read(KEY).await).await;
}

/// In the shared store a conversation of the tenant `other` is named
/// `checkpoint:other:…`.
async fn no_name_of_a_conversation_leads_to_another_tenant(deployment: &Deployment) {
    let place = conversation();
    ask(deployment, OTHER_KEY, &place, &conversation()).await;
    for name in [
        format!("other:{place}"),
        format!("other%3A{place}"),
        format!("..%2f{place}"),
        format!("{{checkpoint:other:{place}}}"),
    ] {
        let path = format!("/v1/conversations/{name}");
        for method in [Method::GET, Method::DELETE] {
            let answer = send(deployment.get(&path), &method, KEY).await;
            let body = problem(answer, 400, &name).await;
            assert_eq!(body["code"], "invalid_conversation_id");
        }
    }
    // One that is named as the tenant is.
    let path = "/v1/conversations/other";
    ask(deployment, KEY, "other", &conversation()).await;
    let forgotten = send(deployment.get(path), &Method::DELETE, KEY).await;
    assert_eq!(forgotten.status(), 204);
    let path = format!("/v1/conversations/{place}");
    body(send(deployment.get(&path), &Method::GET, OTHER_KEY).await).await;
}

async fn an_idempotency_key_is_its_tenants_own(deployment: &Deployment) {
    let (place, named) = (conversation(), conversation());
    let mine = ask(deployment, KEY, &place, &named).await;
    let theirs = ask(deployment, OTHER_KEY, &place, &named).await;
    assert_ne!(mine["job_id"], theirs["job_id"]);
    let again = ask(deployment, KEY, &place, &named).await;
    assert_eq!(again, mine);
    // Another request with it: nobody learns that somebody else has used it.
    let request = || {
        deployment
            .post_in(&conversation(), "/v1/chat")
            .header("Idempotency-Key", format!("{named}-2"))
    };
    let asking = |message: &str| request().json(&json!({ "message": message }));
    body(send(asking("Apa itu ITB?"), &Method::POST, KEY).await).await;
    body(send(asking("Terima kasih"), &Method::POST, OTHER_KEY).await).await;
}

crate::in_both_modes!(
    a_foreign_job_is_as_unknown_as_one_that_never_was,
    foreign_audio_is_heard_by_nobody_else,
    conversations_of_the_same_name_are_apart,
    no_name_of_a_conversation_leads_to_another_tenant,
    an_idempotency_key_is_its_tenants_own,
);
