//! Speaking: a text goes up, and audio comes down in frames of any cut.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use common::config::Secret;
use futures::SinkExt;
use rustls::ClientConfig;
use serde::Serialize;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::Message;

use super::{
    Endpoint, LABEL, PROVIDER, Timeouts,
    link::{self, Ending, Received, Socket},
    pace::Pace,
    replies::{self, Cause, Complaint, Reply},
    spares::Spares,
};
use crate::{
    audio::{
        pieces::{PieceError, Pieces},
        wav::Wav,
    },
    handler::StageError,
    providers::{SpeechSynthesizer, Spoken, failure},
};

/// Bytes of audio: 33 minutes at 8,000 samples per second and 16 bits.
const LARGEST_AUDIO: usize = 32 << 20;

/// All of the audio may come in one message, with a header.
const LARGEST_MESSAGE: usize = LARGEST_AUDIO + 64 * 1_024;

/// Characters in the name of a voice.
const LONGEST_VOICE: usize = 100;

/// How Prosa is asked to speak.
#[derive(Clone, Debug)]
pub struct TextToSpeechOptions {
    pub endpoint: Endpoint,
    pub key: Secret,
    /// The voice, for texts that ask for none.
    pub model: String,
    /// Samples per second.
    pub sample_rate: u32,
    pub timeouts: Timeouts,
    /// After some audio came, this long without more means that it was all, unless a header promised more. The most, for
    /// audio that is too short to be all: a file that is as long as its header says ends the wait, and so does a service
    /// that closes or says that it is done; without either the wait follows the pace of the service.
    pub quiet: Duration,
    /// Connections at the same time, those included that are made ready for the next text.
    pub max_concurrent: usize,
}

impl TextToSpeechOptions {
    /// The public service; 30 s for a call, 2 s of quiet, any number of connections.
    pub fn new(key: Secret) -> Self {
        Self {
            endpoint: "wss://tts-api.prosa.ai/v2/speech/tts/streaming"
                .parse()
                .expect("the address is a WebSocket address"),
            key,
            model: "tts-ghifari-professional".to_owned(),
            sample_rate: 8_000,
            timeouts: Timeouts::of_call(Duration::from_secs(30)),
            quiet: Duration::from_secs(2),
            max_concurrent: usize::MAX,
        }
    }
}

/// Text to speech by Prosa.
pub struct ProsaTextToSpeech {
    service: Arc<Service>,
    pace: Pace,
    spares: Spares,
}

/// Where connections come from.
struct Service {
    options: TextToSpeechOptions,
    tls: Arc<ClientConfig>,
}

#[derive(Serialize)]
struct Token<'a> {
    token: &'a str,
}

#[derive(Serialize)]
struct Opening<'a> {
    label: &'a str,
    model: &'a str,
    audio_format: &'a str,
    sample_rate: u32,
}

#[derive(Serialize)]
struct Text<'a> {
    text: &'a str,
}

impl ProsaTextToSpeech {
    #[must_use]
    pub fn new(options: TextToSpeechOptions) -> Self {
        Self {
            pace: Pace::new(),
            spares: Spares::new(options.max_concurrent),
            service: Arc::new(Service {
                options,
                tls: link::tls(),
            }),
        }
    }

    async fn converse(&self, text: &str, voice: Option<&str>) -> Result<Vec<u8>, StageError> {
        let (_call, spare) = self.spares.call(voice);
        if let Some(spare) = spare
            && let Some(socket) = spare.socket().await
        {
            let mut audio = Pieces::up_to(LARGEST_AUDIO);
            let heard = self.ask(socket, text, &mut audio).await;
            // One that brought nothing may have waited for too long: a new one tells.
            if heard.is_ok() || !audio.is_empty() {
                return heard.and_then(|()| audio.finish().map_err(unplayable));
            }
        }
        let mut audio = Pieces::up_to(LARGEST_AUDIO);
        let socket = self.service.open(voice).await?;
        self.ask(socket, text, &mut audio).await?;
        audio.finish().map_err(unplayable)
    }

    async fn ask(
        &self,
        mut socket: Socket,
        text: &str,
        audio: &mut Pieces,
    ) -> Result<(), StageError> {
        say(&mut socket, &Text { text }).await?;
        self.listen(&mut socket, text, audio).await?;
        link::part(&mut socket).await;
        Ok(())
    }

    /// Gathers audio until it is complete.
    async fn listen(
        &self,
        socket: &mut Socket,
        text: &str,
        audio: &mut Pieces,
    ) -> Result<(), StageError> {
        let characters = text.chars().count();
        let longest = self.service.options.quiet;
        let mut silence = Duration::ZERO;
        let mut last_piece = Instant::now();
        loop {
            let patience = self.pace.patience(audio, characters, silence, longest);
            let next = link::next(socket);
            let received = match patience {
                None => next.await,
                // What has come already counts, however short the patience.
                Some(patience) => match timeout_at(last_piece + patience, next).await {
                    Ok(received) => received,
                    Err(_) => break,
                },
            };
            match received {
                Received::Binary(piece) => {
                    if !audio.is_empty() {
                        silence = silence.max(last_piece.elapsed());
                    }
                    audio.push(&piece).map_err(unplayable)?;
                    last_piece = Instant::now();
                }
                Received::Text(message) => match replies::parse(&message)? {
                    Reply::Failed(complaint) => return Err(complaint.to_error()),
                    Reply::Done => break,
                    Reply::Partial(_) | Reply::Result(_) | Reply::Other => {}
                },
                Received::End(ending) => {
                    ended(audio, ending)?;
                    break;
                }
            }
        }
        self.pace.learn(audio, silence);
        Ok(())
    }
}

