//! Requests parsed into turns that the rest may trust; a bad one ends here.

use std::sync::Arc;

use axum::{
    body::{Body, HttpBody as _},
    extract::{FromRef, FromRequest, FromRequestParts, Request},
    http::{Extensions, HeaderMap, header, request::Parts},
};
use common::{
    ids::{ConversationId, CorrelationId, RequestId, Tenant},
    pipeline::Route,
    priority::Priority,
};
use http_body_util::{BodyExt as _, Limited};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    byte_budget::{Collected, TenantBytes},
    error::{Problem, unread},
    gateway::{Caller, ConversationName, NewInput, NewTurn},
    job_slot::JobSlot,
    middleware::request_context::TraceParent,
    state::{Limits, TenantLimits},
};
use fields::{valid_format, valid_timeout, valid_voice, written_priority, written_timeout};
use form::Form;

mod fields;
mod form;

/// Characters of a message, after trimming.
const MAX_MESSAGE: usize = 5_000;

/// Bytes of a JSON body: the longest message with every character escaped, and
/// room for the rest.
const MAX_JSON: usize = 128 * 1024;

const CONVERSATION_ID: &str = "x-conversation-id";

/// A chat turn: `{"message": …}`.
pub struct ChatTurn(pub NewTurn);

/// A voice turn: a form with the file `audio`.
pub struct AudioTurn(pub NewTurn);

/// Either, told apart by the content type and the field `kind`.
pub struct AnyTurn(pub NewTurn);

/// A written question.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Question)]
pub struct ChatBody {
    /// 1 to 5,000 characters after trimming.
    #[schema(
        min_length = 1,
        max_length = 5_000,
        pattern = r"\S",
        example = "Apa itu ITB?"
    )]
    message: String,
    /// Without it, `interactive` for a job whose caller waits or listens, else
    /// `batch`.
    priority: Option<Priority>,
    /// Seconds that the job has, queues included.
    #[schema(minimum = 1, maximum = 3_600)]
    timeout: Option<u64>,
    /// Told of the job's end.
    #[schema(format = "uri")]
    callback_url: Option<String>,
}

/// A written question, as a job.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewJob)]
pub struct JobBody {
    kind: JobKind,
    /// 1 to 5,000 characters after trimming.
    #[schema(
        min_length = 1,
        max_length = 5_000,
        pattern = r"\S",
        example = "Apa itu ITB?"
    )]
    message: String,
    /// In place of the header; without either, a conversation is made.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,128}$", example = "coba")]
    conversation_id: Option<String>,
    /// Without it, `interactive` for a job whose caller waits or listens, else
    /// `batch`.
    priority: Option<Priority>,
    /// Seconds that the job has, queues included.
    #[schema(minimum = 1, maximum = 3_600)]
    timeout: Option<u64>,
    /// Told of the job's end.
    #[schema(format = "uri")]
    callback_url: Option<String>,
}

/// What a job in JSON can be for.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum JobKind {
    Chat,
}

impl<S: Send + Sync> FromRequest<S> for ChatTurn
where
    Arc<TenantLimits>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let conversation_id = required_conversation(request.headers())?;
        let limits = limits(&request, state)?;
        let body: ChatBody = json(request).await?;
        let mut turn = chat_turn(conversation_id, &body.message)?;
        turn.priority = body.priority;
        turn.timeout = body.timeout.map(valid_timeout).transpose()?;
        turn.callback = limits.callbacks.accept(body.callback_url.as_deref())?;
        Ok(Self(turn))
    }
}

impl<S: Send + Sync> FromRequest<S> for AudioTurn
where
    Arc<TenantLimits>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let conversation_id = required_conversation(request.headers())?;
        let limits = limits(&request, state)?;
        let fields = [
            "audio",
            "voice",
            "response_format",
            "priority",
            "timeout",
            "callback_url",
        ];
        let form = Form::read(request, limits, &fields).await?;
        form.into_turn(conversation_id, limits).map(Self)
    }
}

