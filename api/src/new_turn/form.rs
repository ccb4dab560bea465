//! Multipart forms with a recording (RFC 7578).

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    body::{Body, HttpBody},
    extract::{
        FromRequest as _, Multipart, Request,
        multipart::{Field, MultipartError},
    },
};
use bytes::Bytes;
use common::{ids::ConversationId, pipeline::Route};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Frame, SizeHint};

use super::{
    bytes_of, is_multipart, refuse_larger, refuse_packed, valid_format, valid_voice,
    written_priority, written_timeout,
};
use crate::{
    audio_format::AudioFormat,
    byte_budget::{Collected, TenantBytes},
    error::{Problem, unread},
    gateway::{NewInput, NewTurn, Recording},
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
    audio: Option<Recording>,
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
        let budget = bytes_of(&request)?;
        let mut parts = Parts::of(request, limit).await?;
        let mut form = Self::default();
        while let Some(field) = parts.next(limits).await? {
            form.take(field, limits, &budget, known).await?;
        }
        Ok(form)
    }

    async fn take(
        &mut self,
        field: Field<'_>,
        limits: Limits,
        budget: &TenantBytes,
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
            let (bytes, hold) = bounded(field, limits.upload, limits, budget)
                .await?
                .finish();
            return set_once(&mut self.audio, Recording::held(bytes, hold), &name);
        }
        let bytes = bounded(field, MAX_FIELD, limits, budget).await?;
        let text = String::from_utf8(bytes.as_slice().to_vec()).map_err(|_| {
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
        if audio.bytes.is_empty() {
            return Err(Problem::unprocessable(
                "empty_audio",
                "The file in the field audio is empty.",
            ));
        }
        if AudioFormat::sniff(&audio.bytes).is_none() {
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
            Body::new(OneAtATime::new(Limited::new(counted, limit)))
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

/// Gives one frame each time that its reader wakes. The parser takes all that
/// there is before it hands on any of it, which may be the whole body.
struct OneAtATime<B> {
    body: B,
    has_given: bool,
}

impl<B> OneAtATime<B> {
    fn new(body: B) -> Self {
        let has_given = false;
        Self { body, has_given }
    }
}

impl<B: HttpBody + Unpin> HttpBody for OneAtATime<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        if std::mem::take(&mut self.has_given) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.has_given = matches!(polled, Poll::Ready(Some(Ok(_))));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
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

async fn bounded(
    mut field: Field<'_>,
    limit: usize,
    limits: Limits,
    budget: &TenantBytes,
) -> Result<Collected, Problem> {
    let mut bytes = Collected::new(budget);
    while let Some(chunk) = field
        .chunk()
        .await
        .map_err(|error| broken(&error, limits))?
    {
        if bytes.as_slice().len() + chunk.len() > limit {
            return Err(Problem::too_large(limit));
        }
        bytes.push(&chunk, limit)?;
    }
    Ok(bytes)
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
    use crate::{byte_budget, callback::Callbacks};

    /// The word for what is wrong with a form that comes in these pieces.
    async fn refusal(pieces: impl Iterator<Item = &'static [u8]> + Send + 'static) -> String {
        let pieces = stream::unfold(pieces, async |mut pieces| {
            tokio::task::yield_now().await;
            let piece = Bytes::from_static(pieces.next()?);
            Some((Ok::<_, Infallible>(piece), pieces))
        });
        let request = Request::builder()
            .header("content-type", "multipart/form-data; boundary=b")
            .extension(byte_budget::tests::tenant_with(100_000))
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
