//! One file a stage, and the one place that lists them.

use std::sync::Arc;

use common::pipeline::Stage;

use crate::{
    handler::Handler,
    kit::{Kit, KitError},
};

mod emotion;
mod rag;
mod stt;
mod tts;
mod webhook;

/// The code of `stage`, with what it works with. Waits for engines that are on
/// their way to this machine.
pub async fn handler(stage: Stage, kit: &Kit) -> Result<Arc<dyn Handler>, KitError> {
    Ok(match stage {
        Stage::Stt => Arc::new(stt::Stt::new(kit).await?),
        Stage::Emotion => Arc::new(emotion::Emotion::new(kit)?),
        Stage::Rag => Arc::new(rag::Rag::new(kit).await?),
        Stage::Tts => Arc::new(tts::Tts::new(kit).await?),
        Stage::Webhook => Arc::new(webhook::Webhook::new(kit)?),
    })
}