impl<S: Send + Sync> FromRequest<S> for AnyTurn
where
    Arc<TenantLimits>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let conversation = given_conversation(request.headers())?;
        let limits = limits(&request, state)?;
        if !is_multipart(request.headers()) {
            let body: JobBody = json(request).await?;
            let JobKind::Chat = body.kind;
            let (id, name) = conversation_or_new(conversation, body.conversation_id.as_deref())?;
            let mut turn = chat_turn(id, &body.message)?;
            turn.conversation_name = name;
            turn.priority = body.priority;
            turn.callback = limits.callbacks.accept(body.callback_url.as_deref())?;
            turn.timeout = body.timeout.map(valid_timeout).transpose()?;
            return Ok(Self(turn));
        }
        let fields = [
            "kind",
            "audio",
            "voice",
            "response_format",
            "conversation_id",
            "priority",
            "timeout",
            "callback_url",
        ];
        let form = Form::read(request, limits, &fields).await?;
        if form.kind.as_deref() != Some("audio") {
            return Err(Problem::unprocessable(
                "unknown_kind",
                "The field kind of a form must be audio.",
            ));
        }
        let (id, name) = conversation_or_new(conversation, form.conversation_id.as_deref())?;
        let mut turn = form.into_turn(id, limits)?;
        turn.conversation_name = name;
        Ok(Self(turn))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let extensions = &parts.extensions;
        let tenant = tenant(extensions)?;
        // Set by the middleware before every `/v1` handler.
        let request_id = extensions
            .get::<RequestId>()
            .ok_or_else(Problem::internal)?;
        Ok(Self {
            tenant: tenant.clone(),
            request_id: request_id.clone(),
            traceparent: extensions.get::<TraceParent>().map(|it| it.0.clone()),
            slot: extensions.get::<Arc<JobSlot>>().cloned(),
        })
    }
}

fn tenant(extensions: &Extensions) -> Result<&Tenant, Problem> {
    // Set by the middleware before every `/v1` handler.
    extensions.get().ok_or_else(Problem::internal)
}

/// What the tenant of `request` may send.
fn limits<S>(request: &Request, state: &S) -> Result<Limits, Problem>
where
    Arc<TenantLimits>: FromRef<S>,
{
    let tenant = tenant(request.extensions())?;
    Ok(Arc::<TenantLimits>::from_ref(state).of(tenant))
}

fn chat_turn(conversation_id: ConversationId, message: &str) -> Result<NewTurn, Problem> {
    let text = NewInput::Text(valid_message(message)?);
    Ok(NewTurn::new(Route::Text, text, conversation_id))
}

/// All of Unicode is kept but control characters. Those that change the
/// direction of what follows are kept too: they are part of text from right to
/// left, and nobody but its writer is shown a message.
fn valid_message(message: &str) -> Result<String, Problem> {
    let message = message.trim();
    if message.chars().any(is_refused) {
        return Err(Problem::unprocessable(
            "control_character",
            "The message has a control character that is no tab and ends no line.",
        ));
    }
    let length = message.chars().count();
    match length {
        0 => Err(Problem::unprocessable(
            "empty_message",
            "The message is empty.",
        )),
        1..=MAX_MESSAGE => Ok(message.to_owned()),
        _ => Err(Problem::unprocessable(
            "message_too_long",
            format!("The message has {length} characters; {MAX_MESSAGE} are allowed."),
        )),
    }
}

/// The general category Cc: NUL, escapes, the second set (U+0080 to U+009F). No
/// one types them, and terminals, models and logs obey them.
fn is_refused(character: char) -> bool {
    character.is_control() && !matches!(character, '\n' | '\r' | '\t')
}

fn required_conversation(headers: &HeaderMap) -> Result<ConversationId, Problem> {
    given_conversation(headers)?.ok_or_else(|| {
        Problem::malformed(
            "missing_conversation_id",
            "The header X-Conversation-Id is missing.",
        )
    })
}

fn given_conversation(headers: &HeaderMap) -> Result<Option<ConversationId>, Problem> {
    let mut lines = headers.get_all(CONVERSATION_ID).iter();
    let Some(line) = lines.next() else {
        return Ok(None);
    };
    // Of two, whoever stands between may have looked at the other one.
    let text = line.to_str().ok().filter(|_| lines.next().is_none());
    parse_conversation(text.unwrap_or_default()).map(Some)
}

/// The name of a conversation, wherever a request has it.
pub fn parse_conversation(text: &str) -> Result<ConversationId, Problem> {
    text.parse().map_err(|error: common::ids::InvalidId| {
        Problem::malformed("invalid_conversation_id", capitalised(&error.to_string()))
    })
}

