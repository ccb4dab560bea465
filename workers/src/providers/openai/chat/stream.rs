//! A completion while it comes.

use futures::{StreamExt, stream};
use tokio::time::{Duration, timeout};

use super::decoder::{Decoder, Stage};
use crate::{
    handler::StageError,
    providers::{Completion, CompletionPart, openai::body::Body},
};

/// How long the usage is waited for when the text is whole.
const USAGE_PATIENCE: Duration = Duration::from_secs(2);

/// How long the end of the body is waited for after the end of the stream: a
/// body that was read to its end leaves a connection for the next call.
const END_PATIENCE: Duration = Duration::from_millis(50);

/// Reads `body` through `decoder`. Dropping the stream closes the connection.
pub(super) fn stream(body: Body, decoder: Decoder) -> Completion {
    let reading = Reading {
        body,
        decoder,
        phase: Phase::Reading,
    };
    stream::unfold(reading, |mut reading| async move {
        let part = reading.next().await?;
        Some((part, reading))
    })
    .boxed()
}

struct Reading {
    body: Body,
    decoder: Decoder,
    phase: Phase,
}

enum Phase {
    Reading,
    /// The answer is read; its connection may have to be.
    Ended,
    Failed(StageError),
    Over,
}

impl Reading {
    async fn next(&mut self) -> Option<Result<CompletionPart, StageError>> {
        loop {
            if let Some(part) = self.decoder.ready() {
                return Some(Ok(part));
            }
            match std::mem::replace(&mut self.phase, Phase::Over) {
                Phase::Reading => self.phase = self.read().await,
                Phase::Ended => self.reach_end().await,
                Phase::Failed(error) => return Some(Err(error)),
                Phase::Over => return None,
            }
        }
    }

    async fn read(&mut self) -> Phase {
        let piece = match self.decoder.stage() {
            Stage::Open => self.body.piece().await,
            // The answer is whole, whatever becomes of the connection.
            Stage::Finished => Ok(self
                .body
                .piece_within(USAGE_PATIENCE)
                .await
                .unwrap_or_default()),
            Stage::Done => Ok(None),
        };
        let call = self.body.call();
        let (read, next) = match piece {
            Ok(Some(bytes)) => (self.decoder.feed(&bytes, call), Phase::Reading),
            Ok(None) => (self.decoder.finish(call), Phase::Ended),
            Err(error) => (Err(error), Phase::Ended),
        };
        read.map_or_else(Phase::Failed, |()| next)
    }

    async fn reach_end(&mut self) {
        let end = async { while let Ok(Some(_)) = self.body.piece().await {} };
        // Too late is no loss: the next call connects anew.
        let _ = timeout(END_PATIENCE, end).await;
    }
}
