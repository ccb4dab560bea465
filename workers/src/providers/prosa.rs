//! Prosa: Indonesian speech to text and text to speech, over WebSocket.
//!
//! The wire formats are those of <https://docs2.prosa.ai/speech/stt/streaming/> and of the clients that speak to the
//! service today. Neither says when an answer is complete. An answer ends when the service closes the connection
//! normally, says that it is done, has sent a WAV that is as long as its header says, or has been quiet for a while
//! after it has given something ([`SpeechToTextOptions::quiet`], [`TextToSpeechOptions::quiet`]).
//!
//! # Guarantees
//!
//! * One connection a call, closed when the call ends or is dropped. One for the next text may be opened before it is
//!   there, and is closed when none comes.
//! * No call lasts longer than [`Timeouts::call`], wherever the service hangs.
//! * What the service sends is bounded, a message and in total.
//! * Neither the key, the address, nor anything that the service wrote is in an error.

mod link;
mod pace;
mod replies;
mod spares;
mod speech_to_text;
#[cfg(test)]
mod tests;
mod text_to_speech;

use std::time::Duration;

pub use link::{Endpoint, NotAWebSocket};
pub use speech_to_text::{Partials, ProsaSpeechToText, SpeechToTextOptions, UnusableKey};
pub use text_to_speech::{ProsaTextToSpeech, TextToSpeechOptions};

/// The name in results, logs and lists of providers.
pub const PROVIDER: &str = "prosa";

/// What a call is called in the console of the account.
const LABEL: &str = "itb-assistant";

/// How long a service may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the connection stands: name, TCP, TLS and upgrade.
    pub connect: Duration,
    /// For everything, connecting included.
    pub call: Duration,
}

impl Timeouts {
    /// Connecting may take 10 s of the `call`.
    pub const fn of_call(call: Duration) -> Self {
        Self {
            connect: Duration::from_secs(10),
            call,
        }
    }
}
