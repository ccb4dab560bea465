//! The recording that a turn came with: fetched and decoded, within bounds.

use std::sync::Arc;

use bytes::Bytes;
use common::{
    claim_check::{ClaimCheck, ClaimError, Ticket},
    turn::{Input, Turn},
};

use crate::{
    audio::{self, Clip, DecodeError, Limits},
    blocking::StopOnDrop,
    handler::StageError,
};

pub struct Recording {
    /// As it was sent in.
    pub bytes: Bytes,
    pub clip: Arc<Clip>,
}

impl Recording {
    /// That of `turn`, decoded.
    pub async fn of(
        turn: &Turn,
        claims: &dyn ClaimCheck,
        limits: Limits,
    ) -> Result<Self, StageError> {
        let bytes = fetch(ticket(turn)?, claims).await?;
        let clip = decode(bytes.clone(), limits).await?;
        Ok(Self {
            bytes,
            clip: Arc::new(clip),
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

async fn fetch(ticket: &Ticket, claims: &dyn ClaimCheck) -> Result<Bytes, StageError> {
    claims.redeem(ticket).await.map_err(|error| match error {
        ClaimError::Gone => StageError::internal("recording_gone", error),
        ClaimError::Unavailable(_) => StageError::transient("claim_check_unavailable", error),
    })
}

async fn decode(bytes: Bytes, limits: Limits) -> Result<Clip, StageError> {
    let stop = StopOnDrop::default();
    let stopped = stop.flag();
    tokio::task::spawn_blocking(move || audio::decode(&bytes, &limits, &stopped))
        .await
        .map_err(|error| StageError::broken_off("decoder_failed", &error))?
        .map_err(refused)
}

fn refused(error: DecodeError) -> StageError {
    let code = match &error {
        DecodeError::Unrecognised | DecodeError::Unsupported { .. } => "unsupported_audio",
        DecodeError::Damaged { .. } => "damaged_audio",
        DecodeError::Empty => "empty_audio",
        DecodeError::TooLong { .. } => "audio_too_long",
        DecodeError::Stopped => return StageError::transient("stopped", error),
    };
    let mut message = error.to_string();
    message[..1].make_ascii_uppercase();
    message.push('.');
    StageError::unprocessable(code, message)
}
