//! The answer as one WAV while its sentences are still being spoken.

use std::collections::VecDeque;

use bytes::Bytes;
use common::{reply::Event, turn::Speech};
use futures::{
    Stream, StreamExt as _,
    stream::{once, unfold},
};
use tracing::warn;

use crate::{
    byte_budget::{LONG_WAIT, TenantBytes},
    gateway::following::Following,
    wav::Wav,
};

pub struct SpokenStream {
    following: Following,
    bytes: TenantBytes,
    /// Sentences that were told and are not sent yet.
    waiting: VecDeque<Speech>,
    /// The `fmt ` chunk of what has been sent, once something has.
    format: Option<Bytes>,
    progress: Progress,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// More sentences may come.
    Speaking,
    /// The job is complete: those that are waiting are the last.
    Complete,
    /// What has been sent is not the beginning of the answer any more.
    Void,
    /// The end has been sent.
    Ended,
}

/// The speech cannot be sent to its end. The connection is broken off, since the
/// header of a WAV without a length cannot tell a client that this was not all.
#[derive(Debug, thiserror::Error)]
#[error("the speech breaks off")]
pub struct BrokenOff;

impl SpokenStream {
    /// Waits for the first sentence; `None` when the job ends without one. What
    /// was said before a restart of the answer is left out.
    pub async fn begin(
        following: Following,
        bytes: TenantBytes,
    ) -> Result<Option<impl Stream<Item = Result<Bytes, BrokenOff>> + Send>, BrokenOff> {
        let mut stream = Self {
            following,
            bytes,
            waiting: VecDeque::new(),
            format: None,
            progress: Progress::Speaking,
        };
        stream.hear_of_a_sentence().await;
        if stream.waiting.is_empty() {
            return Ok(None);
        }
        let Some(first) = stream.next().await.transpose()? else {
            return Ok(None);
        };
        let rest = unfold(stream, async |mut stream| {
            let piece = stream.next().await?;
            Some((piece, stream))
        });
        Ok(Some(once(async { Ok(first) }).chain(rest)))
    }

    async fn next(&mut self) -> Option<Result<Bytes, BrokenOff>> {
        self.hear_of_a_sentence().await;
        let spoken = match (self.progress, self.waiting.pop_front()) {
            (Progress::Ended, _) | (Progress::Complete, None) => return None,
            (Progress::Void, _) | (Progress::Speaking, None) => None,
            (Progress::Speaking | Progress::Complete, Some(speech)) => self.sentence(&speech).await,
        };
        if spoken.is_none() {
            self.progress = Progress::Ended;
        }
        Some(spoken.ok_or(BrokenOff))
    }

    /// Follows the job until there is something to send, or nothing comes.
    async fn hear_of_a_sentence(&mut self) {
        while self.waiting.is_empty() && self.progress == Progress::Speaking {
            let Some(records) = self.following.next().await else {
                return;
            };
            for record in records {
                self.hear(record.event);
            }
        }
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::AudioDelta { speech, .. } => self.waiting.push_back(speech),
            Event::AnswerRestarted => {
                self.waiting.clear();
                // What has been sent cannot be taken back.
                if self.format.is_some() {
                    self.progress = Progress::Void;
                }
            }
            Event::Completed { .. } if self.progress == Progress::Speaking => {
                self.progress = Progress::Complete;
            }
            _ => {}
        }
    }

    /// Its samples, the first with the header before them. `None` breaks the
    /// stream off: the sentence cannot be had, or cannot go under the header that
    /// was sent. A WAV has one format from its beginning to its end; sentences
    /// differ when the synthesiser of one was away and another stood in.
    async fn sentence(&mut self, speech: &Speech) -> Option<Bytes> {
        // Twice: the first is copied, to stand under its header.
        let room = usize::try_from(speech.ticket.bytes.saturating_mul(2));
        let hold = self.bytes.take(room.unwrap_or(usize::MAX), LONG_WAIT).await;
        let hold = hold.inspect_err(|full| warn!(%full, "streamed speech ends early"));
        let mut hold = hold.ok()?;
        let kept = self.following.redeem(&speech.ticket).await;
        let kept = kept.inspect_err(|error| warn!(%error, "streamed speech ends early"));
        let samples = self.under_one_header(Wav::parse(&kept.ok()??)?)?;
        hold.shrink_to(samples.len());
        Some(hold.attach(samples))
    }

    fn under_one_header(&mut self, wav: Wav) -> Option<Bytes> {
        match &self.format {
            None => {
                let first = wav.begin_endless();
                // A slice would keep the whole sentence.
                self.format = Some(Bytes::copy_from_slice(&wav.format));
                Some(first)
            }
            Some(format) if *format == wav.format => Some(wav.samples),
            Some(_) => None,
        }
    }
}
