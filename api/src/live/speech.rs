//! The answer as one WAV while its sentences are still being spoken.

use std::{collections::VecDeque, convert::Infallible};

use bytes::Bytes;
use common::{reply::Event, turn::Speech};
use futures::{
    Stream, StreamExt as _,
    stream::{once, unfold},
};
use tracing::warn;

use crate::{gateway::following::Following, wav::Wav};

pub struct SpokenStream {
    following: Following,
    /// Sentences that were told and are not sent yet.
    waiting: VecDeque<Speech>,
    /// The `fmt ` chunk of what has been sent, once something has.
    format: Option<Bytes>,
    /// No sentence after those that are waiting.
    is_over: bool,
}

impl SpokenStream {
    /// Waits for the first sentence; `None` when the job ends without one. What
    /// was said before a restart of the answer is left out.
    pub async fn begin(
        following: Following,
    ) -> Option<impl Stream<Item = Result<Bytes, Infallible>> + Send> {
        let mut stream = Self {
            following,
            waiting: VecDeque::new(),
            format: None,
            is_over: false,
        };
        let first = stream.next().await?;
        let rest = unfold(stream, async |mut stream| {
            let piece = stream.next().await?;
            Some((Ok(piece), stream))
        });
        Some(once(async { Ok(first) }).chain(rest))
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(speech) = self.waiting.pop_front() {
                return self.sentence(&speech).await;
            }
            if self.is_over {
                return None;
            }
            for record in self.following.next().await? {
                self.hear(record.event);
            }
        }
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::AudioDelta { speech, .. } if !self.is_over => self.waiting.push_back(speech),
            Event::AnswerRestarted => {
                self.waiting.clear();
                // What has been sent cannot be taken back.
                self.is_over |= self.format.is_some();
            }
            _ => {}
        }
    }

    /// Its samples, the first with the header before them. `None` ends the
    /// stream: the sentence cannot be had, or cannot go under the header that
    /// was sent. A WAV has one format from its beginning to its end; sentences
    /// differ when the synthesiser of one was away and another stood in.
    async fn sentence(&mut self, speech: &Speech) -> Option<Bytes> {
        let kept = self.following.redeem(&speech.ticket).await;
        let kept = kept.inspect_err(|error| warn!(%error, "streamed speech ends early"));
        let wav = Wav::parse(&kept.ok()??)?;
        match &self.format {
            None => {
                let first = wav.begin_endless();
                self.format = Some(wav.format);
                Some(first)
            }
            Some(format) if *format == wav.format => Some(wav.samples),
            Some(_) => None,
        }
    }
}
