//! Heads that are not HTTP, too much of it, or that two servers would read
//! differently (request smuggling, RFC 9112, section 11.2). `bare` and `closed`
//! are what the HTTP library does before we hear of a request.

use super::{Row, row};
use crate::{deployment::KEY, hostile::wire::Ask};

const BODY: &str = r#"{"message":"Apa itu ITB?"}"#;

/// A second request, in the body of the first for who reads it rightly.
const SMUGGLED: &[u8] = b"0\r\n\r\nGET /health HTTP/1.1\r\nHost: a\r\n\r\n";

fn chat() -> Ask {
    Ask::post("/v1/chat").header("Content-Type", "application/json")
}

pub fn rows() -> Vec<Row> {
    let megabyte = "a".repeat(1_000_000);
    let many: String = (0..200).map(|n| format!("X-{n}: 1\r\n")).collect();
    let length = BODY.len().to_string();
    vec![
        row("no HTTP", b"hello\r\n\r\n".to_vec(), "400 bare"),
        row(
            "TLS",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(20),
            "400 bare",
        ),
        row("no version", Ask::line("GET /health").end(), "400 bare"),
        row(
            "HTTP/9",
            Ask::line("GET /health HTTP/9.9").end(),
            "400 bare",
        ),
        row(
            "NUL in the method",
            Ask::line("G\0T /health HTTP/1.1").end(),
            "400 bare",
        ),
        row(
            "1 MB header",
            Ask::get("/health").header("X-Long", &megabyte).end(),
            "431 bare",
        ),
        row(
            "200 headers",
            Ask::get("/health").raw(many.as_bytes()).end(),
            "431 bare",
        ),
        row(
            "1 MB address",
            Ask::get(&format!("/{megabyte}")).end(),
            "431 bare",
        ),
        row(
            "8,050 bytes of address",
            Ask::get(&format!("/{}", &megabyte[..8_050])).end(),
            "414 uri_too_long",
        ),
        row(
            "8,050 bytes of query",
            Ask::get(&format!("/health?{}", &megabyte[..8_050])).end(),
            "414 uri_too_long",
        ),
        row(
            "header without a colon",
            Ask::get("/health").raw(b"X-Bad\r\n").end(),
            "400 bare",
        ),
        row(
            "space before the colon",
            Ask::get("/health").raw(b"X-Bad : 1\r\n").end(),
            "400 bare",
        ),
        row(
            "space in a header's name",
            Ask::get("/health").raw(b"X Bad: 1\r\n").end(),
            "400 bare",
        ),
        row(
            "folded header",
            Ask::get("/health").raw(b"X-Fold: a\r\n b\r\n").end(),
            "400 bare",
        ),
        row(
            "NUL in a header",
            Ask::get("/health").raw(b"X-Nul: a\0b\r\n").end(),
            "400 bare",
        ),
        row(
            "lone CR in a header",
            Ask::get("/health").raw(b"X-Cr: a\rb\r\n").end(),
            "400 bare",
        ),
        row(
            "response splitting",
            Ask::get("/health")
                .header("X-Request-Id", "a%0d%0aSet-Cookie:x")
                .end(),
            "200",
        ),
        row(
            "two lengths",
            chat().header("Content-Length", "3").body(BODY.as_bytes()),
            "400 bare",
        ),
        row(
            "a length twice",
            chat()
                .header("Content-Length", &length)
                .body(BODY.as_bytes()),
            "200",
        ),
        row(
            "negative length",
            chat().header("Content-Length", "-1").end(),
            "400 bare",
        ),
        row(
            "length with a plus",
            chat().header("Content-Length", "+1").raw(b"\r\na").end(),
            "400 bare",
        ),
        row(
            "length in hexadecimal",
            chat().header("Content-Length", "0x1c").end(),
            "400 bare",
        ),
        row(
            "length beyond 64 bits",
            chat()
                .header("Content-Length", "99999999999999999999")
                .end(),
            "400 bare",
        ),
        row(
            "list of lengths",
            chat().header("Content-Length", "3, 26").end(),
            "400 bare",
        ),
        row(
            "length and chunks",
            chat()
                .header("Content-Length", "5")
                .header("Transfer-Encoding", "chunked")
                .raw(b"\r\n")
                .raw(SMUGGLED)
                .end(),
            "400 invalid_json",
        ),
        row(
            "chunked twice",
            chat()
                .header("Transfer-Encoding", "chunked, chunked")
                .raw(b"\r\n")
                .raw(SMUGGLED)
                .end(),
            "400 invalid_transfer_encoding",
        ),
        row(
            "chunked, then not",
            chat()
                .header("Transfer-Encoding", "chunked, identity")
                .raw(b"\r\n")
                .raw(SMUGGLED)
                .end(),
            "400 bare",
        ),
        row(
            "chunked, misspelt",
            chat()
                .header("Transfer-Encoding", "xchunked")
                .raw(b"\r\n")
                .raw(SMUGGLED)
                .end(),
            "400 bare",
        ),
        row(
            "chunks in HTTP/1.0",
            Ask::line("POST /v1/chat HTTP/1.0")
                .header("X-API-Key", KEY)
                .header("Transfer-Encoding", "chunked")
                .raw(b"\r\n")
                .raw(SMUGGLED)
                .end(),
            "400 bare",
        ),
        row(
            "chunk size that is none",
            chat()
                .header("Transfer-Encoding", "chunked")
                .raw(b"\r\nzz\r\n{}\r\n0\r\n")
                .end(),
            "400 incomplete_body",
        ),
        row(
            "chunk size beyond 64 bits",
            chat()
                .header("Transfer-Encoding", "chunked")
                .raw(b"\r\nfffffffffffffffff1\r\n{}")
                .end(),
            "400 incomplete_body",
        ),
        row(
            "chunk with a long extension",
            chat()
                .header("Transfer-Encoding", "chunked")
                .raw(b"\r\n2;")
                .raw(&[b'a'; 40_000])
                .raw(b"\r\n{}\r\n0\r\n")
                .end(),
            "400 incomplete_body",
        ),
        row(
            "unknown method",
            Ask::new("BREW", "/v1/chat").end(),
            "405 method_not_allowed",
        ),
        row(
            "TRACE",
            Ask::new("TRACE", "/health").end(),
            "405 method_not_allowed",
        ),
        row(
            "CONNECT",
            Ask::line("CONNECT 127.0.0.1:22 HTTP/1.1")
                .header("Host", "a")
                .header("Connection", "close")
                .end(),
            "404 not_found",
        ),
        row(
            "expectation",
            chat()
                .header("Expect", "100-continue")
                .body(BODY.as_bytes()),
            "100, 200",
        ),
    ]
}
