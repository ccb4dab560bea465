//! What belongs to somebody else, and what was there before.

use super::{Row, Victim, row};
use crate::{
    deployment::{KEY, OTHER_KEY},
    hostile::{QUESTION, wire::Ask},
};

/// Of another tenant.
fn other(method: &str, path: &str) -> Ask {
    Ask::line(&format!("{method} {path} HTTP/1.1"))
        .header("Host", "a")
        .header("Connection", "close")
        .header("X-API-Key", OTHER_KEY)
}

fn chat(ask: Ask, conversation: &str, message: &str) -> Vec<u8> {
    let body = serde_json::json!({ "message": message }).to_string();
    ask.header("X-Conversation-Id", conversation).json(&body)
}

pub fn rows(victim: &Victim) -> Vec<Row> {
    let (job, conversation) = (&victim.job, &victim.conversation);
    let key = victim.idempotency_key.as_str();
    let jobs = |rest: &str| format!("/v1/jobs/{job}{rest}");
    let conversations = format!("/v1/conversations/{conversation}");
    // The next one, if ids were counted.
    let last = job.chars().next_back().unwrap();
    let next = char::from_digit((last.to_digit(16).unwrap() + 1) % 16, 16).unwrap();
    let guessed = format!("/v1/jobs/{}{next}", &job[..job.len() - 1]);
    let bare = |path: &str| {
        Ask::line(&format!("GET {path} HTTP/1.1"))
            .header("Host", "a")
            .header("Connection", "close")
    };
    let replay = |ask: Ask| ask.header("Idempotency-Key", key);
    let again = |path: &str| Ask::new("POST", path);
    let in_chat = || again("/v1/chat");
    let id = |name: &'static str, value: &[u8], expected| {
        let ask = in_chat()
            .raw(b"X-Conversation-Id: ")
            .raw(value)
            .raw(b"\r\n");
        row(name, ask.json(r#"{"message":"a"}"#), expected)
    };
    vec![
        row("no key", bare(&jobs("")).end(), "401 unauthorized"),
        row(
            "a key in the address",
            bare(&jobs(&format!("?api_key={KEY}"))).end(),
            "401 unauthorized",
        ),
        row(
            "a key in a cookie",
            bare(&jobs(""))
                .header("Cookie", &format!("X-API-Key={KEY}"))
                .end(),
            "401 unauthorized",
        ),
        row(
            "a key as a password",
            bare(&jobs(""))
                .header("Authorization", "Basic dGVzdC1rZXk6")
                .end(),
            "401 unauthorized",
        ),
        row(
            "a key that is no text",
            bare(&jobs("")).raw(b"X-API-Key: \xff\xfe\r\n").end(),
            "401 unauthorized",
        ),
        row(
            "a key of 7 kB",
            bare(&jobs(""))
                .header("X-API-Key", &"k".repeat(7_000))
                .end(),
            "401 unauthorized",
        ),
        row(
            "a key of 60 kB",
            bare(&jobs(""))
                .header("X-API-Key", &"k".repeat(60_000))
                .end(),
            "431 bare",
        ),
        row(
            "part of a key",
            bare(&jobs(""))
                .header("X-API-Key", &KEY[..KEY.len() - 1])
                .end(),
            "401 unauthorized",
        ),
        row(
            "no key, and too much",
            bare("/v1/audio")
                .header("Content-Length", "100000000")
                .end(),
            "401 unauthorized",
        ),
        row(
            "another's job",
            other("GET", &jobs("")).end(),
            "404 unknown_job",
        ),
        row(
            "another's job, waiting",
            other("GET", &jobs("?wait=60")).end(),
            "404 unknown_job",
        ),
        row(
            "another's events",
            other("GET", &jobs("/events")).end(),
            "404 unknown_job",
        ),
        row(
            "another's audio",
            other("GET", &jobs("/audio")).end(),
            "404 unknown_job",
        ),
        row(
            "another's job, to cancel",
            other("DELETE", &jobs("")).end(),
            "404 unknown_job",
        ),
        row("a guessed job", Ask::get(&guessed).end(), "404 unknown_job"),
        row(
            "a guessed job's events",
            Ask::get(&format!("{guessed}/events")).end(),
            "404 unknown_job",
        ),
        row(
            "a job of zeros",
            Ask::get("/v1/jobs/00000000-0000-0000-0000-000000000000").end(),
            "404 unknown_job",
        ),
        row(
            "a job that is a key of Redis",
            Ask::get("/v1/jobs/*").end(),
            "404 unknown_job",
        ),
        row(
            "another's conversation",
            other("GET", &conversations).end(),
            "404 unknown_conversation",
        ),
        row(
            "another's conversation, gone on with",
            chat(other("POST", "/v1/chat"), conversation, QUESTION),
            "200",
        ),
        row(
            "another's conversation, to forget",
            other("DELETE", &conversations).end(),
            "204",
        ),
        row(
            "a pattern for a conversation",
            Ask::get("/v1/conversations/*").end(),
            "400 invalid_conversation_id",
        ),
        row(
            "a key of Redis for a conversation",
            Ask::get("/v1/conversations/a:b").end(),
            "400 invalid_conversation_id",
        ),
        row(
            "a replay",
            chat(replay(in_chat()), conversation, QUESTION),
            "200",
        ),
        row(
            "a replay with another message",
            chat(replay(in_chat()), conversation, "Apa itu UKT?"),
            "422 idempotency_key_reused",
        ),
        row(
            "a replay in another conversation",
            chat(replay(in_chat()), "lain", QUESTION),
            "422 idempotency_key_reused",
        ),
        row(
            "a replay at another address",
            replay(again("/v1/jobs"))
                .header("X-Conversation-Id", conversation)
                .json(&format!(r#"{{"kind":"chat","message":"{QUESTION}"}}"#)),
            "422 idempotency_key_reused",
        ),
        row(
            "a replay by another tenant",
            chat(replay(other("POST", "/v1/chat")), "lain", QUESTION),
            "200",
        ),
        row(
            "two keys of idempotency",
            chat(replay(replay(in_chat())), conversation, QUESTION),
            "400 invalid_idempotency_key",
        ),
        row(
            "a key of idempotency with a control character",
            chat(
                in_chat().raw(b"Idempotency-Key: a\tb\r\n"),
                conversation,
                "a",
            ),
            "400 invalid_idempotency_key",
        ),
        row(
            "a long key of idempotency",
            chat(
                in_chat().header("Idempotency-Key", &"k".repeat(256)),
                conversation,
                "a",
            ),
            "400 invalid_idempotency_key",
        ),
        id(
            "a conversation with a space",
            b"a b",
            "400 invalid_conversation_id",
        ),
        id(
            "a conversation that is a path",
            b"../a",
            "400 invalid_conversation_id",
        ),
        id(
            "a conversation with a star",
            b"*",
            "400 invalid_conversation_id",
        ),
        id(
            "a conversation that is no text",
            b"\xff",
            "400 invalid_conversation_id",
        ),
        id(
            "a conversation with a tab",
            b"a\tb",
            "400 invalid_conversation_id",
        ),
        id(
            "a long conversation",
            &[b'a'; 129],
            "400 invalid_conversation_id",
        ),
        id(
            "two conversations",
            b"a\r\nX-Conversation-Id: b",
            "400 invalid_conversation_id",
        ),
        row(
            "a cursor beyond the end",
            Ask::get(&jobs("/events"))
                .header("Last-Event-ID", "18446744073709551615")
                .end(),
            "400 invalid_cursor",
        ),
        row(
            "a cursor before the start",
            Ask::get(&jobs("/events?starting_after=-1")).end(),
            "400 invalid_cursor",
        ),
        row(
            "a wait without end, which is cut short",
            Ask::get(&jobs("?wait=99999999999999999999")).end(),
            "200",
        ),
        row(
            "an answer in HTML",
            chat(in_chat().header("Accept", "text/html"), conversation, "a"),
            "406 not_acceptable",
        ),
        row(
            "many ranges",
            Ask::get(&jobs("/audio"))
                .header("Range", &format!("bytes={}0-", "0-,".repeat(2_500)))
                .end(),
            "404 no_audio",
        ),
    ]
}
