//! DNS rebinding: a page whose name leads to this machine asks a server on it
//! with the key that everybody knows.

use std::net::SocketAddr;

use reqwest::{Client, Method, Response, StatusCode, Version};
use serde_json::json;

use super::{
    House, QUESTION,
    wire::{self, Ask},
};
use crate::{
    deployment::problem,
    vendors::{in_each_mode, running::Mode},
};

/// The built-in key beside another.
const KEYS: [(&str, &str); 2] = [("API_KEY", "kunci-lain"), ("API_KEYS", "web:dev")];

const NAMES: [&str; 4] = [
    "halaman.example",
    "localhost.halaman.example",
    "127.0.0.1.halaman.example",
    "itb",
];

/// A client to which `name` leads to `address`, as it does to the browser of a
/// page that means harm.
fn misled(name: &str, address: SocketAddr, version: Version) -> Client {
    common::telemetry::choose_cryptography();
    let builder = Client::builder().no_proxy().resolve(name, address);
    let builder = match version {
        Version::HTTP_2 => builder.http2_prior_knowledge(),
        _ => builder.http1_only(),
    };
    builder.build().unwrap()
}

async fn ask(client: &Client, method: Method, url: String) -> Response {
    let request = client.request(method.clone(), url);
    let request = request
        .header("X-API-Key", "dev")
        .header("X-Conversation-Id", "a")
        .header("Origin", "http://halaman.example");
    let request = match method {
        Method::POST => request.json(&json!({ "message": QUESTION })),
        _ => request,
    };
    request.send().await.unwrap()
}

const ROUTES: [(Method, &str); 7] = [
    (Method::POST, "/v1/chat"),
    (Method::GET, "/v1/conversations/a"),
    (Method::OPTIONS, "/v1/chat"),
    (Method::GET, "/health"),
    (Method::GET, "/docs"),
    (Method::GET, "/openapi.json"),
    (Method::GET, "/nowhere"),
];

async fn a_page_whose_name_leads_here_is_refused_while_the_built_in_key_is_valid(mode: Mode) {
    let house = House::start(mode, &KEYS).await;
    let address: SocketAddr = house.address.parse().unwrap();
    for version in [Version::HTTP_11, Version::HTTP_2] {
        for name in NAMES {
            let client = misled(name, address, version);
            for (method, path) in ROUTES {
                let case = format!("{version:?} {method} {name}{path}");
                let url = format!("http://{name}:{}{path}", address.port());
                let answer = ask(&client, method, url).await;
                assert_eq!(answer.version(), version, "{case}");
                let body = problem(answer, 421, &case).await;
                assert_eq!(body["code"], "misdirected_request", "{case}");
            }
        }
        for name in ["127.0.0.1", "localhost", "itb.localhost"] {
            let client = misled(name, address, version);
            let url = format!("http://{name}:{}/v1/chat", address.port());
            let answer = ask(&client, Method::POST, url).await;
            assert_eq!(answer.status(), StatusCode::OK, "{version:?} {name}");
        }
    }
}

async fn no_way_to_write_a_name_leads_past_that(mode: Mode) {
    let house = House::start(mode, &KEYS).await;
    const REFUSED: &str = "421 misdirected_request";
    let get = |target: &str, version: &str| {
        let ask = Ask::line(&format!("GET {target} HTTP/{version}"));
        ask.header("Connection", "close").header("X-API-Key", "dev")
    };
    let line = || get("/health", "1.1");
    let local = || line().header("Host", &house.address);
    for (ask, expected) in [
        (local(), "200"),
        (line().header("Host", "a"), REFUSED),
        (line().header("Host", ""), REFUSED),
        (line().header("Host", "a@localhost"), REFUSED),
        (line().header("Host", "localhost@a"), REFUSED),
        (line().raw(b"Host: localhost\xff\r\n"), REFUSED),
        (line(), "400 invalid_host"),
        (local().header("Host", "a"), "400 invalid_host"),
        (get("/health", "1.0"), REFUSED),
        (get("/health", "1.0").header("Host", "localhost"), "200"),
        (
            get("http://a/health", "1.1").header("Host", "localhost"),
            REFUSED,
        ),
        (
            get("http://localhost/health", "1.1").header("Host", "a"),
            REFUSED,
        ),
        (local().header("X-Forwarded-Host", "a"), REFUSED),
        (local().header("X-Forwarded-Host", "localhost:8080"), "200"),
    ] {
        let ask = ask.end();
        let told = wire::told(&house.address, &ask).await;
        assert_eq!(told, expected, "{}", String::from_utf8_lossy(&ask));
    }
}

in_each_mode!(
    a_page_whose_name_leads_here_is_refused_while_the_built_in_key_is_valid,
    no_way_to_write_a_name_leads_past_that,
);

/// A page may be served by any name where every caller has a key of its own.
#[tokio::test]
async fn a_server_with_a_key_of_its_own_answers_to_every_name() {
    let house = House::start(Mode::Embedded, &[]).await;
    let address: SocketAddr = house.address.parse().unwrap();
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let client = misled(NAMES[0], address, version);
        let url = format!("http://{}:{}", NAMES[0], address.port());
        let answer = ask(&client, Method::GET, format!("{url}/health")).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let answer = ask(&client, Method::POST, format!("{url}/v1/chat")).await;
        problem(answer, 401, "the built-in key").await;
    }
}
