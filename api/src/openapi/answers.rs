//! What is answered, by media type and with its headers.

use axum::http::StatusCode;
use serde_json::Value;
use utoipa::openapi::{
    Content, ContentBuilder, Header, HeaderBuilder, ObjectBuilder, Ref, ResponseBuilder,
    example::{Example, ExampleBuilder},
    link::{Link, LinkBuilder},
};

use super::{
    events, examples,
    problems::KnownProblem,
    schema::{formatted, text as text_schema, whole},
};

/// JSON of a schema among the components.
pub fn content(schema: &str, example: Value) -> Content {
    ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(schema)))
        .example(Some(example))
        .build()
}

pub fn json(about: &str, schema: &str, example: Value) -> ResponseBuilder {
    ResponseBuilder::new()
        .description(about)
        .content("application/json", content(schema, example))
}

/// JSON that is described elsewhere.
pub fn any_json(about: &str) -> ResponseBuilder {
    let schema = ObjectBuilder::new();
    ResponseBuilder::new()
        .description(about)
        .content("application/json", Content::new(Some(schema)))
}

/// Text, in one of these media types.
pub fn text(about: &str, media_types: &[&str]) -> ResponseBuilder {
    let answer = ResponseBuilder::new().description(about);
    media_types.iter().fold(answer, |answer, media_type| {
        answer.content(*media_type, Content::new(Some(text_schema())))
    })
}

pub fn empty(about: &str) -> ResponseBuilder {
    ResponseBuilder::new().description(about)
}

/// The result of a job, or its events, as the client accepts.
pub fn result() -> ResponseBuilder {
    json(
        "The result; with `Accept: text/event-stream` the job's events as they happen.",
        "JobResult",
        examples::result(),
    )
    .content("text/event-stream", event_stream())
    .header("Preference-Applied", preference_applied())
    .header("Location", location("Of a streamed job."))
    .link("job", link("getJob", "$response.body#/job_id"))
    .link(
        "conversation",
        link("getConversation", "$request.header.X-Conversation-Id"),
    )
}

/// A job at its end, or its events, as the client accepts.
pub fn finished_job() -> ResponseBuilder {
    json(
        "The job at its end, when that was waited for; with `Accept: text/event-stream` its events as they happen.",
        "Job",
        examples::job(),
    )
    .content("text/event-stream", event_stream())
    .header("Preference-Applied", preference_applied())
    .header("Location", location("Of a streamed job."))
}

pub fn job() -> ResponseBuilder {
    json("The job as it is now.", "Job", examples::job())
}

pub fn accepted() -> ResponseBuilder {
    json(
        "Taken, and not done yet: the job is at `Location`.",
        "Accepted",
        examples::accepted(),
    )
    .header("Location", location("Of the job."))
    .header("Retry-After", retry_after())
    .header("Preference-Applied", preference_applied())
    .link("job", link("getJob", "$response.body#/job_id"))
    .link("events", link("getJobEvents", "$response.body#/job_id"))
    .link("audio", link("getJobAudio", "$response.body#/job_id"))
    .link("cancel", link("cancelJob", "$response.body#/job_id"))
}

pub fn events() -> ResponseBuilder {
    ResponseBuilder::new()
        .description("The events, until the job's last one. A comment shows every 15 s that the line is alive.")
        .content("text/event-stream", event_stream())
        .header("Cache-Control", header("Events are in no cache.", "no-store"))
}

/// OpenAPI 3.1 has no word for a stream: the schema is that of each of its
/// events, as version 3.2 and today's tools have it.
fn event_stream() -> Content {
    content(events::STREAMED, examples::streamed_event())
}

/// The whole WAV, or what there is of it and then the rest.
pub fn audio() -> ResponseBuilder {
    wav("The WAV; while the job runs, what is spoken already and then the rest as it is made.")
        .header(
            "Accept-Ranges",
            header("`bytes`; `none` while the job runs.", "bytes"),
        )
        .header("ETag", entity_tag())
}

pub fn part_of_audio() -> ResponseBuilder {
    wav("The part of the WAV that was asked for.")
        .header(
            "Content-Range",
            header("Which part, of how many bytes.", "bytes 0-1023/48044"),
        )
        .header("Accept-Ranges", header("`bytes`.", "bytes"))
        .header("ETag", entity_tag())
}

fn wav(about: &str) -> ResponseBuilder {
    ResponseBuilder::new()
        .description(about)
        .content("audio/wav", Content::new(Some(formatted("binary"))))
}

/// The problems that an operation can end with under one status.
pub fn problem(status: u16, problems: &[&KnownProblem]) -> ResponseBuilder {
    let codes: Vec<_> = problems
        .iter()
        .map(|problem| format!("`{}`", problem.code))
        .collect();
    let reason = StatusCode::from_u16(status).ok();
    let reason = reason.and_then(|status| status.canonical_reason());
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .examples_from_iter(
            problems
                .iter()
                .map(|problem| (problem.code, example(problem))),
        );
    let answer = ResponseBuilder::new()
        .description(format!(
            "{}: {}.",
            reason.unwrap_or_default(),
            codes.join(", ")
        ))
        .content("application/problem+json", content.build());
    match status {
        401 => answer.header("WWW-Authenticate", header("`Bearer`.", "Bearer")),
        410 => answer.header("Location", location("Of the job.")),
        409 => answer
            .header("Location", location("Of the job."))
            .header("Retry-After", retry_after()),
        416 => answer.header(
            "Content-Range",
            header("How many bytes there are.", "bytes */48044"),
        ),
        429 => answer
            .header("Retry-After", retry_after())
            .header(
                "RateLimit-Policy",
                header(
                    "The limits, as the IETF draft has them.",
                    "\"hour\";q=100;w=3600",
                ),
            )
            .header(
                "RateLimit",
                header("What is left of them.", "\"hour\";r=0;t=42"),
            ),
        503 => answer.header("Retry-After", retry_after()),
        504 => answer
            .header("Location", location("Of the job: nothing is lost."))
            .header("Retry-After", retry_after()),
        _ => answer,
    }
}

fn example(problem: &KnownProblem) -> Example {
    ExampleBuilder::new()
        .value(Some(examples::problem(problem)))
        .build()
}

fn link(operation: &str, id: &str) -> Link {
    LinkBuilder::new()
        .operation_id(operation)
        .parameter("id", id)
        .build()
}

fn header(about: &str, example: &str) -> Header {
    HeaderBuilder::new()
        .schema(Some(text_schema()))
        .description(Some(about))
        .example(Some(example.into()))
        .build()
}

pub fn request_id() -> Header {
    header(
        "The name of the request.",
        "01939a4e-7c00-7000-8000-000000000000",
    )
}

fn preference_applied() -> Header {
    header("What was done of `Prefer`.", "respond-async")
}

fn location(about: &str) -> Header {
    header(about, "/v1/jobs/01939a4e-7c00-7000-8000-000000000000")
}

pub fn retry_after() -> Header {
    HeaderBuilder::new()
        .schema(Some(whole()))
        .description(Some("Seconds, after which it is worth asking again."))
        .example(Some(1.into()))
        .build()
}

fn entity_tag() -> Header {
    header(
        "Of the content alone: the same from every front door.",
        "\"8f14e45fceea167a5a36dedd4bea2543\"",
    )
}
