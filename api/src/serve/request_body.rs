//! The body of a request, which has to keep coming.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::HttpBody;
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

/// Bytes a second below which a body is not sent but dribbled. A recording over
/// the slowest mobile network comes ten times as fast.
const SLOWEST: f64 = 1_000.0;

/// What reading ends with when a body does not keep coming.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body of a request comes too slowly")]
pub struct TooSlow;

/// Ends with [`TooSlow`] after a silence of `patience`, and when less has come
/// than [`SLOWEST`] allows, beyond the first `patience`. The clock runs from
/// where the body is first asked for.
pub struct RequestBody<B = Incoming> {
    body: B,
    patience: Duration,
    received: u64,
    clock: Option<Clock>,
}

struct Clock {
    started: Instant,
    alarm: Pin<Box<Sleep>>,
}

type Error = Box<dyn std::error::Error + Send + Sync>;

impl<B> RequestBody<B> {
    pub fn new(body: B, patience: Duration) -> Self {
        Self {
            body,
            patience,
            received: 0,
            clock: None,
        }
    }

    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let clock = self.clock.get_or_insert_with(|| {
            let started = Instant::now();
            let alarm = Box::pin(sleep_until(started + self.patience));
            Clock { started, alarm }
        });
        clock.alarm.as_mut().poll(cx)
    }

    fn wind(&mut self, bytes: usize) {
        self.received += bytes as u64;
        if let Some(clock) = &mut self.clock {
            let due = due(clock.started, Instant::now(), self.received, self.patience);
            clock.alarm.as_mut().reset(due);
        }
    }
}

impl<B> HttpBody for RequestBody<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<Error>,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.wind(frame.data_ref().map_or(0, Bytes::len));
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(other) => Poll::Ready(other.map(|result| result.map_err(Into::into))),
            Poll::Pending => self.poll_alarm(cx).map(|()| Some(Err(TooSlow.into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// When it is enough, for a body of which `received` bytes had come by `now`.
fn due(started: Instant, now: Instant, received: u64, patience: Duration) -> Instant {
    let earned = Duration::from_secs_f64(received as f64 / SLOWEST);
    (now + patience).min(started + patience + earned)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use futures::{StreamExt as _, stream};
    use http_body_util::BodyExt as _;

    use super::*;

    #[test]
    fn a_silence_and_a_trickle_have_their_end() {
        let (started, patience) = (Instant::now(), Duration::from_secs(30));
        for (received, after, expected) in [
            (1, 2, 30.001),
            (1_000_000, 2, 32.0),
            (1_000_000, 900, 930.0),
            (1_000_000, 1_020, 1_030.0),
            (15_000, 30, 45.0),
            (10_000, 29, 40.0),
            (u64::MAX / 1_000_000, 29, 59.0),
        ] {
            let now = started + Duration::from_secs(after);
            let due = due(started, now, received, patience) - started;
            let off = (due.as_secs_f64() - expected).abs();
            assert!(off < 0.01, "{received} bytes by {after} s: {due:?}");
        }
    }

    #[tokio::test]
    async fn what_comes_is_read_and_what_stops_coming_ends() {
        let whole = RequestBody::new(Body::from("whole"), Duration::from_secs(30));
        assert_eq!(whole.collect().await.unwrap().to_bytes(), "whole");
        let stuck = stream::once(async { Ok::<_, std::io::Error>("half") });
        let stuck = Body::from_stream(stuck.chain(stream::pending()));
        let stuck = RequestBody::new(stuck, Duration::from_millis(20));
        let error = stuck.collect().await.unwrap_err();
        assert!(error.is::<TooSlow>(), "{error}");
    }
}
