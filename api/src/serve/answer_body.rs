//! The body of an answer, which tells whether its client takes it.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    body::{Body, HttpBody},
    http::Version,
};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use super::watch::{RequestNumber, Watch};

/// A larger piece is handed over in parts, so that what a client has not taken
/// stays here and not in the buffers of the connection, where nobody counts it.
const LARGEST_PIECE: usize = 64 * 1024;

/// A request from its head to the end of its answer.
pub struct Asked {
    watch: Arc<Watch>,
    number: RequestNumber,
    flow: Flow,
}

/// What tells that a client does not take its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// HTTP/1: the socket takes nothing more.
    OfTheSocket,
    /// HTTP/2: the client opens no window for this one stream, whatever else
    /// goes over the socket.
    OfItsOwn,
}

impl From<Version> for Flow {
    fn from(version: Version) -> Self {
        match version {
            Version::HTTP_2 => Self::OfItsOwn,
            _ => Self::OfTheSocket,
        }
    }
}

impl Asked {
    pub fn begin(watch: &Arc<Watch>, flow: Flow) -> Self {
        Self {
            number: watch.begin(),
            watch: Arc::clone(watch),
            flow,
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.watch.end(self.number);
    }
}

pub struct AnswerBody {
    body: Body,
    /// Of the last piece, what is not handed over yet.
    rest: Bytes,
    asked: Asked,
}

impl AnswerBody {
    pub fn new(body: Body, asked: Asked) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            asked,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(self.part_of_rest())));
        }
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        polled.map_ok(|frame| match frame.into_data() {
            Ok(data) => {
                self.rest = data;
                self.part_of_rest()
            }
            Err(trailers) => trailers,
        })
    }

    fn part_of_rest(&mut self) -> Frame<Bytes> {
        let part = self.rest.len().min(LARGEST_PIECE);
        Frame::data(self.rest.split_to(part))
    }
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = self.poll(cx);
        let asked = &self.asked;
        match &polled {
            // Whoever asks again has room for more.
            Poll::Ready(Some(Ok(_))) if asked.flow == Flow::OfItsOwn => {
                asked.watch.offer(asked.number);
            }
            _ => asked.watch.taken(asked.number),
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, body) = (self.rest.len() as u64, self.body.size_hint());
        let mut whole = SizeHint::new();
        if let Some(upper) = body.upper() {
            whole.set_upper(upper + rest);
        }
        whole.set_lower(body.lower() + rest);
        whole
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body_util::BodyExt as _;

    use super::*;
    use crate::serve::watch::{Finding, Patience};

    fn watch() -> Arc<Watch> {
        Arc::new(Watch::new(Patience {
            client: Duration::ZERO,
            keep_alive: Duration::from_secs(1),
        }))
    }

    #[tokio::test]
    async fn a_large_piece_goes_out_in_parts_and_nothing_is_lost() {
        let bytes: Vec<u8> = (0..=255).cycle().take(200_000).collect();
        let watch = watch();
        let mut body = AnswerBody::new(
            Body::from(bytes.clone()),
            Asked::begin(&watch, Flow::OfItsOwn),
        );
        let mut out = Vec::new();
        while !body.is_end_stream() {
            assert_eq!(
                body.size_hint().exact(),
                Some((bytes.len() - out.len()) as u64)
            );
            let part = body.frame().await.unwrap().unwrap().into_data().unwrap();
            assert!(part.len() <= LARGEST_PIECE);
            out.extend(part);
        }
        assert_eq!(out, bytes);
    }

    #[tokio::test]
    async fn a_piece_that_is_not_taken_is_told_until_the_next_is_asked_for() {
        let watch = watch();
        let mut body = AnswerBody::new(Body::from("a"), Asked::begin(&watch, Flow::OfItsOwn));
        assert_eq!(watch.look(), Finding::Well);
        let _ = body.frame().await;
        std::thread::sleep(Duration::from_millis(1));
        assert_eq!(watch.look(), Finding::SlowToRead);
        assert!(body.frame().await.is_none());
        assert_eq!(watch.look(), Finding::Well);
    }
}
