//! The body of an answer, handed over in parts and no faster than they go out.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use super::{stream::Delivery, watch::Watch};

/// A larger piece is handed over in parts, so that what a client has not taken
/// stays here and not in the buffers of the connection, where nobody counts it,
/// and so that a slow client takes each part within its time.
pub const LARGEST_PART: usize = 16 * 1024;

/// A request from its head to the end of its answer.
pub struct Asked(Arc<Watch>);

impl Asked {
    pub fn begin(watch: &Arc<Watch>) -> Self {
        watch.begin();
        Self(Arc::clone(watch))
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.end();
    }
}

pub struct AnswerBody {
    body: Body,
    /// Of the last piece, what is not handed over yet.
    rest: Bytes,
    /// The body has nothing more.
    is_over: bool,
    delivery: Option<Arc<Delivery>>,
    _asked: Asked,
}

impl AnswerBody {
    /// Within the task that sends it.
    pub fn new(body: Body, asked: Asked) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            is_over: false,
            delivery: Delivery::of_this_stream(),
            _asked: asked,
        }
    }

    fn part_of_rest(&mut self) -> Frame<Bytes> {
        let part = self.rest.split_to(self.rest.len().min(LARGEST_PART));
        Frame::data(match &self.delivery {
            Some(delivery) if !part.is_empty() => delivery.hand_over(part),
            _ => part,
        })
    }

    fn poll_end(&self, cx: &Context<'_>) -> Poll<()> {
        match &self.delivery {
            Some(delivery) => delivery.poll_gone_out(cx),
            None => Poll::Ready(()),
        }
    }
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(self.part_of_rest())));
        }
        if !self.is_over {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(frame) => {
                    return Poll::Ready(Some(frame.map(|frame| match frame.into_data() {
                        Ok(data) => {
                            self.rest = data;
                            self.part_of_rest()
                        }
                        Err(trailers) => trailers,
                    })));
                }
                None => self.is_over = true,
            }
        }
        self.poll_end(cx).map(|()| None)
    }

    fn is_end_stream(&self) -> bool {
        let has_gone_out = |delivery: &Arc<Delivery>| delivery.has_gone_out();
        self.rest.is_empty()
            && (self.is_over || self.body.is_end_stream())
            && self.delivery.as_ref().is_none_or(has_gone_out)
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
    use crate::serve::watch::Patience;

    #[tokio::test]
    async fn a_large_piece_goes_out_in_parts_and_nothing_is_lost() {
        let bytes: Vec<u8> = (0..=255).cycle().take(200_000).collect();
        let watch = Arc::new(Watch::new(Patience {
            client: Duration::ZERO,
            keep_alive: Duration::from_secs(1),
        }));
        let mut body = AnswerBody::new(Body::from(bytes.clone()), Asked::begin(&watch));
        let mut out = Vec::new();
        while !body.is_end_stream() {
            assert_eq!(
                body.size_hint().exact(),
                Some((bytes.len() - out.len()) as u64)
            );
            let part = body.frame().await.unwrap().unwrap().into_data().unwrap();
            assert!(part.len() <= LARGEST_PART);
            out.extend(part);
        }
        assert_eq!(out, bytes);
    }
}
