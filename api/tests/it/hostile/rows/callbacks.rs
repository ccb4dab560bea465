//! Callbacks that would have us call ourselves, or our neighbours (server-side
//! request forgery).

use super::{Row, row};
use crate::hostile::wire::Ask;

fn callback(url: &str) -> Vec<u8> {
    let url = serde_json::to_string(url).unwrap();
    let job = format!(r#"{{"kind":"chat","message":"a","callback_url":{url}}}"#);
    Ask::post("/v1/jobs").json(&job)
}

pub fn rows() -> Vec<Row> {
    const REFUSED: &str = "422 invalid_callback_url";
    let refused = [
        ("callback to loopback", "http://127.0.0.1/"),
        ("callback to all of loopback", "http://127.255.0.9:6379/"),
        ("callback to loopback, short", "http://127.1/"),
        ("callback to loopback, decimal", "http://2130706433/"),
        ("callback to loopback, octal", "http://0177.0.0.1/"),
        (
            "callback to loopback, hexadecimal",
            "http://0x7f.0x0.0x0.0x1/",
        ),
        (
            "callback to loopback, full width",
            "http://１２７.０.０.１/",
        ),
        ("callback to no address", "http://0.0.0.0:8000/"),
        ("callback to nothing but a zero", "http://0/"),
        ("callback to loopback, IPv6", "http://[::1]/"),
        ("callback to no address, IPv6", "http://[::]/"),
        ("callback to loopback, mapped", "http://[::ffff:127.0.0.1]/"),
        (
            "callback to loopback, mapped in hexadecimal",
            "http://[::ffff:7f00:1]/",
        ),
        (
            "callback to loopback, translated",
            "http://[64:ff9b::7f00:1]/",
        ),
        ("callback to loopback, 6to4", "http://[2002:7f00:1::]/"),
        (
            "callback to the metadata of a cloud",
            "http://169.254.169.254/latest/meta-data/",
        ),
        (
            "callback to the metadata of a cloud, decimal",
            "http://2852039166/",
        ),
        (
            "callback to the metadata of a cloud, IPv6",
            "http://[fd00:ec2::254]/",
        ),
        ("callback to a private network", "https://10.0.0.1/"),
        ("callback to a carrier's network", "http://100.64.0.1/"),
        ("callback to a link", "http://[fe80::1]/"),
        ("callback to localhost", "http://localhost:15672/"),
        ("callback to localhost with a dot", "http://LocalHost./"),
        ("callback below localhost", "http://a.localhost/"),
        ("callback with a user", "http://example.org@127.0.0.1/"),
        ("callback with a password", "https://a:b@example.org/"),
        (
            "callback with a backslash",
            "http://127.0.0.1\\@example.org/",
        ),
        ("callback to port 0", "http://example.org:0/"),
        ("callback to a file", "file:///etc/passwd"),
        ("callback by gopher", "gopher://127.0.0.1:6379/_FLUSHALL"),
        ("callback by FTP", "ftp://example.org/"),
        ("callback to a script", "javascript:alert(1)"),
        ("callback without a scheme", "//example.org/"),
        ("callback with a line end", "http://exa\nmple.org/\r\nX: y"),
        ("callback with a space", "http://example.org /"),
        ("callback with NUL", "http://127.0.0.1\0.example.org/"),
        ("callback with a zone", "http://[fe80::1%25lo]/"),
    ];
    let long = format!("https://example.org/{}", "a".repeat(3_000));
    let mut rows = Vec::from(refused.map(|(name, url)| row(name, callback(url), REFUSED)));
    rows.push(row("callback that is long", callback(&long), REFUSED));
    rows
}
