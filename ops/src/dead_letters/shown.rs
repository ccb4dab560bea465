//! Dead letters for people and for programs.

use std::{fmt::Write as _, time::Duration};

use common::{
    broker::dead_letters::{Content, DeadLetter},
    render::rfc3339,
    time::UnixMillis,
};
use serde_json::{Value, json};

/// What is said of each in a list: nothing that a user said.
pub fn listed(letter: &DeadLetter, now: UnixMillis) -> Value {
    let envelope = letter.envelope();
    json!({
        "id": letter.id,
        "stage": letter.stage,
        "job_id": letter.job(),
        "reason": letter.reason.code,
        "detail": letter.reason.detail,
        "put_aside_at": letter.put_aside_at.map(|at| rfc3339(at.0)),
        "age_s": age(letter, now).map(|age| age.as_secs()),
        "attempts": envelope.map(|envelope| envelope.attempt),
        "tenant": envelope.map(|envelope| &envelope.job.tenant),
        "readable": envelope.is_some(),
    })
}

/// All that is known of it; what users said only `with_text`.
pub fn whole(letter: &DeadLetter, now: UnixMillis, with_text: bool) -> Value {
    let mut shown = listed(letter, now);
    match &letter.content {
        Content::Message(envelope) => {
            let envelope = json!(envelope);
            shown["envelope"] = if with_text {
                envelope
            } else {
                discreet(envelope)
            };
        }
        Content::Unreadable { why, body, .. } => {
            shown["unreadable"] = json!(why.to_string());
            shown["bytes"] = json!(body.len());
            if with_text {
                let start = &body[..body.len().min(LONGEST_BODY)];
                shown["body"] = json!(String::from_utf8_lossy(start));
            }
        }
    }
    shown
}

/// Bytes that are shown of a body that cannot be read.
const LONGEST_BODY: usize = 64 * 1024;

/// Fields of an envelope whose text is ours and not a user's. All others are
/// hidden, those to come too.
const OURS: [&str; 16] = [
    "callback",
    "callback_of",
    "conversation_id",
    "correlation_id",
    "kind",
    "label",
    "language",
    "name",
    "provider",
    "request_id",
    "response_format",
    "route",
    "slip",
    "tenant",
    "traceparent",
    "voice",
];

fn discreet(value: Value) -> Value {
    hide(value, "")
}

fn hide(value: Value, field: &str) -> Value {
    match value {
        Value::String(text) if !OURS.contains(&field) => {
            json!(format!("({} characters)", text.chars().count()))
        }
        Value::Array(items) => items.into_iter().map(|item| hide(item, field)).collect(),
        Value::Object(fields) => {
            let hidden = fields.into_iter().map(|(name, value)| {
                let value = hide(value, &name);
                (name, value)
            });
            Value::Object(hidden.collect())
        }
        other => other,
    }
}

fn age(letter: &DeadLetter, now: UnixMillis) -> Option<Duration> {
    letter.put_aside_at.map(|at| now.since(at))
}

/// A line for each.
pub fn table<'a>(letters: impl IntoIterator<Item = &'a DeadLetter>, now: UnixMillis) -> String {
    let mut table = String::new();
    let mut count = 0;
    for letter in letters {
        count += 1;
        let age = match age(letter, now) {
            Some(age) => humantime::format_duration(Duration::from_secs(age.as_secs())).to_string(),
            None => "?".to_owned(),
        };
        let attempts = letter
            .envelope()
            .map_or("?".to_owned(), |envelope| envelope.attempt.to_string());
        let (stage, reason) = (letter.stage.to_string(), &letter.reason);
        // Writing to a text never fails.
        let _ = writeln!(
            table,
            "{stage:<8} {}  {:<24} attempts {attempts:<3} age {age:<16} {}",
            letter.id,
            reason.code,
            one_line(&reason.detail)
        );
    }
    let _ = match count {
        0 => writeln!(table, "no dead letters"),
        1 => writeln!(table, "1 dead letter"),
        _ => writeln!(table, "{count} dead letters"),
    };
    table
}

/// The start of `text`, without what a terminal might obey.
fn one_line(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(120).collect()
}

#[cfg(test)]
mod tests {
    use common::{
        broker::{DeadLetterReason, wire},
        pipeline::Stage,
    };

    use super::*;

    const GOLDEN: &str = include_str!("../../../common/src/broker/testdata/envelope-v2.json");

    fn letter(content: Content) -> DeadLetter {
        DeadLetter {
            id: "a/rag".into(),
            stage: Stage::Rag,
            reason: DeadLetterReason {
                code: "panicked".into(),
                detail: "dua\n\u{1b}[31mbaris".into(),
            },
            put_aside_at: Some(UnixMillis(1_000)),
            content,
        }
    }

    fn readable() -> DeadLetter {
        let envelope = wire::decode(GOLDEN.as_bytes()).unwrap();
        letter(Content::Message(Box::new(envelope)))
    }

    #[test]
    fn what_a_user_said_is_shown_only_when_it_is_asked_for() {
        let letter = readable();
        let now = UnixMillis(61_000);
        let hidden = whole(&letter, now, false);
        assert!(!hidden.to_string().contains("apa itu ITB"), "{hidden}");
        let transcript = &hidden["envelope"]["turn"]["transcript"];
        assert_eq!(transcript["text"], "(11 characters)");
        assert_eq!(transcript["provider"], "whisper");
        assert_eq!(hidden["envelope"]["slip"], json!(["rag", "tts"]));
        assert_eq!(hidden["age_s"], 60);
        let shown = whole(&letter, now, true);
        assert_eq!(
            shown["envelope"]["turn"]["transcript"]["text"],
            "apa itu ITB"
        );
    }

    #[test]
    fn what_cannot_be_read_is_listed_with_its_size() {
        let why = wire::decode(b"rahasia").unwrap_err();
        let letter = letter(Content::Unreadable {
            why,
            job: None,
            body: b"rahasia".to_vec(),
        });
        let now = UnixMillis(1_000);
        let hidden = whole(&letter, now, false);
        assert_eq!(
            (&hidden["readable"], &hidden["bytes"]),
            (&json!(false), &json!(7))
        );
        assert!(!hidden.to_string().contains("rahasia"), "{hidden}");
        assert_eq!(whole(&letter, now, true)["body"], "rahasia");
    }

    #[test]
    fn a_line_of_the_table_stays_one_line() {
        let letters = [readable(), readable()];
        let table = table(&letters, UnixMillis(3_661_000));
        assert_eq!(table.lines().count(), 3, "{table}");
        assert!(
            table.contains("age 1h 1m") && !table.contains('\u{1b}'),
            "{table}"
        );
        assert!(table.ends_with("2 dead letters\n"));
    }
}
