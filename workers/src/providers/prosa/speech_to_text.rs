//! Hearing: the recording goes up while what was understood comes down.

use std::{pin::pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use common::{config::Secret, turn::Transcript};
use futures::{Sink, SinkExt, StreamExt};
use rustls::ClientConfig;
use serde::Serialize;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{Error, Message, http::HeaderValue};

use super::{
    Endpoint, LABEL, PROVIDER, Timeouts,
    link::{self, Ending, Received},
    replies::{self, Reply},
};
use crate::{
    handler::StageError,
    providers::{SpeechToText, failure},
    recording::Recording,
};

/// Bytes of audio in a frame.
const FRAME: usize = 16_000;

/// A message holds one sentence or a few; this is a book.
const LARGEST_MESSAGE: usize = 1 << 20;

/// Bytes of transcript; five minutes of the fastest speech have 10,000.
const LONGEST_TRANSCRIPT: usize = 256 * 1_024;

/// What the models recognise (BCP 47).
const LANGUAGE: &str = "id";

/// How Prosa is asked to hear.
#[derive(Clone, Debug)]
pub struct SpeechToTextOptions {
    pub endpoint: Endpoint,
    pub key: Secret,
    pub model: String,
    pub timeouts: Timeouts,
    /// After all audio was sent and a result came, this long without a message means that nothing more will come. Too
    /// short cuts long recordings, whose results come one by one; a service that closes makes nobody wait for it.
    pub quiet: Duration,
}

impl SpeechToTextOptions {
    /// The public service; 60 s for a call, 2 s of quiet.
    pub fn new(key: Secret) -> Self {
        Self {
            endpoint: "wss://asr-api.prosa.ai/v2/speech/stt/streaming"
                .parse()
                .expect("the address is a WebSocket address"),
            key,
            model: "asr-general-online".to_owned(),
            timeouts: Timeouts::of_call(Duration::from_secs(60)),
            quiet: Duration::from_secs(2),
        }
    }
}

/// What becomes of the results that the service may still change.
#[derive(Clone, Copy)]
pub enum Partials<'a> {
    /// They are not asked for.
    Unwanted,
    /// Each is told as it comes; it is about the sentence that is being spoken, not about those before.
    Told(&'a (dyn Fn(&str) + Send + Sync)),
}

/// The key cannot stand in an HTTP header: it has a line break or other control characters in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key has characters that cannot be sent")]
pub struct UnusableKey;

/// Speech to text by Prosa.
pub struct ProsaSpeechToText {
    options: SpeechToTextOptions,
    key: HeaderValue,
    tls: Arc<ClientConfig>,
}

#[derive(Serialize)]
struct Opening<'a> {
    label: &'a str,
    model: &'a str,
    include_partial: bool,
}

impl ProsaSpeechToText {
    /// # Errors
    ///
    /// See [`UnusableKey`].
    pub fn new(options: SpeechToTextOptions) -> Result<Self, UnusableKey> {
        let mut key = HeaderValue::from_str(options.key.expose()).map_err(|_| UnusableKey)?;
        key.set_sensitive(true);
        Ok(Self {
            options,
            key,
            tls: link::tls(),
        })
    }

    /// What is said in the audio file `audio`, of any kind that the service knows; an empty text when nobody speaks.
    ///
    /// # Errors
    ///
    /// Those of [`failure`]. A connection that ends normally without a single result is `provider_unexpected`: it says
    /// nothing about the audio.
    pub async fn transcribe_file(
        &self,
        audio: Bytes,
        partials: Partials<'_>,
    ) -> Result<Transcript, StageError> {
        let limit = self.options.timeouts.call;
        let text = tokio::time::timeout(limit, self.converse(audio, partials))
            .await
            .map_err(|_| failure::timed_out(PROVIDER, limit))??;
        Ok(Transcript {
            text,
            language: LANGUAGE.to_owned(),
            provider: PROVIDER.to_owned(),
        })
    }

    async fn converse(&self, audio: Bytes, partials: Partials<'_>) -> Result<String, StageError> {
        let socket = link::connect(
            &self.options.endpoint,
            Some(&self.key),
            &self.tls,
            LARGEST_MESSAGE,
            &self.options.timeouts,
        )
        .await?;
        let opening = self.opening(partials)?;
        let (mut sink, mut stream) = socket.split();
        let mut talk = Talk::new(self.options.quiet);
        let heard = {
            // A service that answers while we still send must not wait for us, nor we for it.
            let mut sending = pin!(send(&mut sink, opening, audio));
            loop {
                tokio::select! {
                    sent = &mut sending, if talk.is_sending() => talk.sent(sent),
                    received = link::next(&mut stream) => {
                        if let Some(end) = talk.received(received, partials)? {
                            break talk.ended(end);
                        }
                    }
                    () = tokio::time::sleep_until(talk.patience()), if talk.may_be_over() => {
                        break talk.went_quiet();
                    }
                }
            }
        };
        link::part(&mut sink).await;
        heard
    }

