//! The bodies of requests: JSON, and forms that carry a recording.

use serde_json::Value;
use utoipa::openapi::{
    ContentBuilder, ObjectBuilder, Required, Schema,
    encoding::EncodingBuilder,
    request_body::{RequestBody, RequestBodyBuilder},
    schema::AdditionalProperties,
};

use super::{
    answers, examples,
    schema::{WORD, formatted, text, whole},
};

/// Every kind of recording that is taken.
const RECORDINGS: &str = "audio/wav, audio/mpeg, audio/flac, audio/ogg, audio/mp4, audio/webm";

/// What a form can be refused with.
pub const PROBLEMS: &[&str] = &[
    "invalid_multipart",
    "not_multipart",
    "unsupported_audio",
    "unknown_field",
    "repeated_field",
    "missing_audio",
    "empty_audio",
    "invalid_voice",
    "invalid_response_format",
    "invalid_priority",
    "speech_not_ready",
];

pub fn question() -> RequestBody {
    json_body("Question", examples::question())
}

pub fn feedback() -> RequestBody {
    json_body("Feedback", examples::feedback())
}

fn json_body(schema: &str, example: Value) -> RequestBody {
    RequestBodyBuilder::new()
        .required(Some(Required::True))
        .content("application/json", answers::content(schema, example))
        .build()
}

pub fn recording() -> RequestBody {
    RequestBodyBuilder::new()
        .required(Some(Required::True))
        .content("multipart/form-data", form(audio_form()))
        .build()
}

pub fn job() -> RequestBody {
    let of_a_job = audio_form()
        .property("kind", said("`audio`.").enum_values(Some(["audio"])))
        .required("kind")
        .property(
            "conversation_id",
            said("In place of the header; without either, a conversation is made.")
                .pattern(Some(WORD)),
        );
    RequestBodyBuilder::new()
        .required(Some(Required::True))
        .content(
            "application/json",
            answers::content("NewJob", examples::new_job()),
        )
        .content("multipart/form-data", form(of_a_job))
        .build()
}

fn form(fields: ObjectBuilder) -> ContentBuilder {
    ContentBuilder::new().schema(Some(fields)).encoding(
        "audio",
        EncodingBuilder::new().content_type(Some(RECORDINGS.to_owned())),
    )
}

fn audio_form() -> ObjectBuilder {
    let file = formatted("binary").description(Some(
        "The recording: wav, mp3, flac, ogg, m4a or webm, told by its content. 16 MiB and 5 \
         minutes at most, unless the server is configured otherwise.",
    ));
    let voice = said("The synthesiser's name of a voice.").pattern(Some("^[A-Za-z0-9+_-]{0,64}$"));
    let format = said("How the result carries the spoken answer.")
        .enum_values(Some(["hex", "base64", "url"]))
        .default(Some(Value::from("hex")));
    let priority =
        said("Without it, `interactive` for a job whose caller waits or listens, else `batch`.")
            .enum_values(Some(["interactive", "batch"]));
    let timeout = whole()
        .minimum(Some(1))
        .maximum(Some(3_600))
        .description(Some("Seconds that the job has, queues included."));
    let callback = formatted("uri").description(Some("Told of the job's end."));
    ObjectBuilder::new()
        .property("audio", file)
        .required("audio")
        .property("voice", voice)
        .property("response_format", format)
        .property("priority", priority)
        .property("timeout", timeout)
        .property("callback_url", callback)
        .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)))
}

fn said(about: &str) -> ObjectBuilder {
    text().description(Some(about))
}
