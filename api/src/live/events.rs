//! A job's log as a body of Server-Sent Events.

use std::{convert::Infallible, time::Duration};

use axum::{
    body::Body,
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use common::reply::Record;
use futures::{Stream, stream::unfold};
use tokio::time::timeout;
use tracing::warn;

use crate::{
    answers::room_for,
    byte_budget::{Full, LONG_WAIT, TenantBytes},
    gateway::following::Following,
    job::JobView,
    render::events,
};

/// Bytes of events that go out as one piece, so that a log with much audio is
/// not in memory as a whole.
const PIECE: usize = 64 * 1024;

pub struct EventStream {
    following: Following,
    /// The job up to the last record that was looked at.
    view: Option<JobView>,
    /// Taken from the log, and not written yet.
    waiting: std::vec::IntoIter<Record>,
    /// The client has seen the events up to this number.
    seen: u64,
    heartbeat: Duration,
    bytes: TenantBytes,
    /// Something that belongs into the stream cannot be had: the client comes
    /// again for it.
    is_broken: bool,
    /// The client is told first that what it has heard does not count.
    begins_anew: bool,
}

impl IntoResponse for EventStream {
    fn into_response(self) -> Response {
        let headers = [
            (header::CONTENT_TYPE.as_str(), "text/event-stream"),
            (header::CACHE_CONTROL.as_str(), "no-store"),
            // Tells nginx not to collect what it passes on.
            ("x-accel-buffering", "no"),
        ];
        (headers, Body::from_stream(self.into_body())).into_response()
    }
}

impl EventStream {
    /// The events after number `seen`, and a comment after each `heartbeat` of
    /// silence. What is written and not taken yet counts among `bytes`.
    pub fn new(following: Following, seen: u64, heartbeat: Duration, bytes: TenantBytes) -> Self {
        Self {
            following,
            view: None,
            waiting: Vec::new().into_iter(),
            seen,
            heartbeat,
            bytes,
            is_broken: false,
            begins_anew: false,
        }
    }

    /// All events, for a client that has seen some which the store has lost.
    pub fn anew(following: Following, heartbeat: Duration, bytes: TenantBytes) -> Self {
        Self {
            begins_anew: true,
            ..Self::new(following, 0, heartbeat, bytes)
        }
    }

    fn into_body(self) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
        unfold(self, async |mut stream| {
            let piece = stream.next().await?;
            Some((Ok(piece), stream))
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        if std::mem::take(&mut self.begins_anew) {
            return Some(events::restarted(self.following.job()).into());
        }
        while !self.is_broken {
            if self.waiting.as_slice().is_empty() {
                let was_in_past = self.following.is_in_past();
                match timeout(self.heartbeat, self.following.next()).await {
                    Ok(news) => {
                        self.waiting = news?.into_iter();
                        if !was_in_past {
                            // What comes from now on has been seen by nobody, whatever its number.
                            self.seen = 0;
                        }
                    }
                    Err(_) => return Some(Bytes::from_static(events::HEARTBEAT)),
                }
            }
            match self.piece().await {
                Ok(piece) if piece.is_empty() => {}
                Ok(piece) => return Some(piece),
                Err(full) => {
                    warn!(%full, "a stream of events ends before its job");
                    self.is_broken = true;
                }
            }
        }
        None
    }

    /// Of several events, or of one that carries audio.
    async fn piece(&mut self) -> Result<Bytes, Full> {
        self.pass_over_the_seen();
        if self.waiting.as_slice().is_empty() {
            return Ok(Bytes::new());
        }
        let room = PIECE + room_for(self.audio_ahead());
        let mut hold = self.bytes.take(room, LONG_WAIT).await?;
        let mut piece = Vec::new();
        while piece.len() < PIECE
            && !self.is_broken
            && let Some(record) = self.waiting.next()
        {
            JobView::advance(&mut self.view, &record);
            self.write(&mut piece, &record).await;
            if self.audio_ahead() > 0 {
                break;
            }
        }
        piece.shrink_to_fit();
        hold.shrink_to(piece.len());
        Ok(hold.attach(piece.into()))
    }

    fn pass_over_the_seen(&mut self) {
        let seen = self.seen;
        let is_seen = |record: &&Record| record.sequence_number <= seen;
        while self.waiting.as_slice().first().filter(is_seen).is_some() {
            if let Some(record) = self.waiting.next() {
                JobView::advance(&mut self.view, &record);
            }
        }
    }

    /// Bytes of audio in the next event.
    fn audio_ahead(&self) -> u64 {
        let next = self.waiting.as_slice().first().zip(self.view.as_ref());
        let ticket = next.and_then(|(record, view)| events::enclosed(view, record));
        ticket.map_or(0, |ticket| ticket.bytes)
    }

    async fn write(&mut self, piece: &mut Vec<u8>, record: &Record) {
        // A log begins with the job.
        let Some(view) = &self.view else { return };
        let audio = match events::enclosed(view, record) {
            None => None,
            Some(ticket) => match self.following.redeem(ticket).await {
                Ok(audio) => audio,
                Err(error) => {
                    warn!(%error, "a stream of events ends before its job");
                    self.is_broken = true;
                    return;
                }
            },
        };
        events::write(piece, view, record, audio.as_ref());
    }
}
