//! What is said of a job, with the speech that belongs to it.

use bytes::Bytes;

use crate::{
    error::Problem,
    gateway::Gateway,
    job::{JobView, Outcome},
    render::{
        self,
        bodies::{JobDocument, JobResult},
    },
};

/// The job itself, for somebody who polls.
pub async fn document(gateway: &Gateway, view: &JobView) -> Result<JobDocument, Problem> {
    let speech = speech_for(gateway, view).await?;
    Ok(render::job(view, speech.as_ref()))
}

/// The result of a job that succeeded, or the problem that it ended with.
pub async fn result(gateway: &Gateway, view: &JobView) -> Result<JobResult, Problem> {
    let id = view.job.correlation_id;
    match &view.outcome {
        Some(Outcome::Succeeded(turn)) => {
            let speech = speech_for(gateway, view).await?;
            Ok(render::result(view, turn, speech.as_ref()))
        }
        Some(Outcome::Failed(failure)) => Err(Problem::failed(id, failure)),
        Some(Outcome::Cancelled) => Err(Problem::cancelled(id)),
        Some(Outcome::Expired) => Err(Problem::expired(id)),
        None => Err(Problem::still_running(id)),
    }
}

/// The WAV, where the result carries it and it is still kept.
async fn speech_for(gateway: &Gateway, view: &JobView) -> Result<Option<Bytes>, Problem> {
    let Some(Outcome::Succeeded(turn)) = &view.outcome else {
        return Ok(None);
    };
    match &turn.speech {
        Some(speech) if render::needs_speech(view) => {
            let redeemed = gateway.redeem(&speech.ticket).await;
            redeemed.map_err(|error| Problem::from(error).of_job(view.job.correlation_id))
        }
        _ => Ok(None),
    }
}
