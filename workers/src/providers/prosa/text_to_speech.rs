//! Speaking: a text goes up, and audio comes down in frames of any cut.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use common::config::Secret;
use futures::SinkExt;
use rustls::ClientConfig;
use serde::Serialize;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::{
    Endpoint, LABEL, PROVIDER, Timeouts,
    link::{self, Ending, Received, Socket},
    replies::{self, Cause, Complaint, Reply},
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
    /// After some audio came, this long without more means that it was all, unless a header promised more. Too short cuts
    /// long answers, which are spoken sentence by sentence; a service that closes or says it is done makes nobody wait
    /// for it.
    pub quiet: Duration,
}

impl TextToSpeechOptions {
    /// The public service; 30 s for a call, 2 s of quiet.
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
        }
    }
}

/// Text to speech by Prosa.
pub struct ProsaTextToSpeech {
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
            options,
            tls: link::tls(),
        }
    }

    async fn converse(&self, text: &str, voice: Option<&str>) -> Result<Vec<u8>, StageError> {
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
        say(&mut socket, &Text { text }).await?;
        let audio = listen(&mut socket, options.quiet).await?;
        link::part(&mut socket).await;
        audio.finish().map_err(unplayable)
    }
}

#[async_trait]
impl SpeechSynthesizer for ProsaTextToSpeech {
    /// `voice` is the name of a model of the account.
    async fn speak(&self, text: &str, voice: Option<&str>) -> Result<Spoken, StageError> {
        if !voice.is_none_or(could_be_a_model) {
            return Err(unknown_voice());
        }
        let limit = self.options.timeouts.call;
        let wav = tokio::time::timeout(limit, self.converse(text, voice))
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

/// Gathers audio until it is complete.
async fn listen(socket: &mut Socket, quiet: Duration) -> Result<Pieces, StageError> {
    let mut audio = Pieces::up_to(LARGEST_AUDIO);
    let mut last_piece = Instant::now();
    loop {
        let may_be_over = !audio.is_empty() && !audio.is_cut();
        let received = tokio::select! {
            received = link::next(socket) => received,
            () = tokio::time::sleep_until(last_piece + quiet), if may_be_over => return Ok(audio),
        };
        match received {
            Received::Binary(piece) => {
                audio.push(&piece).map_err(unplayable)?;
                last_piece = Instant::now();
            }
            Received::Text(message) => match replies::parse(&message)? {
                Reply::Failed(complaint) => return Err(complaint.to_error()),
                Reply::Done => return Ok(audio),
                Reply::Partial(_) | Reply::Result(_) | Reply::Other => {}
            },
            Received::End(ending) => return ended(audio, ending),
        }
    }
}

fn ended(audio: Pieces, ending: Ending) -> Result<Pieces, StageError> {
    match ending {
        // The service says that this is all: what a header promised beyond it was wrong.
        Ending::Normal => Ok(audio),
        Ending::Silent if !audio.is_empty() && !audio.is_cut() => Ok(audio),
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
