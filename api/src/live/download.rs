//! Speech that is kept, fetched as it is read: a client that reads nothing holds
//! one piece in memory, however long the file is.

use std::{
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use common::claim_check::Ticket;
use futures::{
    Stream, StreamExt as _,
    stream::{BoxStream, unfold},
};
use hyper::body::{Frame, SizeHint};
use tracing::warn;

use crate::{
    byte_budget::{Hold, LONG_WAIT, SHORT_WAIT, TenantBytes},
    error::Problem,
    gateway::Gateway,
};

/// Bytes that are fetched at once: enough for a store on another machine to be
/// asked seldom, and few for each of a thousand clients.
const PIECE: u64 = 64 * 1024;

pub struct Download {
    pub gateway: Arc<Gateway>,
    pub bytes: TenantBytes,
    pub ticket: Ticket,
}

/// The file cannot be sent to its end. The connection or its stream is broken
/// off, since its head has promised more.
#[derive(Debug, thiserror::Error)]
#[error("the download breaks off")]
pub struct BrokenOff;

impl Download {
    /// The bytes at these places. There is room for the first of them, or it is
    /// refused; each of the others waits for its room.
    pub async fn body(self, part: Range<u64>) -> Result<Body, Problem> {
        let first = piece_of(&part);
        let room = self.bytes.take(size(&first), SHORT_WAIT).await?;
        Ok(Body::new(Sized {
            left: part.end - part.start,
            pieces: self.pieces(part, room).boxed(),
        }))
    }

    fn pieces(
        self,
        part: Range<u64>,
        room: Hold,
    ) -> impl Stream<Item = Result<Bytes, BrokenOff>> + Send {
        unfold((self, part, Some(room)), async |(download, left, room)| {
            if left.is_empty() {
                return None;
            }
            let piece = piece_of(&left);
            match download.fetch(piece.clone(), room).await {
                Some(bytes) => Some((Ok(bytes), (download, piece.end..left.end, None))),
                None => Some((Err(BrokenOff), (download, 0..0, None))),
            }
        })
    }

    async fn fetch(&self, piece: Range<u64>, room: Option<Hold>) -> Option<Bytes> {
        let room = match room {
            Some(room) => room,
            None => {
                let room = self.bytes.take(size(&piece), LONG_WAIT).await;
                room.inspect_err(|full| warn!(%full, "a download breaks off"))
                    .ok()?
            }
        };
        let bytes = self.gateway.redeem_part(&self.ticket, piece).await;
        let bytes = bytes.inspect_err(|error| warn!(%error, "a download breaks off"));
        bytes.ok()?.map(|bytes| room.attach(bytes))
    }
}

fn piece_of(part: &Range<u64>) -> Range<u64> {
    part.start..part.end.min(part.start.saturating_add(PIECE))
}

fn size(piece: &Range<u64>) -> usize {
    usize::try_from(piece.end - piece.start).unwrap_or(usize::MAX)
}

/// A stream of so many bytes: clients are told its length.
struct Sized {
    left: u64,
    pieces: BoxStream<'static, Result<Bytes, BrokenOff>>,
}

impl HttpBody for Sized {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let polled = self.pieces.poll_next_unpin(cx);
        polled.map_ok(|bytes| {
            self.left = self.left.saturating_sub(bytes.len() as u64);
            Frame::data(bytes)
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicU64, Ordering},
        time::Duration,
    };

    use async_trait::async_trait;
    use common::{
        backends::{BackendConfig, Backends, connect},
        claim_check::{ClaimCheck, ClaimError, Item},
        ids::CorrelationId,
    };
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::{byte_budget::tests::tenant_with, gateway::Terms};

    /// Counts the bytes that are read of it, and has lost those from `lost` on.
    struct Counting {
        claims: Arc<dyn ClaimCheck>,
        read: AtomicU64,
        lost: u64,
    }

    #[async_trait]
    impl ClaimCheck for Counting {
        async fn check_in(
            &self,
            id: CorrelationId,
            item: Item,
            bytes: Bytes,
            keep: Duration,
        ) -> Result<Ticket, ClaimError> {
            self.claims.check_in(id, item, bytes, keep).await
        }

        async fn redeem(&self, _: &Ticket) -> Result<Bytes, ClaimError> {
            panic!("the whole is not read")
        }

        async fn redeem_part(
            &self,
            ticket: &Ticket,
            part: Range<u64>,
        ) -> Result<Bytes, ClaimError> {
            if part.end > self.lost {
                return Err(ClaimError::Gone);
            }
            self.read
                .fetch_add(part.end - part.start, Ordering::Relaxed);
            self.claims.redeem_part(ticket, part).await
        }

        async fn keep(&self, ticket: &Ticket, longer: Duration) -> Result<(), ClaimError> {
            self.claims.keep(ticket, longer).await
        }

        async fn discard(&self, ticket: &Ticket) -> Result<(), ClaimError> {
            self.claims.discard(ticket).await
        }

        async fn erase(&self, id: CorrelationId, known: &[Ticket]) -> Result<u64, ClaimError> {
            self.claims.erase(id, known).await
        }
    }

    struct Kept {
        file: Bytes,
        counting: Arc<Counting>,
        gateway: Arc<Gateway>,
        ticket: Ticket,
    }

    impl Kept {
        /// Three pieces and a bit.
        async fn losing(lost: u64) -> Self {
            let config = BackendConfig::from_environment(&Default::default(), "test").unwrap();
            let backends = connect(&config).await.unwrap();
            let counting = Arc::new(Counting {
                claims: Arc::clone(&backends.claims),
                read: AtomicU64::new(0),
                lost,
            });
            let file: Vec<u8> = (0..=255).cycle().take(200_000).collect();
            let file = Bytes::from(file);
            let (id, minute) = (CorrelationId::new(), Duration::from_secs(60));
            let check_in = counting.check_in(id, Item::Speech, file.clone(), minute);
            let ticket = check_in.await.unwrap();
            let backends = Backends {
                claims: Arc::clone(&counting) as Arc<dyn ClaimCheck>,
                ..backends
            };
            let terms = Terms {
                deadline: minute,
                retention: Duration::from_secs(60),
                fair_share: 1,
            };
            Self {
                file,
                counting,
                gateway: Arc::new(Gateway::new(backends, terms)),
                ticket,
            }
        }

        async fn body(&self, bytes: &TenantBytes, part: Range<u64>) -> Body {
            let download = Download {
                gateway: Arc::clone(&self.gateway),
                bytes: bytes.clone(),
                ticket: self.ticket.clone(),
            };
            download.body(part).await.unwrap()
        }

        fn read(&self) -> u64 {
            self.counting.read.load(Ordering::Relaxed)
        }
    }

    #[tokio::test]
    async fn a_file_is_read_no_further_than_its_reader() {
        let kept = Kept::losing(u64::MAX).await;
        let bytes = tenant_with(1_000_000);
        let mut body = kept.body(&bytes, 0..200_000).await;
        assert_eq!(body.size_hint().exact(), Some(200_000));
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!((first.len() as u64, kept.read()), (PIECE, PIECE));
        let rest = body.collect().await.unwrap().to_bytes();
        assert_eq!([first, rest].concat(), kept.file);
    }

    #[tokio::test]
    async fn of_a_part_nothing_else_is_read() {
        let kept = Kept::losing(u64::MAX).await;
        let body = kept.body(&tenant_with(1_000_000), 70_000..150_000).await;
        let part = body.collect().await.unwrap().to_bytes();
        assert_eq!(part, kept.file.slice(70_000..150_000));
        assert_eq!(kept.read(), 80_000);
    }

    #[tokio::test]
    async fn what_is_lost_on_the_way_is_an_error() {
        let kept = Kept::losing(PIECE * 2).await;
        let mut body = kept.body(&tenant_with(1_000_000), 0..200_000).await;
        for _ in 0..2 {
            assert!(body.frame().await.unwrap().is_ok());
        }
        assert!(!body.is_end_stream());
        assert!(body.frame().await.unwrap().is_err());
    }

    #[tokio::test]
    async fn a_piece_waits_for_those_that_are_not_sent_yet() {
        let kept = Kept::losing(u64::MAX).await;
        let bytes = tenant_with(size(&(0..PIECE)));
        let mut body = kept.body(&bytes, 0..200_000).await;
        let unsent = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(bytes.take(1, Duration::ZERO).await.is_err());
        let next = tokio::spawn(async move { body.frame().await.unwrap().is_ok() });
        tokio::task::yield_now().await;
        assert_eq!(kept.read(), PIECE);
        drop(unsent);
        assert!(next.await.unwrap());
    }
}
