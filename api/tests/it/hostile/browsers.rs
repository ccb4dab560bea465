//! Pages of other sites, and what an answer tells a browser to leave alone.

use reqwest::{Method, RequestBuilder, header::HeaderMap};

use super::House;
use crate::{deployment::KEY, vendors::running::Mode};

const PAGE: &str = "https://halaman.example";

fn preflight(house: &House, path: &str, origin: &str) -> RequestBuilder {
    let url = format!("http://{}{path}", house.address);
    crate::deployment::client()
        .request(Method::OPTIONS, url)
        .header("Origin", origin)
        .header("Access-Control-Request-Method", "POST")
        .header(
            "Access-Control-Request-Headers",
            "x-api-key,content-type,idempotency-key",
        )
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn pages_of_the_sites_that_are_named_may_ask_and_no_others() {
    let settings = [(
        "CORS_ORIGINS",
        "https://halaman.example, http://localhost:5173",
    )];
    let house = House::start(Mode::Embedded, &settings).await;

    let answer = preflight(&house, "/v1/chat", PAGE).send().await.unwrap();
    assert!(answer.status().is_success(), "a preflight needs no key");
    let headers = answer.headers();
    assert_eq!(text(headers, "access-control-allow-origin"), PAGE);
    assert!(text(headers, "access-control-allow-methods").contains("DELETE"));
    let allowed = text(headers, "access-control-allow-headers").to_ascii_lowercase();
    for name in [
        "x-api-key",
        "x-conversation-id",
        "idempotency-key",
        "prefer",
        "last-event-id",
    ] {
        assert!(allowed.contains(name), "{name} in {allowed}");
    }
    assert_eq!(text(headers, "access-control-allow-credentials"), "");

    // Also what goes wrong can be read by the page.
    for (key, status) in [(KEY, 404), ("wrong", 401)] {
        let asked = house.deployment.get("/v1/jobs/1").header("Origin", PAGE);
        let mut asked = asked.build().unwrap();
        asked
            .headers_mut()
            .insert("x-api-key", key.parse().unwrap());
        let answer = crate::deployment::client().execute(asked).await.unwrap();
        assert_eq!(answer.status(), status);
        let headers = answer.headers();
        assert_eq!(text(headers, "access-control-allow-origin"), PAGE);
        assert!(
            text(headers, "vary")
                .to_ascii_lowercase()
                .contains("origin")
        );
        let exposed = text(headers, "access-control-expose-headers");
        for name in [
            "location",
            "retry-after",
            "ratelimit",
            "ratelimit-policy",
            "x-request-id",
            "preference-applied",
        ] {
            assert!(exposed.contains(name), "{name} in {exposed}");
        }
    }
    for other in [
        "https://halaman.example.evil",
        "https://evil.example",
        "null",
        "http://halaman.example",
    ] {
        let answer = preflight(&house, "/v1/chat", other).send().await.unwrap();
        assert_eq!(
            text(answer.headers(), "access-control-allow-origin"),
            "",
            "{other}"
        );
    }
}

#[tokio::test]
async fn every_page_may_ask_where_that_is_set_but_never_with_cookies() {
    let house = House::start(Mode::Embedded, &[("CORS_ORIGINS", "*")]).await;
    let answer = preflight(&house, "/v1/audio", PAGE).send().await.unwrap();
    assert_eq!(text(answer.headers(), "access-control-allow-origin"), "*");
    assert_eq!(
        text(answer.headers(), "access-control-allow-credentials"),
        ""
    );
}

#[tokio::test]
async fn without_a_setting_no_page_of_another_site_may_ask() {
    let house = House::start(Mode::Embedded, &[]).await;
    let answer = preflight(&house, "/v1/chat", PAGE).send().await.unwrap();
    assert_eq!(text(answer.headers(), "access-control-allow-origin"), "");
    let answer = house
        .deployment
        .get("/health")
        .header("Origin", PAGE)
        .send()
        .await;
    assert_eq!(
        text(answer.unwrap().headers(), "access-control-allow-origin"),
        ""
    );
}

#[tokio::test]
async fn every_answer_tells_a_browser_to_do_nothing_with_it() {
    let house = House::start(Mode::Embedded, &[]).await;
    for path in [
        "/health",
        "/ready",
        "/nowhere",
        "/v1/jobs/1",
        "/v1/chat",
        "/v1/nowhere",
    ] {
        let answer = house.deployment.get(path).send().await.unwrap();
        let headers = answer.headers();
        assert_eq!(text(headers, "x-content-type-options"), "nosniff", "{path}");
        assert_eq!(text(headers, "referrer-policy"), "no-referrer", "{path}");
        let policy = "default-src 'none'; frame-ancestors 'none'";
        assert_eq!(text(headers, "content-security-policy"), policy, "{path}");
        if path.starts_with("/v1") {
            assert_eq!(text(headers, "cache-control"), "no-store", "{path}");
        }
        assert_eq!(text(headers, "server"), "", "{path}");
    }
}
