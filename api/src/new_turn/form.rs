//! Multipart forms with a recording (RFC 7578).

use axum::{
    body::Body,
    extract::{FromRequest as _, Multipart, Request, multipart::Field},
};
use bytes::{Bytes, BytesMut};
use common::{ids::ConversationId, pipeline::Route};

use super::{is_multipart, valid_format, valid_voice, written_priority, written_timeout};
use crate::{
    audio_format::AudioFormat,
    error::Problem,
    gateway::{ConversationName, NewInput, NewTurn},
    state::Limits,
};

/// Bytes that a multipart body may have beside its file.
const MULTIPART_OVERHEAD: usize = 64 * 1024;

/// Bytes of a form field that is not the file.
const MAX_FIELD: usize = common::callback::LONGEST_URL;

/// The fields of a form with audio.
#[derive(Default)]
pub struct Form {
    audio: Option<Bytes>,
    pub kind: Option<String>,
    voice: Option<String>,
    response_format: Option<String>,
    pub conversation_id: Option<String>,
    priority: Option<String>,
    timeout: Option<String>,
    callback_url: Option<String>,
}

impl Form {
    pub async fn read(request: Request, limits: Limits, known: &[&str]) -> Result<Self, Problem> {
        if !is_multipart(request.headers()) {
            return Err(Problem::unsupported_media_type(
                "not_multipart",
                "The content type must be multipart/form-data.",
            ));
        }
        let limit = limits.upload.saturating_add(MULTIPART_OVERHEAD);
        let request = request.map(|body| Body::new(http_body_util::Limited::new(body, limit)));
        let mut parts = Multipart::from_request(request, &())
            .await
            .map_err(|_| Problem::malformed("invalid_multipart", "The form has no boundary."))?;
        let mut form = Self::default();
        while let Some(field) = parts
            .next_field()
            .await
            .map_err(|error| broken(&error, limits))?
        {
            form.take(field, limits, known).await?;
        }
        Ok(form)
    }

    async fn take(
        &mut self,
        field: Field<'_>,
        limits: Limits,
        known: &[&str],
    ) -> Result<(), Problem> {
        let name = field.name().unwrap_or_default().to_owned();
        if !known.contains(&name.as_str()) {
            return Err(Problem::unprocessable(
                "unknown_field",
                format!(
                    "The form has a field that is not one of {}.",
                    known.join(", ")
                ),
            ));
        }
        if name == "audio" {
            let bytes = bounded(field, limits.upload, limits).await?;
            return set_once(&mut self.audio, bytes, &name);
        }
        let bytes = bounded(field, MAX_FIELD, limits).await?;
        let text = String::from_utf8(bytes.to_vec()).map_err(|_| {
            Problem::unprocessable("invalid_field", format!("The field {name} is not text."))
        })?;
        let slot = match name.as_str() {
            "kind" => &mut self.kind,
            "voice" => &mut self.voice,
            "response_format" => &mut self.response_format,
            "priority" => &mut self.priority,
            "timeout" => &mut self.timeout,
            "callback_url" => &mut self.callback_url,
            _ => &mut self.conversation_id,
        };
        set_once(slot, text.trim().to_owned(), &name)
    }

    pub fn into_turn(
        self,
        conversation_id: ConversationId,
        limits: Limits,
    ) -> Result<NewTurn, Problem> {
        let audio = self.audio.ok_or_else(|| {
            Problem::unprocessable("missing_audio", "The form has no file in the field audio.")
        })?;
        if audio.is_empty() {
            return Err(Problem::unprocessable(
                "empty_audio",
                "The file in the field audio is empty.",
            ));
        }
        if AudioFormat::sniff(&audio).is_none() {
            return Err(Problem::unsupported_media_type(
                "unsupported_audio",
                "The file is not audio of a kind that is taken: wav, mp3, flac, ogg, m4a or webm.",
            ));
        }
        let callback_url = self.callback_url.as_deref().filter(|url| !url.is_empty());
        Ok(NewTurn {
            route: Route::Voice,
            input: NewInput::Speech(audio),
            conversation_id,
            conversation_name: ConversationName::Given,
            voice: valid_voice(self.voice)?,
            response_format: valid_format(self.response_format)?,
            priority: written_priority(self.priority)?,
            timeout: written_timeout(self.timeout)?,
            callback: limits.callbacks.accept(callback_url)?,
        })
    }
}

fn set_once<T>(slot: &mut Option<T>, value: T, name: &str) -> Result<(), Problem> {
    if slot.replace(value).is_some() {
        return Err(Problem::unprocessable(
            "repeated_field",
            format!("The field {name} is there more than once."),
        ));
    }
    Ok(())
}

async fn bounded(mut field: Field<'_>, limit: usize, limits: Limits) -> Result<Bytes, Problem> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = field
        .chunk()
        .await
        .map_err(|error| broken(&error, limits))?
    {
        if bytes.len() + chunk.len() > limit {
            return Err(Problem::too_large(limit));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

fn broken(error: &axum::extract::multipart::MultipartError, limits: Limits) -> Problem {
    match error.status() {
        axum::http::StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(limits.upload),
        _ => Problem::malformed(
            "invalid_multipart",
            "The form is not well formed or ended too soon.",
        ),
    }
}
