//! The recording that a turn came with: fetched and decoded, within bounds.

use std::sync::Arc;

use bytes::Bytes;
use common::{
    claim_check::{ClaimCheck, ClaimError, Ticket},
    ids::Tenant,
    turn::{Input, Turn},
};
use sandbox::Sandbox;

use crate::{
    audio::{
        Clip, DecodeError, Limits,
        isolated::{DecodeRecording, IsolatedError, decode_isolated},
    },
    handler::StageError,
    shares::Shares,
};

pub struct Recording {
    /// As it was sent in.
    pub bytes: Bytes,
    pub clip: Arc<Clip>,
}

/// Decodes recordings, each in a process of its own. Half of the processes at most work for one tenant.
pub struct Decoder {
    sandbox: Sandbox<DecodeRecording>,
    shares: Shares,
}

impl Decoder {
    /// Must be called within a runtime.
    #[expect(
        clippy::new_without_default,
        reason = "what needs a runtime is no default"
    )]
    pub fn new() -> Self {
        let sandbox = Sandbox::new();
        Self {
            shares: Shares::new(sandbox.places() / 2),
            sandbox,
        }
    }

    async fn decode(
        &self,
        tenant: &Tenant,
        bytes: &[u8],
        limits: &Limits,
    ) -> Result<Clip, IsolatedError> {
        let _place = self.shares.take(tenant).await;
        decode_isolated(&self.sandbox, bytes, limits).await
    }
}

/// Where the recordings of turns are, and what decodes them.
#[derive(Clone)]
pub struct Recordings {
    pub claims: Arc<dyn ClaimCheck>,
    pub decoder: Arc<Decoder>,
    pub limits: Limits,
}

impl Recordings {
    /// That of `turn`, which is `tenant`'s, decoded.
    ///
    /// # Errors
    ///
    /// A permanent one where the recording cannot be worked with; its code and message are for the caller.
    pub async fn of(&self, tenant: &Tenant, turn: &Turn) -> Result<Recording, StageError> {
        let bytes = self.fetch(ticket(turn)?).await?;
        let decoded = self.decoder.decode(tenant, &bytes, &self.limits).await;
        let clip = decoded.map_err(refused)?;
        Ok(Recording {
            bytes,
            clip: Arc::new(clip),
        })
    }

    async fn fetch(&self, ticket: &Ticket) -> Result<Bytes, StageError> {
        let redeemed = self.claims.redeem(ticket).await;
        redeemed.map_err(|error| match error {
            ClaimError::Gone => StageError::internal("recording_gone", error),
            ClaimError::Unavailable(_) => StageError::transient("claim_check_unavailable", error),
        })
    }
}

fn ticket(turn: &Turn) -> Result<&Ticket, StageError> {
    match &turn.input {
        Input::Speech { ticket } => Ok(ticket),
        Input::Text { .. } | Input::Callback { .. } => Err(StageError::internal(
            "no_recording",
            "a turn without a recording was sent to a stage that needs one",
        )),
    }
}

fn refused(error: IsolatedError) -> StageError {
    let error = match error {
        IsolatedError::File(error) => error,
        error @ IsolatedError::Unavailable(_) => {
            return StageError::transient("decoder_unavailable", error);
        }
    };
    let code = match &error {
        DecodeError::Unrecognised | DecodeError::Unsupported { .. } => "unsupported_audio",
        DecodeError::Damaged { .. } => "damaged_audio",
        DecodeError::Empty => "empty_audio",
        DecodeError::TooLong { .. } => "audio_too_long",
        DecodeError::TooCostly => "audio_too_costly",
    };
    let mut message = error.to_string();
    message[..1].make_ascii_uppercase();
    message.push('.');
    StageError::unprocessable(code, message)
}