    fn opening(&self, partials: Partials<'_>) -> Result<String, StageError> {
        let opening = Opening {
            label: LABEL,
            model: &self.options.model,
            include_partial: matches!(partials, Partials::Told(_)),
        };
        serde_json::to_string(&opening)
            .map_err(|error| StageError::internal("prosa_request", error))
    }
}

#[async_trait]
impl SpeechToText for ProsaSpeechToText {
    async fn transcribe(&self, recording: &Recording) -> Result<Transcript, StageError> {
        self.transcribe_file(recording.bytes.clone(), Partials::Unwanted)
            .await
    }
}

/// The opening, the audio in frames, and an empty frame for its end.
async fn send(
    sink: &mut (impl Sink<Message, Error = Error> + Unpin),
    opening: String,
    mut audio: Bytes,
) -> Result<(), Error> {
    sink.send(Message::text(opening)).await?;
    while !audio.is_empty() {
        let frame = audio.split_to(audio.len().min(FRAME));
        sink.send(Message::Binary(frame)).await?;
    }
    sink.send(Message::Binary(Bytes::new())).await
}

/// Where a conversation stands.
struct Talk {
    sending: Sending,
    results: Vec<String>,
    /// Bytes of `results`.
    length: usize,
    /// That the service is at work: a result, a partial one, or that it took the last of the audio. Other messages may be
    /// mere signs of life.
    last_sign: Instant,
    quiet: Duration,
}

enum Sending {
    UnderWay,
    Done,
    /// The service may have said why: what it still sends is read.
    Broken(StageError),
}

impl Talk {
    fn new(quiet: Duration) -> Self {
        Self {
            sending: Sending::UnderWay,
            results: Vec::new(),
            length: 0,
            last_sign: Instant::now(),
            quiet,
        }
    }

    fn is_sending(&self) -> bool {
        matches!(self.sending, Sending::UnderWay)
    }

    fn sent(&mut self, sent: Result<(), Error>) {
        self.last_sign = Instant::now();
        self.sending = match sent {
            Ok(()) => Sending::Done,
            Err(error) => Sending::Broken(link::broken(error)),
        };
    }

    /// Gives the end of the conversation when it has come to it.
    fn received(
        &mut self,
        received: Received,
        partials: Partials<'_>,
    ) -> Result<Option<Ending>, StageError> {
        let message = match received {
            Received::Text(message) | Received::Binary(message) => message,
            Received::End(ending) => return Ok(Some(ending)),
        };
        match replies::parse(&message)? {
            Reply::Partial(text) => {
                self.last_sign = Instant::now();
                if let Partials::Told(tell) = partials {
                    tell(&text);
                }
            }
            Reply::Result(text) => self.keep(text)?,
            Reply::Failed(complaint) => return Err(complaint.to_error()),
            Reply::Done if !self.is_sending() => return Ok(Some(Ending::Normal)),
            Reply::Done | Reply::Other => {}
        }
        Ok(None)
    }

    fn keep(&mut self, text: String) -> Result<(), StageError> {
        self.last_sign = Instant::now();
        self.length += text.len();
        if self.length > LONGEST_TRANSCRIPT {
            return Err(failure::unexpected(PROVIDER, "the transcript has no end"));
        }
        self.results.push(text);
        Ok(())
    }

    /// Whether silence would now mean the end.
    fn may_be_over(&self) -> bool {
        match self.sending {
            Sending::UnderWay => false,
            Sending::Done => !self.results.is_empty(),
            Sending::Broken(_) => true,
        }
    }

    fn patience(&self) -> Instant {
        self.last_sign + self.quiet
    }

    fn went_quiet(self) -> Result<String, StageError> {
        match self.sending {
            Sending::Broken(error) => Err(error),
            Sending::UnderWay | Sending::Done => Ok(self.text()),
        }
    }

    fn ended(self, ending: Ending) -> Result<String, StageError> {
        match (ending, &self.sending) {
            (Ending::Normal, _) if !self.results.is_empty() => Ok(self.text()),
            // Some servers never say goodbye. All was sent and something was heard: it is taken for the whole.
            (Ending::Silent, Sending::Done) if !self.results.is_empty() => Ok(self.text()),
            (ending, _) => Err(link::ended_early(ending)),
        }
    }

    fn text(&self) -> String {
        let results = self.results.iter().map(|result| result.trim());
        let spoken: Vec<&str> = results.filter(|result| !result.is_empty()).collect();
        spoken.join(" ")
    }
}
