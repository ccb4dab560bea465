//! Paths that mean to lead elsewhere.

use super::{Row, Victim, row};
use crate::{deployment::KEY, hostile::wire::Ask};

pub fn rows(victim: &Victim) -> Vec<Row> {
    let get = |path: &str| Ask::get(path).end();
    let job = &victim.job;
    vec![
        row("up and away", get("/../../etc/passwd"), "404 not_found"),
        row(
            "up, encoded",
            get("/%2e%2e/%2e%2e/etc/passwd"),
            "404 not_found",
        ),
        row(
            "up, encoded twice",
            get("/%252e%252e/etc/passwd"),
            "404 not_found",
        ),
        row(
            "up with backslashes",
            get("/..\\..\\etc\\passwd"),
            "404 not_found",
        ),
        row("up out of v1", get("/v1/../health"), "404 not_found"),
        row(
            "up within a segment",
            get(&format!("/v1/jobs/{job}/../{job}")),
            "404 not_found",
        ),
        row("two slashes", get("//health"), "404 not_found"),
        row("slash at the end", get("/health/"), "404 not_found"),
        row("upper case", get("/HEALTH"), "404 not_found"),
        row("encoded slash", get("/v1%2fchat"), "404 not_found"),
        row(
            "encoded slash in an id",
            get(&format!("/v1/jobs/{job}%2fevents")),
            "404 unknown_job",
        ),
        row("NUL, encoded", get("/health%00"), "404 not_found"),
        row(
            "NUL in an id",
            get(&format!("/v1/jobs/{job}%00")),
            "404 unknown_job",
        ),
        row(
            "not UTF-8, encoded",
            get("/v1/jobs/%ff%fe"),
            "404 unknown_job",
        ),
        row("half an escape", get("/v1/jobs/%"), "404 unknown_job"),
        row(
            "parameter in a path",
            get("/health;jsessionid=1"),
            "404 not_found",
        ),
        row("NUL as it is", Ask::get("/health\0").end(), "400 bare"),
        row(
            "space in a path",
            Ask::line("GET /health x HTTP/1.1").end(),
            "400 bare",
        ),
        row(
            "line end in a path, encoded",
            get("/%0d%0aSet-Cookie:%20a=b"),
            "404 not_found",
        ),
        row("a fragment", get("/health#/../v1/jobs"), "200"),
        row(
            "absolute form",
            get("http://elsewhere.example/health"),
            "200",
        ),
        row(
            "absolute form of another scheme",
            get("ftp://elsewhere.example/health"),
            "200",
        ),
        row("asterisk", Ask::new("OPTIONS", "*").end(), "404 not_found"),
        row(
            "another host",
            Ask::line("GET /health HTTP/1.1")
                .header("Host", "evil.example")
                .header("Connection", "close")
                .end(),
            "200",
        ),
        row(
            "two hosts",
            Ask::get("/health").header("Host", "evil.example").end(),
            "400 invalid_host",
        ),
        row(
            "no host",
            Ask::line("GET /health HTTP/1.1")
                .header("X-API-Key", KEY)
                .header("Connection", "close")
                .end(),
            "400 invalid_host",
        ),
        row(
            "a method in a header",
            Ask::post("/health")
                .header("X-HTTP-Method-Override", "GET")
                .end(),
            "405 method_not_allowed",
        ),
        row(
            "an address in a header",
            Ask::get("/nowhere")
                .header("X-Original-URL", "/health")
                .header("X-Rewrite-URL", "/health")
                .end(),
            "404 not_found",
        ),
    ]
}
