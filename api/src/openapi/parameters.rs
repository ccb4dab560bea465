//! What requests carry beside their bodies.

use serde_json::{Value, json};
use utoipa::openapi::{
    ObjectBuilder, Required,
    path::{Parameter, ParameterBuilder, ParameterIn},
};

use super::schema::{WORD, formatted, text, whole};

fn parameter(
    place: ParameterIn,
    name: &str,
    about: &str,
    schema: ObjectBuilder,
    example: Value,
) -> Parameter {
    let required = match place {
        ParameterIn::Path => Required::True,
        _ => Required::False,
    };
    ParameterBuilder::new()
        .parameter_in(place)
        .name(name)
        .description(Some(about))
        .required(required)
        .schema(Some(schema))
        .example(Some(example))
        .build()
}

fn header(name: &str, about: &str, schema: ObjectBuilder, example: Value) -> Parameter {
    parameter(ParameterIn::Header, name, about, schema, example)
}

pub fn request_id() -> Parameter {
    header(
        "X-Request-Id",
        "Names the request in the answer and in every log line. One that is not 1 to 128 letters, digits, `_` or `-` is replaced.",
        text(),
        json!("my-request-1"),
    )
}

pub fn trace_parent() -> Parameter {
    header(
        "traceparent",
        "W3C Trace Context, carried through the whole pipeline. One that is not well formed is replaced.",
        text(),
        json!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    )
}

pub fn conversation_header(required: Required) -> Parameter {
    let about = match required {
        Required::True => "The conversation that the turn belongs to; a new name begins a new one.",
        Required::False => {
            "The conversation that the turn belongs to; without one, here and in the body, it is made."
        }
    };
    let mut parameter = header(
        "X-Conversation-Id",
        about,
        text().pattern(Some(WORD)),
        json!("coba"),
    );
    parameter.required = required;
    parameter
}

pub fn prefer() -> Parameter {
    header(
        "Prefer",
        "RFC 7240: `respond-async` for 202 at once, `wait=N` for at most N seconds of waiting, or both. What is not understood is ignored.",
        text(),
        json!("respond-async, wait=5"),
    )
}

pub fn idempotency_key() -> Parameter {
    header(
        "Idempotency-Key",
        "The same request again gets the first job's answer, for as long as the job is kept. Printable ASCII, bare or as a quoted string.",
        // A quote at the beginning would have to be closed at the end.
        text()
            .pattern(Some("^[!#-~]([ -~]*[!-~])?$"))
            .max_length(Some(255)),
        json!("8e03978e-40d5-43dd-bc93-6894a57f9324"),
    )
}

pub fn job_id() -> Parameter {
    parameter(
        ParameterIn::Path,
        "id",
        "The `job_id` of an answer.",
        formatted("uuid"),
        json!("01939a4e-7c00-7000-8000-000000000000"),
    )
}

pub fn conversation_id() -> Parameter {
    parameter(
        ParameterIn::Path,
        "id",
        "The name of the conversation.",
        text().pattern(Some(WORD)),
        json!("coba"),
    )
}

pub fn page_file(names: &[&str]) -> Parameter {
    parameter(
        ParameterIn::Path,
        "file",
        "A file of the page.",
        text().enum_values(Some(names.iter().copied())),
        json!(names.first()),
    )
}

pub fn wait() -> Parameter {
    parameter(
        ParameterIn::Query,
        "wait",
        "Seconds to wait for the job's end; more than 60 count as 60.",
        whole(),
        json!(0),
    )
}

pub fn starting_after() -> Parameter {
    parameter(
        ParameterIn::Query,
        "starting_after",
        "The number of the last event that was seen; without it, from the first. The header `Last-Event-ID` goes before.",
        whole(),
        json!(0),
    )
}

pub fn last_event_id() -> Parameter {
    header(
        "Last-Event-ID",
        "The `id` of the last event that was seen, as browsers send it.",
        text().pattern(Some("^[0-9]*$")),
        json!("0"),
    )
}

pub fn range() -> Parameter {
    header(
        "Range",
        "RFC 9110: one range of bytes. What is not understood gets the whole.",
        text(),
        json!("bytes=0-1023"),
    )
}

pub fn if_range() -> Parameter {
    header(
        "If-Range",
        "The `ETag` of what the range is of; the whole is sent when it is another's.",
        text(),
        json!("\"8f14e45fceea167a5a36dedd4bea2543\""),
    )
}

pub fn if_match() -> Parameter {
    header(
        "If-Match",
        "Entity tags, or `*`: 412 when none of them is the WAV's.",
        text(),
        json!("*"),
    )
}

pub fn if_none_match() -> Parameter {
    header(
        "If-None-Match",
        "Entity tags: 304 when one of them is the WAV's, so that who has it need not fetch it again.",
        text(),
        json!("\"8f14e45fceea167a5a36dedd4bea2543\""),
    )
}

/// A header of a callback.
pub fn signed(name: &str, about: &str) -> Parameter {
    let example = match name {
        "webhook-id" => json!("01939a4e-7c00-7000-8000-000000000001"),
        "webhook-timestamp" => json!("1700000000"),
        _ => json!("v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="),
    };
    let mut parameter = header(name, about, text(), example);
    parameter.required = Required::True;
    parameter
}
