//! The header `Idempotency-Key` (IETF
//! draft-ietf-httpapi-idempotency-key-header-07): the same request sent again
//! gets the job that it made the first time.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName};
use common::{
    callback::CallbackUrl,
    idempotency::{Claim, Claimed, Fingerprint, IdempotencyKey},
    ids::{CorrelationId, Tenant},
    time::UnixMillis,
};
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use crate::{
    error::Problem,
    gateway::{Caller, ConversationName, Gateway, GatewayError, NewInput, NewTurn, Unsubmitted},
    job::{JobView, Status},
};

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// Characters of a key.
const LONGEST_KEY: usize = 255;

/// What submits a job is given up after this time, whatever is slow.
const LONGEST_SUBMISSION: Duration = Duration::from_secs(14);

/// A claim that is older and whose job has no log was left by a process that died
/// or gave up.
const LEFT: Duration = Duration::from_secs(15);

/// What became of a request.
pub enum Submitted {
    /// It made this job.
    Now(CorrelationId),
    /// It had made this job before.
    Before(Box<JobView>),
}

/// The key of a request, without the quotes of a structured field, which many
/// clients leave out.
pub fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut lines = headers.get_all(HEADER).iter();
    let Some(line) = lines.next() else {
        return Ok(None);
    };
    let text = line.to_str().ok().filter(|_| lines.next().is_none());
    let key = text.and_then(|text| unquoted(text.trim()));
    key.filter(|key| {
        (1..=LONGEST_KEY).contains(&key.len()) && key.bytes().all(|byte| (b' '..=b'~').contains(&byte))
    })
    .map(Some)
    .ok_or_else(|| {
        Problem::malformed(
            "invalid_idempotency_key",
            format!("The header Idempotency-Key must be 1 to {LONGEST_KEY} printable ASCII characters, once."),
        )
    })
}

/// The content of an `sf-string` (RFC 9651, section 3.3.3), or `text` itself.
fn unquoted(text: &str) -> Option<String> {
    let Some(rest) = text.strip_prefix('"') else {
        return Some(text.to_owned());
    };
    let mut key = String::new();
    let mut characters = rest.chars();
    loop {
        match characters.next()? {
            '"' => return characters.as_str().is_empty().then_some(key),
            '\\' => match characters.next()? {
                escaped @ ('"' | '\\') => key.push(escaped),
                _ => return None,
            },
            character => key.push(character),
        }
    }
}

/// All that makes two requests to `path` the same. Not the body as it came: a
/// form has another boundary each time.
pub fn fingerprint(path: &str, turn: &NewTurn) -> Fingerprint {
    let conversation = match turn.conversation_name {
        ConversationName::Given => Some(turn.conversation_id.as_str()),
        ConversationName::Made => None,
    };
    let (kind, input) = match &turn.input {
        NewInput::Text(text) => ("text", text.as_bytes()),
        NewInput::Speech(recording) => ("speech", recording.bytes.as_ref()),
    };
    let priority = turn.priority.map(|it| it.to_string());
    let timeout = turn.timeout.map(|timeout| timeout.as_secs().to_string());
    let callback = turn.callback.as_ref().map(CallbackUrl::as_str);
    let fields: [Option<&[u8]>; 11] = [
        Some(b"1"),
        Some(path.as_bytes()),
        Some(turn.route.as_ref().as_bytes()),
        Some(kind.as_bytes()),
        Some(input),
        conversation.map(str::as_bytes),
        turn.voice.as_deref().map(str::as_bytes),
        turn.response_format.as_deref().map(str::as_bytes),
        priority.as_deref().map(str::as_bytes),
        timeout.as_deref().map(str::as_bytes),
        callback.map(str::as_bytes),
    ];
    let mut hash = Sha256::new();
    for field in fields {
        // With its length, so that no two lists of fields read alike.
        let length = field.map_or(u64::MAX, |field| field.len() as u64);
        hash.update(length.to_be_bytes());
        hash.update(field.unwrap_or_default());
    }
    Fingerprint::of(hash.finalize().into())
}