fn conversation_or_new(
    header: Option<ConversationId>,
    body: Option<&str>,
) -> Result<(ConversationId, ConversationName), Problem> {
    let (id, name) = match (header, body) {
        (Some(id), _) => (id, ConversationName::Given),
        (None, Some(text)) => (parse_conversation(text)?, ConversationName::Given),
        (None, None) => {
            let made = parse_conversation(&CorrelationId::new().to_string())?;
            (made, ConversationName::Made)
        }
    };
    Ok((id, name))
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), characters.as_str()),
        None => String::new(),
    }
}

fn media_type(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim())
}

pub fn is_multipart(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|it| it.eq_ignore_ascii_case("multipart/form-data"))
}

/// A body is taken as it is. What is packed is not unpacked: a few bytes of it
/// can hold very many.
fn refuse_packed(headers: &HeaderMap) -> Result<(), Problem> {
    let codings = headers.get_all(header::CONTENT_ENCODING);
    if codings.iter().all(|coding| coding == "identity") {
        return Ok(());
    }
    Err(Problem::unsupported_media_type(
        "unsupported_encoding",
        "The body is taken without a Content-Encoding only.",
    ))
}

pub async fn json<T: for<'de> Deserialize<'de>>(request: Request) -> Result<T, Problem> {
    refuse_packed(request.headers())?;
    if !media_type(request.headers()).is_some_and(|it| it.eq_ignore_ascii_case("application/json"))
    {
        return Err(Problem::unsupported_media_type(
            "not_json",
            "The content type must be application/json.",
        ));
    }
    let bytes = bytes_of(&request)?;
    let body = read_body(request.into_body(), MAX_JSON, &bytes).await?;
    serde_json::from_slice(body.as_slice()).map_err(|error| {
        if error.is_data() {
            // Names the field, not its content.
            Problem::unprocessable("invalid_field", capitalised(&shape_of(&error)))
        } else {
            Problem::malformed("invalid_json", "The body is not valid JSON.")
        }
    })
}

/// What serde says of the form of a body, without the place, and bounded.
fn shape_of(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or_default();
    text.chars().take(200).collect()
}

/// Refuses what says of itself that it is too large before it is read, and what
/// turns out to be while it is.
async fn read_body(body: Body, limit: usize, budget: &TenantBytes) -> Result<Collected, Problem> {
    refuse_larger(&body, limit)?;
    let mut read = Collected::new(budget);
    let mut body = Limited::new(body, limit);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            let error: &(dyn std::error::Error + 'static) = error.as_ref();
            unread(error, limit).unwrap_or_else(cut_short)
        })?;
        if let Some(piece) = frame.data_ref() {
            read.push(piece, limit)?;
        }
    }
    Ok(read)
}

/// What the bytes of `request` count against.
fn bytes_of(request: &Request) -> Result<TenantBytes, Problem> {
    let bytes = request.extensions().get::<TenantBytes>();
    bytes.cloned().ok_or_else(Problem::internal)
}

fn refuse_larger(body: &Body, limit: usize) -> Result<(), Problem> {
    match usize::try_from(body.size_hint().lower()) {
        Ok(announced) if announced <= limit => Ok(()),
        _ => Err(Problem::too_large(limit)),
    }
}

fn cut_short() -> Problem {
    Problem::malformed("incomplete_body", "The body ended too soon.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_1_to_5000_characters_after_trimming() {
        assert_eq!(valid_message("  apa?\n").unwrap(), "apa?");
        assert!(valid_message(&"é".repeat(5_000)).is_ok());
        for bad in ["", " \n\t", &"é".repeat(5_001)] {
            assert_eq!(valid_message(bad).unwrap_err().status(), 422);
        }
    }

    #[test]
    fn unicode_is_kept_and_control_characters_are_refused() {
        for kept in [
            "satu\ndua\r\n\ttiga",
            "👩🏽\u{200d}🎓 🏴\u{e0067}\u{e0062}\u{e007f} e\u{301}",
            "\u{202e}שלום\u{202c} \u{2067}مرحبا\u{2069}",
            "\u{feff}a \u{200b}b\u{2028}c",
        ] {
            assert_eq!(valid_message(kept).unwrap(), kept);
        }
        for refused in [
            '\0', '\u{1}', '\u{7}', '\u{8}', '\u{1b}', '\u{7f}', '\u{85}', '\u{9f}',
        ] {
            let problem = valid_message(&format!("a{refused}b")).unwrap_err();
            assert_eq!(problem.status(), 422, "{refused:?}");
        }
    }
}
