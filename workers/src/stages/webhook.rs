//! Webhooks: tells the address that a client named of its job's end.
//!
//! Each delivery is a job of its own, promised when the client's is accepted and
//! queued when that is over: whatever the address then does, the client's job
//! stays as it is. A job that is resumed ends again, which a delivery of its own
//! tells: each tells one end, and the same however often it is tried.
//!
//! What is sent is the job as polling shows it and the name of its tenant, signed
//! with that tenant's secrets as the Standard Webhooks specification has it
//! (<https://www.standardwebhooks.com>).

use async_trait::async_trait;
use common::{
    callback::{CallbackUrl, RefusedUrl},
    envelope::Job,
    ids::Tenant,
    job::JobView,
    job::log::JobLog,
    render,
    reply::Event,
    time::UnixMillis,
    turn::{Input, Turn},
};

use crate::{
    handler::{Handler, Progress, StageError},
    kit::{Kit, KitError},
};
use signature::Signers;
use target::{Letter, Target};

mod signature;
mod target;

pub struct Webhook {
    replies: JobLog,
    target: Target,
    signers: Signers,
}

impl Webhook {
    pub fn new(kit: &Kit) -> Result<Self, KitError> {
        let callbacks = &kit.config.callbacks;
        let timeout = kit.config.call_timeout(common::pipeline::Stage::Webhook);
        Ok(Self {
            replies: kit.backends.replies.clone(),
            target: Target::new(callbacks.reach, timeout).map_err(KitError::provider)?,
            signers: Signers::new(&callbacks.keys),
        })
    }

    /// What `job` has to tell of another.
    async fn news(&self, job: &Job) -> Result<Vec<u8>, StageError> {
        let other = job.callback_of.ok_or_else(tells_nothing)?;
        let records = self.replies.read(other, 0).await;
        let records =
            records.map_err(|error| StageError::transient("reply_log_unavailable", error))?;
        let ended = JobView::at_end_told_by(&records, job.correlation_id);
        if ended.is_none() && JobView::of(&records).is_some_and(|it| it.outcome.is_none()) {
            return Err(not_over());
        }
        // Of a job that was never accepted nobody is to hear.
        let ended = ended.filter(|ended| !ended.was_not_queued());
        // Whoever is named in what is signed is whose secret signs.
        let ended = ended.filter(|ended| ended.job.tenant == job.tenant);
        let news = ended.as_ref().and_then(render::callback);
        let news = news.ok_or_else(job_gone)?;
        Ok(serde_json::to_vec(&news).expect("a job holds nothing that JSON cannot"))
    }

    fn signed(&self, job: &Job, body: Vec<u8>) -> Result<Letter, StageError> {
        let id = job.correlation_id.to_string();
        let timestamp = UnixMillis::now().as_secs();
        let signature = self.signers.sign(&job.tenant, &id, timestamp, &body);
        Ok(Letter {
            // Some worker can sign it, or one that is started with the secret: the
            // front door takes no callback otherwise.
            signature: signature.ok_or_else(|| unsigned(&job.tenant))?,
            id,
            timestamp,
            body,
        })
    }
}

#[async_trait]
impl Handler for Webhook {
    async fn handle(&self, turn: Turn, job: &Job, _: &dyn Progress) -> Result<Turn, StageError> {
        let body = self.news(job).await?;
        self.target
            .tell(url(&turn)?, self.signed(job, body)?)
            .await?;
        Ok(turn)
    }

    fn events(&self, _: &Turn) -> Vec<Event> {
        Vec::new()
    }
}

fn url(turn: &Turn) -> Result<&CallbackUrl, StageError> {
    match &turn.input {
        Input::Callback { url } => Ok(url),
        _ => Err(tells_nothing()),
    }
}

fn tells_nothing() -> StageError {
    StageError::internal(
        "no_callback",
        "a job that tells of no other was sent to the stage that tells of an end",
    )
}

fn unsigned(tenant: &Tenant) -> StageError {
    let detail = format!("this worker has no secret of the tenant {tenant}, see WEBHOOK_SECRETS");
    StageError::transient("callback_unsigned", detail)
}

/// The store has lost its end, which will come again.
fn not_over() -> StageError {
    StageError::transient("job_not_over", "the job that is to be told of is under way")
}

fn job_gone() -> StageError {
    StageError::unprocessable(
        "job_gone",
        "The job that was to be told of is kept no longer, or never was.",
    )
}

fn refused(error: RefusedUrl) -> StageError {
    StageError::unprocessable("callback_refused", format!("The callback_url {error}."))
}
