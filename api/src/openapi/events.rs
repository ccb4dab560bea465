//! The events of a job, as the `data:` of its stream carries them.
//!
//! They are written by [`crate::render::events`], field by field and without a
//! copy, in a form that no schema can be derived from; a test holds real streams
//! against what stands here.

use common::{
    pipeline::Stage,
    render::bodies::{JobError, JobResult},
    turn::{Citation, EmotionLabel},
};
use utoipa::{
    ToSchema,
    openapi::{
        ArrayBuilder, Discriminator, ObjectBuilder, OneOfBuilder, Ref, RefOr, Schema,
        schema::AdditionalProperties,
    },
};

use super::schema::{boolean, formatted, number, text, text_or_null, whole};

/// The name of the schema of any event.
const EVENT: &str = "Event";

/// The name of the schema of an event with its frame.
pub const STREAMED: &str = "ServerSentEvent";

type Field = (&'static str, RefOr<Schema>);

/// The schemas of all events, of [`EVENT`] and [`STREAMED`].
pub fn schemas() -> Vec<(String, RefOr<Schema>)> {
    let each = each();
    let names = each.iter().map(|(event, _)| schema_name(event));
    let references: Vec<(String, String)> = each
        .iter()
        .map(|(event, _)| {
            let reference = format!("#/components/schemas/{}", schema_name(event));
            ((*event).to_owned(), reference)
        })
        .collect();
    let any = names.fold(OneOfBuilder::new(), |any, name| {
        any.item(Ref::from_schema_name(name))
    });
    let any = any
        .description(Some("What happened to a job, told by its `type`. More types may come: pass over those that you do not know. After `answer.restarted`, what was told of the answer before is void."))
        .discriminator(Some(Discriminator::with_mapping("type", references)));
    let mut all = vec![
        (EVENT.to_owned(), any.into()),
        (STREAMED.to_owned(), streamed()),
    ];
    for (event, fields) in each {
        all.push((schema_name(event), event_schema(event, fields)));
    }
    all
}

/// An event with its frame (WHATWG HTML, *Server-sent events*).
fn streamed() -> RefOr<Schema> {
    let data = text()
        .content_media_type("application/json")
        .content_schema(Some(Ref::from_schema_name(EVENT)));
    let id = text()
        .pattern(Some("^[0-9]+$"))
        .description(Some("The cursor, for `Last-Event-ID`."));
    let event = text().description(Some("The `type` of the event."));
    ObjectBuilder::new()
        .description(Some("An event as it stands in the stream."))
        .property("id", id)
        .property("event", event)
        .property("data", data)
        .required("id")
        .required("event")
        .required("data")
        .into()
}

/// `JobAcceptedEvent` for `job.accepted`.
fn schema_name(event: &str) -> String {
    let capitalised = event.split('.').map(|word| {
        let (first, rest) = word.split_at(1);
        first.to_uppercase() + rest
    });
    capitalised.collect::<String>() + "Event"
}

fn event_schema(event: &str, fields: Vec<Field>) -> RefOr<Schema> {
    let cursor = whole().description(Some("Its place in the job's log, from 1: the cursor."));
    let common = [
        ("type", text().enum_values(Some([event])).into()),
        ("sequence_number", cursor.into()),
        ("job_id", formatted("uuid").into()),
    ];
    let all = common.into_iter().chain(fields);
    let object = all.fold(ObjectBuilder::new(), |object, (name, schema)| {
        let object = object.property(name, schema);
        match name {
            SOMETIMES => object,
            always => object.required(always),
        }
    });
    object.into()
}

/// The one field that is not always there.
const SOMETIMES: &str = "audio_gone";

/// Every event, with the fields that it has beside those of all.
fn each() -> Vec<(&'static str, Vec<Field>)> {
    let stage = || ("stage", reference::<Stage>());
    let attempt = || ("attempt", whole().description(Some("From 1.")).into());
    let words = || {
        let plain = "Plain text, whatever it looks like: escape it where you show it as HTML.";
        ("text", text().description(Some(plain)).into())
    };
    vec![
        (
            "job.accepted",
            vec![
                ("kind", text().into()),
                ("conversation_id", text_or_null().into()),
                ("accepted_at", formatted("date-time").into()),
                ("deadline", formatted("date-time").into()),
            ],
        ),
        ("stage.started", vec![stage(), attempt()]),
        (
            "stage.retrying",
            vec![
                stage(),
                attempt(),
                ("in_ms", whole().into()),
                ("reason", text().into()),
            ],
        ),
        ("transcript", vec![words()]),
        (
            "emotion",
            vec![("label", reference::<EmotionLabel>()), ("scores", scores())],
        ),
        ("retrieved", vec![("citations", citations())]),
        ("answer.delta", vec![words()]),
        ("answer.restarted", vec![]),
        ("audio.delta", spoken_sentence()),
        (
            "stage.completed",
            vec![
                stage(),
                ("duration_ms", number().into()),
                ("queued_ms", number().into()),
            ],
        ),
        ("job.completed", vec![("result", reference::<JobResult>())]),
        ("job.failed", vec![("error", reference::<JobError>())]),
        (
            "job.resumed",
            vec![("deadline", formatted("date-time").into())],
        ),
        ("job.cancelled", vec![]),
        ("job.expired", vec![]),
        ("job.erased", vec![]),
    ]
}

fn spoken_sentence() -> Vec<Field> {
    let n = whole().description(Some("Which sentence, from 1."));
    let audio = text_or_null()
        .content_encoding("base64")
        .content_media_type("audio/wav");
    let gone = boolean().description(Some("There when the bytes are kept no longer."));
    vec![
        ("n", n.into()),
        ("format", text().enum_values(Some(["wav"])).into()),
        ("text", text().into()),
        ("duration_ms", whole().into()),
        ("audio", audio.into()),
        (SOMETIMES, gone.into()),
    ]
}

/// To a schema that the bodies have brought along.
fn reference<T: ToSchema>() -> RefOr<Schema> {
    Ref::from_schema_name(T::name()).into()
}

fn citations() -> RefOr<Schema> {
    ArrayBuilder::new().items(reference::<Citation>()).into()
}

fn scores() -> RefOr<Schema> {
    ObjectBuilder::new()
        .additional_properties(Some(AdditionalProperties::from(number())))
        .into()
}
