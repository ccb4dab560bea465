//! Callers who mean harm, and callers who know no better.

mod bombs;
mod browsers;
mod held;
mod neighbours;
mod rebinding;
mod rows;
mod secrets;
mod slow;
mod wire;

use common::testing::servers::Shared;
use serde_json::{Value, json};

use crate::{
    deployment::{Deployment, OTHER_KEY, Program, conversation, settings, start_api, start_worker},
    vendors::{in_each_mode, running::Mode},
};

/// A front door of its own, with its worker; callbacks are taken.
pub struct House {
    pub deployment: Deployment,
    /// Of the front door, for sockets.
    pub address: String,
    /// The front door, and its worker if that is another.
    pub processes: Vec<u32>,
}

impl House {
    pub async fn start(mode: Mode, more: &[(&str, &str)]) -> Self {
        let mut all = settings(&[("WEBHOOK_SECRET", "rahasia-untuk-panggilan")]);
        all.extend(settings(more));
        if let Mode::Distributed(servers) = mode {
            all.extend(Shared::environment(servers));
        }
        let (door, url) = start_api(&all);
        let mut programs: Vec<Program> = vec![door];
        if let Mode::Distributed(_) = mode {
            programs.push(start_worker("stt,emotion,rag,tts,webhook", &all));
        }
        Self {
            address: url.trim_start_matches("http://").to_owned(),
            processes: programs.iter().map(Program::id).collect(),
            deployment: Deployment::of(vec![url], programs).await,
        }
    }
}

/// What a victim has, and an attacker would like to.
pub struct Victim {
    /// An id, of a job that is done.
    pub job: String,
    pub conversation: String,
    /// That the job was submitted with.
    pub idempotency_key: String,
}

const QUESTION: &str = "Apa itu ITB?";

impl Victim {
    async fn of(house: &House) -> Self {
        let (conversation, idempotency_key) = (conversation(), conversation());
        let request = house.deployment.post_in(&conversation, "/v1/chat");
        let request = request.header("Idempotency-Key", &idempotency_key);
        let answer = request.json(&json!({ "message": QUESTION })).send().await;
        let answer: Value = answer.unwrap().json().await.unwrap();
        Self {
            job: answer["job_id"].as_str().unwrap().to_owned(),
            conversation,
            idempotency_key,
        }
    }
}

/// One request, and what comes of it.
pub struct Row {
    name: &'static str,
    request: Vec<u8>,
    expected: &'static str,
}

pub fn row(name: &'static str, request: Vec<u8>, expected: &'static str) -> Row {
    Row {
        name,
        request,
        expected,
    }
}

/// The table. All rows are looked at before any fails.
async fn every_hostile_request_has_its_answer(mode: Mode) {
    let house = House::start(mode, &[]).await;
    house.deployment.engines_are_there().await;
    let victim = Victim::of(&house).await;
    let rows = rows::all(&victim);
    assert!(rows.len() >= 60, "{} rows", rows.len());
    let described = house.deployment.get_bare("/openapi.json").send().await;
    let described = described.unwrap().text().await.unwrap();
    let mut wrong = Vec::new();
    for Row {
        name,
        request,
        expected,
    } in &rows
    {
        let told = wire::told(&house.address, request).await;
        if told != *expected {
            wrong.push(format!("{name}: {told} instead of {expected}"));
        }
        // All but what is answered where there is no such operation.
        if let Some((_, code)) = told.split_once(' ')
            && code.parse::<u16>().is_err()
            && !["bare", "method_not_allowed"].contains(&code)
            && !described.contains(&format!("urn:itb-assistant:problem:{code}"))
        {
            wrong.push(format!("{name}: {told} is not in the description"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        rows.len(),
        wrong.join("\n")
    );
    still_well(&house, &victim).await;
}

/// After all that the house stands, and the victim has what it had.
async fn still_well(house: &House, victim: &Victim) {
    let door = &house.deployment;
    door.chat(QUESTION).await;
    let job = door.job(&format!("/v1/jobs/{}", victim.job)).await;
    assert_eq!(job["status"], "succeeded");
    let turns = door
        .job(&format!("/v1/conversations/{}", victim.conversation))
        .await;
    assert_eq!(turns["turns"].as_array().unwrap().len(), 1, "{turns}");
    let path = format!("/v1/conversations/{}", victim.conversation);
    let stolen = door.get(&path);
    let mut stolen = stolen.build().unwrap();
    stolen
        .headers_mut()
        .insert("x-api-key", OTHER_KEY.parse().unwrap());
    let stolen = crate::deployment::client().execute(stolen).await.unwrap();
    assert_eq!(stolen.status(), 404);
}

/// A name may lead anywhere, and elsewhere tomorrow: it is looked at when it is
/// called.
async fn a_callback_to_a_name_of_a_private_address_is_not_made(mode: Mode) {
    let house = House::start(mode, &[]).await;
    let Some(name) = private_name().await else {
        println!("this machine does not know its own name");
        return;
    };
    let url = format!("http://{name}:1/");
    let job = json!({ "kind": "chat", "message": QUESTION, "callback_url": url });
    let answer = house
        .deployment
        .post("/v1/jobs")
        .json(&job)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 202);
    let accepted: Value = answer.json().await.unwrap();
    let path = format!("/v1/jobs/{}?wait=60", accepted["job_id"].as_str().unwrap());
    let job = house.deployment.job(&path).await;
    assert_eq!(job["status"], "succeeded", "{job}");
    let telling = job["callback"]["job_id"].as_str().unwrap();
    let telling = house
        .deployment
        .job(&format!("/v1/jobs/{telling}?wait=60"))
        .await;
    assert_eq!(telling["error"]["code"], "callback_refused", "{telling}");
}

/// This machine's, where its hosts file has it.
async fn private_name() -> Option<String> {
    let name = std::fs::read_to_string("/etc/hostname").ok()?;
    let name = name.trim().to_owned();
    let found = tokio::net::lookup_host((name.as_str(), 1)).await.ok()?;
    let is_own = |address: std::net::SocketAddr| !common::callback::is_public(address.ip());
    let is_private = found.into_iter().all(is_own);
    is_private.then_some(name)
}

in_each_mode!(
    every_hostile_request_has_its_answer,
    a_callback_to_a_name_of_a_private_address_is_not_made,
);
