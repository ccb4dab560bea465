//! Bodies of JSON that are too much, not what they say, or say more than one
//! thing.

use super::{Row, row};
use crate::hostile::wire::Ask;

fn chat(body: &str) -> Vec<u8> {
    Ask::post("/v1/chat").json(body)
}

fn message(json: &str) -> Vec<u8> {
    chat(&format!("{{\"message\":\"{json}\"}}"))
}

fn typed() -> Ask {
    Ask::post("/v1/chat").header("Content-Type", "application/json")
}

pub fn rows() -> Vec<Row> {
    let deep = "[".repeat(100_000);
    let deep_objects = "{\"message\":".repeat(10_000);
    let hundred_megabytes = vec![b' '; 100_000_000];
    let chunk = vec![b' '; 50_000];
    vec![
        row("100 MB", typed().body(&hundred_megabytes), "413 too_large"),
        row(
            "100 MB announced, nothing sent",
            typed().header("Content-Length", "100000000").end(),
            "413 too_large",
        ),
        row(
            "a chunk too many",
            typed().chunks(&[&chunk, &chunk, &chunk]),
            "413 too_large",
        ),
        row(
            "more than announced",
            [chat("{}"), b"GET /v1/jobs/1 HTTP/1.1\r\n\r\n".to_vec()].concat(),
            "422 invalid_field",
        ),
        row(
            "gzip",
            typed()
                .header("Content-Encoding", "gzip")
                .body(b"\x1f\x8b\x08\0\0\0\0\0\0\xff"),
            "415 unsupported_encoding",
        ),
        row(
            "gzip in gzip",
            typed()
                .header("Content-Encoding", "gzip, gzip")
                .body(b"\x1f\x8b\x08\0"),
            "415 unsupported_encoding",
        ),
        row("deep arrays", chat(&deep), "422 invalid_field"),
        row("deep objects", chat(&deep_objects), "422 invalid_field"),
        row(
            "deep in an unknown field",
            chat(&format!("{{\"x\":{deep}")),
            "422 invalid_field",
        ),
        row(
            "deep in the message",
            chat(&format!("{{\"message\":{deep}")),
            "422 invalid_field",
        ),
        row(
            "a field twice",
            chat(r#"{"message":"a","message":"b"}"#),
            "422 invalid_field",
        ),
        row(
            "a field twice, escaped",
            chat(r#"{"message":"a","\u006dessage":"b"}"#),
            "422 invalid_field",
        ),
        row(
            "prototype",
            chat(r#"{"message":"a","__proto__":{"admin":true}}"#),
            "422 invalid_field",
        ),
        row(
            "great number",
            chat(r#"{"message":"a","timeout":1e400}"#),
            "400 invalid_json",
        ),
        row(
            "negative time",
            chat(r#"{"message":"a","timeout":-1}"#),
            "422 invalid_field",
        ),
        row(
            "time without end",
            chat(r#"{"message":"a","timeout":18446744073709551615}"#),
            "422 invalid_timeout",
        ),
        row("lone surrogate", message(r"\ud800"), "400 invalid_json"),
        row(
            "surrogates the wrong way round",
            message(r"\udc00\ud800"),
            "400 invalid_json",
        ),
        row(
            "overlong UTF-8",
            typed().body(b"{\"message\":\"\xc0\xaf\"}"),
            "400 invalid_json",
        ),
        row(
            "UTF-16",
            typed().body(b"\xff\xfe{\0\"\0"),
            "400 invalid_json",
        ),
        row("NUL", message(r"a\u0000b"), "422 control_character"),
        row(
            "escape of a terminal",
            message(r"\u001b[2J"),
            "422 control_character",
        ),
        row("NUL as it is", message("a\0b"), "400 invalid_json"),
        row(
            "control character of the second set",
            message("a\u{9b}b"),
            "422 control_character",
        ),
        row(
            "emoji, marks and both directions",
            message("👩🏽\u{200d}🎓 e\u{301} \u{202e}שלום\u{202c} مرحبا"),
            "200",
        ),
        row(
            "only what cannot be seen",
            message("\u{a0}\u{2003}\u{3000}"),
            "422 empty_message",
        ),
        row(
            "a message too long by one",
            message(&"😀".repeat(5_001)),
            "422 message_too_long",
        ),
        row(
            "bytes after the end",
            chat("{\"message\":\"a\"} {}"),
            "400 invalid_json",
        ),
        row(
            "JSON of another name",
            Ask::post("/v1/chat")
                .header("Content-Type", "text/json")
                .body(b"{}"),
            "415 not_json",
        ),
        row("no type", Ask::post("/v1/chat").body(b"{}"), "415 not_json"),
        row(
            "XML",
            Ask::post("/v1/chat")
                .header("Content-Type", "application/xml")
                .body(b"<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]>"),
            "415 not_json",
        ),
    ]
}