/// Submits `turn`, unless the request named `key` has been before.
pub async fn submit_once(
    gateway: &Gateway,
    key: &str,
    fingerprint: Fingerprint,
    turn: NewTurn,
    caller: Caller,
) -> Result<Submitted, Problem> {
    let given_up = Instant::now() + LONGEST_SUBMISSION;
    let key = IdempotencyKey::of(&caller.tenant, key);
    let claim = Claim {
        job: caller.new_job_id(),
        fingerprint,
        at: UnixMillis::now(),
        queued: false,
    };
    let earlier_job = || earlier_job(gateway, &caller.tenant, &key, &claim);
    let mut earlier = earlier_job().await?;
    if let Some(Earlier { view, .. }) = earlier.take_if(|it| it.may_be_half_done()) {
        let id = view.job.correlation_id;
        if gateway.resume(view.job.clone(), turn.clone()).await? {
            confirm(gateway, &key, id).await;
            return Ok(Submitted::Before(view));
        }
        // It was withdrawn in this moment, and its key stands for nothing.
        earlier = earlier_job().await?;
        if let Some(other) = earlier.as_ref().filter(|it| it.may_be_half_done()) {
            let id = other.view.job.correlation_id;
            return Err(Problem::first_still_running(id));
        }
    }
    if let Some(Earlier { view, .. }) = earlier {
        return Ok(Submitted::Before(view));
    }
    let submitting = gateway.submit_as(claim.job, turn, caller);
    let submitted = timeout_at(given_up, submitting).await;
    match submitted.unwrap_or_else(|_| Err(Unsubmitted::Maybe(too_slow()))) {
        Ok(()) => {}
        Err(Unsubmitted::Nothing(error)) => {
            // The key stands for nothing.
            let keys = &gateway.backends().idempotency;
            if let Err(error) = keys.release(&key, claim.job).await {
                warn!(%error, "an idempotency key could not be given back; it is free before long");
            }
            return Err(error.into());
        }
        // The same request again finds out.
        Err(Unsubmitted::Maybe(error)) => return Err(error.into()),
    }
    confirm(gateway, &key, claim.job).await;
    Ok(Submitted::Now(claim.job))
}

fn too_slow() -> GatewayError {
    GatewayError::Unavailable(format!("not submitted within {LONGEST_SUBMISSION:?}"))
}

/// Without the note, the same request again publishes a second copy of the
/// message, which does no harm.
async fn confirm(gateway: &Gateway, key: &IdempotencyKey, job: CorrelationId) {
    let keys = &gateway.backends().idempotency;
    if let Err(error) = keys.confirm(key, job).await {
        warn!(%error, "it could not be noted that the job of an idempotency key is queued");
    }
}

/// The job of an earlier request.
struct Earlier {
    view: Box<JobView>,
    queued: bool,
}

impl Earlier {
    /// Its process may have died between the job's log and its message.
    fn may_be_half_done(&self) -> bool {
        !self.queued && self.view.status() == Status::Queued
    }
}

/// The job that `key` stands for; `None` once it stands for that of `claim`.
async fn earlier_job(
    gateway: &Gateway,
    tenant: &Tenant,
    key: &IdempotencyKey,
    claim: &Claim,
) -> Result<Option<Earlier>, Problem> {
    let keys = &gateway.backends().idempotency;
    let claimed = keys.claim(key, claim).await.map_err(GatewayError::from)?;
    let Claimed::Before(before) = claimed else {
        return Ok(None);
    };
    match standing(gateway, tenant, &before, claim.at).await? {
        Standing::Submitted(view) if before.fingerprint == claim.fingerprint => {
            let queued = before.queued;
            Ok(Some(Earlier { view, queued }))
        }
        Standing::Submitted(_) | Standing::BeingSubmitted => Err(refusal(&before, claim)),
        Standing::Abandoned => {
            let claimed = keys.take_over(key, before.job, claim).await;
            match claimed.map_err(GatewayError::from)? {
                Claimed::Now => Ok(None),
                // Somebody else took it over in this moment.
                Claimed::Before(other) => Err(refusal(&other, claim)),
            }
        }
    }
}

fn refusal(before: &Claim, claim: &Claim) -> Problem {
    if before.fingerprint == claim.fingerprint {
        Problem::first_still_running(before.job)
    } else {
        Problem::key_reused()
    }
}

/// What became of the job of a claim.
enum Standing {
    Submitted(Box<JobView>),
    /// Maybe at this moment.
    BeingSubmitted,
    /// Nothing, and nothing will.
    Abandoned,
}

async fn standing(
    gateway: &Gateway,
    tenant: &Tenant,
    claim: &Claim,
    now: UnixMillis,
) -> Result<Standing, GatewayError> {
    let is_left = now.since(claim.at) >= LEFT;
    Ok(match gateway.look(tenant, claim.job).await? {
        Some(view) if view.was_not_queued() => Standing::Abandoned,
        Some(view) => Standing::Submitted(Box::new(view)),
        None if is_left => Standing::Abandoned,
        None => Standing::BeingSubmitted,
    })
}

#[cfg(test)]
mod tests;