impl Service {
    /// A connection on which the service has taken the key and the voice, and waits for the text.
    async fn open(&self, voice: Option<&str>) -> Result<Socket, StageError> {
        let options = &self.options;
        let mut socket = link::connect(
            &options.endpoint,
            None,
            &self.tls,
            LARGEST_MESSAGE,
            &options.timeouts,
        )
        .await?;
        let key = options.key.expose();
        say(&mut socket, &Token { token: key }).await?;
        let opening = Opening {
            label: LABEL,
            model: voice.unwrap_or(&options.model),
            audio_format: "wav",
            sample_rate: options.sample_rate,
        };
        say(&mut socket, &opening).await?;
        acknowledged(&mut socket, voice).await?;
        Ok(socket)
    }
}

#[async_trait]
impl SpeechSynthesizer for ProsaTextToSpeech {
    /// `voice` is the name of a model of the account.
    async fn speak(&self, text: &str, voice: Option<&str>) -> Result<Spoken, StageError> {
        if !voice.is_none_or(could_be_a_model) {
            return Err(unknown_voice());
        }
        let limit = self.service.options.timeouts.call;
        let wav = timeout(limit, self.converse(text, voice))
            .await
            .map_err(|_| failure::timed_out(PROVIDER, limit))??;
        let duration = Wav::read(&wav)
            .map_err(|error| unplayable(error.into()))?
            .duration();
        Ok(Spoken {
            wav: Bytes::from(wav),
            duration,
            provider: PROVIDER,
        })
    }

    /// Opens a connection for it.
    fn prepare(&self, voice: Option<&str>) {
        if !voice.is_none_or(could_be_a_model) {
            return;
        }
        let service = Arc::clone(&self.service);
        let of_voice = voice.map(str::to_owned);
        let limit = self.service.options.timeouts.call;
        self.spares.add(voice, async move {
            timeout(limit, service.open(of_voice.as_deref()))
                .await
                .map_err(|_| failure::timed_out(PROVIDER, limit))?
        });
    }
}

async fn say(socket: &mut Socket, message: &impl Serialize) -> Result<(), StageError> {
    let message = serde_json::to_string(message)
        .map_err(|error| StageError::internal("prosa_request", error))?;
    match socket.send(Message::text(message)).await {
        Ok(()) => Ok(()),
        // The service has closed: what it said before tells why.
        Err(error) => Err(last_words(socket).await.unwrap_or(link::broken(error))),
    }
}

async fn last_words(socket: &mut Socket) -> Option<StageError> {
    loop {
        match link::next(socket).await {
            Received::Text(message) => {
                if let Ok(Reply::Failed(complaint)) = replies::parse(&message) {
                    return Some(complaint.to_error());
                }
            }
            Received::Binary(_) => {}
            Received::End(Ending::Failed(error)) => return Some(error),
            Received::End(Ending::Normal | Ending::Silent | Ending::Refused) => return None,
        }
    }
}

/// Waits until the service has taken the key and the voice.
async fn acknowledged(socket: &mut Socket, voice: Option<&str>) -> Result<(), StageError> {
    match link::next(socket).await {
        Received::Text(message) => match replies::parse(&message)? {
            Reply::Failed(complaint) => Err(refused(&complaint, voice)),
            _ => Ok(()),
        },
        Received::Binary(_) => Err(failure::unexpected(
            PROVIDER,
            "it spoke before it was asked",
        )),
        Received::End(Ending::Refused) => Err(StageError::internal(
            failure::UNAUTHORIZED,
            format!("{PROVIDER} closed the connection when it was told the key"),
        )),
        Received::End(ending) => Err(link::ended_early(ending)),
    }
}

fn refused(complaint: &Complaint, voice: Option<&str>) -> StageError {
    match (complaint.cause, voice) {
        (Cause::Voice, Some(_)) => unknown_voice(),
        _ => complaint.to_error(),
    }
}

fn ended(audio: &Pieces, ending: Ending) -> Result<(), StageError> {
    match ending {
        // The service says that this is all: what a header promised beyond it was wrong.
        Ending::Normal => Ok(()),
        Ending::Silent if !audio.is_empty() && !audio.is_cut() => Ok(()),
        ending => Err(link::ended_early(ending)),
    }
}

fn unplayable(error: PieceError) -> StageError {
    failure::unexpected(PROVIDER, error)
}

fn could_be_a_model(voice: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
    (1..=LONGEST_VOICE).contains(&voice.len()) && voice.chars().all(plain)
}

fn unknown_voice() -> StageError {
    StageError::unprocessable(failure::UNKNOWN_VOICE, "The synthesiser has no such voice.")
}
