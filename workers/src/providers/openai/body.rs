//! The body of an answer, within its bounds of time and bytes.

use bytes::Bytes;
use reqwest::Response;
use tokio::time::{Duration, Instant, timeout_at};

use super::{Timeouts, call::Call, connection::root_cause};
use crate::{handler::StageError, providers::failure};

/// Bytes of one answer: a completion of 8,192 tokens, each with 350 bytes of
/// JSON around it, is 3 MB; twice that with thoughts in two fields.
const LONGEST: usize = 16 << 20;

/// What is still to come of an answer.
pub(super) struct Body {
    response: Response,
    call: Call,
    timeouts: Timeouts,
    until: Instant,
    /// Bytes that may still come.
    left: usize,
}

impl Body {
    pub(super) fn new(response: Response, call: Call, timeouts: Timeouts, until: Instant) -> Self {
        Self {
            response,
            call,
            timeouts,
            until,
            left: LONGEST,
        }
    }

    /// The same body, of at most `bytes`, within `patience` from now.
    pub(super) fn limited_to(self, bytes: usize, patience: Duration) -> Self {
        Self {
            left: bytes,
            until: self.until.min(Instant::now() + patience),
            ..self
        }
    }

    /// The same body, of at most `bytes`.
    pub(super) fn of_at_most(self, bytes: usize) -> Self {
        Self {
            left: bytes,
            ..self
        }
    }

    pub(super) fn call(&self) -> &Call {
        &self.call
    }

    /// The next piece, as soon as it is there; `None` at the end.
    ///
    /// # Errors
    ///
    /// Nothing came within the bounds of time, too much came, or the
    /// connection broke.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, StageError> {
        self.piece_within(self.timeouts.idle).await
    }

    /// The next piece, when it comes within `patience`.
    pub(super) async fn piece_within(
        &mut self,
        patience: Duration,
    ) -> Result<Option<Bytes>, StageError> {
        let silent = Instant::now() + patience;
        let name = &self.call.name;
        let piece = match timeout_at(self.until.min(silent), self.response.chunk()).await {
            Ok(Ok(piece)) => piece,
            Ok(Err(error)) => {
                let reason = format!("the answer broke off ({})", root_cause(error));
                return Err(failure::unreachable(name, reason));
            }
            Err(_) if self.until <= silent => {
                return Err(failure::timed_out(name, self.timeouts.whole));
            }
            Err(_) => return Err(failure::timed_out(name, patience)),
        };
        let length = piece.as_ref().map_or(0, Bytes::len);
        match self.left.checked_sub(length) {
            Some(left) => self.left = left,
            None => return Err(self.call.unexpected("the answer is too long")),
        }
        Ok(piece)
    }

    /// All that is still to come.
    pub(super) async fn rest(&mut self) -> Result<Vec<u8>, StageError> {
        let mut all = Vec::new();
        while let Some(piece) = self.piece().await? {
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }
}
