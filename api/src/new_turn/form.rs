//! Multipart forms with a recording (RFC 7578).

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use axum::{
    body::Body,
    extract::{
        FromRequest as _, Multipart, Request,
        multipart::{Field, MultipartError},
    },
};
use bytes::{Bytes, BytesMut};
use common::{ids::ConversationId, pipeline::Route};
use http_body_util::{BodyExt as _, Limited};

use super::{
    is_multipart, refuse_larger, refuse_packed, valid_format, valid_voice, written_priority,
    written_timeout,
};
use crate::{
    audio_format::AudioFormat,
    error::{Problem, unread},
    gateway::{NewInput, NewTurn},
    state::Limits,
};

/// Bytes that a multipart body may have beside its file.
const MULTIPART_OVERHEAD: usize = 64 * 1024;

/// Bytes of a form field that is not the file.
const MAX_FIELD: usize = common::callback::LONGEST_URL;

/// Bytes that stand before the content of a part: its headers, and for the first
/// one a preamble. The parser looks through all of them each time that some
/// come, so without a bound many small packets would be much work.
const MAX_HEAD: usize = 16 * 1024;

/// The fields of a form with audio.
#[derive(Default)]
#[cfg_attr(test, derive(Debug, PartialEq))]
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
        refuse_packed(request.headers())?;
        let limit = limits.upload.saturating_add(MULTIPART_OVERHEAD);
        refuse_larger(request.body(), limit)?;
        let mut parts = Parts::of(request, limit).await?;
        let mut form = Self::default();
        while let Some(field) = parts.next(limits).await? {
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
        let speech = NewInput::Speech(audio);
        Ok(NewTurn {
            voice: valid_voice(self.voice)?,
            response_format: valid_format(self.response_format)?,
            priority: written_priority(self.priority)?,
            timeout: written_timeout(self.timeout)?,
            callback: limits.callbacks.accept(callback_url)?,
            ..NewTurn::new(Route::Voice, speech, conversation_id)
        })
    }
}

/// The parts of a form. There are no more than there are known fields: one that
/// is not known or comes again ends the reading.
struct Parts {
    parts: Multipart,
    /// Bytes of the body that have come.
    received: Arc<AtomicUsize>,
}

impl Parts {
    async fn of(request: Request, limit: usize) -> Result<Self, Problem> {
        let received = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&received);
        let request = request.map(|body| {
            let counted = body.map_frame(move |frame| {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                count.fetch_add(bytes, Ordering::Relaxed);
                frame
            });
            Body::new(Limited::new(counted, limit))
        });
        let parts = Multipart::from_request(request, &()).await;
        let parts = parts
            .map_err(|_| Problem::malformed("invalid_multipart", "The form has no boundary."))?;
        Ok(Self { parts, received })
    }

    /// The part before it has been read, so what comes without being enough is
    /// all head.
    async fn next(&mut self, limits: Limits) -> Result<Option<Field<'_>>, Problem> {
        let before = self.received.load(Ordering::Relaxed);
        let mut next = pin!(self.parts.next_field());
        poll_fn(|cx| match next.as_mut().poll(cx) {
            Poll::Ready(part) => Poll::Ready(part.map_err(|error| broken(&error, limits))),
            Poll::Pending if self.received.load(Ordering::Relaxed) - before > MAX_HEAD => {
                let detail = format!("The head of a part is longer than {MAX_HEAD} bytes.");
                Poll::Ready(Err(Problem::malformed("invalid_multipart", detail)))
            }
            Poll::Pending => Poll::Pending,
        })
        .await
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

fn broken(error: &MultipartError, limits: Limits) -> Problem {
    unread(error, limits.upload).unwrap_or_else(|| {
        Problem::malformed(
            "invalid_multipart",
            "The form is not well formed or ended too soon.",
        )
    })
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::stream;

    use super::*;
    use crate::callback::Callbacks;

    /// The word for what is wrong with a form that comes in these pieces.
    async fn refusal(pieces: impl Iterator<Item = &'static [u8]> + Send + 'static) -> String {
        let pieces = stream::unfold(pieces, async |mut pieces| {
            tokio::task::yield_now().await;
            let piece = Bytes::from_static(pieces.next()?);
            Some((Ok::<_, Infallible>(piece), pieces))
        });
        let request = Request::builder()
            .header("content-type", "multipart/form-data; boundary=b")
            .body(Body::from_stream(pieces))
            .unwrap();
        let limits = Limits {
            upload: 16_777_216,
            callbacks: Callbacks::Unsigned,
        };
        let problem = Form::read(request, limits, &["audio"]).await.err().unwrap();
        let body = serde_json::to_value(problem.body("", "")).unwrap();
        format!("{}: {}", body["code"].as_str().unwrap(), body["detail"])
    }

    /// The parser would look through 16 MiB a hundred thousand times.
    #[tokio::test]
    async fn a_head_without_an_end_is_refused_before_it_is_much_work() {
        let endless = || std::iter::repeat(&[b'a'; 100][..]);
        for begun in [&b"--b\r\nContent-Disposition: "[..], b"", b"a preamble"] {
            let pieces = std::iter::once(begun).chain(endless()).take(150_000);
            let refusal = refusal(pieces).await;
            assert!(refusal.contains("head of a part"), "{refusal}");
        }
    }
}
